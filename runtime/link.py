"""A world in a process of its own, and the loop's end of the link to it.

The loop opens the conversation on a pair with `hello` (mode, period, digest of the configuration);
the world answers `ready`. Then, by mode:

- **lockstep**: the loop sends a COMMAND batch, whose `t_last_ns` says how far to go; the world
  answers with the batches of `World.advance` as they are, and then an empty COMMAND batch with
  the same `t_last_ns`. Both sides see the same bytes as in one process.
- **wall**: after `start` the world runs on its own clock under the newest command, and publishes
  what its sensors see beside the pair. Silence means stop: without a command for `DEADMAN_NS`, or
  what `daemon.deadman_ms` of the scenario says, it applies the rest command.

Either side may say `bye`. Each notices within `SLICE_S` when the other's process is gone, so the
world never outlives its loop.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Literal, NoReturn, Self

import numpy as np

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import SLICE_S, Control, Pair, Publisher, Subscriber, socket_path
from reflexarc.runtime.clock import WallClock, monotonic_ns
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.keys import Curve
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Plant, World

ClockMode = Literal["lockstep", "wall"]

#: A world in wall time that has heard no command for this long applies the rest command.
DEADMAN_NS = 100_000_000
#: A start that was said longer ago than this is from another clock, or too late to catch up with.
LATE_START_NS = 100_000_000
#: How long a world waits for its loop to say hello, and a loop for its world to be ready.
HELLO_TIMEOUT_S = 30.0
#: How long a world in lockstep may take for one step (that it is gone is noticed at once).
ANSWER_TIMEOUT_S = 10.0
#: How long a world waits for its loop to hear why it ends, and a loop for its child to end.
GRACE_S = 1.0
#: The least silence after which a link counts as broken.
SILENCE_S = 1.0


def silence_s(period_ns: int) -> float:
    """How long the other side may be silent: three periods, and not less than `SILENCE_S`."""
    return max(3 * period_ns * 1e-9, SILENCE_S)


def serve_world(
    world: World,
    endpoint: str,
    period_ns: int,
    mode: ClockMode,
    *,
    digest: str = "",
    deadman_ns: int = DEADMAN_NS,
    rest: FloatArray | None = None,
    patience_s: float = HELLO_TIMEOUT_S,
    curve: Curve | None = None,
    check: Callable[[], None] = lambda: None,
    on_ready: Callable[[], None] = lambda: None,
) -> bool:
    """Serve `world` at `endpoint` until the loop says bye or is gone, or SIGTERM or SIGINT comes.

    Closes the world. Returns False after one of those signals. `patience_s` is how long it waits
    for a loop to come, and `check` is called while it waits and may raise; `on_ready` is called
    when one may come. `deadman_ns`: see the module; `rest` is what it applies then, shape
    (command_size,), zeros by default. `curve` has the keys, where the endpoint can be reached from
    other machines.

    Raises:
        ConfigError: the endpoint is wrong or in use.
        LoopRefused: the loop disagrees.
        LinkError: no loop came.

    What the world raises is raised here too, after the loop was told.
    """
    try:
        with (
            WorldServer(
                world,
                endpoint,
                period_ns,
                mode,
                digest=digest,
                deadman_ns=deadman_ns,
                rest=rest,
                curve=curve,
            ) as server,
            _signals(server),
        ):
            on_ready()
            server.run(patience_s, check)
            return not server.stopped
    finally:
        world.close()


@contextmanager
def _signals(server: WorldServer) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class LoopRefused(ConfigError):
    """A loop came that does not fit the world; it has been told."""


class WorldServer:
    """The world's end of the link. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        world: World,
        endpoint: str,
        period_ns: int,
        mode: ClockMode,
        *,
        digest: str = "",
        deadman_ns: int = DEADMAN_NS,
        rest: FloatArray | None = None,
        curve: Curve | None = None,
    ) -> None:
        """Raises ConfigError for an endpoint that is wrong or in use."""
        self._deadman_ns = deadman_ns
        self._world, self._period_ns, self._mode, self._digest = world, period_ns, mode, digest
        self._rest = np.zeros(world.command_size) if rest is None else rest
        self._stopped = False
        self._publisher: Publisher | None = None
        self._pair = Pair(endpoint, bind=True, curve=curve)
        try:
            if mode == "wall":
                self._publisher = Publisher(_events_endpoint(endpoint), curve=curve)
        except ConfigError:
            self._pair.close()
            raise

    @property
    def malformed(self) -> int:
        """Messages from the loop that were refused since the start."""
        return self._pair.malformed

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler or another thread."""
        self._stopped = True

    def run(
        self, patience_s: float = HELLO_TIMEOUT_S, check: Callable[[], None] = lambda: None
    ) -> None:
        """Serve one loop from its hello to its bye. Raises as `serve_world`."""
        if not self._welcome(patience_s, check):
            return
        try:
            if self._publisher is None:
                self._run_lockstep()
            else:
                self._run_wall(self._publisher)
            if self._stopped:
                self._take_leave(Control(op="bye"))
        except LinkError:
            return  # The loop is gone, so nobody is left to serve.
        except Exception as error:
            with suppress(LinkError):
                self._take_leave(Control(op="error", text=str(error)))
            raise

    def _take_leave(self, message: Control) -> None:
        """Send the last message and stay until the loop has heard it, `GRACE_S` at most.

        ZeroMQ forgets what a peer has not taken when the socket behind it closes.
        """
        self._pair.send(message)
        deadline_ns = monotonic_ns() + round(GRACE_S * 1e9)
        while monotonic_ns() < deadline_ns:
            answer = self._pair.receive(SLICE_S)
            if isinstance(answer, Control) and answer.op == "bye":
                return

    def _welcome(self, patience_s: float, check: Callable[[], None]) -> bool:
        """Wait for hello and answer it; False when stopped first."""
        begin_ns = monotonic_ns()
        while not self._stopped:
            hello = self._pair.receive(SLICE_S)
            if isinstance(hello, Control) and hello.op == "hello":
                self._answer(hello)
                return True
            check()
            if monotonic_ns() - begin_ns >= patience_s * 1e9:
                raise LinkError(f"{self._pair.endpoint}: no loop came within {patience_s:g} s")
        return False

    def _answer(self, hello: Control) -> None:
        details: dict[str, int | str] = {
            "mode": self._mode,
            "period_ns": self._period_ns,
            "command_size": self._world.command_size,
        }
        if self._publisher is not None:
            details["events"] = self._publisher.endpoint
        ready = Control(op="ready", digest=self._digest, details=details)
        reason = ready.disagreement(hello) or _mismatch(hello.details, details)
        if reason:
            self._pair.send(Control(op="refuse", text=reason))
            raise LoopRefused(f"{self._pair.endpoint}: a loop was refused: {reason}")
        self._pair.send(ready)

    def _run_lockstep(self) -> None:
        while not self._stopped:
            request = self._pair.receive(SLICE_S)
            if isinstance(request, Control):
                if request.op == "bye":
                    return
            elif request is not None and self._is_command(request):
                for batch in self._world.advance(request.t_last_ns, request.values):
                    self._pair.send(batch)
                self._pair.send(_command_batch(np.empty(0), request.t_last_ns))

    def _run_wall(self, publisher: Publisher) -> None:
        start = self._await_start(publisher)
        if start is None:
            return
        clock = WallClock(self._period_ns)
        clock.start(_begin_ns(start))
        command, heard_ns = self._rest, monotonic_ns()
        while not self._stopped:
            while (message := self._pair.receive()) is not None:
                if isinstance(message, Control):
                    if message.op == "bye":
                        return
                elif self._is_command(message):
                    command, heard_ns = message.values, monotonic_ns()
            if monotonic_ns() - heard_ns > self._deadman_ns:
                command = self._rest
            for batch in self._world.advance(clock.now_ns, command):
                publisher.send(batch)
            clock.wait()

    def _await_start(self, publisher: Publisher) -> Control | None:
        """What the loop says when it has subscribed: `start`; None when it ends first."""
        subscribed = False
        while not self._stopped:
            subscribed = subscribed or publisher.wait_for_subscriber(SLICE_S)
            message = self._pair.receive(SLICE_S) if subscribed else None
            if isinstance(message, Control) and message.op in ("start", "bye"):
                return message if message.op == "start" else None
            self._pair.check_peer()
        return None

    def _is_command(self, batch: Batch) -> bool:
        """Whether `batch` is a command that fits the world; what is not is counted."""
        fits = batch.schema is Schema.COMMAND and batch.values.shape == self._rest.shape
        self._pair.malformed += not fits
        return fits

    def close(self) -> None:
        """Close the link; the world stays open. May be called twice."""
        self._pair.close()
        if self._publisher is not None:
            self._publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mismatch(theirs: Mapping[str, int | str], mine: Mapping[str, int | str]) -> str:
    """What the loop wants otherwise than the world runs it; "" where they agree."""
    for key in ("mode", "period_ns"):
        if theirs.get(key) != mine[key]:
            return f"the loop's {key} is {theirs.get(key)}, the world's {mine[key]}"
    return ""


def _start(endpoint: str, now_ns: int) -> Control:
    """Let the world's time begin now, where both sides have the same monotonic clock."""
    here = socket_path(endpoint) is not None
    return Control(op="start", details={"at_ns": now_ns} if here else {})


