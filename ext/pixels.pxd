"""Event-camera pixels as plain C: their state, and the course of one pixel through one frame."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from reflexarc.ext.chance cimport Stream
from reflexarc.ext.readout cimport Events, Readout


cdef struct Model:
    # what all pixels share
    float knee_dn            # lowest intensity of the logarithm
    double reach_per_ns      # 2 pi f3dB, 0 if unlimited
    double refractory_ns
    double on_threshold      # nominal
    double off_threshold
    double shot_per_ns       # shot noise in the dark, of each polarity at its nominal threshold


cdef struct Pixels:
    # a value for each pixel
    double *level            # log intensity behind the low-pass at the last frame
    double *reference        # that the level is compared with; HELD while in reset
    int64_t *armed_ns        # end of the last reset
    uint64_t *read_us        # grant of the last request
    const float *on_step     # rise of the level that makes an ON event
    const float *off_step    # fall that makes an OFF event, positive
    const float *leak        # fall of the reference, per second


cdef struct Row:
    # room for what is computed of one row
    float *dn
    float *target
    float *share
    double *next
    int64_t *hit


cdef struct Frame:
    int64_t t0_ns
    int64_t t1_ns
    double length_ns
    const void *image
    bint bytes               # uint8, otherwise float32 with white 1


cdef struct Noise:
    # candidates of shot noise, in order of pixels and of time within a pixel's frame
    Stream stream
    double most_per_ns       # candidates of one pixel
    int64_t pixel
    double at_ns
    int on                   # polarity of the one found


cdef struct Course:
    # of one pixel through one frame; times since its start
    double end               # contrast at the end of the frame, were nothing to happen
    double slope             # per ns
    double length_ns
    double base              # contrast at which it was last reset
    double now_ns
    double armed_ns
    bint held                # in reset
    double on_step
    double off_step
    double refractory_ns
    int64_t t0_ns
    uint16_t x
    uint16_t y


cdef class PixelArray:
    cdef readonly int width
    cdef readonly int height
    cdef Model _model
    cdef Pixels _pixels
    cdef Row _row
    cdef Noise _noise
    cdef Readout _readout
    cdef Events _asked
    cdef Events _spare
    cdef Events _waiting
    cdef int64_t _t_ns
    cdef bint _started
    cdef dict _state
    cdef dict _fixed
    cdef list _rooms
    cdef _checked(self, image, t_ns)
    cdef void _begin(self, const Frame *frame) noexcept nogil
    cdef bint _pass(self, const Frame *frame) noexcept nogil
    cdef _deliver(self, dtype)
