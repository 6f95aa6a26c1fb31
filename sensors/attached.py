"""A camera stream that another process feeds into a running loop.

The sensor waits at a private endpoint; what it says to feeders is in `reception.py`. A thread of
its own receives; in lockstep only until the first `read`, which receives itself from then on, so
that no event crosses a thread. Feeders then hear nothing while the loop is busy elsewhere.
"""

from __future__ import annotations

from threading import Thread

import numpy as np

from reflexarc.ext.ring import EventRing
from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.bus import SLICE_S, attach_endpoint
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.keys import Curve
from reflexarc.sensors.base import Sensor
from reflexarc.sensors.reception import Reception

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
        self._wait, self._timeout_s = wait, timeout_s
        self._ring = EventRing(capacity)
        where = endpoint or attach_endpoint(loop, stream)
        size = width, height
        self._reception = Reception(where, stream, size, self._ring, wait=wait, curve=curve)
        self.endpoint = self._reception.endpoint
        self._feeder = self._shift_us = 0
        self._now_ns = self._seq = self._told = 0
        self._serving = True
        self._thread = Thread(target=self._serve, name=f"attach-{stream}", daemon=True)
        self._thread.start()

    @property
    def malformed(self) -> int:
        """Frames that were refused since the start."""
        return self._reception.malformed

    @property
    def fed(self) -> bool:
        """Whether a feeder is attached."""
        return self._reception.fed

    def read(self, now_ns: int) -> Batch:
        """What has come since the last call; see the class for the two modes.

        With `wait`, raises LinkError when the stream does not reach `now_ns` in time, or its
        feeder goes away before the end.
        """
        if self._wait:
            if self._serving:
                self._end_thread()
            values, dropped = self._collect(now_ns)
            # How far the feeder has run ahead is an accident: a replay must not see it.
            backlog, received_ns = 0, -1
        else:
            feeder = self._reception.feeder
            values, dropped = self._ring.pop_all()
            self._to_loop_time(values, now_ns // 1000, feeder)
            backlog, received_ns = len(self._ring), now_ns
        lost_before = self._reception.dropped - self._told
        self._told += lost_before
        batch = Batch(
            stream=self.stream,
            schema=self.schema,
            values=values,
            t_first_ns=self._now_ns,
            t_last_ns=now_ns,
            seq=self._seq,
            dropped=dropped + lost_before,
            backlog=backlog,
            t_received_ns=received_ns,
        )
        self._now_ns, self._seq = now_ns, self._seq + 1
        return batch

    def detach(self) -> bool:
        """Send the feeder away without waiting for it; whether there is one. Another may come.

        What it has sent before is still read.
        """
        return self._reception.send_away()

    def close(self) -> None:
        """Send the feeder away. May be called twice."""
        self._end_thread()
        self._reception.close()

    def _serve(self) -> None:
        """The receiving thread."""
        while self._serving:
            self._reception.step(CREDIT_POLL_S)

    def _end_thread(self) -> None:
        self._serving = False
        self._thread.join()

    def _collect(self, now_ns: int) -> tuple[Array, int]:
        """Take events as they come, so that there is room for more, until all are here."""
        deadline_ns = monotonic_ns() + round(self._timeout_s * 1e9)
        parts: list[Array] = []
        dropped = 0
        until_us = now_ns // 1000
        if self._reception.ended:
            self._reception.step(0)  # who comes late hears so
        while True:
            part, lost = self._ring.pop_until(until_us)
            dropped += lost
            if len(part):
                parts.append(part)
            if self._reception.ended or self._reception.passed_ns > now_ns:
                return _joined(parts), dropped
            self._check_feeder(now_ns, deadline_ns)
            self._reception.step(SLICE_S)

    def _check_feeder(self, now_ns: int, deadline_ns: int) -> None:
        if self._reception.gone:
            raise LinkError(f"stream '{self.stream}': its feeder went away before the end")
        if monotonic_ns() >= deadline_ns:
            raise LinkError(
                f"stream '{self.stream}': it did not reach {now_ns * 1e-9:.3f} s within "
                f"{self._timeout_s:g} s; is a feeder attached to {self.endpoint}?"
            )

    def _to_loop_time(self, events: Array, now_us: int, feeder: int) -> None:
        """Shift the times into the interval of this call.

        Where the stream runs ahead of the loop or falls behind it, as two clocks do after a while,
        the shift follows.
        """
        if len(events) == 0:
            return
        t_us = events["t"].astype(np.int64)
        before_us = self._now_ns // 1000
        least_us, most_us = before_us + 1 - int(t_us[0]), now_us - int(t_us[-1])
        if feeder != self._feeder:
            self._feeder, self._shift_us = feeder, least_us
        else:
            self._shift_us = min(max(self._shift_us, least_us), most_us)
        events["t"] = np.clip(t_us + self._shift_us, before_us, now_us)


def _joined(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, EVENT)
