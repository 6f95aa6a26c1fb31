"""Event-camera pixels: from a frame of intensities to the events since the frame before.

The pixel is that of the DVS (Lichtsteiner, Posch & Delbruck 2008, IEEE J. Solid-State Circuits
43(2)), with the equations of v2e (Hu, Liu & Delbruck 2021, CVPR Workshops):

- photoreceptor: target = ln I of an intensity I in DN (0 to 255), linear below a knee:
  I ln(knee) / knee;
- bandwidth: level += (1 - exp(-eps)) (target - level), eps = 2 pi f3dB dt (I + 20) / 275;
- an event where level - reference reaches the pixel's ON or OFF threshold. Between two frames the
  contrast is linear in time, which gives the time of each event (ESIM: Rebecq, Gehrig & Scaramuzza
  2018, CoRL). The pixel is then in reset for the refractory period and memorises the level that it
  finds at its end; without a refractory period the reference moves by exactly one threshold;
- leak: the reference falls at a rate of the pixel's own, which makes ON events (Nozaki & Delbruck
  2017, IEEE Trans. Electron Devices 64(8)). A hot pixel is one that leaks fast. At the first frame
  the pixels have been leaking for long, and not in step;
- shot noise: events at random times, each polarity at R/2 (1 - 0.75 (I + 20) / 275) times nominal
  over own threshold, I at most 255. Such an event resets the pixel as any other does.

Readout.pyx takes it from there. Times are whole nanoseconds and everything else is computed from
their differences, so that results do not depend on how long the camera has been running.
"""

import numpy as np

from libc.math cimport INFINITY, log, pi, rint
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove

from reflexarc.ext.chance cimport begin_stream, next_uniform
from reflexarc.ext.readout cimport Event, arbitrate, in_order, more_room, put, read_until

cdef extern from "pixels.h":
    int all_sound(const float *image, int64_t n) noexcept nogil
    void load_bytes(const uint8_t *image, float *dn, int64_t n) noexcept nogil
    void load_floats(const float *image, float *dn, int64_t n) noexcept nogil
    void lin_log(const float *dn, float *target, int64_t n, float knee_dn) noexcept nogil
    void low_pass(const float *dn, float *share, int64_t n, float reach) noexcept nogil
    void approach(
        const double *level, const float *target, const float *share, double *next, int64_t n
    ) noexcept nogil
    void arrive(const float *target, double *next, int64_t n) noexcept nogil
    int64_t compare(
        const double *next, double *reference, const float *leak, const float *on_step,
        const float *off_step, int64_t *hit, int64_t n, double dt_s, double tolerance
    ) noexcept nogil

# A threshold counts as reached this fraction early: intensities come as float32, and their rounding
# (3e-7 of a level) must not decide whether an exact multiple of the threshold fires.
cdef double TOLERANCE = 1e-5

#: The reference of a pixel in reset: any level is beyond every threshold from it, so that the pixel
#: is looked at in each frame until it wakes.
cdef double HELD = -INFINITY


# --- one pixel through one frame --------------------------------------------------------------

cdef inline double contrast(const Course *course, double at_ns) noexcept nogil:
    return course.end - course.slope * (course.length_ns - at_ns)


cdef inline bint wake(Course *course, double until_ns) noexcept nogil:
    """Whether the pixel is out of reset by then. It memorises the level found at that moment."""
    if not course.held:
        return True
    if course.armed_ns > until_ns:
        return False
    course.held = False
    course.now_ns = max(course.armed_ns, 0.0)
    course.base = contrast(course, course.now_ns)
    return True


