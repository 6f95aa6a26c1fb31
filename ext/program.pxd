"""What the clocked engine runs: a flat program of operations over contiguous arrays.

Every output, state, trace, delay ring and dense plastic weight is a range of one array of doubles
(`values`), so that the state of a network is a copy of it. An operation names ranges by offset.
Spikes onto projections go another way: each spiking source remembers its latest spikes in a ring
of lists, and projections add their weights to float32 numbers (`arrived`): sums of jumps that a
layer takes up and clears, or the synaptic variables themselves. These two kinds of operation are what several threads share.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t

from reflexarc.ext.learner cimport Learner
from reflexarc.ext.transmitter cimport Transmitter

cdef extern from "crew.h":
    enum:
        MOST_THREADS
    ctypedef struct Crew:
        int64_t threads
        void *machine
        void (*work)(void *machine, int64_t thread) noexcept nogil
    void meet(Crew *crew) noexcept nogil
    int run_crew(Crew *crew) noexcept nogil

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
    RECORD        # remember the spikes of this step in a ring
    COLLECT       # y += what arrived
    FIRED         # join what the threads found: list y_list and y
    GENERATE      # spikes of a layer of generators
    SETTLE        # bring rows of a matrix that learns up to date before it multiplies
    LEARN         # note for an edge that learns who fired
    RELEASE       # what an edge with short-term plasticity delivers of the spikes that arrive now
    TUNE          # move the thresholds of a layer
    SCALING       # scale the synapses of the sources whose turn it is
    REWIRE        # replace weak ones
    MODULATE      # y = decay y + gain x: the level of a modulator
    PROJECT       # deliver along a projection          (shared by the threads)
    POPULATION    # one step of a layer                 (shared by the threads)

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

cdef enum Model:  # of a population
    LIF_MODEL
    CUBA_LIF
    ALIF
    DELTA_LIF
    EXP_LIF
    ALPHA_LIF
    COND_LIF
    ADEX
    IZHIKEVICH

cdef enum Generator:
    POISSON
    REGULAR

# All fields are int64, so that a NumPy table of them is this struct. -1 stands for absent.
cdef struct Op:
    int64_t kind
    int64_t variant    # Storage, Reset, Model or Generator; the port of LOG and MODULATE
    int64_t n          # elements of the output
    int64_t m          # elements of the input; of POPULATION: substeps; of LEARN: targets' delay
    int64_t x          # input, in values
    int64_t x_list     # its event list
    int64_t y          # output, in values; of PES: the error
    int64_t y_list
    int64_t state      # v and what follows it; delay ring; trace; thresholds, in values
    int64_t params     # in constants
    int64_t uniform    # whether all neurons share them
    int64_t weights    # in weights32, weights64 or values, by variant
    int64_t rows       # start of each source's row, in rows; of LEARN: ring of the targets
    int64_t targets    # target of each weight, or delay of each element, in targets
    int64_t arrived    # the sums of a layer's receptors, in arrived
    int64_t layer      # number of a layer that fires in stretches
    int64_t fired      # where the indices it finds go, in fired; likewise those held
    int64_t wait       # steps that each is still held, in values
    int64_t peak       # voltage of each at its latest spike, in values
    int64_t ring       # number of a source's ring
    int64_t lag        # how many steps ago
    int64_t synapses   # number of the projection, or of what learns
    int64_t release    # number of the edge with short-term plasticity
    int64_t tuned      # parameters of a layer that change, in values, instead of params

# A projection. Rows lie by source; a row ascends by target.
cdef struct Synapses:
    int64_t sources
    int64_t targets
    int64_t alike              # one weight for all
    const int64_t *rows
    const uint16_t *targets16  # either of the two, the other NULL
    const int32_t *targets32
    const float *weight
    # Where a thread's part of row j begins and ends: first[thread * sources + j], and `next` later.
    const int64_t *first
    int64_t next

# The latest spikes of a source: list `step % depth` holds those of a step.
cdef struct Ring:
    int64_t depth
    int64_t capacity
    int64_t *counts
    int32_t *index     # [depth][capacity]
    float *value       # how many spikes each, or NULL where it is always one

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

# A synapse that may be replaced.
cdef struct Weak:
    double strength
    int64_t place

# Where a row is rewired: room for the longest.
cdef struct Bench:
    int64_t room
    Weak *weak
    int64_t *taken
    int64_t *drawn

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
    float *arrived
    int32_t *fired
    int32_t *held
    int64_t *fired_counts    # [layer][thread]
    int64_t *held_counts     # [layer][thread]
    Synapses *synapses
    Ring *rings
    Transmitter *transmitters
    Learner *learners        # by projection, its `kernel` NULL where it does not learn; then by matrix
    Bench bench

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

# All that a thread needs to run the program.
cdef struct Machine:
    const Op *ops
    int64_t op_count
    Arrays arrays
    Counters counters
    Port *ports
    int64_t port_count
    const Waiting *queue
    LogEntry *log
    int64_t logged
    int64_t log_capacity
    int64_t exhausted    # no memory for the log
    int64_t dt_ns
    uint64_t seed
    int64_t step         # the next to run
    int64_t until        # where this call ends
    Crew crew
