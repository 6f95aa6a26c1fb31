"""Event-driven spiking network in continuous time: structures and the free functions over them.

A *unit* is a neuron or one element of an output port; units of one layer stand together and
layers stand in topological order. A *source* is a neuron (same number as its unit), an element of
an input port, or a constant current. A *fibre* is all synapses of one source with one delay.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t


cdef struct Time:
    int64_t ns
    double frac  # of the next nanosecond, [0, 1)


cdef struct Model:  # constants of a unit, seconds and NIR's names
    double tau
    double tau_syn
    double r
    double v_leak
    double v_threshold
    double v_reset
    double w_in
    int32_t kind
    int32_t layer


cdef struct Unit:  # state of a unit as it was at `seen`; 64 bytes, one cache line
    double v
    double current
    double drive  # constant input current, high and low part
    double drive_low
    double charge  # Diracs of the present instant
    Time seen
    int32_t touched  # why the present instant concerns it
    int32_t slot  # place among the due, -1: no spike is foreseen


cdef struct Fibre:
    double delay_ns
    int64_t begin  # synapses begin .. end - 1
    int64_t end
    int64_t synapses  # how many of them reach neurons


cdef struct Event:  # something on its way along a fibre
    Time at
    double value
    int32_t fibre
    int32_t kind


cdef struct Due:  # a spike foreseen
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
    Unit* unit
    const int64_t* fibres_of  # fibres of source s: fibres_of[s] .. fibres_of[s + 1] - 1
    const Fibre* fibre
    const int32_t* target
    const double* weight
    const int64_t* layer_first
    const uint8_t* recorded  # by layer
    int32_t* touched  # units of the present instant, those of a layer from layer_first[layer]
    int64_t* touched_count  # by layer
    Due* due  # binary heap, earliest first; each unit at most once
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
    int64_t runaway  # a unit that fires without end, or -1
    int32_t exhausted  # no memory


cdef class ExactEngine:
    cdef Net net
    cdef const Model[::1] models
    cdef Unit[::1] units
    cdef const int64_t[::1] fibres_of
    cdef const Fibre[::1] fibres
    cdef const int32_t[::1] target
    cdef const double[::1] weight
    cdef const int64_t[::1] layer_first
    cdef uint8_t[::1] recorded
    cdef int32_t[::1] touched
    cdef int64_t[::1] touched_count
    cdef Due[::1] due

    cdef object _point(self, double spike_area)
    cdef object _foresee_all(self)
    cdef object _take_log(self)
    cdef object _check_memory(self)
