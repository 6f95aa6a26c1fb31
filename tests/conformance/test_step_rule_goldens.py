"""Learning rules of clock steps against the numbers of Nengo 4.1.0 and NEST 3.10.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.plasticity import Rule

FILE = Path(__file__).with_name("rule_goldens.json")
GOLDENS = {entry["name"]: entry for entry in json.loads(FILE.read_text())["entries"]}
RULES = {"oja": reflexarc.Oja, "bcm": reflexarc.Bcm}


def spikes(trains: list[list[int]], dt_ns: int) -> Array:
    """Spikes of a port from the steps in which each line fires; Nengo's first step is 1."""
    pairs = sorted((step - 1, line) for line, train in enumerate(trains) for step in train)
    found = np.zeros(len(pairs), SPIKE)
    found["t_ns"] = [step * dt_ns for step, _ in pairs]
    found["i"] = [line for _, line in pairs]
    return found


def between(rule: Rule, weight: Array, dt_s: float, matrix: bool) -> reflexarc.Network:
    """Lines onto neurons that fire when lines of their own say so."""
    targets, sources = weight.shape
    net = reflexarc.Builder()
    pre, post = net.input("pre", sources), net.input("post", targets)
    cells = net.population("cells", targets, reflexarc.DeltaLIF(tau_s=1e-3, v_threshold=1e6))
    if matrix:
        net.linear(pre, cells, weight, name="learns", plasticity=rule)
    else:
        net.project(pre, cells, reflexarc.AllToAll(), weight=0.0, name="learns", plasticity=rule)
    net.project(post, cells, reflexarc.OneToOne(), weight=1e8)
    net.output("spikes", cells)
    return net.build(mode="clocked", dt_s=dt_s)


def learnt(golden: dict[str, Any], rule: Rule, matrix: bool) -> Array:
    """The weights in force in each of the steps that are read, of a rule between neurons."""
    weight = np.array(golden["weight"])
    program = ClockedBackend().compile(between(rule, weight, golden["dt_s"], matrix))
    if not matrix:  # a projection begins with weights of float32
        state = program.state()
        state["learns/weight"] = np.ascontiguousarray(weight.T).reshape(-1)
        program.restore(state)
    ports = {side: spikes(golden[f"{side}_steps"], program.dt_ns) for side in ("pre", "post")}
    read = []
    for step in golden["read_steps"]:
        until_ns = (step - 1) * program.dt_ns
        due = {
            side: port[(port["t_ns"] >= program.now_ns) & (port["t_ns"] < until_ns)]
            for side, port in ports.items()
        }
        program.step(until_ns, due)
        w = program.weights("learns")
        read.append(w if matrix else w.reshape(weight.shape[::-1]).T)
    return np.array(read)


@pytest.mark.parametrize("matrix", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_rules_between_neurons(name: str, matrix: bool) -> None:
    golden = GOLDENS[f"{name}-nengo"]
    found = learnt(golden, RULES[name](**golden["parameters"]), matrix)
    assert found == pytest.approx(np.array(golden["weights"]), rel=1e-9, abs=0)


def test_encoders() -> None:
    golden = GOLDENS["voja-nengo"]
    rule, weight = reflexarc.Voja(**golden["parameters"]), np.array(golden["weight"])
    program = ClockedBackend().compile(between(rule, weight, golden["dt_s"], matrix=True))
    post, shown = spikes(golden["post_steps"], program.dt_ns), np.array(golden["decoded"])
    found = [program.weights("learns")]
    for step in range(golden["steps"]):
        now_ns, until_ns = program.now_ns, program.now_ns + program.dt_ns
        due = post[(post["t_ns"] >= now_ns) & (post["t_ns"] < until_ns)]
        program.step(until_ns, {"pre": shown[step], "post": due})
        found.append(program.weights("learns"))
    read = np.array(found)[np.array(golden["read_steps"]) - 1]
    assert read == pytest.approx(np.array(golden["weights"]), rel=1e-9, abs=0)


def test_e_prop_of_a_leaky_neuron() -> None:
    """NEST's eprop_iaf, whose voltage is imposed: it subtracts at a reset where ours sets.

    Of its other entries, the rates are regularised by a filtered eligibility where ours is not, and
    what a spike adds to the threshold begins to decay a step later.
    """
    golden = GOLDENS["eprop-lif"]
    program = ClockedBackend().compile(driven_by_nest(golden))
    pre = np.zeros((golden["steps"], 3))
    for line, train in enumerate(golden["pre_steps"]):
        pre[[step for step in train if step < golden["steps"]], line] = 1.0
    wanted = np.array(golden["v"])
    wanted[golden["post_steps"]] += golden["neuron"]["v_threshold"]
    keep, v, held = np.exp(-golden["dt_s"] / golden["parameters"]["tau_s"]), 0.0, 0
    weights, fired = [program.weights("learns")[0]], []
    for step in range(golden["steps"]):
        push = wanted[step] - keep * v - weights[-1] @ pre[step]
        inputs = {"pre": pre[step], "push": [push], "error": golden["learning_signal"][step:][:1]}
        out = program.step(
            program.now_ns + program.dt_ns, {name: np.array(x) for name, x in inputs.items()}
        )
        weights.append(program.weights("learns")[0])
        fires = len(out["spikes"]) > 0
        v, held = (0.0 if fires or held else wanted[step]), 2 if fires else max(held - 1, 0)
        fired += [step] if fires else []
    assert fired == golden["post_steps"]
    found = np.array(weights)
    for line, (train, carried) in enumerate(
        zip(golden["pre_steps"], golden["weights"], strict=True)
    ):
        read = found[np.array(train) - 1, line]
        assert read == pytest.approx(np.array(carried), rel=1e-9, abs=0)
    assert np.ptp(golden["weights"][0]) > 0.1


def driven_by_nest(golden: dict[str, Any]) -> reflexarc.Network:
    """A neuron of gain 1, whose readout passes the learning signal on as it is."""
    given, dt_s, width = golden["parameters"], golden["dt_s"], golden["surrogate"]["width"]
    rule = reflexarc.EProp(
        modulator="error",
        feedback="symmetric",
        readout="readout",
        learning_rate=given["learning_rate"] / (dt_s * (1.0 - given["kappa"])),
        tau_readout_s=-dt_s / np.log(given["kappa"]),
        dampening=golden["surrogate"]["height"] * width,
        surrogate_width=width,
        w_min=given["w_min"],
        w_max=given["w_max"],
    )
    net = reflexarc.Builder()
    pre, push = net.input("pre", 3), net.input("push", 1)
    net.input("error", 1)
    cell = net.population(
        "cell",
        1,
        reflexarc.LIF(
            tau_s=given["tau_s"],
            r=1.0 / -np.expm1(-dt_s / given["tau_s"]),
            v_threshold=golden["neuron"]["v_threshold"],
            refractory_s=(golden["neuron"]["refractory_steps"] - 1) * dt_s,
        ),
    )
    net.linear(pre, cell, [golden["weight"]], name="learns", plasticity=rule)
    net.linear(push, cell, [[1.0]])
    net.linear(cell, net.output("shown", 1), [[1.0]], name="readout")
    net.output("spikes", cell)
    return net.build(mode="clocked", dt_s=dt_s)
