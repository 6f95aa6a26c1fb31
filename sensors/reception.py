"""The loop's end of the conversation with the processes that feed a stream of camera events.

A feeder says `hello` with the stream and the size of its sensor, and gets `ready` with a credit:
the number of events that it may send. More credit follows, as events leave the ring (a feeder that
is not paced, or a loop that waits: nothing is lost) or as they arrive (a paced feeder of a loop in
real time: the oldest give way and are counted). The feeder closes with `end` and hears `bye`. One
feeder at a time; after it another may come.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from reflexarc.ext.ring import EventRing, are_sound
from reflexarc.runtime.batch import Array, Batch, Schema
from reflexarc.runtime.bus import Continuity, Control, Pair
from reflexarc.runtime.clock import pause
from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.keys import Curve

#: How long a feeder's turn is put off while the loop has events of the one before.
LEFTOVER_S = 0.01


class Reception:
    """Puts what feeders send into `ring`, whenever `step` is called.

    For one thread at a time; another may read the attributes, and call `send_away`.

    Attributes:
        endpoint: where feeders find it.
        fed: whether a feeder is attached.
        feeder: its number, from 1; the next one comes when the ring is empty. 0 before the first.
        passed_ns: time that its stream has come to; -1 before its first batch.
        ended, gone: whether a feeder has closed its stream, or went away before that.
        dropped: events that were lost on their way here since the start.
    """

    def __init__(
        self,
        endpoint: str,
        stream: str,
        size: tuple[int, int],
        ring: EventRing,
        *,
        wait: bool,
        curve: Curve | None = None,
    ) -> None:
        """`size` is (width, height) of the loop's image, `wait` and `curve` as of `AttachedSensor`.

        Raises ConfigError: a wrong name, or another loop of that name runs.
        """
        self._stream, self._ring, self._wait = stream, ring, wait
        self._size = self._fed_size = size
        self.fed = self.ended = self.gone = self._leave = False
        self.passed_ns = -1
        self.feeder = self.dropped = self._malformed = 0
        self._credit = self._lost_at_start = 0
        self._lossless = True
        self._continuity = Continuity()
        self._pair = Pair(endpoint, bind=True, curve=curve)
        self.endpoint = self._pair.endpoint

    @property
    def malformed(self) -> int:
        """Frames that were refused since the start."""
        return self._malformed + self._pair.malformed

    def step(self, timeout_s: float) -> None:
        """Take one message, from the feeder or from one that knocks, if it comes in time."""
        if not self.fed and not self._wait and len(self._ring):
            pause(LEFTOVER_S)
            return
        try:
            if self._leave:
                self._part(f"'{self._stream}' was detached")
            self.give_credit()
            message = self._pair.receive(timeout_s)
            if self.fed:
                self._heed(message)
            elif isinstance(message, Control) and message.op == "hello":
                self._welcome(message)
        except LinkError:
            self.gone = self.gone or self.fed
            self._renew()

    def give_credit(self) -> None:
        """Let the feeder know that there is room again, if there is much. Raises LinkError."""
        waiting = len(self._ring) if self._lossless else 0
        room = self._ring.capacity - waiting - self._credit
        if self.fed and room >= max(1, self._ring.capacity // 4):
            self._credit += room
            self._pair.send(Control(op="credit", count=room))

    def send_away(self) -> bool:
        """Let the feeder go at the next step; whether there is one."""
        self._leave = self.fed
        return self.fed

    def close(self) -> None:
        """Send the feeder away and let go of the endpoint. May be called twice."""
        if self.fed:
            self.fed = False
            with suppress(LinkError):
                self._pair.send(Control(op="bye", text="the loop has ended"))
        self._pair.close()

    def _welcome(self, hello: Control) -> None:
        # It may have come behind another that has left; from here on it is the one that is heard.
        self._pair.check_peer()
        if reason := self._refusal(hello):
            self._pair.send(Control(op="refuse", text=reason))
            return
        self.passed_ns = -1
        self._lossless = self._wait or not hello.details.get("paced")
        self._credit, self._lost_at_start = self._ring.capacity, self._ring.lost
        self._continuity = Continuity()
        self._fed_size = int(hello.details["width"]), int(hello.details["height"])
        self._pair.send(Control(op="ready", count=self._credit))
        self.feeder += 1
        self._leave, self.fed = False, True

    def _refusal(self, hello: Control) -> str:
        if reason := Control(op="ready").disagreement(hello):
            return reason
        if hello.streams != {self._stream: Schema.EVENTS.name}:
            return f"this loop waits for stream '{self._stream}' of {Schema.EVENTS.name}"
        width, height = hello.details.get("width"), hello.details.get("height")
        if not (isinstance(width, int) and isinstance(height, int)):
            return "the feeder does not say the size of its sensor"
        if width > self._size[0] or height > self._size[1]:
            loop = "{}x{}".format(*self._size)
            return f"its sensor has {width}x{height} pixels, the loop's {loop}"
        if width < 1 or height < 1:
            return f"its sensor has {width}x{height} pixels"
        if self._wait and (self.ended or self.gone):
            return f"stream '{self._stream}' of this run has ended"
        return ""

    def _heed(self, message: Batch | Control | None) -> None:
        if isinstance(message, Batch):
            self._accept(message)
        elif message is not None and message.op == "end":
            self.ended = True
            self._part(count=self._ring.lost - self._lost_at_start)

    def _part(self, text: str = "", count: int = 0) -> None:
        self._pair.send(Control(op="bye", text=text, count=count))
        # Whoever knocks from now on is not taken for the feeder that has just left.
        self._renew()

    def _renew(self) -> None:
        self.fed = self._leave = False
        self._pair.renew()

    def _accept(self, batch: Batch) -> None:
        if not self._is_sound(batch) or (missing := self._continuity.missing(batch)) < 0:
            self._malformed += 1
            return
        self._credit -= len(batch.values)
        self._ring.push(self._stretched(batch.values))
        self.dropped += batch.dropped + missing
        self.passed_ns = batch.t_last_ns

    def _is_sound(self, batch: Batch) -> bool:
        """Whether the events lie on the sensor and their times go on from the batch before."""
        return (
            batch.stream == self._stream
            and batch.schema is Schema.EVENTS
            and self.passed_ns <= batch.t_last_ns
            and are_sound(
                batch.values, self.passed_ns // 1000, batch.t_last_ns // 1000, *self._fed_size
            )
        )

    def _stretched(self, events: Array) -> Array:
        """The events where they lie in the loop's image."""
        (width, height), fed = self._size, self._fed_size
        if (width, height) != fed:
            events = events.copy()
            events["x"] = events["x"].astype(np.uint32) * width // fed[0]
            events["y"] = events["y"].astype(np.uint32) * height // fed[1]
        return events
