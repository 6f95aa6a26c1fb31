"""`reflexarc daemon robot.yaml`: holds a loop in wall time, for weeks.

This process does only the loop. The companion `reflexarc.runtime.porter` owns the control socket,
the log and the checkpoints; `reflexarc.runtime.held` makes every beat end in a safe command.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from reflexarc import __version__
from reflexarc.runtime.backends.base import State as ProgramState
from reflexarc.runtime.batch import Array
from reflexarc.runtime.bus import Claim, runtime_dir
from reflexarc.runtime.checkpoint import Shelf, describe, digest_of
from reflexarc.runtime.clock import WallClock, date_utc, monotonic_ns, pause
from reflexarc.runtime.daemonspec import DaemonSpec, StreamSpec
from reflexarc.runtime.errors import (
    AlreadyRunning,
    ConfigError,
    InUseError,
    LinkError,
    ReflexarcError,
)
from reflexarc.runtime.hatch import Hatch
from reflexarc.runtime.held import HeldLoop, TickLimit
from reflexarc.runtime.ladder import Step
from reflexarc.runtime.logbook import Logbook
from reflexarc.runtime.mending import Check, MendingPlant
from reflexarc.runtime.mode import State
from reflexarc.runtime.notify import Notifier
from reflexarc.runtime.plants import make_plant
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.realtime import RealTime, Wish, no_collector, prepare
from reflexarc.runtime.record import plastic_weights
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.vigil import Vigil, Watch
from reflexarc.runtime.world import Plant

#: How often the companion is told how the loop is, and looked after.
FACTS_NS, CARE_NS = 200_000_000, 500_000_000
#: How long an ending daemon waits for its last checkpoint.
LAST_WORDS_NS = 600_000_000
#: Threads of this process may hold the interpreter no longer while the loop waits for it.
SWITCH_S = 1e-4
#: What `reload` may change.
CHANGEABLE = frozenset(
    {"summary", "seconds", "learning", "network", "encoders", "decoders", "gate", "score",
     "baselines", "daemon"}
)  # fmt: skip
#: Exit codes beside those of errors.
DONE, SAFETY_STOP = 0, 5


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ReflexarcError) else f"{type(error).__name__}: {text}"


@dataclass(frozen=True)
class Plan:
    """A configuration that can be run: what was read, and its network compiled.

    Attributes:
        network: digest of its network, which its checkpoints carry.
    """

    scenario: Scenario
    policy: NetworkPolicy
    network: str

    @classmethod
    def load(cls, name: str, settings: Sequence[str]) -> Plan:
        """Read and compile. Raises ConfigError."""
        scenario = Scenario.load(name, [*settings, "mode=wall"])
        scenario.check_daemon()
        policy = scenario.make_policy()
        policy.program.learning = False
        digest = digest_of(scenario.network_files, scenario.spec.period_ns)
        return cls(scenario, policy, digest)

    @property
    def spec(self) -> DaemonSpec:
        """The section `daemon:`."""
        return self.scenario.spec.daemon

    def vigil(self) -> Vigil:
        """A fresh vigil over the streams that the encoders listen to, and the pose."""
        spec, daemon = self.scenario.spec, self.spec
        fed = {attach.stream for attach in spec.attach}
        streams = [encoder.stream for encoder in spec.encoders]
        if daemon.pose:
            streams.append(daemon.pose.stream)
        return Vigil(
            _watch(stream, daemon, spec.period_ns, stream in fed)
            for stream in dict.fromkeys(streams)
        )

    def misfit(self, running: Plan) -> str | None:
        """The first key that may not differ from `running`, but does."""
        mine, theirs = self.scenario.resolved(), running.scenario.resolved()
        return next((k for k in mine if k not in CHANGEABLE and mine[k] != theirs[k]), None)


@dataclass(frozen=True)
class Left:
    """What a network had learnt when a reload put another in its place."""

    network: str
    state: ProgramState
    reached_ns: int


def _watch(stream: str, daemon: DaemonSpec, period_ns: int, fed: bool) -> Watch:
    spec = daemon.streams.get(stream, StreamSpec())
    limit_ns: int | None = daemon.stale_ns(period_ns)
    if spec.stale_ms is not None:
        limit_ns = round(spec.stale_ms * 1e6)
    return Watch(stream, None if spec.quiet else limit_ns, spec.essential, fed)


def run_daemon(name: str, settings: Sequence[str], rt: Wish) -> int:
    """Hold the loop that `name` (a path or a shipped scenario) describes until it is told to end.

    Returns the exit code: 0, or 5 after a safety stop with `after_stop: exit`.

    Raises:
        ConfigError: the configuration is wrong (exit code 2).
        AlreadyRunning: another daemon of that name runs (3).
        RealTimeRefused: `rt` is "require" and the kernel refuses (4).
        LinkError: the world's process is not there (1).
    """
    notifier = Notifier(os.environ)
    # Nobody else of this user may take the notifications of the robot's children for its own.
    os.environ.pop("NOTIFY_SOCKET", None)
    plan = Plan.load(name, settings)
    with ExitStack() as stack:
        stack.callback(notifier.close)
        stack.callback(_claim(plan.scenario.spec.name).close)
        daemon = Daemon(plan, name, settings, notifier)
        stack.enter_context(_signals(daemon.signals))
        stack.callback(daemon.close)
        try:
            daemon.open()
        except LinkError:
            if daemon.told_to_end:
                return DONE
            raise
        return daemon.run(prepare(rt, plan.spec.rt))


def control_path(name: str) -> Path:
    """The control socket of the daemon `name`. Raises ConfigError for what is no name."""
    return runtime_dir(name) / "control"


def _claim(name: str) -> Claim:
    try:
        return Claim(f"ipc://{control_path(name)}")
    except InUseError as error:
        owner = str(error).partition("in use by process ")[2].partition(";")[0]
        raise AlreadyRunning(
            f"a daemon '{name}' runs already, process {owner}; stop it first"
        ) from None


@contextmanager
def _signals(came: list[int]) -> Iterator[None]:
    """Collect SIGTERM, SIGINT and SIGHUP in `came`: the loop looks between two ticks."""

    def hear(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Companion:
    """The porter's process and the hatch to it. It is started again when it dies."""

    def __init__(self, plan: Plan) -> None:
        """Raises ConfigError: the folder of the checkpoints cannot be made."""
        self._plan = plan
        self.shelf = Shelf(_folder(plan), plan.spec.checkpoints.keep)
        self.shelf.sweep()
        self._start()

    def _start(self) -> None:
        self.hatch = Hatch()
        keep = self._plan.spec.checkpoints
        parent = os.pidfd_open(os.getpid())
        descriptors = (*self.hatch.descriptors, parent)
        arguments = [*map(str, descriptors), str(control_path(self._plan.scenario.spec.name))]
        arguments += [str(self.shelf.folder), str(keep.keep), str(keep.every_s)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "reflexarc.runtime.porter", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,
            )
        finally:
            os.close(parent)

    @property
    def pid(self) -> int:
        """The porter's process."""
        return self._process.pid

    def mend(self) -> bool:
        """Start the porter again if it has died; whether it had."""
        if self._process.poll() is None:
            return False
        self.hatch.close()
        self._start()
        return True

    def dismiss(self) -> None:
        """Tell the porter to write what it was given, and to end."""
        self.hatch.tell(end=True)
        self.hatch.flush()

    def close(self) -> None:
        """Wait until the porter has ended, dismissed or not. May be called twice."""
        if self._process.returncode is not None:
            return
        self.dismiss()
        deadline_ns = monotonic_ns() + LAST_WORDS_NS
        while self.hatch.busy and self._process.poll() is None and monotonic_ns() < deadline_ns:
            self.hatch.flush()
            pause(0.001)
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.hatch.close()


