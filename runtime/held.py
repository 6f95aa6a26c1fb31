"""A loop that is held: every beat ends in a command that is safe, whatever its parts do.

    loop = HeldLoop(clock, plant, policy, gate_spec, spec, vigil)
    while not loop.over:
        loop.beat()
        clock.wait()

Around the six calls of `Loop.tick` stand, in this order of rank: the gate, the state machine
(`mode`), the vigil over the streams, the overload ladder, and learning last. The actuators' own
deadman is above them all.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType
from typing import Any, Self

from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime.batch import Batch
from reflexarc.runtime.clock import Clock, monotonic_ns
from reflexarc.runtime.daemonspec import DaemonSpec
from reflexarc.runtime.errors import ReflexarcError
from reflexarc.runtime.ladder import Ladder, Step
from reflexarc.runtime.loop import Listener, Loop, Tick
from reflexarc.runtime.mode import Event, Mode, State
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.policy import NetworkPolicy, Policy
from reflexarc.runtime.vigil import StreamError, Vigil
from reflexarc.runtime.world import Plant
from reflexarc.sensors.base import Sensor

#: Safe frames that have to go out before a stop counts as made.
SAFE_FRAMES = 5
#: A daemon that ends does not wait longer for a slow slew limit.
SETTLE_NS = 400_000_000
#: A network that has missed more than this goes on from where it stands.
MISSED_NS = 1_000_000_000

#: Takes a cause, for the rate limit, and a line.
Say = Callable[[str, str], None]


class TickHung(ReflexarcError):
    """A call of the tick did not return in time."""


class GateError(ReflexarcError):
    """The gate let out what it should have held back."""


class TickLimit(AbstractContextManager["TickLimit"]):
    """Breaks off what takes longer than `limit_ns`, by a timer's signal, with TickHung.

    For the main thread alone. Compiled code that never returns cannot be broken off: the service
    manager's watchdog and the actuators' deadman are for that.
    """

    def __init__(self, limit_ns: int) -> None:
        """Take SIGALRM over, until `close`."""
        self._limit_s = limit_ns * 1e-9
        self._before = signal.signal(signal.SIGALRM, self._break_off)

    def __enter__(self) -> Self:
        # Again and again: the stop that follows may hang as well.
        signal.setitimer(signal.ITIMER_REAL, self._limit_s, self._limit_s)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def close(self) -> None:
        """Give the signal back."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _break_off(self, _number: int, _frame: FrameType | None) -> None:
        raise TickHung(f"hung for {self._limit_s * 1e3:g} ms")


