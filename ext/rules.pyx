"""The kernels of the rules that come with the package, as capsules that an `Edge` takes."""

from cpython.pycapsule cimport PyCapsule_New

from reflexarc.ext.learner cimport Kernel

cdef extern from "bcm.h":
    const Kernel bcm
cdef extern from "clopath.h":
    const Kernel clopath
cdef extern from "e_prop.h":
    const Kernel e_prop
cdef extern from "oja.h":
    const Kernel oja
cdef extern from "held.h":
    const Kernel held_kernel
cdef extern from "pair_stdp.h":
    const Kernel pair_all_to_all
    const Kernel pair_all_to_all_additive
    const Kernel pair_nearest_symmetric
    const Kernel pair_nearest_symmetric_additive
    const Kernel pair_presynaptic_centred
    const Kernel pair_restricted_symmetric
cdef extern from "reward_stdp.h":
    const Kernel reward_stdp
cdef extern from "sdsp.h":
    const Kernel sdsp
cdef extern from "voja.h":
    const Kernel voja
cdef extern from "triplet_stdp.h":
    const Kernel triplet_all_to_all
    const Kernel triplet_nearest
cdef extern from "vogels.h":
    const Kernel vogels_stdp


cdef object capsule(const Kernel *kernel):
    return PyCapsule_New(<void *>kernel, "reflexarc.kernel", NULL)


#: By rule, and pairing where it has several.
KERNELS = {
    "bcm": capsule(&bcm),
    "e_prop": capsule(&e_prop),
    "held": capsule(&held_kernel),
    "oja": capsule(&oja),
    "pair_stdp/all_to_all": capsule(&pair_all_to_all),
    "pair_stdp/all_to_all/additive": capsule(&pair_all_to_all_additive),
    "pair_stdp/nearest_symmetric": capsule(&pair_nearest_symmetric),
    "pair_stdp/nearest_symmetric/additive": capsule(&pair_nearest_symmetric_additive),
    "pair_stdp/presynaptic_centred": capsule(&pair_presynaptic_centred),
    "pair_stdp/restricted_symmetric": capsule(&pair_restricted_symmetric),
    "clopath": capsule(&clopath),
    "r_stdp": capsule(&reward_stdp),
    "sdsp": capsule(&sdsp),
    "triplet_stdp/all_to_all": capsule(&triplet_all_to_all),
    "triplet_stdp/nearest": capsule(&triplet_nearest),
    "voja": capsule(&voja),
    "vogels": capsule(&vogels_stdp),
}