def _folder(plan: Plan) -> Path:
    """Where the checkpoints of the daemon are."""
    told, name = plan.spec.checkpoints.folder, plan.scenario.spec.name
    if told is not None:
        return plan.scenario.folder / Path(told).expanduser()
    systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if systemd:
        return Path(systemd) / name
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "reflexarc" / name


class Daemon:
    """The process around a held loop.

    Attributes:
        signals: numbers of the signals that came and were not looked at yet.
    """

    def __init__(self, plan: Plan, name: str, settings: Sequence[str], notifier: Notifier) -> None:
        self.signals: list[int] = []
        self._plan, self._name, self._settings = plan, name, list(settings)
        self._notifier = notifier
        self._log = Logbook()
        self._stack = ExitStack()
        self._loading: Future[tuple[Plan, list[tuple[str, str]]]] | None = None
        self._reload_number = 0
        self._ready = False
        self._facts_ns = self._care_ns = 0
        self._started_ns = monotonic_ns()
        self._rt = RealTime()
        self._number = 0  # of the loop's own checkpoints, counted downwards
        self._kept: set[int] = set()
        #: What was left for another network and is not known to be on the disk, by its number.
        self._left: dict[int, Left] = {}
        self._code: int | None = None

    @property
    def told_to_end(self) -> bool:
        """Whether a signal that has not been looked at says so."""
        return not {signal.SIGTERM, signal.SIGINT}.isdisjoint(self.signals)

    def open(self) -> None:
        """Make the parts. Raises ConfigError and LinkError."""
        plan, stack = self._plan, self._stack
        spec = plan.scenario.spec
        # Started now: a thread's stack is made, and locked, all at once.
        self._beside = ThreadPoolExecutor(1, "reload")
        self._beside.submit(int).result()
        stack.callback(self._beside.shutdown, wait=False, cancel_futures=True)
        self._companion = Companion(plan)
        stack.callback(self._companion.close)
        plant = self._make_plant()
        stack.callback(plant.close)
        self._attached = {
            sensor.stream: stack.enter_context(sensor) for sensor in plan.scenario.make_attached()
        }
        limit = TickLimit(plan.spec.tick_limit_ns(spec.period_ns))
        stack.callback(limit.close)
        self._clock = WallClock(spec.period_ns, spin_ns=plan.spec.rt.spin_us * 1000)
        self.loop = HeldLoop(
            self._clock,
            plant,
            plan.policy,
            spec.gate,
            plan.spec,
            plan.vigil(),
            sensors=list(self._attached.values()),
            learning=spec.learning,
            limit=limit,
            say=self.say,
        )
        for cause, line in resume(plan, self._companion.shelf):
            self.say(cause, line)

    def _make_plant(self) -> Plant:
        scenario = self._plan.scenario
        rest = scenario.make_gate().rest
        world = scenario.spec.world
        if world is None or world.process == "loop":
            return make_plant(scenario, rest)

        def make(check: Check) -> Plant:
            def check_both() -> None:
                check()
                if self.told_to_end:
                    raise LinkError("told to end")

            return make_plant(scenario, rest, check_both)

        return MendingPlant(make, spare=world.process == "own")

    def say(self, cause: str, line: str) -> None:
        """Log a line, at most one a second for each cause."""
        text = self._log.line(cause, line, monotonic_ns())
        if text is not None:
            self._companion.hatch.tell(log=f"{self._plan.scenario.spec.name}: {text}")

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        self._stack.close()

    # The loop in wall time.

    def run(self, real_time: RealTime) -> int:
        """Beat until told to end; the exit code."""
        self._rt = real_time
        self.say("start", f"reflexarc {__version__}, process {os.getpid()}, {real_time.line()}")
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        try:
            with no_collector():
                self._beat_on()
        finally:
            sys.setswitchinterval(switch_s)
            with suppress(Exception):  # the actuators' own deadman is behind this
                self.loop.act(self.loop.gate.safe)
        self._notifier.tell("STOPPING=1")
        self._last_checkpoint()
        self.say("end", f"ended: {self.loop.mode.reason}")
        self._companion.dismiss()  # it ends while the plant does
        return DONE if self._code is None else self._code

    def _beat_on(self) -> None:
        loop, clock = self.loop, self._clock
        clock.start()
        while True:
            begun_ns, late_ns = monotonic_ns(), clock.late_ns
            self._listen()
            tick = loop.beat()
            self._keep_up(begun_ns, late_ns, -1 if tick is None else tick.age_ns)
            if loop.over or self._must_exit():
                return
            clock.wait()

    def _keep_up(self, begun_ns: int, late_ns: int, age_ns: int) -> None:
        """What has to be done after each beat, none of which waits."""
        loop, hatch = self.loop, self._companion.hatch
        now_ns = monotonic_ns()
        hatch.record(loop.ticks, begun_ns, now_ns - begun_ns, late_ns, age_ns, self._clock.overruns)
        if loop.sound:
            self._all_is_well(now_ns)
        if now_ns - self._facts_ns >= FACTS_NS:
            self._facts_ns = now_ns
            hatch.tell(facts=self.facts())
        if now_ns - self._care_ns >= CARE_NS:
            self._care_ns = now_ns
            if self._companion.mend():
                self.say("companion", "the companion died and was started again")
        self._companion.hatch.flush()  # not the one of a companion that has died

    def _all_is_well(self, now_ns: int) -> None:
        if not self._ready:
            self._ready = True
            self._notifier.tell("READY=1", f"STATUS=ready, {self._rt.line()}")
        self._notifier.ping(now_ns)

    def _must_exit(self) -> bool:
        loop = self.loop
        stopped = loop.faulted and loop.mode.state is State.SAFE_STOPPED
        if stopped and self._plan.spec.after_stop == "exit":
            self._code = SAFETY_STOP
        return self._code is not None

    # Requests.

    def _listen(self) -> None:
        """Signals, a request, and what a reload has come to."""
        while self.signals:
            number = self.signals.pop(0)
            if number == signal.SIGHUP:
                self._begin_reload(0)
            else:
                self.loop.shut_down(signal.Signals(number).name)
        if self._loading is not None and self._loading.done():
            self._end_reload(self._loading)
        request = self._companion.hatch.request()
        if request is not None:
            self._serve(request)

    def _serve(self, request: Mapping[str, Any]) -> None:
        verb, number = str(request["verb"]), int(request["number"])
        if verb in ("checkpoint", "weights"):
            self._hand_snapshot(verb, number)
        elif verb == "reload":
            self._begin_reload(number)
        elif verb == "kept":
            self._kept.add(number)
            if "error" not in request:
                self._left.pop(number, None)
        elif verb == "detach":
            self._answer(number, self._detach(str(request.get("stream"))))
        else:
            refusal = self._obey(verb, bool(request.get("on")))
            self._answer(number, refusal)

    def _obey(self, verb: str, on: bool) -> str:
        """Do what can be done at once; why not, or ""."""
        loop = self.loop
        if verb == "arm":
            return loop.arm()
        if verb == "disarm":
            return loop.disarm()
        if verb == "stop":
            loop.halt("stop was asked for")
        elif verb == "learning":
            loop.learning = on
            self.say("learning", f"learning {'on' if on else 'off'}")
        return ""

    def _detach(self, stream: str) -> str:
        """Send the feeder of `stream` away, without waiting for it; why not, or ""."""
        sensor = self._attached.get(stream)
        if sensor is None:
            known = ", ".join(self._attached) or "none"
            return f"no attached stream '{stream}'; there are: {known}"
        if not sensor.detach():
            return f"nobody feeds stream '{stream}'"
        self.say(f"detach {stream}", f"stream '{stream}' was detached")
        return ""

    def _answer(self, number: int, refusal: str, **more: Any) -> None:
        content = {"ok": not refusal, "state": self.loop.mode.state, **more}
        if refusal:
            content["error"] = refusal
        self._companion.hatch.tell(answer=number, content=content)

    # What was learnt.

    def _hand_snapshot(self, purpose: str, number: int) -> None:
        """Copy what was learnt, all of one moment, and hand it over in pieces."""
        plan = self._plan
        arrays: ProgramState | Mapping[str, Array]
        if purpose == "weights":
            arrays = plastic_weights(plan.scenario.network, plan.policy)
        else:
            arrays = plan.policy.state()
        header = describe(arrays, plan.network, plan.policy.reached_ns, date_utc())
        self._companion.hatch.tell(
            snapshot=purpose,
            number=number,
            header=header.model_dump(),
            bytes=sum(array.nbytes for array in arrays.values()),
        )
        self._companion.hatch.hand(arrays.values())

    def _leave(self, plan: Plan) -> None:
        """Keep what the plan's network has learnt; in memory too, until it is on the disk."""
        self._number -= 1
        left = Left(plan.network, plan.policy.state(), plan.policy.reached_ns)
        older = [n for n, other in self._left.items() if other.network == plan.network]
        for number in older:
            del self._left[number]
        self._left[self._number] = left
        self._hand_snapshot("checkpoint", self._number)

    def _last_checkpoint(self) -> None:
        """Hand over what was learnt and wait until it is kept, not for ever."""
        self._number -= 1
        self._hand_snapshot("checkpoint", self._number)
        hatch = self._companion.hatch
        deadline_ns = monotonic_ns() + LAST_WORDS_NS
        while self._number not in self._kept and monotonic_ns() < deadline_ns:
            hatch.flush()
            request = hatch.request()
            if request is not None and request["verb"] == "kept":
                self._kept.add(int(request["number"]))
            pause(0.001)

    # Reload.

    def _begin_reload(self, number: int) -> None:
        if self._loading is not None:
            self._answer(number, "a reload is under way")
            return
        self._notifier.reloading()
        self._reload_number = number
        self._loading = self._beside.submit(
            load_beside,
            self._name,
            self._settings,
            self._plan,
            self._companion.shelf,
            self._rt,
            list(self._left.values()),
        )

    def _end_reload(self, loading: Future[tuple[Plan, list[tuple[str, str]]]]) -> None:
        """Take the new configuration over, all of it, or keep the old one."""
        self._loading = None
        error = loading.exception()  # whatever a broken file can do, the loop goes on
        refusal = "" if error is None else _one_line(error)
        if error is None:
            plan, said = loading.result()
            self._take_over(plan)
            for cause, line in (*said, ("reload", "reloaded")):
                self.say(cause, line)
        else:
            self.say("reload", f"not reloaded, the old configuration stays: {refusal}")
        self._answer(self._reload_number, refusal)
        if self._ready:
            self._notifier.tell("READY=1")

    def _take_over(self, plan: Plan) -> None:
        old, now_ns = self._plan, self._clock.now_ns
        goes_on = old.policy if plan.network == old.network else plan.policy
        if goes_on is plan.policy:
            self._leave(old)
        anew = plan.policy.restore(goes_on.state(), goes_on.reached_ns, now_ns)
        if anew:
            self.say("anew", f"reloaded{_beginning(anew)}")
        self.loop.swap(plan.policy, plan.scenario.spec.gate, plan.spec, plan.vigil())
        if plan.scenario.spec.learning != old.scenario.spec.learning:
            self.loop.learning = plan.scenario.spec.learning
        self._plan = plan

    # How it is.

    def facts(self) -> dict[str, Any]:
        """What `status` shows beside the figures of the ticks."""
        loop, policy, spec = self.loop, self._plan.policy, self._plan.scenario.spec
        now_ns = self._clock.now_ns
        return {
            "name": spec.name,
            "pid": os.getpid(),
            "companion_pid": self._companion.pid,
            "version": __version__,
            "file": str(self._plan.scenario.document.source),
            "network": self._plan.network,
            "state": loop.mode.state,
            "reason": loop.mode.reason,
            "failure": loop.failure,
            "uptime_s": round((monotonic_ns() - self._started_ns) * 1e-9, 1),
            "period_ns": spec.period_ns,
            "real_time": self._rt.line(),
            "learning": {"wanted": loop.learning, "on": policy.program.learning},
            "command": loop.gate.last.tolist(),
            "clipped": loop.clipped,
            "slewed": loop.slewed,
            "overload": {
                "step": loop.ladder.step.name.lower(),
                "climbs": loop.ladder.climbs,
                "spikes_shed": policy.shed,
                "spent_s": {
                    step.name.lower(): round(loop.ladder.spent_ns[step] * 1e-9, 3) for step in Step
                },
            },
            "streams": {
                name: {
                    "age_ms": None
                    if watch.heard_ns is None
                    else round((now_ns - watch.heard_ns) * 1e-6, 1),
                    "essential": watch.essential,
                    "alive": not (watch.awaited() or watch.silent(now_ns)),
                    "dropped": watch.dropped,
                    "attached": name in self._attached and self._attached[name].fed,
                }
                for name, watch in loop.vigil.watches.items()
            },
            "world_in_reserve": isinstance(loop.plant, MendingPlant) and loop.plant.in_reserve,
            "held_back": self._log.held_back,
            "records_lost": self._companion.hatch.lost,
        }


