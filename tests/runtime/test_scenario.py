import shutil

import pytest
import yaml

from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.scenario import SHIPPED, Scenario, find, shipped


@pytest.fixture
def folder(tmp_path):
    """A copy of gaze outside the package, free to be broken."""
    copy = tmp_path / "mine"
    shutil.copytree(SHIPPED / "gaze", copy)
    return copy


def edit(folder, change):
    path = folder / "scenario.yaml"
    data = yaml.safe_load(path.read_text())
    change(data)
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return str(path)


def test_every_shipped_scenario_loads_and_its_name_is_its_folder():
    assert {"gaze", "pole-balance"} <= set(shipped())
    for name in shipped():
        scenario = Scenario.load(name)
        assert scenario.spec.name == name
        assert scenario.resolved()["world"]["config"]


def test_a_scenario_outside_the_package_runs_its_own_code(folder):
    scenario = Scenario.load(str(folder))
    world = scenario.make_world(seed=0)
    assert type(world).__module__.startswith("reflexarc_scenario.mine.")
    world.close()


def test_settings_reach_the_parts():
    scenario = Scenario.load("gaze", ["world.config.top_speed_rad_s=2", "seconds=0.5"])
    assert scenario.resolved()["world"]["config"]["top_speed_rad_s"] == 2
    assert scenario.ticks == 500


def test_an_unknown_scenario_lists_the_known_ones():
    with pytest.raises(
        ConfigError,
        match=r"no scenario 'pole'; there are: gaze, goalie, pencil, pole-balance, reach-payload",
    ):
        find("pole")


def drop(key):
    return lambda data: data.pop(key)


def put(value, *path):
    def change(data):
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("gate"), r"scenario.yaml:1: gate: required key is missing"),
        (put(1, "sconds"), r"scenario.yaml:\d+: sconds: unknown key"),
        (put(-1, "seconds"), r"scenario.yaml:\d+: seconds: input should be greater than 0"),
        (put("slow", "mode"), r"mode: input should be 'lockstep' or 'wall'"),
        (put("none.yaml", "network"), r"scenario.yaml:\d+: network: no such file: .*none.yaml"),
        (put("nope.py:X", "world", "code"), r"world.code: there is no nope.py beside"),
        (put("world.py:Nope", "world", "code"), r"world.code: world.py has no World called Nope"),
        (put("../x.py:A", "world", "code"), r"world.code: string should match pattern"),
        (put("baselines.py:Centroid", "world", "code"), r"has no World called Centroid"),
        (put(9, "world", "config", "x"), r"scenario.yaml:\d+: world.config.x: unknown key"),
        (put("pam", "decoders", 0, "port"), r"decoders.0.port: the network has no output 'pam'"),
        (put("cam", "encoders", 0, "port"), r"encoders.0.port: the network has no input 'cam'"),
        (put("pooled", "encoders", 0, "kind"), r"encoders.0"),
        (put(20, "encoders", 0, "cell_px"), r"encoders.0: .* make 1536 lines, but port 'camera'"),
        (put("truth", "encoders", 0, "stream"), r"no encoder may listen to the stream 'truth'"),
        (put([0], "gate", "rest"), r"gate: rest: 1 entries, but low has 2"),
        (
            put({"low": [0], "high": [1], "rest": [0]}, "gate"),
            r"gate.low: 1 entries, but the decoders give 2 commands",
        ),
        (
            put({"tau_s": -1}, "baselines", "centroid", "config"),
            r"scenario.yaml:\d+: baselines.centroid.config.tau_s: input should be greater than 0",
        ),
    ],
)
def test_bad_scenarios_are_one_line_with_place(folder, change, message):
    path = edit(folder, change)
    with pytest.raises(ConfigError, match=message) as caught:
        Scenario.load(path)
    assert "\n" not in str(caught.value)


def test_two_encoders_cannot_feed_one_port(folder):
    path = edit(folder, lambda data: data["encoders"].append(dict(data["encoders"][0])))
    with pytest.raises(ConfigError, match=r"encoders.1.port: another encoder feeds this port"):
        Scenario.load(path)


def test_code_that_fails_to_import_is_one_line(folder):
    (folder / "world.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match=r"world.code: world.py cannot be imported: .*nothing_of"):
        Scenario.load(str(folder))