cdef inline void fire(
    Course *course, double at_ns, bint on, double base, Events *out
) noexcept nogil:
    """An event at `at_ns`, and reset: to `base`, or after the refractory period."""
    cdef double whole_ns = rint(at_ns)
    cdef Event event
    event.t_us = <uint64_t>((course.t0_ns + <int64_t>whole_ns) // 1000)
    event.x, event.y, event.on = course.x, course.y, on
    put(out, event)
    course.now_ns, course.base = at_ns, base
    if course.refractory_ns > 0.0:
        course.held, course.armed_ns = True, whole_ns + course.refractory_ns


cdef void go(Course *course, double until_ns, Events *out) noexcept nogil:
    """Fire wherever the contrast reaches a threshold up to `until_ns`."""
    cdef bint on = course.slope > 0.0
    cdef double step = course.on_step if on else -course.off_step
    cdef double beyond, at_ns
    if course.slope == 0.0:
        wake(course, until_ns)
        return
    while wake(course, until_ns):
        beyond = contrast(course, until_ns) - course.base - step
        if beyond / step < -TOLERANCE:
            return
        at_ns = until_ns - beyond / course.slope
        fire(course, min(max(at_ns, course.now_ns), until_ns), on, course.base + step, out)


cdef Course set_out(
    const Model *model, const Pixels *pixels, const Frame *frame, int64_t i, double next
) noexcept nogil:
    """The course of pixel i from its level to `next`; its reference has leaked already."""
    cdef Course course
    cdef double leak_per_ns = pixels.leak[i] * 1e-9
    course.length_ns, course.t0_ns = frame.length_ns, frame.t0_ns
    course.slope = (next - pixels.level[i]) / frame.length_ns + leak_per_ns
    course.on_step, course.off_step = pixels.on_step[i], pixels.off_step[i]
    course.refractory_ns = model.refractory_ns
    course.now_ns = course.base = 0.0
    course.held = pixels.reference[i] == HELD
    course.armed_ns = <double>(pixels.armed_ns[i] - frame.t0_ns)
    course.end = 0.0 if course.held else next - pixels.reference[i]
    return course


cdef void set_down(
    const Course *course, const Pixels *pixels, int64_t i, double next
) noexcept nogil:
    """Keep what the course has left of the pixel."""
    if course.held:
        pixels.reference[i] = HELD
        pixels.armed_ns[i] = course.t0_ns + <int64_t>course.armed_ns
    else:
        pixels.reference[i] = next - (course.end - course.base)


# --- shot noise -------------------------------------------------------------------------------

cdef inline double dimming(float dn) noexcept nogil:
    """Shot noise at an intensity, relative to that in the dark (v2e's emulator)."""
    return 1.0 - 0.75 * (min(dn, 255.0) + 20.0) / 275.0


cdef inline void next_candidate(Noise *noise, double length_ns) noexcept nogil:
    """One step of a Poisson process along all pixels' frames laid one after another."""
    cdef double passed
    noise.at_ns -= log(next_uniform(&noise.stream)) / noise.most_per_ns
    passed = <double><int64_t>(noise.at_ns / length_ns)
    noise.pixel += <int64_t>passed
    noise.at_ns -= passed * length_ns


cdef int drawn(Noise *noise, const Model *model, const Pixels *pixels, float dn) noexcept nogil:
    """What becomes of a candidate: 1 an ON event, 0 an OFF event, -1 nothing."""
    cdef double left = next_uniform(&noise.stream) * noise.most_per_ns
    cdef double each = model.shot_per_ns * dimming(dn)
    left -= each * model.on_threshold / pixels.on_step[noise.pixel]
    if left <= 0.0:
        return 1
    left -= each * model.off_threshold / pixels.off_step[noise.pixel]
    return 0 if left <= 0.0 else -1


cdef void find_shot(
    Noise *noise, const Model *model, const Pixels *pixels, const Row *row, int64_t first,
    int64_t end, double length_ns
) noexcept nogil:
    """Pass over the candidates of a row from the present one on, up to one that is an event."""
    while noise.pixel < end:
        noise.on = drawn(noise, model, pixels, row.dn[noise.pixel - first])
        if noise.on >= 0:
            return
        next_candidate(noise, length_ns)


# --- a row of them ----------------------------------------------------------------------------

cdef void see(
    const Model *model, const Frame *frame, const Row *row, int64_t y, int64_t width
) noexcept nogil:
    """The intensities of a row, and the levels that they lead to."""
    if frame.bytes:
        load_bytes(<const uint8_t *>frame.image + y * width, row.dn, width)
    else:
        load_floats(<const float *>frame.image + y * width, row.dn, width)
    lin_log(row.dn, row.target, width, model.knee_dn)


cdef int64_t follow(
    const Model *model, const Pixels *pixels, const Frame *frame, const Row *row, int64_t first,
    int64_t width
) noexcept nogil:
    """Low-pass and leak of a row; whether any pixel may fire."""
    if model.reach_per_ns > 0.0:
        low_pass(row.dn, row.share, width, <float>(model.reach_per_ns * frame.length_ns))
        approach(pixels.level + first, row.target, row.share, row.next, width)
    else:
        arrive(row.target, row.next, width)
    return compare(
        row.next, pixels.reference + first, pixels.leak + first, pixels.on_step + first,
        pixels.off_step + first, row.hit, width, frame.length_ns * 1e-9, TOLERANCE
    )


cdef inline int64_t next_to_fire(
    const Row *row, bint marked, int64_t x, int64_t shot, int64_t width
) noexcept nogil:
    """The first pixel of a row from x on that is marked or has shot noise."""
    if not marked:
        return min(shot, width)
    while x < width and row.hit[x] == 0 and x != shot:
        x += 1
    return x


cdef void fire_row(
    const Model *model, const Pixels *pixels, const Frame *frame, const Row *row, bint marked,
    Noise *noise, int64_t first, int64_t width, Events *out
) noexcept nogil:
    """The events of a row: of marked pixels, if any, and of those that noise has come upon."""
    cdef int64_t i, x = next_to_fire(row, marked, 0, noise.pixel - first, width)
    cdef Course course
    while x < width:
        i = first + x
        course = set_out(model, pixels, frame, i, row.next[x])
        course.x, course.y = <uint16_t>x, <uint16_t>(first // width)
        while noise.pixel == i:
            go(&course, noise.at_ns, out)
            if wake(&course, noise.at_ns):
                fire(&course, noise.at_ns, noise.on, contrast(&course, noise.at_ns), out)
            next_candidate(noise, frame.length_ns)
            find_shot(noise, model, pixels, row, first, first + width, frame.length_ns)
        go(&course, course.length_ns, out)
        set_down(&course, pixels, i, row.next[x])
        x = next_to_fire(row, marked, x + 1, noise.pixel - first, width)


# --- the array --------------------------------------------------------------------------------

cdef class PixelArray:
    """The pixels of an event camera and its readout, with their state.

    Args:
        on_step, off_step: thresholds of each pixel in ln units, shape (height, width).
        leak_per_s: how fast the reference of each pixel falls, in ln units per second; the same
            shape.
        on_threshold, off_threshold: nominal thresholds, to which `shot_rate_hz` refers.
        knee_dn: intensity below which the photoreceptor is linear; above 1.
        cutoff_hz: bandwidth (-3 dB) in white light; 0 for no limit.
        refractory_us: how long a pixel is held in reset after an event.
        shot_rate_hz: events of shot noise of a pixel in the dark, both polarities together.
        readout_rate_hz: events a second that can be read; 0 for no limit.
        readout_latency_us: from the grant of the arbiter to the time stamp.
        seed: of the noise.

    Raises:
        ValueError: shapes differ, or a value is out of its range.
    """

    def __init__(
        self,
        on_step,
        off_step,
        leak_per_s,
        *,
        double on_threshold,
        double off_threshold,
        double knee_dn=20.0,
        double cutoff_hz=0.0,
        int64_t refractory_us=0,
        double shot_rate_hz=0.0,
        double readout_rate_hz=0.0,
        int64_t readout_latency_us=0,
        uint64_t seed=0,
    ):
        fixed = [np.array(part, np.float32, order="C") for part in (on_step, off_step, leak_per_s)]
        shape = fixed[0].shape
        if len(shape) != 2 or not fixed[0].size or any(part.shape != shape for part in fixed):
            raise ValueError("on_step, off_step and leak_per_s must have one shape (height, width)")
        if max(shape) > 65536:
            raise ValueError("a camera has at most 65536 x 65536 pixels")
        if not all(0 < np.min(part) <= np.max(part) < np.inf for part in fixed[:2]):
            raise ValueError("thresholds must be above 0 and finite")
        if not 0 <= np.min(fixed[2]) <= np.max(fixed[2]) < np.inf:
            raise ValueError("leak_per_s must be finite and not negative")
        if not (0 < on_threshold < INFINITY and 0 < off_threshold < INFINITY):
            raise ValueError("on_threshold and off_threshold must be above 0 and finite")
        if not 1 < knee_dn < INFINITY:
            raise ValueError("knee_dn must be above 1 and finite")
        if not all(0 <= value < np.inf for value in (cutoff_hz, shot_rate_hz, readout_rate_hz)):
            raise ValueError("rates must be finite and not negative")
        if refractory_us < 0 or readout_latency_us < 0:
            raise ValueError("refractory_us and readout_latency_us must not be negative")
        self.height, self.width = shape
        self._fixed = dict(zip(("on_step", "off_step", "leak_per_s"), fixed, strict=True))
        self._model.knee_dn = knee_dn
        self._model.reach_per_ns = 2e-9 * pi * cutoff_hz
        self._model.refractory_ns = 1e3 * refractory_us
        self._model.on_threshold, self._model.off_threshold = on_threshold, off_threshold
        self._model.shot_per_ns = 0.5e-9 * shot_rate_hz
        self._readout.service_ns = 1e9 / readout_rate_hz if readout_rate_hz else 0.0
        self._readout.latency_ns = 1000 * readout_latency_us
        self._noise.stream = begin_stream(seed, 0)
        ratios = on_threshold / fixed[0].astype(float) + off_threshold / fixed[1].astype(float)
        self._noise.most_per_ns = self._model.shot_per_ns * dimming(0.0) * float(ratios.max())
        self._lay_out(fixed[0].size)

    def _lay_out(self, int64_t n):
        """Room for the state and for one row."""
        self._state = {
            "level": np.zeros(n),
            "reference": np.zeros(n),
            "armed_ns": np.zeros(n, np.int64),
            "read_us": np.zeros(n, np.uint64),
        }
        self._pixels.level = <double *>at(self._state["level"])
        self._pixels.reference = <double *>at(self._state["reference"])
        self._pixels.armed_ns = <int64_t *>at(self._state["armed_ns"])
        self._pixels.read_us = <uint64_t *>at(self._state["read_us"])
        self._pixels.on_step = <float *>at(self._fixed["on_step"])
        self._pixels.off_step = <float *>at(self._fixed["off_step"])
        self._pixels.leak = <float *>at(self._fixed["leak_per_s"])
        self._rooms = [np.zeros(self.width, part) for part in ("f4", "f4", "f4", "f8", "i8")]
        self._row.dn = <float *>at(self._rooms[0])
        self._row.target = <float *>at(self._rooms[1])
        self._row.share = <float *>at(self._rooms[2])
        self._row.next = <double *>at(self._rooms[3])
        self._row.hit = <int64_t *>at(self._rooms[4])

    def __dealloc__(self):
        free(self._asked.at)
        free(self._spare.at)
        free(self._waiting.at)

    @property
    def dropped(self):
        """Events lost so far because their pixel still waited to be read."""
        return self._readout.dropped

    @property
    def backlog(self):
        """Events whose time stamps lie after the last frame."""
        return self._waiting.count

    def expose(self, image, t_ns, dtype):
        """Show the pixels a frame; the events read since the frame before, in order of time.

        The first frame sets levels and references and makes no event.

        Args:
            image: intensities, shape (height, width): uint8, or anything else as float32 with 1 for
                white (more is allowed).
            t_ns: time of the frame, a whole number later than that of the frame before.
            dtype: dtype of the events, laid out as `Event`.

        Raises:
            ValueError: a wrong shape, intensities that are negative or not finite, or a time that
                does not increase. The state is unchanged then.
            MemoryError: no room for the events of this frame; the state is lost then.
        """
        cdef Frame frame
        cdef bint enough
        if dtype.itemsize != sizeof(Event):
            raise ValueError(f"events are {sizeof(Event)} bytes, not {dtype.itemsize}")
        image = self._checked(image, t_ns)
        frame.image, frame.bytes = at(image), image.dtype == np.uint8
        frame.t0_ns, frame.t1_ns = self._t_ns, t_ns
        frame.length_ns = <double>(frame.t1_ns - frame.t0_ns)
        with nogil:
            if self._started:
                enough = self._pass(&frame)
            else:
                self._begin(&frame)
                enough = True
        if not enough:
            raise MemoryError("no memory for the events of a frame")
        self._t_ns, self._started = t_ns, True
        return self._deliver(dtype)

    def state(self):
        """A copy of everything that decides the future, and of the pattern of the pixels."""
        waiting = np.empty((self._waiting.count, sizeof(Event)), np.uint8)
        if waiting.size:
            memcpy(at(waiting), self._waiting.at, waiting.nbytes)
        cdef Stream *stream = &self._noise.stream
        return {
            **{name: part.copy() for name, part in (self._fixed | self._state).items()},
            "waiting": waiting,
            "noise": np.array([stream.a, stream.b, stream.c, stream.d], np.uint64),
            "free_ns": np.array([self._readout.free_ns]),
            "clock": np.array([self._t_ns, self._started, self._readout.dropped], np.int64),
        }

    def restore(self, state):
        """Go back to `state`, of pixels made alike. Going on equals never having stopped.

        Raises:
            ValueError: a state of other pixels, or not a state. Nothing has changed then.
        """
        self._check_state(state)
        for name, part in self._state.items():
            part[:] = state[name]
        waiting = np.ascontiguousarray(state["waiting"])
        if not more_room(&self._waiting, len(waiting)):
            raise MemoryError("no memory to restore the state")
        self._waiting.count = len(waiting)
        if waiting.size:
            memcpy(self._waiting.at, at(waiting), waiting.nbytes)
        cdef Stream *stream = &self._noise.stream
        stream.a, stream.b, stream.c, stream.d = state["noise"]
        self._readout.free_ns = state["free_ns"][0]
        self._t_ns, self._started, self._readout.dropped = state["clock"]

    def _check_state(self, state):
        mine = self.state()
        mine["waiting"] = np.empty((len(state.get("waiting", "")), sizeof(Event)), np.uint8)
        if state.keys() != mine.keys() or any(
            state[name].dtype != part.dtype or state[name].shape != part.shape
            for name, part in mine.items()
        ):
            raise ValueError("the state does not have the parts of these pixels' state")
        if any(not np.array_equal(state[name], part) for name, part in self._fixed.items()):
            raise ValueError("the state is of pixels with another pattern")

    cdef _checked(self, image, t_ns):
        """The frame as uint8 or float32, if it may be shown at `t_ns`."""
        cdef const float[:, ::1] floats
        cdef bint sound
        image = np.asarray(image)
        kind = np.uint8 if image.dtype == np.uint8 else np.float32
        image = np.ascontiguousarray(image, dtype=kind)
        if image.shape != (self.height, self.width):
            raise ValueError(
                f"the frame has shape {image.shape}, the camera ({self.height}, {self.width})"
            )
        if kind is np.float32:
            floats = image
            with nogil:
                sound = all_sound(&floats[0, 0], self.height * <int64_t>self.width)
            if not sound:
                raise ValueError("luminance must be finite and not negative")
        if t_ns < 0 or (self._started and t_ns <= self._t_ns):
            raise ValueError(f"a frame at {t_ns} ns cannot follow one at {self._t_ns} ns")
        return image

    cdef void _begin(self, const Frame *frame) noexcept nogil:
        """Let pixels be settled at the first frame, and those that leak anywhere in their cycle."""
        cdef Pixels *pixels = &self._pixels
        cdef int64_t y, i
        for y in range(self.height):
            see(&self._model, frame, &self._row, y, self.width)
            arrive(self._row.target, pixels.level + y * self.width, self.width)
            arrive(self._row.target, pixels.reference + y * self.width, self.width)
        for i in range(self.height * <int64_t>self.width):
            if pixels.leak[i] > 0.0:
                pixels.reference[i] -= next_uniform(&self._noise.stream) * pixels.on_step[i]

    cdef bint _pass(self, const Frame *frame) noexcept nogil:
        """All pixels through one frame, and their events out of the array; False without memory."""
        cdef int64_t y, first
        cdef int64_t width = self.width
        cdef bint marked
        self._asked.count = 0
        self._noise.pixel, self._noise.at_ns = 0, 0.0
        if self._noise.most_per_ns > 0.0:
            next_candidate(&self._noise, frame.length_ns)
        else:
            self._noise.pixel = self.height * width
        for y in range(self.height):
            first = y * width
            see(&self._model, frame, &self._row, y, width)
            marked = follow(&self._model, &self._pixels, frame, &self._row, first, width) != 0
            find_shot(
                &self._noise, &self._model, &self._pixels, &self._row, first, first + width,
                frame.length_ns
            )
            fire_row(
                &self._model, &self._pixels, frame, &self._row, marked, &self._noise, first, width,
                &self._asked
            )
            memcpy(self._pixels.level + first, self._row.next, width * sizeof(double))
        if self._asked.failed or not in_order(
            &self._asked, &self._spare, <uint64_t>(frame.t0_ns // 1000)
        ):
            return False
        arbitrate(
            &self._readout, &self._asked, &self._waiting, self._pixels.read_us, width,
            frame.t0_ns, frame.t1_ns
        )
        return not self._waiting.failed

    cdef _deliver(self, dtype):
        """Those of the events read whose time has come."""
        cdef int64_t n = read_until(&self._waiting, <uint64_t>(self._t_ns // 1000))
        cdef int64_t left = self._waiting.count - n
        events = np.empty(n, dtype=dtype)
        if n:
            memcpy(at(events), self._waiting.at, n * sizeof(Event))
            memmove(self._waiting.at, self._waiting.at + n, left * sizeof(Event))
            self._waiting.count = left
        return events


cdef void *at(array):
    return <void *><size_t>array.ctypes.data
