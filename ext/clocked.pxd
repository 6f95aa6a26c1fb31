"""The clocked engine: a flat program of operations over contiguous arrays.

Every output, state, trace, delay ring and plastic weight is a range of one array of doubles
(`values`), so that the state of a network is a copy of it. An operation names ranges by offset.
"""

from libc.stdint cimport int32_t, int64_t

cdef enum Kind:
    COPY          # y = x
    ADD           # y += x
    SCAN          # list y_list = where x is not zero
    LINEAR        # y = bias + sum over sources of x * row
    NEURONS       # one step of a layer
    DELAY_READ    # y = what was written `delay` steps ago
    DELAY_WRITE   # write x into the ring
    LOG           # note the spikes of an output port
    PES           # learn
    CONV          # y = (bias + x scattered through the taps) / divisor
    SCALE         # y = x * row
    THRESHOLD     # y = 1 where x is above row

cdef enum Storage:
    SPARSE32      # compressed rows by source, weights float32 (lossless)
    SPARSE64
    DENSE32       # full rows by source
    DENSE64
    PLASTIC       # full rows of float64 in `values`

cdef enum Reset:
    GRADED        # no spikes
    TO_VALUE
    SUBTRACT
    SUBTRACT_EACH
    SUBTRACT_LATE
    TO_VALUE_RECTIFIED   # and v no lower than 0

# All fields are int64, so that a NumPy table of them is this struct. -1 stands for absent.
cdef struct Op:
    int64_t kind
    int64_t variant    # Storage or Reset
    int64_t n          # elements of the output
    int64_t m          # elements of the input
    int64_t x          # input, in values
    int64_t x_list     # its event list
    int64_t y          # output, in values; of PES: the error
    int64_t y_list
    int64_t state      # v then I; delay ring; trace, in values
    int64_t params     # in constants
    int64_t weights    # in weights32, weights64 or values, by variant
    int64_t rows       # start of each source's row, in rows
    int64_t targets    # target of each weight, or delay of each element, in targets

# The geometry of a CONV over two axes (one of them may have the length 1), at `rows` in rows.
# Behind it, for each axis, where each input coordinate's hits begin; a hit is a pair (tap, output
# coordinate) in targets. Weights are ordered by channel in, taps, channel out of the group.
cdef struct Conv:
    int64_t channels_in     # of one group
    int64_t channels_out    # of one group
    int64_t in_y
    int64_t in_x
    int64_t out_y
    int64_t out_x
    int64_t taps_x
    int64_t taps            # of both axes together
    int64_t divisor

# What an operation works on.
cdef struct Arrays:
    double *values
    const double *constants
    const float *weights32
    const double *weights64
    const int64_t *rows
    const int32_t *targets
    int32_t *events          # event lists, one behind the other
    const int64_t *starts    # where each list begins
    int64_t *counts          # how many events it holds now

cdef struct Counters:
    int64_t synaptic_events
    int64_t neuron_updates
    int64_t spikes
    int64_t weight_updates

# An input port.
cdef struct Port:
    int64_t at         # where it begins in values
    int64_t list_id    # its event list
    int64_t size
    int64_t held       # whether it shows a held vector (1) or spikes (0)
    int64_t next       # its spikes that still wait, in the queue
    int64_t end

# A spike that waits to enter at an input port.
cdef struct Waiting:
    int64_t step
    int64_t i

# A spike that left an output port.
cdef struct LogEntry:
    int64_t step
    int64_t port
    int64_t i
    int64_t count

cdef class ClockedEngine:
    cdef object _owners
    cdef Op[::1] _ops
    cdef Arrays _arrays
    cdef Counters _counters
    cdef Port[::1] _ports
    cdef Waiting[::1] _queue
    cdef int64_t _queued
    cdef LogEntry[::1] _log
    cdef int64_t _logged
    cdef int64_t _dt_ns
    cdef readonly int64_t steps_per_call
    cdef public int64_t step
    cdef public bint learning

    cdef void _tick(self) noexcept nogil
    cdef void _take_inputs(self) noexcept nogil
    cdef void _inject(self, const Port *port, int64_t i) noexcept nogil
    cdef void _note(self, const Op *op) noexcept nogil