class HeldLoop(Loop):
    """See the module.

    Attributes:
        mode: the state machine.
        ladder: what is given up under load.
        vigil: the streams.
        learning: whether learning is wanted; it is on only while the robot runs and nothing is
            shed.
        failure: what went wrong in the last beat; "" if nothing did.
        faulted: whether the last stop was for a fault.
    """

    def __init__(
        self,
        clock: Clock,
        plant: Plant,
        policy: Policy,
        gate: GateSpec,
        spec: DaemonSpec,
        vigil: Vigil,
        *,
        sensors: Sequence[Sensor] = (),
        listeners: Sequence[Listener] = (),
        learning: bool = True,
        limit: AbstractContextManager[Any] | None = None,
        say: Say = lambda cause, line: None,
    ) -> None:
        """`limit` is entered around every tick, to break it off when it hangs: a TickLimit."""
        super().__init__(clock, plant, policy, Gate(gate), sensors=sensors, listeners=listeners)
        self.mode = Mode()
        self.ladder = Ladder(spec.overload)
        self.vigil = vigil
        self.learning = learning
        self.failure = ""
        self.faulted = False
        self._spec, self._gate_spec = spec, gate
        self._limit = nullcontext() if limit is None else limit
        self._say = say
        self._pose: FloatArray | None = None
        self._pose_wanted = spec.pose is not None
        self._clipped = self._slewed = 0
        self._sent = self.gate.last
        self._gathered_ns = 0
        self._safe_frames = 0
        self._stop_ns = 0
        self._overruns = 0
        self._told = self.mode.state
        self.gate.stop("not armed")

    # One beat.

    def beat(self) -> Tick | None:
        """One tick that never raises an Exception; None where the tick failed."""
        begin_ns = monotonic_ns()
        self._shed()
        tick = None
        self.failure = ""
        try:
            with self._limit:
                tick = self.tick()
        except Exception as error:
            self._fail(error)
        if tick is not None:
            self._judge(tick)
        self._weigh(monotonic_ns() - begin_ns)
        self._settle()
        self._tell()
        return tick

    @property
    def over(self) -> bool:
        """Whether the daemon was told to end and the robot is safe."""
        return self.mode.ending and self.mode.state is State.SAFE_STOPPED

    @property
    def sound(self) -> bool:
        """Whether the last beat went well and no essential stream is silent."""
        return not self.failure and self.vigil.silent(self.clock.now_ns) is None

    def gather(self, now_ns: int) -> list[Batch]:
        """As `Loop.gather`, under the vigil. Raises StreamError: the robot must not go on."""
        self._check_pace(now_ns)
        if self.ladder.step < Step.SENSORS:
            batches = super().gather(now_ns)
        else:
            batches = self._essential(now_ns)
        self.vigil.take(batches, now_ns)
        self._measure(batches)
        silent = self.vigil.silent(now_ns) if self.mode.moves else None
        if silent is not None and silent.heard_ns is not None:
            silent_ms = (now_ns - silent.heard_ns) * 1e-6
            raise StreamError(f"stream '{silent.stream}' has been silent for {silent_ms:.0f} ms")
        return batches

    def _check_pace(self, now_ns: int) -> None:
        """Raise StreamError after a pause in which the actuators' deadman has struck: they are not
        where the last command left them, so the next may be a jump.
        """
        paused_ms, self._gathered_ns = (now_ns - self._gathered_ns) * 1e-6, now_ns
        if self.mode.moves and paused_ms > self._spec.deadman_ms:
            raise StreamError(f"the loop stood still for {paused_ms:.0f} ms")

    def guard(self, wanted: FloatArray) -> FloatArray:
        """As `Loop.guard`. Raises GateError: the gate itself has failed."""
        before = self.gate.last
        command = super().guard(wanted)
        if not self.gate.allows(command, before, self.clock.period_ns * 1e-9):
            raise GateError("the gate let out a command that it forbids")
        return command

    def ungated(self) -> FloatArray:
        """The next command on the way to safe from the last one that went out, by a fresh gate."""
        gate = Gate(self._gate_spec, self._sent)
        gate.hold = self.gate.hold
        # Should the broken one work again, it goes on from there.
        self.gate.last = gate.guard(gate.safe, self.clock.period_ns * 1e-9)
        return self.gate.last

    def act(self, command: FloatArray) -> None:
        """As `Loop.act`; nothing before the pose has been measured: rest may be far from it."""
        self._sent = command
        if self._spec.pose is None or self._pose is not None:
            super().act(command)

    def _essential(self, now_ns: int) -> list[Batch]:
        """The batches of essential streams; a sensor of another is not even read."""
        batches = [b for b in self.plant.observe(now_ns) if self.vigil.is_essential(b.stream)]
        essential = [s for s in self._sensors if self.vigil.is_essential(s.stream)]
        return batches + [sensor.read(now_ns) for sensor in essential]

    def _measure(self, batches: Sequence[Batch]) -> None:
        """Note the measured pose: what a stop would hold, and the first command after one."""
        pose = self._spec.pose
        if pose is None:
            return
        for batch in batches:
            if batch.stream == pose.stream and len(batch.values) > max(pose.readings):
                self._pose = batch.values[pose.readings]
                if self._pose_wanted:
                    self._pose_wanted = False
                    self._close_gate(self.gate.stopped or "not armed", self._pose)
                elif self.mode.moves and self.gate.stopped is None:
                    self.gate.hold = self._pose

    def _shed(self) -> None:
        """Make the policy do what mode and ladder allow."""
        policy = self.policy
        if not isinstance(policy, NetworkPolicy):
            return
        on = self.learning and self.mode.moves and self.ladder.step < Step.LEARNING
        if policy.program.learning != on:
            policy.program.learning = on
        budget = self._spec.overload.spikes_per_tick
        policy.spikes_per_tick = budget if self.ladder.step >= Step.SPIKES else None
        if policy.behind_ns(self.clock.now_ns) > MISSED_NS:
            policy.rejoin(self.clock.now_ns)

    def _fail(self, error: Exception) -> None:
        """A part raised, hung or gave nonsense; `Loop.tick` has sent the safe command."""
        call = self.call
        if not self.gate.stopped:  # it was not one of the six calls
            call = "listen"
            with suppress(Exception):
                self.stop("a listener failed")
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ReflexarcError):
            reason = f"{type(error).__name__}: {reason}"
        self._fault(f"{call}: {reason}", call)

    def _fault(self, reason: str, cause: str) -> None:
        self.failure = reason
        if self.mode.state not in (State.STOPPING, State.SAFE_STOPPED):
            self.faulted = True
        self._lead(Event.FAULT, reason)
        self._say(cause, reason)

    def _judge(self, tick: Tick) -> None:
        """What a tick that went through means to the mode."""
        if self.mode.moves and self.gate.stopped:
            self._fault(f"guard: {self.gate.stopped}", "guard")
            return
        now_ns = tick.now_ns
        if self._pose_wanted or self.vigil.awaited() or self.vigil.silent(now_ns):
            self._lead(Event.GOOD, "an essential stream is missing")
        elif self.ladder.step or self.vigil.impaired(now_ns):
            self._lead(Event.STRAIN)
        else:
            self._lead(Event.FRESH)

    def _weigh(self, busy_ns: int) -> None:
        """Let the ladder see how busy the tick was."""
        overran, self._overruns = self.clock.overruns > self._overruns, self.clock.overruns
        load = max(busy_ns / self.clock.period_ns, float(overran))
        step = self.ladder.step
        if self.ladder.update(load, self.clock.now_ns) is step:
            return
        self._say("load", f"load: {step.name.lower()} -> {self.ladder.step.name.lower()} shed")
        if self.ladder.step is Step.STOP and self.mode.moves:
            self._fault("overload: the ticks take too long", "overload")

    def _settle(self) -> None:
        """Count the safe frames of a stop."""
        if self.mode.state is not State.STOPPING:
            return
        # One that could not be sent counts as well: it will never be, the deadman has it.
        self._safe_frames += bool((self._sent == self.gate.safe).all())
        late = self.mode.ending and monotonic_ns() - self._stop_ns > SETTLE_NS
        if self._safe_frames >= SAFE_FRAMES or late:
            self._lead(Event.SETTLED)

    # What can be asked.

    def arm(self) -> str:
        """Let the robot move once all is fresh; why not, or ""."""
        state = self.mode.state
        if self.failure:
            return f"not while a part fails: {self.failure}"
        if not self._lead(Event.ARM):
            return f"not while {state}"
        return ""

    def disarm(self) -> str:
        """Stop and hold the robot, or take a stop for known; why not, or ""."""
        state = self.mode.state
        return "" if self._lead(Event.DISARM, "disarmed") else f"not while {state}"

    def halt(self, reason: str) -> None:
        """Stop the robot from the next frame on, until `arm`."""
        self._lead(Event.STOP, reason)

    def shut_down(self, reason: str) -> None:
        """Stop the robot; `over` is true once it is safe."""
        self._lead(Event.SHUTDOWN, reason)

    def swap(self, policy: Policy, gate: GateSpec, spec: DaemonSpec, vigil: Vigil) -> None:
        """Go on with other parts from the next tick on; commands go on from where they are."""
        self.policy, self._gate_spec = policy, gate
        for name, watch in vigil.watches.items():
            known = self.vigil.watches.get(name)
            if known is not None:
                watch.heard_ns, watch.t_last_ns = known.heard_ns, known.t_last_ns
                watch.epoch, watch.dropped = known.epoch, known.dropped
        self.vigil, self._spec = vigil, spec
        self.ladder = Ladder(spec.overload)
        stopped, hold = self.gate.stopped, self.gate.hold
        self._renew_gate(self.gate.last)
        self.gate.hold = hold
        if stopped:
            self.gate.stop(stopped)

    @property
    def clipped(self) -> int:
        """Commands that a range limit has changed so far."""
        return self._clipped + self.gate.clipped

    @property
    def slewed(self) -> int:
        """Commands that the slew limit has changed so far."""
        return self._slewed + self.gate.slewed

    # Between states.

    def _lead(self, event: Event, reason: str = "") -> bool:
        """Take in an event and do what the new state needs; False if it is refused."""
        before = self.mode.state
        if not self.mode.on(event, reason):
            return False
        after = self.mode.state
        if after is before:
            return True
        if after is State.STOPPING:
            self._begin_stop()
        elif after is State.ARMED:
            self.faulted = False
            self.ladder.reset()
            self._pose_wanted = self._spec.pose is not None
            self._close_gate("armed, waiting for fresh streams", None)
        elif self.mode.moves and before is State.ARMED:
            self._renew_gate(self.gate.last)
            self.gate.hold = self._pose
        return True

    def _begin_stop(self) -> None:
        self.gate.stop(self.mode.reason)
        self._safe_frames = 0
        self._stop_ns = monotonic_ns()

    def _close_gate(self, reason: str, pose: FloatArray | None) -> None:
        """A closed gate that holds `pose`; without one, what it holds now."""
        hold = self.gate.hold if pose is None else pose
        self._renew_gate(self.gate.last if pose is None else pose)
        self.gate.hold = hold
        self.gate.stop(reason)

    def _renew_gate(self, start: FloatArray) -> None:
        self._clipped += self.gate.clipped
        self._slewed += self.gate.slewed
        self.gate = Gate(self._gate_spec, start)

    def _tell(self) -> None:
        """Log a change of state since the last beat."""
        before, after = self._told, self.mode.state
        if after is before:
            return
        self._told = after
        why = f": {self.mode.reason}" if after in (State.STOPPING, State.SAFE_STOPPED) else ""
        self._say(f"state {before} {after}", f"state: {before} -> {after}{why}")
