"""Rules that look at more than spikes, against rule_goldens.json: a reward, or a voltage."""

from __future__ import annotations

import base64
import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.plasticity import Rule

HERE = Path(__file__).parent
oracle = SimpleNamespace(**runpy.run_path(str(HERE / "rule_oracle.py")))
ENTRIES = json.loads((HERE / "rule_goldens.json").read_text())["entries"]
DT_S, DT_NS = 1e-4, 100_000
both = pytest.mark.parametrize("matrix", [False, True], ids=["projection", "matrix"])


def of_rule(rule: str) -> pytest.MarkDecorator:
    """A parametrisation over the entries of a rule."""
    chosen = [entry for entry in ENTRIES if entry["rule"] == rule]
    assert chosen
    return pytest.mark.parametrize("entry", chosen, ids=lambda entry: entry["name"])


def compiled(
    rule: Rule,
    weight: float,
    matrix: bool,
    *,
    tau_s: float = 1e-3,
    dopamine_s: float | None = None,
    dt_s: float = DT_S,
) -> ClockedProgram:
    """A line onto a neuron by a synapse that learns; `post` makes it fire, `current` flows in."""
    net = reflexarc.Builder()
    pre, post, current = (net.input(name, 1) for name in ("pre", "post", "current"))
    if dopamine_s is not None:
        net.modulator("dopamine", tau_s=dopamine_s)
    cell = net.population("cell", 1, reflexarc.DeltaLIF(tau_s=tau_s, v_threshold=1e6))
    if matrix:
        net.linear(pre, cell, [[weight]], name="learns", plasticity=rule)
    else:
        net.project(pre, cell, reflexarc.AllToAll(), weight=weight, name="learns", plasticity=rule)
    net.project(post, cell, reflexarc.AllToAll(), weight=1e8)
    net.linear(current, cell, [[1.0]])
    net.output("spikes", cell)
    program = ClockedBackend().compile(net.build(mode="clocked", dt_s=dt_s))
    state = program.state()  # a projection is built from float32, too coarse for what follows
    state["learns/weight"][:] = weight
    program.restore(state)
    return program


def spikes(steps: Any) -> Array:
    """At the starts of steps."""
    found = np.zeros(len(steps), SPIKE)
    found["t_ns"] = np.asarray(steps, np.int64) * DT_NS
    return found


def steps_of(t_s: list[float]) -> list[int]:
    return np.rint(np.array(t_s) / DT_S).astype(int).tolist()


def weight_of(program: ClockedProgram) -> float:
    return float(program.weights("learns").reshape(-1)[0])


def run_to(program: ClockedProgram, step: int, **trains: list[int]) -> None:
    first = program.now_ns // DT_NS
    within = {name: spikes([s for s in at if first <= s < step]) for name, at in trains.items()}
    program.step(step * DT_NS, within)


@both
@of_rule("reward_stdp")
def test_reward(entry: dict[str, Any], matrix: bool) -> None:
    """NEST's delay is all dendritic, 1 ms: a spike of the target counts as much later."""
    said = dict(entry["parameters"])
    dopamine_s = said.pop("tau_modulator_s")
    rule = reflexarc.RewardStdp(modulator="dopamine", dendritic_delay_s=5e-4, **said)
    program = compiled(rule, entry["weight"], matrix, dopamine_s=dopamine_s)
    names = {"pre": "pre_s", "post": "post_s", "dopamine": "modulator_s"}
    trains = {name: steps_of(entry[key]) for name, key in names.items()}
    found = []
    for step in steps_of(entry["read_s"]):
        run_to(program, step, **trains)
        found.append(weight_of(program))
    assert found == pytest.approx(entry["weights"], rel=1e-12, abs=1e-12)


def test_the_reward_that_the_issue_prints() -> None:
    entry = next(entry for entry in ENTRIES if entry["name"] == "reward-issue")
    assert entry["weights"] == pytest.approx([9.424936716529], rel=1e-12)


