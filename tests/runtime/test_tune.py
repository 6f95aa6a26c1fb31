"""Tuning a baseline: the search finds what is there to find, in the box, again and again."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime import plots
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.scenario import RangeSpec, Scenario, value_at, with_value
from reflexarc.runtime.tune import Tried, Tuning, _Box, _search

pytest.importorskip("cmaes", reason="cmaes is not installed: extra 'tune'")

BOX = _Box({"a": RangeSpec(low=-1, high=3), "b.0": RangeSpec(low=1e-3, high=10, log=True)})


class Hill:
    """Judges a setting by how far it is from the top, at a = 2 and b = 0.1."""

    def judged(self, many, seeds):
        return [
            Tried(
                values=values,
                score=-((values["a"] - 2) ** 2) - np.log10(values["b.0"] / 0.1) ** 2,
            )
            for values in map(dict, many)
        ]


def climb(tries):
    return _search(Hill(), BOX, {"a": -0.9, "b.0": 5.0}, tries, 3, lambda _: None)


def test_the_search_climbs_the_hill_within_its_box():
    tried = climb(300)
    best = max(tried, key=lambda each: each.score)
    assert best.values["a"] == pytest.approx(2, abs=0.02)
    assert best.values["b.0"] == pytest.approx(0.1, rel=0.05)
    for each in tried:
        assert -1 <= each.values["a"] <= 3
        assert 1e-3 <= each.values["b.0"] <= 10


def test_the_first_is_what_is_shipped_and_no_more_than_asked_are_tried():
    tried = climb(17)
    assert len(tried) == 17
    assert tried[0].values == {"a": -0.9, "b.0": 5.0}
    assert climb(17) == tried


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_place_and_its_values_are_each_others_inverse(a, b):
    place = np.array([a, b])
    assert BOX.place_of(BOX.values_at(place)) == pytest.approx(place, abs=1e-3)


def test_a_number_is_changed_where_its_path_leads_and_nowhere_else():
    config = {"gains": [1.0, 2.0], "deep": {"x": 3.0}}
    changed = with_value(with_value(config, "gains.1", 5.0), "deep.x", 6.0)
    assert changed == {"gains": [1.0, 5.0], "deep": {"x": 6.0}}
    assert config == {"gains": [1.0, 2.0], "deep": {"x": 3.0}}
    assert value_at(changed, "gains.1") == 5.0


def test_the_picture_has_a_panel_for_each_number():
    found = Tuning(
        scenario="s", baseline="b", date="", unit="points", ranges=BOX.ranges, tried=climb(30),
        shipped=(0.0, 0.0, 0.0), tuned=(1.0, 1.0, 1.0), config={"a": 2.0},
    )  # fmt: skip
    labels = [axes.get_xlabel() for axes in plots.tuning(found).axes if axes.get_visible()]
    assert labels == ["settings tried", "a", "b.0"]
    assert found.best in found.tried
    assert found.lines()[-1].strip() == "config: {a: 2.0}"


@pytest.mark.parametrize(
    ("tune", "words"),
    [
        ({"nothing": {"low": 0.0, "high": 1.0}}, "there is no such key"),
        ({"gain": {"low": 1.0, "high": 1.0}}, "need low below high"),
        ({"gain": {"low": 0.0, "high": 1.0, "log": True}}, "both above 0"),
    ],
)
def test_ranges_that_make_no_sense_are_refused_with_file_line_and_key(slide_folder, tune, words):
    path = slide_folder / "scenario.yaml"
    said = yaml.safe_load(path.read_text())
    name = next(iter(said["baselines"]))
    said["baselines"][name]["tune"] = tune
    path.write_text(yaml.safe_dump(said))
    with pytest.raises(ConfigError, match=rf"scenario.yaml:\d+: baselines.{name}.tune.*{words}"):
        Scenario.load(str(slide_folder))
