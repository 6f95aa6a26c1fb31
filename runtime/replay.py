"""Replay: run a recording's network again on what was observed, and compare byte for byte.

result = replay("run.mcap")
result.identical, result.difference

Encoders, network, decoders and gate are made from the recording itself; the batches of each tick
are the recorded ones. Spikes, commands and the plastic weights at the end must come out the same.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.loop import Tick
from reflexarc.runtime.record import NETWORK, plastic_weights, versions
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.scenario import Scenario


class Difference(Strict):
    """Where a replay first differs.

    Attributes:
        tick: number of the tick; `now_ns` is its loop time.
        place: "output 'motor', element 12", "command, element 0", "weights of 'seen', element 3".
        expected, got: what stands there in the recording, and in the replay.
    """

    tick: int
    now_ns: int
    place: str
    expected: str
    got: str

    def __str__(self) -> str:
        return (
            f"tick {self.tick} ({self.now_ns * 1e-9:.6f} s): {self.place}: "
            f"recorded {self.expected}, replayed {self.got}"
        )


class ReplayResult(Strict):
    """What came of a replay.

    Attributes:
        identical: whether every byte came out the same.
        ticks: how many were compared.
        difference: the first one, if any.
        spikes_sha256, commands_sha256, weights_sha256: of what the replay computed.
        notes: what the reader should know: other versions, a stop of the gate, lost ticks.
    """

    recording: str
    identical: bool
    ticks: int
    difference: Difference | None
    spikes_sha256: str
    commands_sha256: str
    weights_sha256: str
    notes: list[str]

    def text(self) -> str:
        """For people: the verdict, then the sums that prove it."""
        verdict = "identical" if self.difference is None else f"differs at {self.difference}"
        lines = [
            f"{self.recording}: {self.ticks} ticks replayed: {verdict}",
            f"  sha256 of spikes    {self.spikes_sha256}",
            f"  sha256 of commands  {self.commands_sha256}",
            f"  sha256 of weights   {self.weights_sha256}",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def replay(path: str | Path) -> ReplayResult:
    """Replay the recording `path`.

    Raises:
        ConfigError: it cannot be read, or is not a recording of a network with all its inputs.
    """
    recording = Recording.open(path)
    with tempfile.TemporaryDirectory(prefix="reflexarc-replay-") as folder:
        scenario = Scenario.load_policy(recording.extract(Path(folder)))
        _check_replayable(recording, scenario)
        return _Replay(recording, scenario).run()


class _Replay:
    """The parts of the loop that compute, and what they have computed so far."""

    def __init__(self, recording: Recording, scenario: Scenario) -> None:
        self._recording = recording
        self._scenario = scenario
        self._policy = scenario.make_policy()
        self._gate = scenario.make_gate()
        self._spikes, self._commands = hashlib.sha256(), hashlib.sha256()
        self._difference: Difference | None = None
        self._ticks = 0

    def run(self) -> ReplayResult:
        """Replay every tick up to the first that was lost, then compare the weights."""
        last: Tick | None = None
        for tick in self._recording.ticks():
            if tick.number != self._ticks:
                break
            self._replay(tick)
            last = tick
            self._ticks += 1
        weights = plastic_weights(self._scenario.network, self._policy)
        if last is not None and not self._recording.end.lost:
            for edge, recorded in self._recording.weights.items():
                expected = np.frombuffer(recorded, np.float64)
                self._compare(last, f"weights of '{edge}'", expected, weights[edge].ravel())
        return ReplayResult(
            recording=str(self._recording.path),
            identical=self._difference is None,
            ticks=self._ticks,
            difference=self._difference,
            spikes_sha256=self._spikes.hexdigest(),
            commands_sha256=self._commands.hexdigest(),
            weights_sha256=_sha256(weights.values()),
            notes=list(self._notes()),
        )

    def _replay(self, tick: Tick) -> None:
        """Run one tick on its recorded batches and compare what comes out."""
        policy, now_ns, until_ns = self._policy, tick.now_ns, tick.until_ns
        inputs = policy.encode(tick.batches, now_ns, until_ns)
        outputs = policy.think(inputs, until_ns)
        wanted = policy.decode(outputs, now_ns, until_ns)
        command = self._gate.guard(wanted, self._scenario.spec.period_ns * 1e-9)
        for port in sorted(outputs):
            self._spikes.update(outputs[port].tobytes())
        self._commands.update(command.tobytes())
        for port in outputs:
            recorded = tick.outputs.get(port, outputs[port][:0])
            self._compare(tick, f"output '{port}'", recorded, outputs[port])
        self._compare(tick, "command", tick.command, command)

    def _compare(self, tick: Tick, what: str, expected: Array, got: Array) -> None:
        """Remember the first difference, if these differ and none did before."""
        if self._difference is not None or expected.tobytes() == got.tobytes():
            return
        n = _first_unequal(expected, got)
        self._difference = Difference(
            tick=tick.number,
            now_ns=tick.now_ns,
            place=f"{what}, element {n}",
            expected=_text(expected[n : n + 1]),
            got=_text(got[n : n + 1]),
        )

    def _notes(self) -> Iterator[str]:
        start, end = self._recording.start, self._recording.end
        for name, here in versions().items():
            there = getattr(start, name)
            if there != here:
                yield f"{name.replace('_', ' ')}: recorded under {there}, replayed under {here}"
        if end.lost:
            yield f"{end.lost} ticks are missing from the recording; compared up to the first gap"
        if not end.complete or end.failure:
            yield f"the recording was cut short: {end.failure}"
        if self._gate.stopped:
            yield f"the gate stopped: {self._gate.stopped}"


def _check_replayable(recording: Recording, scenario: Scenario) -> None:
    start = recording.start
    if start.policy != NETWORK:
        raise ConfigError(
            f"{recording.path}: records the baseline '{start.policy}', which has no network to "
            "replay; give the network's recording"
        )
    for encoder in scenario.spec.encoders:
        if start.streams is not None and encoder.stream not in start.streams:
            raise ConfigError(
                f"{recording.path}: the stream '{encoder.stream}' was left out, but the network "
                "listens to it; record it again with that stream"
            )


def _first_unequal(expected: Array, got: Array) -> int:
    """Index of the first element whose bytes differ, or that only one of the two has."""
    common = min(len(expected), len(got))
    unequal = (n for n in range(common) if expected[n].tobytes() != got[n].tobytes())
    return next(unequal, common)


def _text(element: Array) -> str:
    """One element, or none, for people."""
    if len(element) == 0:
        return "nothing"
    if element.dtype == SPIKE:
        return f"neuron {element['i'][0]} at {element['t_ns'][0]} ns"
    return repr(float(element[0]))


def _sha256(parts: Iterable[Array]) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
