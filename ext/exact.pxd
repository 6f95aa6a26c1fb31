"""Event-driven spiking network in continuous time: structures and the free functions over them.

A *unit* is a neuron or one element of an output port; units of one layer stand together and
layers stand in topological order. A *source* is a neuron (same number as its unit), an element of
an input port, or a constant current. A *fibre* is all synapses of one source with one delay in one
*bundle*, the synapses whose arrays lie together.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from reflexarc.ext.exactedge cimport PlasticEdge
from reflexarc.ext.instant cimport Time
from reflexarc.ext.membrane cimport Model, Unit


cdef struct Synapses:  # a bundle: synapses onto units from `first` on
    const int32_t* target
    const double* weight64  # or
    const float* weight32
    int64_t stride  # 0: one weight for all
    int64_t first
    int64_t receptor
    PlasticEdge* edge  # NULL: nothing about it changes


cdef struct Fibre:
    double delay_ns
    int64_t begin  # synapses begin .. end - 1
    int64_t end
    int64_t synapses  # how many of them reach neurons
    int64_t bundle
    int64_t row  # its number among the sources of an edge that changes


cdef struct Level:  # what a modulator shows
    double rate  # 1 / tau by tick at which it decays, or 0
    int64_t at  # tick of its latest change


cdef struct Event:  # something on its way along a fibre
    Time at
    double value
    int32_t fibre
    int32_t kind


cdef struct Due:  # what a unit awaits
    Time at
    int64_t unit


cdef struct Emitted:  # a spike as recorded
    Time at
    double area
    int64_t unit


cdef struct Events:  # binary heap, earliest first
    Event* at
    int64_t count
    int64_t capacity


cdef struct Log:
    Emitted* at
    int64_t count
    int64_t capacity


cdef struct Net:
    const Model* model
    const int32_t* model_of  # by unit
    Unit* unit
    const int64_t* fibres_of  # fibres of source s: fibres_of[s] .. fibres_of[s + 1] - 1
    const Fibre* fibre
    Synapses* bundle
    PlasticEdge* edge
    int64_t edges
    double* level  # what each modulator showed at its latest change
    Level* level_of
    const int64_t* heard_by  # edges that learn from spikes of layer n: from heard_by[n] on
    const int64_t* hearer
    const int64_t* layer_first
    const uint8_t* recorded  # by layer
    int32_t* touched  # units of the present instant, those of a layer from layer_first[layer]
    int64_t* touched_count  # by layer
    Due* due  # binary heap, earliest first; each unit at most once
    int32_t* slot  # by unit, its place among the due, or -1
    int64_t due_count
    int64_t layers
    int64_t units
    double spike_area
    Time now
    Events events
    Log log
    int64_t synaptic_events
    int64_t neuron_updates
    int64_t spikes
    int64_t weight_updates
    int64_t runaway  # a unit that fires without end, or -1
    int32_t exhausted  # no memory


cdef class ExactEngine:
    cdef Net net
    cdef Model[::1] models
    cdef const int32_t[::1] model_of
    cdef Unit[::1] units
    cdef const int64_t[::1] fibres_of
    cdef const Fibre[::1] fibres
    cdef list kept  # the arrays of the bundles and edges
    cdef double[::1] levels
    cdef Level[::1] levels_of
    cdef const int64_t[::1] heard_by
    cdef const int64_t[::1] hearers
    cdef const int64_t[::1] layer_first
    cdef uint8_t[::1] recorded
    cdef int32_t[::1] touched
    cdef int64_t[::1] touched_count
    cdef Due[::1] due
    cdef int32_t[::1] slot

    cdef object _keep(self, bundles)
    cdef object _place_edges(self, edges)
    cdef PlasticEdge* _edge(self, int64_t k) except NULL
    cdef object _point(self, double spike_area)
    cdef object _complete_models(self)
    cdef object _foresee_all(self)
    cdef object _take_log(self)
    cdef object _check_memory(self)
