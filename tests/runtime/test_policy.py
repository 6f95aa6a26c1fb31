"""A policy goes on from a checkpoint: network, encoders and decoders, bit for bit."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

from reflexarc.runtime import nirfile
from reflexarc.runtime.checkpoint import Shelf, beginning, describe
from reflexarc.runtime.daemon import Left, Plan, resume
from reflexarc.runtime.network import Delay, Input, Linear, Network, Neurons, Output
from reflexarc.runtime.scenario import Scenario

TICKS = 60
#: Feeds the policy of a scenario, and says its commands and the spikes that enter its network.
HELPER = """
import hashlib, sys
import numpy as np
from dataclasses import replace
from pathlib import Path
from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.checkpoint import Shelf, beginning, describe
from reflexarc.runtime.daemon import Plan, resume

def batches(tick, now_ns, period_ns):
    chance = np.random.default_rng(tick)
    events = np.zeros(chance.integers(0, 30), EVENT)
    events["t"] = np.sort(chance.integers(now_ns - period_ns, now_ns, len(events))) // 1000
    events["x"], events["y"] = chance.integers(0, (8, 4), (len(events), 2)).T
    events["on"] = chance.random(len(events)) < 0.5
    state = chance.normal(size=1) if tick % 3 == 0 else np.zeros(0)
    return [Batch("camera", Schema.EVENTS, events), Batch("state", Schema.READINGS, state)]

def run(policy, first, ticks, begin_ns, period_ns):
    digest, fired = hashlib.sha256(), 0
    policy.program.learning = True
    for tick in range(first, first + ticks):
        now_ns = begin_ns + (tick - first) * period_ns
        until_ns = now_ns + period_ns
        inputs = policy.encode(batches(tick, now_ns, period_ns), now_ns, until_ns)
        outputs = policy.think(inputs, until_ns)
        fired += len(outputs["motor"])
        for values in inputs.values():
            values = values.copy()
            if values.dtype.names:
                values["t_ns"] -= now_ns
            digest.update(values.tobytes())
        digest.update(policy.decode(outputs, now_ns, until_ns).tobytes())
    assert fired > ticks, fired
    return digest.hexdigest()
