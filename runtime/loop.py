"""The loop: one tick is six calls that read aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reflexarc.actuators.gate import Gate
from reflexarc.runtime.batch import Array, Batch
from reflexarc.runtime.clock import Clock, perf_ns
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.policy import Policy
from reflexarc.runtime.world import Plant
from reflexarc.sensors.base import Sensor

#: The six calls of a tick, in order.
CALLS = ("observe", "encode", "think", "decode", "guard", "act")


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened in one tick, for those who listen.

    Attributes:
        number: from 0.
        now_ns, until_ns: the loop time it covers.
        batches: what was observed.
        inputs, outputs: what entered and left the network, by port (empty for a baseline).
        command: what was applied, shape (command_size,).
        cause_ns: when the newest sensor value happened that the command can depend on; -1 before
            any.
        calls_ns: how long each of the six calls took, in the order of `CALLS`.
        late_ns: how long after `now_ns` the tick began; 0 in simulated time.
    """

    number: int
    now_ns: int
    until_ns: int
    batches: Sequence[Batch]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    command: FloatArray
    cause_ns: int
    calls_ns: tuple[int, ...]
    late_ns: int = 0

    @property
    def age_ns(self) -> int:
        """From the event to the command; see the function `age_ns`."""
        return age_ns(self.now_ns, self.late_ns, self.cause_ns, self.calls_ns)


def age_ns(now_ns: int, late_ns: int, cause_ns: int, calls_ns: Iterable[int]) -> int:
    """How old the cause of a command was when the command had left; -1 without a cause.

    From the sensor value at `cause_ns` to the begin of the tick, `late_ns` after `now_ns`, on the
    loop's time, and the measured time of the tick's six calls. In lockstep the first part is
    simulated time.
    """
    return now_ns + late_ns - cause_ns + sum(calls_ns) if cause_ns >= 0 else -1


Listener = Callable[[Tick], None]


class Loop:
    """Closes the loop between a plant and a policy.

    Attributes:
        ticks: ticks done.
        cause_ns: when the newest sensor value happened that the policy has seen; -1 before any.
        call: the call of the tick that is running, or that failed.
        durations_ns: shape (ticks, 6): how long each call of the last ticks took.
        ages_ns: shape (ticks,): how old the cause of each of the last ticks' commands was.
    """

    #: How many ticks `durations_ns` and `ages_ns` remember: 3.5 MiB, taken once.
    MEMORY = 1 << 16

    def __init__(
        self,
        clock: Clock,
        plant: Plant,
        policy: Policy,
        gate: Gate,
        *,
        sensors: Sequence[Sensor] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.clock = clock
        self.plant = plant
        self.policy = policy
        self.gate = gate
        self.ticks = 0
        self.call = CALLS[0]
        self._sensors = sensors
        self._listeners = listeners
        self.cause_ns = -1
        self._durations = np.zeros((self.MEMORY, len(CALLS)), dtype=np.int64)
        self._durations.fill(0)  # touches the pages, which would grow tick by tick otherwise
        self._ages = np.full(self.MEMORY, -1, dtype=np.int64)

    @property
    def durations_ns(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """How long each call of the last ticks took, shape (min(ticks, MEMORY), 6)."""
        return self._durations[: self.ticks]

    @property
    def ages_ns(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """From event to command (`age_ns`) in the last ticks, shape (min(ticks, MEMORY),)."""
        return self._ages[: self.ticks]

    def tick(self) -> Tick:
        """One step from `clock.now_ns` to one period later. This is the step contract.

        1. observe: what the plant's and the attached sensors saw up to now. Never blocks in wall
           mode; in lockstep it is where simulated time passes.
        2. encode: observations become spikes or values on the network's input ports, timed inside
           [now, until).
        3. think: the policy advances to `until`.
        4. decode: what left the output ports becomes a wanted command.
        5. guard: the gate makes the command safe; what it cannot make safe becomes a stop.
        6. act: the plant holds the command until the next one.

        A call that raises stops the robot in the same tick: the safe command is applied, then the
        error goes on to the caller.
        """
        now_ns = self.clock.now_ns
        until_ns = now_ns + self.clock.period_ns
        late_ns = self.clock.late_ns
        marks = [perf_ns()]
        try:
            batches = self.observe(now_ns)
            marks.append(perf_ns())
            inputs = self.policy.encode(batches, now_ns, until_ns)
            marks.append(perf_ns())
            outputs = self.policy.think(inputs, until_ns)
            marks.append(perf_ns())
            wanted = self.policy.decode(outputs, now_ns, until_ns)
            marks.append(perf_ns())
            command = self.guard(wanted)
            marks.append(perf_ns())
            self.act(command)
            marks.append(perf_ns())
        except BaseException:
            self.call = CALLS[min(len(marks), len(CALLS)) - 1]
            self.stop("a part of the loop failed")
            raise
        calls_ns = self._account(marks, now_ns + late_ns)
        tick = Tick(
            self.ticks - 1,
            now_ns,
            until_ns,
            batches,
            self.policy.port_inputs,
            self.policy.port_outputs,
            command,
            self.cause_ns,
            calls_ns,
            late_ns,
        )
        for listener in self._listeners:
            listener(tick)
        return tick

    def observe(self, now_ns: int) -> list[Batch]:
        """Everything seen since the last tick, by the plant's sensors and the attached ones."""
        batches = self.gather(now_ns)
        streams = self.policy.streams
        for batch in batches:
            if len(batch.values) and (streams is None or batch.stream in streams):
                # A sensor whose clock is ahead has not seen the future.
                self.cause_ns = max(self.cause_ns, min(batch.newest_ns, now_ns))
        return batches

    def gather(self, now_ns: int) -> list[Batch]:
        """The batches of the plant's sensors and of the attached ones."""
        batches = self.plant.observe(now_ns)
        for sensor in self._sensors:
            batches.append(sensor.read(now_ns))
        return batches

    def guard(self, wanted: FloatArray) -> FloatArray:
        """What the gate makes of a wanted command, to be held for one period."""
        return self.gate.guard(wanted, self.clock.period_ns * 1e-9)

    def act(self, command: FloatArray) -> None:
        """Give the plant a command that has passed the gate."""
        self.plant.act(command)

    def stop(self, reason: str) -> None:
        """Stop the robot now: the gate closes and the first command on the way to safe goes out."""
        self.gate.stop(reason)
        try:
            command = self.guard(self.gate.safe)
        except Exception:  # it may be the gate that failed
            command = self.ungated()
        self.act(command)

    def ungated(self) -> FloatArray:
        """What a stop sends where the gate itself fails."""
        return self.gate.safe

    def run(self, ticks: int, go_on: Callable[[Tick], bool] = lambda _: True) -> None:
        """Tick until `ticks` are done, the gate stopped, or `go_on(tick)` says no.

        The robot is at rest afterwards, whatever ended the run.
        """
        self.clock.start()
        try:
            while self.ticks < ticks:
                tick = self.tick()
                if self.gate.stopped or not go_on(tick):
                    break
                self.clock.wait()
        finally:
            self.act(self.gate.safe)

    def _account(self, marks: list[int], begun_ns: int) -> tuple[int, ...]:
        """Count the tick that began at loop time `begun_ns`; how long each of its calls took."""
        calls_ns = tuple([end - start for start, end in pairwise(marks)])
        self._durations[self.ticks % self.MEMORY] = calls_ns
        self._ages[self.ticks % self.MEMORY] = age_ns(begun_ns, 0, self.cause_ns, calls_ns)
        self.ticks += 1
        return calls_ns
