"""Policies side by side: who leads is judged seed by seed."""

import pytest

from reflexarc.runtime import plots
from reflexarc.runtime.compare import FROZEN, LEARNING, _comparison
from reflexarc.runtime.launch import RunResult
from reflexarc.runtime.scenario import Scenario


def result(policy, score, trials=(), ended="time"):
    return RunResult(
        policy=policy,
        ended=ended,
        stop_reason=None,
        score=score,
        unit="points",
        trials=list(trials),
        seconds=2.0,
        ticks=1,
        overruns=0,
        spikes=30,
        latency=None,
        event_to_command=None,
        recording="",
        lost=0,
    )


@pytest.fixture
def found(slide_folder):
    scores = {LEARNING: (5.0, 9.0), FROZEN: (4.0, 8.0), "pd": (6.0, 7.0)}
    trials = {LEARNING: (1.0, 2.0), FROZEN: (1.0, 1.0), "pd": ()}
    ended = {LEARNING: "time", FROZEN: "time", "pd": "gate"}
    results = [
        [result(name, scores[name][seed], trials[name], ended[name]) for name in scores]
        for seed in range(2)
    ]
    return _comparison(Scenario.load(str(slide_folder)), results, [3, 4])


def test_who_leads_is_judged_on_the_same_seed(found):
    learning, frozen, pd = found.policies
    assert (learning.policy, frozen.policy, pd.policy) == (LEARNING, FROZEN, "pd")
    assert learning.lead is None
    assert frozen.lead == (1.0, 1.0, 1.0)  # though the scores themselves are far apart
    assert pd.lead.mean == 0.5
    assert (pd.lead.low, pd.lead.high) == (-1.0, 2.0)
    assert learning.score.mean == 7.0
    assert learning.spikes_hz == 15.0


def test_its_table_says_who_leads_and_who_was_stopped(found):
    lines = found.lines()
    assert lines[0] == "slide, 2 seeds, 0.2 s: points, mean [95 % interval]"
    assert lines[2].split()[:2] == ["frozen", "6.00"]
    assert lines[2].endswith("learning leads by 1.00 [1.00, 1.00]")
    assert lines[3].endswith("(2 safety stops)")


def test_trials_are_drawn_where_there_are_some(found):
    scores, trials = plots.comparison(found).axes
    assert [label.get_text() for label in scores.get_yticklabels()] == [LEARNING, FROZEN, "pd"]
    lines = {line.get_label(): line.get_ydata().tolist() for line in trials.lines}
    assert lines == {LEARNING: [1.0, 2.0], FROZEN: [1.0, 1.0]}
    none = [each.model_copy(update={"trials": [[], []]}) for each in found.policies]
    assert len(plots.comparison(found.model_copy(update={"policies": none})).axes) == 1
