"""A camera stream that another process feeds into a running loop.

The sensor waits at a private endpoint. A feeder says `hello` with the stream and the size of its
sensor, and gets `ready` with a credit: the number of events that it may send. More credit follows,
as events leave the ring (a feeder that is not paced, or a loop that waits: nothing is lost) or as
they arrive (a paced feeder of a loop in real time: the oldest give way and are counted). The
feeder closes with `end` and hears `bye`. One feeder at a time; after it another may come.
"""

from __future__ import annotations

from threading import Condition, Thread

import numpy as np

from reflexarc.ext.ring import EventRing
from reflexarc.runtime.batch import Array, Batch, Schema
from reflexarc.runtime.bus import SLICE_S, Continuity, Control, Pair, attach_endpoint
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.keys import Curve
from reflexarc.sensors.base import Sensor

#: How often the receiving thread looks for room to give credit for.
CREDIT_POLL_S = 0.01


class AttachedSensor(Sensor):
    """A stream of camera events from another process.

    In real time (`wait` False) `read` never waits: it returns what has arrived, times shifted so
    that a feeder's first event is new, and held within the interval of the call. With `wait`
    (lockstep) `read` waits until the stream has passed `now_ns` or ended, and nothing is lost, so
    that the same stream gives the same batches; the stream's time 0 is the loop's.

    Attributes:
        endpoint: where feeders find it.
        width, height: of the image, in pixels. That of a smaller sensor is stretched to it; a
            feeder with a larger one is refused.
        malformed: frames that were refused since the start.
        fed: whether a feeder is attached.
    """

    def __init__(
        self,
        loop: str,
        *,
        stream: str = "camera",
        width: int,
        height: int,
        wait: bool = False,
        capacity: int = 1 << 20,
        timeout_s: float = 30.0,
        endpoint: str | None = None,
        curve: Curve | None = None,
    ) -> None:
        """Wait for a feeder of `stream` for the loop named `loop`.

        It comes from this machine, unless `endpoint` says where else it may come from, with `curve`
        for whom.
        At most `capacity` events wait in the ring. `timeout_s` limits how long a `read` that waits
        may take. Raises ConfigError: a wrong name, or another loop of that name runs.
        """
        super().__init__(stream, Schema.EVENTS)
        self.width, self.height = width, height
        self._malformed = 0
        self._wait, self._timeout_s = wait, timeout_s
        self._ring = EventRing(capacity)
        self._changed = Condition()
        self._passed_ns = -1
        self._ended = self._gone = self._closed = False
        self._lost_before = 0
        self.fed = self._leave = False
        self._shift_us: int | None = None
        self._now_ns = self._seq = 0
        self._lossless = True
        self._fed_size = width, height
        self._credit = self._lost_at_start = 0
        self._continuity = Continuity()
        self._pair = Pair(endpoint or attach_endpoint(loop, stream), bind=True, curve=curve)
        self.endpoint = self._pair.endpoint
        self._thread = Thread(target=self._serve, name=f"attach-{stream}", daemon=True)
        self._thread.start()

    @property
    def malformed(self) -> int:
        """Frames that were refused since the start."""
        return self._malformed + self._pair.malformed

    def read(self, now_ns: int) -> Batch:
        """What has come since the last call; see the class for the two modes.

        With `wait`, raises LinkError when the stream does not reach `now_ns` in time, or its
        feeder goes away before the end.
        """
        if self._wait:
            values, dropped = self._collect(now_ns)
            # How far the feeder has run ahead is an accident: a replay must not see it.
            backlog, received_ns = 0, -1
        else:
            values, dropped = self._ring.pop_all()
            self._to_loop_time(values, now_ns // 1000)
            backlog, received_ns = len(self._ring), now_ns
        with self._changed:
            dropped += self._lost_before
            self._lost_before = 0
        batch = Batch(
            stream=self.stream,
            schema=self.schema,
            values=values,
            t_first_ns=self._now_ns,
            t_last_ns=now_ns,
            seq=self._seq,
            dropped=dropped,
            backlog=backlog,
            t_received_ns=received_ns,
        )
        self._now_ns, self._seq = now_ns, self._seq + 1
        return batch

    def detach(self) -> bool:
        """Send the feeder away without waiting for it; whether there is one. Another may come.

        What it has sent before is still read.
        """
        self._leave = self.fed
        return self.fed

    def close(self) -> None:
        """Send the feeder away. May be called twice."""
        self._closed = True
        self._thread.join()

    def _collect(self, now_ns: int) -> tuple[Array, int]:
        """Take events as they come, so that there is room for more, until all are here."""
        deadline_ns = monotonic_ns() + round(self._timeout_s * 1e9)
        parts: list[Array] = []
        dropped, complete = 0, False
        while not complete:
            with self._changed:
                complete = self._ended or self._passed_ns > now_ns
                if not complete and len(self._ring) == 0:
                    self._check_feeder(now_ns, deadline_ns)
                    self._changed.wait(SLICE_S)
            part, lost = self._ring.pop_until(now_ns // 1000)
            parts.append(part)
            dropped += lost
        return np.concatenate(parts), dropped

    def _check_feeder(self, now_ns: int, deadline_ns: int) -> None:
        if self._gone:
            raise LinkError(f"stream '{self.stream}': its feeder went away before the end")
        if monotonic_ns() >= deadline_ns:
            raise LinkError(
                f"stream '{self.stream}': it did not reach {now_ns * 1e-9:.3f} s within "
                f"{self._timeout_s:g} s; is a feeder attached to {self.endpoint}?"
            )

    def _to_loop_time(self, events: Array, now_us: int) -> None:
        if len(events) == 0:
            return
        t_us = events["t"].astype(np.int64)
        before_us = self._now_ns // 1000
        if self._shift_us is None:
            self._shift_us = before_us + 1 - int(t_us[0])
        events["t"] = np.clip(t_us + self._shift_us, before_us, now_us)

    def _serve(self) -> None:
        """The receiving thread: one feeder after the other."""
        while not self._closed:
            fed = False
            try:
                if fed := self._welcome():
                    self._leave, self.fed = False, True
                    self._feed()
                    # Whoever knocks from now on is not taken for the feeder that has just left.
                    self._pair.renew()
            except LinkError:
                with self._changed:
                    self._gone = self._gone or fed
                    self._changed.notify()
                self._pair.renew()
            finally:
                self.fed = False
        self._pair.close()

    def _welcome(self) -> bool:
        """Whether a feeder came that fits; it has been told."""
        hello = self._pair.receive(SLICE_S)
        if not isinstance(hello, Control) or hello.op != "hello":
            return False
        # It may have come behind another that has left; from here on it is the one that is heard.
        self._pair.check_peer()
        if reason := self._refusal(hello):
            self._pair.send(Control(op="refuse", text=reason))
            return False
        while len(self._ring) and not self._wait and not self._closed:
            with self._changed:
                self._changed.wait(CREDIT_POLL_S)  # until the loop has taken what is left
        self._shift_us, self._passed_ns = None, -1
        self._lossless = self._wait or not hello.details.get("paced")
        self._credit, self._lost_at_start = self._ring.capacity, self._ring.lost
        self._continuity = Continuity()
        self._fed_size = int(hello.details["width"]), int(hello.details["height"])
        self._pair.send(Control(op="ready", count=self._credit))
        return True

    def _refusal(self, hello: Control) -> str:
        if reason := Control(op="ready").disagreement(hello):
            return reason
        if hello.streams != {self.stream: self.schema.name}:
            return f"this loop waits for stream '{self.stream}' of {self.schema.name}"
        width, height = hello.details.get("width"), hello.details.get("height")
        if not (isinstance(width, int) and isinstance(height, int)):
            return "the feeder does not say the size of its sensor"
        if width > self.width or height > self.height:
            return f"its sensor has {width}x{height} pixels, the loop's {self.width}x{self.height}"
        if width < 1 or height < 1:
            return f"its sensor has {width}x{height} pixels"
        if self._wait and (self._ended or self._gone):
            return f"stream '{self.stream}' of this run has ended"
        return ""

    def _feed(self) -> None:
        while not (self._closed or self._leave):
            message = self._pair.receive(CREDIT_POLL_S)
            if isinstance(message, Batch):
                self._accept(message)
            elif message is not None and message.op == "end":
                with self._changed:
                    self._ended = True
                    self._changed.notify()
                lost = self._ring.lost - self._lost_at_start
                self._pair.send(Control(op="bye", count=lost))
                return
            self._give_credit()
        text = "the loop has ended" if self._closed else f"'{self.stream}' was detached"
        self._pair.send(Control(op="bye", text=text))

    def _accept(self, batch: Batch) -> None:
        if not self._is_sound(batch) or (missing := self._continuity.missing(batch)) < 0:
            self._malformed += 1
            return
        self._credit -= len(batch.values)
        self._ring.push(self._stretched(batch.values))
        with self._changed:
            self._lost_before += batch.dropped + missing
            self._passed_ns = batch.t_last_ns
            self._changed.notify()

    def _stretched(self, events: Array) -> Array:
        """The events where they lie in the loop's image."""
        width, height = self._fed_size
        if (width, height) != (self.width, self.height):
            events = events.copy()
            events["x"] = events["x"].astype(np.uint32) * self.width // width
            events["y"] = events["y"].astype(np.uint32) * self.height // height
        return events

    def _is_sound(self, batch: Batch) -> bool:
        """Whether the events lie on the sensor and their times go on from the batch before."""
        if batch.stream != self.stream or batch.schema is not self.schema:
            return False
        if not self._passed_ns <= batch.t_last_ns:
            return False
        values = batch.values
        if len(values) == 0:
            return True
        t = values["t"]
        return bool(
            (t[1:] >= t[:-1]).all()
            and self._passed_ns // 1000 <= t[0]
            and t[-1] <= batch.t_last_ns // 1000
            and values["x"].max() < self._fed_size[0]
            and values["y"].max() < self._fed_size[1]
        )

    def _give_credit(self) -> None:
        waiting = len(self._ring) if self._lossless else 0
        room = self._ring.capacity - waiting - self._credit
        if room >= max(1, self._ring.capacity // 4):
            self._credit += room
            self._pair.send(Control(op="credit", count=room))