def _begin_ns(start: Control) -> int | None:
    """When the loop said that the world's time begins; None (at once) where that makes no sense."""
    at_ns = start.details.get("at_ns")
    if isinstance(at_ns, int) and 0 <= monotonic_ns() - at_ns < LATE_START_NS:
        return at_ns
    return None


def _events_endpoint(endpoint: str) -> str:
    """Where a world in wall time publishes, beside its pair at `endpoint`."""
    return f"{endpoint}.events" if socket_path(endpoint) else f"{endpoint.rpartition(':')[0]}:*"


def _as_reached(advertised: str, endpoint: str) -> str:
    """What a world publishes at, on the host by which it was reached at `endpoint`."""
    if socket_path(advertised):
        return advertised
    return f"{endpoint.rpartition(':')[0]}:{advertised.rpartition(':')[2]}"


def _command_batch(command: FloatArray, until_ns: int) -> Batch:
    # A copy, because a batch freezes its values and the caller may want to reuse the array.
    return Batch("command", Schema.COMMAND, command.copy(), until_ns, until_ns)


class RemotePlant(Plant):
    """The loop's end of the link: a plant whose world runs in another process.

    In lockstep `observe` waits for the world and returns the batches that `LocalPlant` would have
    returned, byte for byte. In wall time it never waits: it returns what has come (perhaps more
    than one batch a stream) and raises LinkError after `silence_s(period_ns)` without any.
    """

    def __init__(
        self,
        pair: Pair,
        rest: FloatArray,
        period_ns: int,
        events: Subscriber | None,
        process: subprocess.Popen[bytes] | None,
    ) -> None:
        """Made by `connect` and `spawn`."""
        self._pair, self._command, self._events = pair, rest, events
        self._process = process
        self._silence_s = silence_s(period_ns)
        self._started = self._closed = False

    @classmethod
    def connect(
        cls,
        endpoint: str,
        *,
        rest: FloatArray,
        period_ns: int,
        mode: ClockMode,
        digest: str = "",
        timeout_s: float = HELLO_TIMEOUT_S,
        curve: Curve | None = None,
    ) -> RemotePlant:
        """Reach the world that is served at `endpoint`.

        `rest` is the command until the first `act`, shape (command_size,), float64. Raises
        LinkError (nobody there in time) and ConfigError (the two sides do not fit together).
        """
        pair = Pair(endpoint, bind=False, curve=curve)
        return cls._open(pair, rest, period_ns, mode, digest, timeout_s, None, curve=curve)

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        endpoint: str,
        *,
        rest: FloatArray,
        period_ns: int,
        mode: ClockMode,
        digest: str = "",
        timeout_s: float = HELLO_TIMEOUT_S,
        check: Callable[[], None] = lambda: None,
    ) -> RemotePlant:
        """Start the world as the child process `argv`, which serves it at `endpoint`.

        The child is in a session of its own: Ctrl-C reaches the loop alone, which then closes the
        world. Its standard output goes nowhere. `check` is called while the child is waited for;
        if it raises, the child is killed. Raises as `connect`, what `check` raises, and LinkError
        when the child ends before it is ready.
        """
        pair = Pair(endpoint, bind=False)
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

        def check_child() -> None:
            _check_running(process)
            try:
                check()
            except BaseException:
                process.kill()
                raise

        return cls._open(pair, rest, period_ns, mode, digest, timeout_s, process, check_child)

    @classmethod
    def _open(
        cls,
        pair: Pair,
        rest: FloatArray,
        period_ns: int,
        mode: ClockMode,
        digest: str,
        timeout_s: float,
        process: subprocess.Popen[bytes] | None,
        check: Callable[[], None] | None = None,
        curve: Curve | None = None,
    ) -> RemotePlant:
        hello = Control(
            op="hello",
            streams={"command": Schema.COMMAND.name},
            digest=digest,
            details={"mode": mode, "period_ns": period_ns},
        )
        try:
            ready = pair.greet(hello, timeout_s, check)
            size = ready.details.get("command_size")
            if size != rest.size:
                raise ConfigError(
                    f"{pair.endpoint}: the world takes {size} command values, not {rest.size}"
                )
            events = None
            if mode == "wall":
                published = _as_reached(str(ready.details["events"]), pair.endpoint)
                events = Subscriber(published, curve=curve)
        except BaseException:
            pair.close()
            _end(process)
            raise
        return cls(pair, rest, period_ns, events, process)

    @property
    def malformed(self) -> int:
        """Frames from the world that were refused since the start."""
        return self._pair.malformed + (self._events.malformed if self._events else 0)

    def observe(self, now_ns: int) -> list[Batch]:
        """What the world's sensors saw since the last call. Raises LinkError."""
        if self._events is None:
            return self.exchange(self._command, now_ns)
        if not self._started:
            self._events.heard_ns = monotonic_ns()
            self._pair.send(_start(self._pair.endpoint, self._events.heard_ns))
            self._started = True
        self._check_messages()
        silent_s = (monotonic_ns() - self._events.heard_ns) * 1e-9
        if silent_s > self._silence_s:
            raise LinkError(
                f"{self._pair.endpoint}: the world has been silent for {silent_s:.1f} s"
            )
        return [replace(batch, t_received_ns=now_ns) for batch in self._events.take()]

    def act(self, command: FloatArray) -> None:
        """Apply `command` from now until the next one. Raises LinkError."""
        self._command = command
        if self._events is not None:
            self._pair.send(_command_batch(command, 0), SLICE_S)

    def exchange(self, command: FloatArray, until_ns: int) -> list[Batch]:
        """Let the world go on to `until_ns` under `command`; what its sensors saw. Lockstep only.

        Raises LinkError when the world does not answer in time, is gone, or has failed.
        """
        self._pair.send(_command_batch(command, until_ns), self._silence_s)
        deadline_ns = monotonic_ns() + round(ANSWER_TIMEOUT_S * 1e9)
        batches: list[Batch] = []
        while (left_ns := deadline_ns - monotonic_ns()) > 0:
            message = self._pair.receive(left_ns * 1e-9)
            if isinstance(message, Control):
                self._fail(message)
            elif message is not None and message.schema is Schema.COMMAND:
                return batches
            elif message is not None:
                batches.append(message)
        raise LinkError(
            f"{self._pair.endpoint}: the world did not answer within {ANSWER_TIMEOUT_S:g} s"
        )

    def _check_messages(self) -> None:
        while (message := self._pair.receive()) is not None:
            if isinstance(message, Control):
                self._fail(message)

    def _fail(self, message: Control) -> NoReturn:
        with suppress(LinkError):
            self._pair.send(Control(op="bye"), SLICE_S)
        reason = message.text or "it was stopped"
        raise LinkError(f"{self._pair.endpoint}: the world has ended: {reason}")

    def kill(self) -> None:
        """Kill the child process; a world that was served is only let go of."""
        if self._process is None:
            super().kill()
        else:
            self._process.kill()

    def close(self) -> None:
        """Say bye and let go; a child process has ended when this returns. May be called twice."""
        if self._closed:
            return
        self._closed = True
        with suppress(LinkError):
            self._pair.send(Control(op="bye"), SLICE_S)
        self._pair.close()
        if self._events is not None:
            self._events.close()
        _end(self._process)


def _check_running(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise LinkError(
            f"the world's process ended with exit code {process.returncode} before it was ready"
        )


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """Wait for `process` to end; ask after a second, insist after another."""
    if process is None:
        return
    for insist in (process.terminate, process.kill):
        try:
            process.wait(GRACE_S)
            return
        except subprocess.TimeoutExpired:
            insist()
    process.wait()
