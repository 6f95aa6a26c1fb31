"""The kernels of the rules that come with the package, as capsules that an `Edge` takes."""

from cpython.pycapsule cimport PyCapsule_New

from reflexarc.ext.learner cimport Kernel

cdef extern from "held.h":
    const Kernel held
cdef extern from "pair_stdp.h":
    const Kernel pair_all_to_all
    const Kernel pair_all_to_all_additive
    const Kernel pair_nearest_symmetric
    const Kernel pair_nearest_symmetric_additive
    const Kernel pair_presynaptic_centred
    const Kernel pair_restricted_symmetric
cdef extern from "triplet_stdp.h":
    const Kernel triplet_all_to_all
    const Kernel triplet_nearest


cdef object capsule(const Kernel *kernel):
    return PyCapsule_New(<void *>kernel, "reflexarc.kernel", NULL)


#: By rule, and pairing where it has several.
KERNELS = {
    "held": capsule(&held),
    "pair_stdp/all_to_all": capsule(&pair_all_to_all),
    "pair_stdp/all_to_all/additive": capsule(&pair_all_to_all_additive),
    "pair_stdp/nearest_symmetric": capsule(&pair_nearest_symmetric),
    "pair_stdp/nearest_symmetric/additive": capsule(&pair_nearest_symmetric_additive),
    "pair_stdp/presynaptic_centred": capsule(&pair_presynaptic_centred),
    "pair_stdp/restricted_symmetric": capsule(&pair_restricted_symmetric),
    "triplet_stdp/all_to_all": capsule(&triplet_all_to_all),
    "triplet_stdp/nearest": capsule(&triplet_nearest),
}