def resume(plan: Plan, shelf: Shelf, left: Sequence[Left] = ()) -> list[tuple[str, str]]:
    """Put the plan's network where it was `left`, or where its newest checkpoint left it.

    Returns what there is to say of it: cause and line.
    """
    for each in left:
        if each.network == plan.network:
            anew = plan.policy.restore(each.state, each.reached_ns, 0)
            line = f"goes on from where it was left{_beginning(anew)}"
            return [(f"resumes {plan.network}", line)]
    found, notes = shelf.newest(plan.network)
    said = [(f"checkpoint {note}", f"passed over: {note}") for note in notes]
    if found is None:
        begun = "no checkpoint of this network: it begins as its file says"
        return [*said, (f"begins {plan.network}", begun)]
    when = found.header.created
    try:
        anew = plan.policy.restore(dict(found.arrays), found.header.program_ns, 0)
    except ValueError as error:
        misfit = f"the checkpoint of {when} does not fit: {error}"
        return [*said, (f"misfit {plan.network}", misfit)]
    line = f"goes on from the checkpoint of {when}{_beginning(anew)}"
    return [*said, (f"resumes {plan.network}", line)]


def _beginning(anew: Sequence[str]) -> str:
    return f"; nothing fits these, which begin anew: {', '.join(anew)}" if anew else ""


def load_beside(
    name: str,
    settings: Sequence[str],
    running: Plan,
    shelf: Shelf,
    real_time: RealTime,
    left: Sequence[Left] = (),
) -> tuple[Plan, list[tuple[str, str]]]:
    """Read and compile a configuration in a thread beside the running loop.

    A network that is not the running one's has been put where its checkpoint left it; what
    there is to say of that is returned too. Raises ConfigError.
    """
    real_time.lend()
    gc.collect()  # The collector is off; what the last reload replaced goes now.
    plan = Plan.load(name, settings)
    different = plan.misfit(running)
    if different is not None:
        where = plan.scenario.document.where((different,))
        raise ConfigError(f"{where}: cannot change while the daemon runs; start it again")
    return plan, resume(plan, shelf, left) if plan.network != running.network else []
