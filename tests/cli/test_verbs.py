"""The small verbs, and every kind of wrong input: one line, a documented exit code."""

import json

import pytest
import yaml

from reflexarc.runtime.scenario import SHIPPED


def test_help_and_version(reflexarc):
    assert "scenarios" in reflexarc("--help", check=0).stdout
    assert reflexarc(check=0).stdout == reflexarc("--help", check=0).stdout
    assert reflexarc("version", check=0).stdout.count(".") == 2


def test_scenarios(reflexarc):
    lines = reflexarc("scenarios", check=0).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "dodge",
        "gaze",
        "goalie",
        "land",
        "lane-keep",
        "pencil",
        "pole-balance",
        "reach-payload",
    ]
    assert set(json.loads(reflexarc("scenarios", "--json", check=0).stdout)) == {
        "dodge",
        "gaze",
        "goalie",
        "land",
        "lane-keep",
        "pencil",
        "pole-balance",
        "reach-payload",
    }


def test_show_is_yaml_that_runs_again(reflexarc, tmp_path):
    shown = reflexarc("show", "gaze", "--set", "seconds=3", check=0).stdout
    assert yaml.safe_load(shown)["seconds"] == 3
    copy = tmp_path / "gaze"
    copy.mkdir()
    for path in (SHIPPED / "gaze").iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / "scenario.yaml").write_text(shown)
    again = reflexarc("show", copy, check=0).stdout
    assert yaml.safe_load(again) == yaml.safe_load(shown)


def test_doctor(reflexarc):
    done = reflexarc("doctor", check=0)
    assert "reflexarc.ext.exact" in done.stdout
    findings = json.loads(reflexarc("doctor", "--json", check=0).stdout)["findings"]
    assert all(finding["ok"] or finding["mend"] for finding in findings)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run"], "Missing argument 'NAME'"),
        (
            ["run", "nope"],
            "no scenario 'nope'; there are: dodge, gaze, goalie, ",
        ),
        (["run", "gaze", "--seconds", "abc"], "--seconds"),
        (["run", "gaze", "--seconds", "-1"], "--set seconds: input should be greater than 0"),
        (["run", "gaze", "--mode", "fast"], "--set mode: input should be 'lockstep' or 'wall'"),
        (["run", "gaze", "--learning", "maybe"], "--set learning: "),
        (["run", "gaze", "--set", "nonsense"], "--set nonsense: expected key.path=value"),
        (["run", "gaze", "--set", "gate.low=[0]"], "--set gate.low"),
        (["show", "gaze", "--set", "a.b=1"], "--set a.b: unknown key"),
        (["jump"], "No such command 'jump'"),
        (["replay", "none.mcap"], "none.mcap: no such file"),
        (["attach", "recording", "none.raw"], "none.raw: no such file"),
        (["attach", "recording", "none.raw", "--speed", "x"], "--speed x: expected a number"),
        (["attach", "recording", "none.raw", "--size", "3"], "--size 3: expected WIDTHxHEIGHT"),
        (["world", "gaze", "--endpoint", "tcp://10.0.0.1:5"], "other machines could reach it;"),
        (["world", "gaze", "--endpoint", "x"], "not an endpoint"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(reflexarc, tmp_path, args, message):
    before = set(tmp_path.rglob("*"))
    done = reflexarc(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("reflexarc: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    left = {path for path in set(tmp_path.rglob("*")) - before if "reflexarc" not in path.parts}
    assert left == set()


def test_a_file_where_the_folder_should_be(reflexarc, tmp_path):
    (tmp_path / "out").write_text("in the way")
    done = reflexarc("run", "pole-balance", "--seconds", "0.1", "--out", "out")
    assert done.returncode == 2
    assert "out: cannot make this folder" in done.stderr


def test_a_recording_that_cannot_be_written_leaves_nothing(reflexarc, tmp_path):
    (tmp_path / "taken").mkdir()
    done = reflexarc("run", "pole-balance", "--seconds", "0.1", "--record", "taken", "--out", "out")
    assert done.returncode == 2
    assert "taken: a folder; give the name of a file" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_damaged_recording(reflexarc, tmp_path, cut):
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" * cut)
    done = reflexarc("replay", "bad.mcap")
    assert done.returncode == 2
    assert done.stderr.startswith("reflexarc: bad.mcap: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_damaged_graph(reflexarc, tmp_path, damage):
    copy = tmp_path / "mine"
    copy.mkdir()
    for path in (SHIPPED / "gaze").iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    graph = copy / "network.nir"
    data = graph.read_bytes()
    graph.write_bytes({"truncated": data[: len(data) // 2], "text": b"hello", "empty": b""}[damage])
    done = reflexarc("show", copy)
    assert done.returncode == 2
    assert "network.nir: " in done.stderr
    assert done.stderr.count("\n") == 1