@both
@pytest.mark.parametrize("sign", [1, -1])
@of_rule("vogels")
def test_vogels(entry: dict[str, Any], sign: int, matrix: bool) -> None:
    word = "positive" if sign > 0 else "negative"
    rule = reflexarc.Vogels(sign=word, dendritic_delay_s=5e-4, **entry["parameters"])
    program = compiled(rule, sign * entry["weight"], matrix)
    trains = {name: steps_of(entry[f"{name}_s"]) for name in ("pre", "post")}
    found = []
    for step in trains["pre"]:
        run_to(program, step + 1, **trains)
        found.append(sign * weight_of(program))
    assert found == pytest.approx(entry["weights"], rel=1e-12, abs=1e-12)


def follow(program: ClockedProgram, v: FloatArray, pre: list[int], matrix: bool) -> FloatArray:
    """Give the neuron, which forgets within a step, the voltage v at the end of each step.

    Returns the weight after each arrival. What the synapse adds to the voltage is taken off.
    """
    found, once = [], set(pre)
    for step, wanted in enumerate(v):
        arrives = step in once
        added = weight_of(program) if arrives else 0.0
        current = np.array([wanted - (added if matrix else np.float32(added))])
        program.step((step + 1) * DT_NS, {"pre": spikes([step] if arrives else []),
                                          "current": current})  # fmt: skip
        if arrives:
            found.append(weight_of(program))
    return np.array(found)


@both
def test_clopath(matrix: bool) -> None:
    """The voltage that NEST recorded, through our filters: the reference to rounding, and NEST's
    weights to what it costs to hold a voltage that NEST integrates within the step.
    """
    entry = next(entry for entry in ENTRIES if "trace" in entry)
    v = np.frombuffer(base64.b64decode(entry["trace"]), "<f8")
    said, filters = entry["parameters"], entry["filters"]
    rule = reflexarc.Clopath(
        **said,
        tau_plus_s=filters["tau_plus_s"],
        tau_minus_s=filters["tau_minus_s"],
        u_delay_s=filters["delay_s"],
        v_rest=filters["rest"],
        spike_s=0.0,
    )
    met_s = np.array(entry["pre_s"]) + entry["delay_s"] - 2 * entry["dendritic_delay_s"]
    met = (np.rint(met_s / DT_S).astype(int) - 1).tolist()
    program = compiled(rule, entry["weight"], matrix, tau_s=1e-7)
    found = follow(program, np.append(v, v[-1]), [step + 1 for step in met], matrix)
    passed = oracle.voltage_filters(v, DT_S, **filters)
    assert found == pytest.approx(oracle.clopath(met, v, *passed, entry["weight"], DT_S, **said),
                                  rel=1e-9)  # fmt: skip
    changes = np.array(entry["weights"]) - entry["weight"]
    assert found - entry["weight"] == pytest.approx(changes, rel=0.01)


@both
@of_rule("sdsp")
def test_sdsp(entry: dict[str, Any], matrix: bool) -> None:
    """In steps of 0.05 ms, so that no spike of the target is in the step before an arrival."""
    said = dict(entry["parameters"])
    said["drift_up_per_s"], said["drift_down_per_s"] = said.pop("drift_up"), said.pop("drift_down")
    for side in ("up", "down"):
        said[f"theta_{side}_low"], said[f"theta_{side}_high"] = said.pop(f"theta_{side}")
    assert reflexarc.Sdsp(**said) == reflexarc.Sdsp()  # the defaults are the paper's
    program = compiled(reflexarc.Sdsp(), 0.0, matrix, tau_s=1e-7, dt_s=DT_S / 2)
    state = program.state()
    state["learns/of_synapse"][0] = entry["x"]
    program.restore(state)
    post, half_ns, found = spikes(steps_of(entry["post_s"])), DT_NS // 2, []

    def until(t_ns: int, **inputs: Array) -> None:
        within = (post["t_ns"] >= program.now_ns) & (post["t_ns"] < t_ns)
        program.step(t_ns, {"post": post[within], **inputs})

    for arrival, v in zip(spikes(steps_of(entry["pre_s"])), entry["v"], strict=True):
        at = int(arrival["t_ns"])
        until(at - half_ns)
        until(at, current=np.array([v]))
        until(at + half_ns, pre=np.array([arrival]))
        found.append(program.state()["learns/of_synapse"][0])
        assert weight_of(program) == float(found[-1] > 0.5)
    assert found == pytest.approx(entry["weights"], rel=1e-11, abs=1e-11)
