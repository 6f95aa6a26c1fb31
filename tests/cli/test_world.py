"""`reflexarc world`: a world in one terminal, its loops in another."""

import json
import signal

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

RUN = ("run", "pole-balance", "--headless", "--json", "--set", "world.process=served")


def socket(folder):
    return folder / "reflexarc" / "pole-balance" / "world"


def serve(start, *options):
    world = start("world", "pole-balance", *options)
    world.says("pole-balance: waiting for a loop at ipc://")
    return world


def test_one_world_serves_one_loop_after_another(reflexarc, start, tmp_path):
    world = serve(start)
    for out in ("first", "second"):
        done = reflexarc(*RUN, "--seconds", "0.2", "--out", out, check=0)
        assert json.loads(done.stdout)["ticks"] == 100
    alone = reflexarc("run", "pole-balance", "--seconds", "0.2", "--out", "alone", check=0)
    assert alone.stderr == ""
    sums = {
        json.loads(reflexarc("replay", f"{out}/network.mcap", "--json").stdout)["commands_sha256"]
        for out in ("first", "second", "alone")
    }
    assert len(sums) == 1
    world.send(signal.SIGTERM)
    assert world.ends()[0] == 0
    assert list(socket(tmp_path).parent.iterdir()) == []


def test_a_loop_that_differs_is_refused_and_the_world_waits_on(reflexarc, start):
    world = serve(start, "--seed", "3")
    for option, reason in (
        ("--seed=4", "give both the same --seed and --set"),
        ("--mode=wall", "the loop's mode is wall, the world's lockstep"),
    ):
        done = reflexarc(*RUN, "--seed", "3", option, "--out", "out")
        assert done.returncode == 2
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
        assert reason in world.says("a loop was refused: ")
        world.says("waiting for a loop")
    reflexarc(*RUN, "--seed", "3", "--seconds", "0.1", "--out", "out", check=0)


@pytest.mark.parametrize("mode", ["lockstep", "wall"])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "the process at the other end has gone away"),
        (signal.SIGTERM, "the world has ended: it was stopped"),
    ],
)
def test_a_loop_ends_with_its_world(start, tmp_path, processes, mode, number, reason):
    world = serve(start, "--mode", mode)
    loop = start(*RUN, "--mode", mode, "--seconds", "1000", "--out", "out")
    loop.says("network: 1000 s", error=True)
    world.send(number)
    code, output, error = loop.ends()
    assert (code, output) == (1, "")
    assert error.startswith("reflexarc: ipc://")
    assert error.endswith(f"{reason}\n")
    assert error.count("\n") == 1
    assert world.ends()[0] == (0 if number == signal.SIGTERM else -number)
    assert processes() == {}
    assert not list(tmp_path.rglob("*.part"))


def test_a_world_that_stands_still_is_noticed_and_another_may_follow(start, tmp_path):
    world = serve(start, "--mode", "wall")
    loop = start(*RUN, "--mode", "wall", "--seconds", "1000", "--out", "out")
    loop.says("network: 1000 s", error=True)
    world.send(signal.SIGSTOP)
    code, _, error = loop.ends()
    assert code == 1
    assert "the world has been silent for" in error
    world.send(signal.SIGKILL)
    world.ends()
    assert socket(tmp_path).exists()
    serve(start)


def test_a_name_has_one_world(reflexarc, start):
    world = serve(start)
    done = reflexarc("world", "pole-balance")
    assert done.returncode == 2
    assert f"in use by process {world.process.pid}; stop it" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_world_that_waits_ends_when_told(start, number):
    world = serve(start)
    world.send(number)
    assert world.ends() == (0, "", "")


def test_nobody_serves(reflexarc, tmp_path):
    done = reflexarc(*RUN, "--out", "out")
    assert done.returncode == 1
    assert "reflexarc world pole-balance" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_world_of_its_own_in_real_time(reflexarc, tmp_path, processes):
    done = reflexarc(
        "run", "pole-balance", "--set", "world.process=own", "--mode", "wall",
        "--seconds", "0.5", "--json", "--out", "out", check=0,
    )  # fmt: skip
    for run in json.loads(done.stdout)["runs"]:
        assert run["seconds"] == pytest.approx(0.002 * (run["ticks"] + run["overruns"]))
    assert processes() == {}
    assert list(socket(tmp_path).parent.iterdir()) == []
    assert list((tmp_path / "reflexarc").iterdir()) == [socket(tmp_path).parent]
