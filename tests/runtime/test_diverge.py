import numpy as np
import pytest

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.diverge import diverge, write_divergence
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant


class SkippingClock(LockstepClock):
    """Passes over the ticks it is told to, as a wall clock does after an overrun."""

    def __init__(self, period_ns, skipped):
        super().__init__(period_ns)
        self._skipped = skipped

    def wait(self):
        super().wait()
        while self._tick in self._skipped:
            self._tick += 1
            self.overruns += 1


@pytest.fixture
def record(slide_folder, tmp_path):
    """Record the scenario, passing over the ticks `skipped`; returns what was recorded."""

    def run(name, skipped=(), settings=()):
        scenario = Scenario.load(str(slide_folder), settings)
        gate, score, policy = scenario.make_gate(), scenario.make_score(0), scenario.make_policy()
        plant = LocalPlant(scenario.make_world(scenario.spec.seed), gate.rest)
        clock = SkippingClock(scenario.spec.period_ns, skipped)
        with Recorder(tmp_path / name, scenario, score=score) as recorder:
            keep = lambda tick: score.update(tick.batches[-1].values, tick.now_ns)  # noqa: E731
            loop = Loop(clock, plant, policy, gate, listeners=[keep, recorder])
            loop.run(scenario.ticks, lambda tick: tick.number < 150)
            recorder.close(policy)
        return Recording.open(tmp_path / name)

    return run


def test_a_run_and_itself_do_not_differ(record):
    found = diverge(record("a.mcap"), record("b.mcap"))
    assert (found.first_tick, found.rms, found.largest, found.score_difference) == (None, 0, 0, 0)
    assert [side.missed for side in found.runs] == [0, 0]
    assert "no tick differs" in "\n".join(found.lines())


def test_skipped_ticks_are_counted_and_what_follows_is_measured(record, tmp_path):
    skipped = {40, 41, 42, 90}
    a, b = record("a.mcap"), record("b.mcap", skipped)
    found = diverge(a, b)
    assert [side.missed for side in found.runs] == [0, 4]
    assert found.first_tick == 40
    assert found.first_s == pytest.approx(0.040)
    mine, theirs = a.commands(), b.commands()
    held = {int(t): v for t, v in zip(theirs.t_ns, theirs.values[:, 0], strict=True)}
    last, differences = 0.0, []
    for t_ns, value in zip(mine.t_ns, mine.values[:, 0], strict=True):
        last = held.get(int(t_ns), last)
        differences.append(last - value)
    assert found.rms == pytest.approx(np.sqrt(np.mean(np.square(differences))))
    assert found.rms > 0
    assert found.largest == pytest.approx(np.abs(differences).max())
    before = [each.rms for each in found.rms_over_time if each.begin_s < 0.036]
    assert before
    assert not any(before)
    assert found.score_difference == pytest.approx(
        b.score().values[-1, 0] - a.score().values[-1, 0]
    )
    files = write_divergence(found, a, b, tmp_path / "out")
    assert files["divergence"].read_text().strip() == found.model_dump_json(indent=2)
    assert files["picture"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["seed=4"], "seed 4, but .* has 3; record both alike"),
        (["world.config.noise=2"], "differs from that of .* in 'world'; only mode and seconds may"),
    ],
)
def test_runs_of_different_things_are_refused(record, settings, words):
    with pytest.raises(ConfigError, match=words):
        diverge(record("a.mcap"), record("b.mcap", settings=settings))