"""
FIRST = """
plan, shelf, ticks = Plan.load(sys.argv[1], []), Shelf(Path(sys.argv[2])), int(sys.argv[3])
period_ns = plan.scenario.spec.period_ns
run(plan.policy, 0, ticks, period_ns, period_ns)
state = plan.policy.state()
header = describe(state, plan.network, plan.policy.reached_ns, "")
shelf.write(plan.network, [beginning(header), *(part.tobytes() for part in state.values())])
print(run(plan.policy, ticks, ticks, period_ns * (ticks + 1), period_ns))
"""
SECOND = """
plan, shelf, ticks = Plan.load(sys.argv[1], []), Shelf(Path(sys.argv[2])), int(sys.argv[3])
period_ns = plan.scenario.spec.period_ns
said = resume(plan, shelf)
assert len(said) == 1 and "goes on from the checkpoint" in said[0][1], said
assert "anew" not in said[0][1], said
print(run(plan.policy, ticks, ticks, 0, period_ns))
"""
FILTER = {"background_us": 3000, "hot_rate_hz": 400.0, "hot_us": 5000}


@pytest.fixture
def filtered(slide_folder):
    """The small scenario with encoders and decoders that remember."""
    file = slide_folder / "scenario.yaml"
    content = yaml.safe_load(file.read_text())
    content["encoders"][0]["filter"] = FILTER
    content["encoders"][1] |= {"kind": "delta", "quantum": [0.3]}
    for key in ("scale", "max_rate_hz"):
        del content["encoders"][1][key]
    file.write_text(yaml.safe_dump(content))
    return slide_folder


def fresh(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-P", "-c", HELPER + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["clocked", "exact"])
def test_a_fresh_process_goes_on_from_a_checkpoint_bit_for_bit(filtered, tmp_path, mode):
    if mode == "exact":
        make_exact(filtered)
    shelf = tmp_path / "shelf"
    went_on = fresh(FIRST, filtered, shelf, TICKS)
    assert len(went_on) == 65
    assert fresh(SECOND, filtered, shelf, TICKS) == went_on


def make_exact(folder):
    """Let the scenario run a network in exact mode."""
    size = np.full(6, 1.0)
    lif = {
        "tau": 0.02 * size,
        "r": size,
        "v_leak": 0 * size,
        "v_threshold": size,
        "v_reset": 0 * size,
    }
    nodes = [
        Input(name="pixels", shape=(4,)),
        Input(name="error", shape=(2,)),
        Linear(name="seen", shape=(6,), weight=np.full((6, 4), 0.4)),
        Linear(name="felt", shape=(6,), weight=np.full((6, 2), 0.7)),
        Delay(name="later", shape=(6,), delay_s=np.linspace(0.0035, 0.0135, 6)),
        Neurons(name="muscles", shape=(6,), kind="LIF", parameters=lif),
        Output(name="motor", shape=(6,)),
    ]
    edges = (("pixels", "seen"), ("error", "felt"), ("felt", "later"), ("seen", "muscles"),
             ("later", "muscles"), ("muscles", "motor"))  # fmt: skip
    network = Network(nodes={node.name: node for node in nodes}, edges=edges)
    nirfile.write(network, folder / "nets" / "slide.nir")
    text = "graph: slide.nir\nmode: exact\nspike_area: 0.02\n"
    (folder / "nets" / "slide.yaml").write_text(text)


def test_what_does_not_fit_begins_anew_and_is_told(slide_folder, tmp_path):
    plan, shelf = Plan.load(str(slide_folder), []), Shelf(tmp_path / "shelf")
    keep(plan, shelf)
    file = slide_folder / "scenario.yaml"
    content = yaml.safe_load(file.read_text())
    content["encoders"][1]["kind"] = "delta"
    content["encoders"][1]["quantum"] = [0.1]
    for key in ("scale", "max_rate_hz"):
        del content["encoders"][1][key]
    file.write_text(yaml.safe_dump(content))
    (_, line), *rest = resume(Plan.load(str(slide_folder), []), shelf)
    assert not rest
    assert line.endswith("begin anew: encoder/1/error")


def test_what_was_left_goes_before_the_disk(slide_folder, tmp_path):
    shelf, old, new = Shelf(tmp_path / "shelf"), *(
        Plan.load(str(slide_folder), []) for _ in range(2)
    )  # fmt: skip
    keep(old, shelf)
    state = new.policy.state()
    for part in state.values():
        if part.dtype == np.float64:
            part += 0.25
    left = [Left("f" * 12, {}, 0), Left(old.network, state, 7_000_000)]
    plan = Plan.load(str(slide_folder), [])
    (_, line), *_ = resume(plan, shelf, left)
    assert line == "goes on from where it was left"
    assert plan.policy.reached_ns == 7_000_000
    again = plan.policy.state()
    assert all(again[k].tobytes() == state[k].tobytes() for k in state if k != "loop_ns")


@pytest.mark.parametrize("moment", [np.zeros(0, np.int64), np.zeros(1), np.array(3)])
def test_a_damaged_moment_is_refused(slide_folder, moment):
    policy = Scenario.load(str(slide_folder)).make_policy()
    with pytest.raises(ValueError, match="damaged"):
        policy.restore(policy.state() | {"loop_ns": moment}, 0, 0)


def keep(plan, shelf):
    """Put what the plan's policy is on the shelf."""
    state = plan.policy.state()
    header = describe(state, plan.network, plan.policy.reached_ns, "")
    shelf.write(plan.network, [beginning(header), *(part.tobytes() for part in state.values())])
