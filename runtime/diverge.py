"""What real time cost: two recordings of one scenario on one seed, side by side.

    divergence = diverge(Recording.open("lockstep.mcap"), Recording.open("wall.mcap"))

Ticks are matched by loop time. Where a run missed a tick, its last command still held.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reflexarc.runtime import plots
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.latency import EventToCommand, event_to_command
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.report import write_result

#: The difference over time is summed up in so many stretches.
STRETCHES = 50
#: What may differ between the two configurations: how they were run, not what was.
FREE = frozenset({"mode", "seconds"})


class Side(Strict):
    """One of the two runs.

    Attributes:
        recording: its path.
        mode: "lockstep" or "wall".
        ticks, missed: recorded, and passed over up to its last one.
        lost: done, but missing from the recording; not counted as missed.
        seconds: loop time it covers.
        score: at its end; None where the scenario keeps none.
        event_to_command: how old the causes of its commands were.
    """

    recording: str
    mode: str
    ticks: int
    missed: int
    lost: int
    seconds: float
    score: float | None
    event_to_command: EventToCommand | None


class Stretch(Strict):
    """Root mean square of the difference of the commands in a stretch of time, in their units."""

    begin_s: float
    rms: float


class Divergence(Strict):
    """What `reflexarc diverge` leaves as diverge.json.

    Attributes:
        runs: the two.
        first_tick, first_s: the first tick (`first_s` * 1e9 / period) whose commands differ, or
            that only one of the runs did; None if there is none.
        rms: of the difference of the commands over all ticks of the time that both cover, over
            all elements, in the command's units.
        largest: the largest difference of an element.
        rms_over_time: the same by stretches of that time.
        score_difference: the second's score minus the first's, at the end of each.
    """

    scenario: str
    seed: int
    policy: str
    runs: tuple[Side, Side]
    first_tick: int | None
    first_s: float | None
    rms: float
    largest: float
    rms_over_time: list[Stretch]
    score_difference: float | None

    def lines(self) -> list[str]:
        """For people."""
        if self.first_tick is None:
            first = "  no tick differs"
        else:
            first = f"  first differing tick {self.first_tick}, at {self.first_s:g} s"
        score = self.score_difference
        return [
            f"{self.scenario}, seed {self.seed}, {self.policy}",
            *map(_line, self.runs),
            first,
            f"  commands differ by {self.rms:.4g} RMS, {self.largest:.4g} at most",
            *([] if score is None else [f"  score differs by {score:+.4g}"]),
        ]


def _line(side: Side) -> str:
    found = side.event_to_command
    ages = ""
    if found is not None:
        ages = f", event to command p50 {found.p50_us:.0f} p99 {found.p99_us:.0f} us"
    score = "" if side.score is None else f", score {side.score:.4g}"
    return f"  {side.mode:<9} {side.ticks} ticks, {side.missed} missed{ages}{score}"


@dataclass(frozen=True)
class Track:
    """The commands of a run on the grid of its ticks.

    Attributes:
        numbers: of the ticks that were done, on the grid of the period, shape (ticks,).
        commands: shape (ticks, size).
        period_ns: of the grid.
    """

    numbers: npt.NDArray[np.int64]
    commands: FloatArray
    period_ns: int

    @classmethod
    def of(cls, recording: Recording) -> Track:
        """Raises ConfigError: it holds no tick."""
        found = recording.commands()
        if len(found.t_ns) == 0:
            raise ConfigError(f"{recording.path}: holds no tick; record a longer run")
        period_ns = int(recording.start.config["period_ns"])
        return cls(found.t_ns // period_ns, found.values, period_ns)

    @property
    def missing(self) -> int:
        """Ticks of the grid up to the last one that are not there."""
        return int(self.numbers[-1]) + 1 - len(self.numbers)

    def held(self, ticks: int) -> FloatArray:
        """The command that held in each of the first `ticks` of the grid, shape (ticks, size)."""
        at = np.searchsorted(self.numbers, np.arange(ticks), side="right") - 1
        commands: FloatArray = self.commands[np.maximum(at, 0)]
        return commands


def diverge(first: Recording, second: Recording) -> Divergence:
    """Compare two runs of one scenario, one policy, one seed.

    Raises:
        ConfigError: they are not, or a recording holds nothing or is damaged.
    """
    _check_alike(first, second)
    tracks = Track.of(first), Track.of(second)
    tick, difference = _difference(*tracks)
    squares = (difference**2).mean(axis=1)
    period_s = tracks[0].period_ns * 1e-9
    parts = np.array_split(np.arange(len(squares)), min(STRETCHES, len(squares)))
    sides = _side(first, tracks[0]), _side(second, tracks[1])
    scores = [side.score for side in sides if side.score is not None]
    return Divergence(
        scenario=first.start.scenario,
        seed=first.start.seed,
        policy=first.start.policy,
        runs=sides,
        first_tick=tick,
        first_s=None if tick is None else tick * period_s,
        rms=float(np.sqrt(squares.mean())),
        largest=float(np.abs(difference).max()),
        rms_over_time=[
            Stretch(begin_s=float(part[0] * period_s), rms=float(np.sqrt(squares[part].mean())))
            for part in parts
        ],
        score_difference=scores[1] - scores[0] if len(scores) == 2 else None,
    )


def _check_alike(first: Recording, second: Recording) -> None:
    one, other = first.start, second.start
    for what in ("scenario", "seed", "policy"):
        if getattr(one, what) != getattr(other, what):
            raise ConfigError(
                f"{second.path}: {what} {getattr(other, what)}, but {first.path} has "
                f"{getattr(one, what)}; record both alike"
            )
    keys = {**one.config, **other.config}.keys() - FREE
    different = [key for key in sorted(keys) if one.config.get(key) != other.config.get(key)]
    if different:
        raise ConfigError(
            f"{second.path}: its configuration differs from that of {first.path} in "
            f"'{different[0]}'; only mode and seconds may"
        )


def _difference(first: Track, second: Track) -> tuple[int | None, FloatArray]:
    """The first tick that differs, and the difference of the commands, shape (ticks, size)."""
    ticks = 1 + int(min(first.numbers[-1], second.numbers[-1]))
    difference = second.held(ticks) - first.held(ticks)
    grid = np.arange(ticks)
    lonely = np.isin(grid, first.numbers) != np.isin(grid, second.numbers)
    differs = np.flatnonzero(lonely | (difference != 0).any(axis=1))
    return (int(differs[0]) if len(differs) else None), difference


def _side(recording: Recording, track: Track) -> Side:
    score, lost = recording.score().values, recording.end.lost
    return Side(
        recording=str(recording.path),
        mode=recording.start.mode,
        ticks=len(track.numbers),
        missed=track.missing - lost,
        lost=lost,
        seconds=(int(track.numbers[-1]) + 1) * track.period_ns * 1e-9,
        score=float(score[-1, 0]) if score.size else None,
        event_to_command=event_to_command(recording.ages_ns()),
    )


def write_divergence(
    found: Divergence, first: Recording, second: Recording, out: Path
) -> dict[str, Path]:
    """Leave diverge.json and diverge.png in `out`; as `write_result`."""
    picture = plots.divergence(found, first, second)
    return write_result(found, picture, out, "divergence", "diverge")
