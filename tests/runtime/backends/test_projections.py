"""Projections in the clocked backend: what is refused, and what storage may not change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.runtime import neurons
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.dialect import DIALECTS
from reflexarc.runtime.errors import ConfigError, GraphError, UnsupportedError
from reflexarc.runtime.network import (
    RECEPTORS,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    NeuronKind,
    Neurons,
    Node,
    Output,
    Projection,
)
from reflexarc.runtime.neurons import ALIF, IF, LI, LIF, CubaLIF, DeltaLIF, NeuronModel, Poisson

DT_S, DT_NS = 1e-3, 1_000_000


def layer(name: str, size: int, model: NeuronModel) -> Neurons:
    parameters = {
        key: np.full(size, np.asarray(value, float)) for key, value in model.parameters().items()
    }
    return Neurons(name=name, shape=(size,), kind=model.kind, parameters=parameters)


def projection(rows: list[list[int]], size: int, **changes: Any) -> Projection:
    """Source j reaches the elements `rows[j]` of `size`."""
    synapses = sum(map(len, rows))
    plain: dict[str, Any] = {
        "name": "wire",
        "shape": (size,),
        "sources": len(rows),
        "rows": np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        "targets": np.array([i for row in rows for i in row], np.int32),
        "weight": np.full(synapses, 0.5, np.float32),
    }
    return Projection(**{**plain, **changes})


def joined(
    wire: Projection, *nodes: Node, edges: Iterable[tuple[str, str]] | None = None
) -> Network:
    """Lines -> wire -> a layer that never fires -> a port; with `edges`, whatever they join."""
    never = DeltaLIF(v_threshold=1e9)
    plain: list[Node] = [
        Input(name="lines", shape=(wire.sources,)),
        layer("cells", wire.size, never),
        Output(name="out", shape=(wire.size,)),
    ]
    path = (("lines", "wire"), ("wire", "cells"), ("cells", "out"))
    by_name = {node.name: node for node in (*plain, *nodes, wire)}
    return Network(
        nodes=by_name, edges=path if edges is None else tuple(edges), mode="clocked", dt_s=DT_S
    )


def compiled(network: Network, threads: int = 1) -> ClockedProgram:
    return ClockedBackend(threads).compile(network)


def voltages(network: Network, lines: Array, threads: int = 1) -> Array:
    """Of `cells`, after each step of a raster."""
    at_s = DT_S * np.arange(1, len(lines) + 1)
    program = compiled(network, threads)
    return program.run({"lines": lines}, steps=len(lines), probes={"cells": at_s}).probes["cells"]


def line(error: type[Exception], network: Network) -> str:
    """What compiling is refused with, which must be one line that names the file."""
    with pytest.raises(error) as caught:
        compiled(network)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("<memory>: ")
    return text


# What is refused.

TWO = [[0, 1], [1]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": np.array([0, 2])}, "rows must be int64 of shape (3,)"),
        ({"rows": np.array([0, 2, 3], np.int32)}, "rows must be int64"),
        ({"rows": np.array([1, 2, 3])}, "from 0 on"),
        ({"rows": np.array([[0, 2, 3]])}, "rows must be int64 of shape (3,)"),
        ({"rows": np.array([0, 3, 2])}, "rows must ascend"),
        ({"rows": np.array([0, 2, 4])}, "rows must ascend to the number of targets, 3"),
        ({"targets": np.array([0, 1, 1])}, "targets must be uint16 or int32"),
        ({"targets": np.array([0.0, 1.0, 1.0])}, "targets must be uint16 or int32"),
        ({"targets": np.array([[0], [1], [1]], np.int32)}, "targets must be uint16 or int32"),
        ({"targets": np.int32(0)}, "targets must be uint16 or int32"),
        ({"targets": np.array([0, 2, 1], np.int32)}, "targets must lie within 0 to 1"),
        ({"targets": np.array([-1, 1, 1], np.int32)}, "targets must lie within 0 to 1"),
        ({"targets": np.array([0, 65535, 1], np.uint16)}, "targets must lie within 0 to 1"),
        ({"targets": np.array([1, 0, 1], np.int32)}, "targets must ascend within each row"),
        ({"targets": np.array([1, 0, 1], np.uint16)}, "targets must ascend within each row"),
        ({"weight": np.ones(3)}, "weight must be float32"),
        ({"weight": np.ones(2, np.float32)}, "one for each synapse or one for all"),
        ({"weight": np.ones((3, 1), np.float32)}, "one for each synapse or one for all"),
        ({"weight": np.float32(1)}, "one for each synapse or one for all"),
        ({"weight": np.array([1, np.nan, 1], np.float32)}, "every weight must be finite"),
        ({"weight": np.array([1, np.inf, 1], np.float32)}, "every weight must be finite"),
        ({"weight": np.array([-np.inf], np.float32)}, "every weight must be finite"),
        ({"delay_s": -1e-3}, "delay_s must be 0 or more, not -0.001"),
        ({"delay_s": np.nan}, "delay_s must be 0 or more"),
        ({"delay_s": np.inf}, "delay_s must be 0 or more"),
        ({"receptor": "nose"}, "DeltaLIF has no receptor 'nose'; there are: jump, input"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], reason: str) -> None:
    text = line(GraphError, joined(replace(projection(TWO, 2), **changes)))
    assert "'wire'" in text
    assert reason in text


MORE = [Input(name="more", shape=(2,)), layer("other", 2, DeltaLIF())]


@pytest.mark.parametrize(
    "edges",
    [
        [("lines", "wire"), ("cells", "out")],
        [("wire", "cells"), ("cells", "out")],
        [("lines", "wire"), ("more", "wire"), ("wire", "cells"), ("cells", "out")],
        [("lines", "wire"), ("wire", "cells"), ("wire", "other"), ("cells", "out")],
        [("lines", "wire"), ("lines", "wire"), ("wire", "cells"), ("cells", "out")],
    ],
)
def test_a_projection_has_one_edge_in_and_one_out(edges: list[tuple[str, str]]) -> None:
    text = line(GraphError, joined(projection(TWO, 2), *MORE, edges=edges))
    assert "'wire': it needs one edge in and one out" in text


def test_it_must_lead_to_neurons() -> None:
    network = joined(projection(TWO, 2), edges=[("lines", "wire"), ("wire", "out")])
    assert "'wire': it leads to 'out', which is no layer" in line(GraphError, network)


@pytest.mark.parametrize(
    "source",
    [layer("source", 2, LI()), Linear(name="source", shape=(2,), weight=np.eye(2))],
)
def test_it_must_start_at_spikes(source: Node) -> None:
    path = [("lines", "source"), ("source", "wire"), ("wire", "cells"), ("cells", "out")]
    text = line(UnsupportedError, joined(projection(TWO, 2), source, edges=path))
    assert "'wire': it needs spikes, and 'source' gives none" in text


def test_it_does_not_start_at_a_projection() -> None:
    second = replace(projection(TWO, 2), name="second")
    path = [("lines", "second"), ("second", "wire"), ("wire", "cells"), ("cells", "out")]
    text = line(GraphError, joined(projection(TWO, 2), second, edges=path))
    assert "'second': it leads to 'wire', which is no layer" in text


@pytest.mark.parametrize("wire", [projection([[0], [0], [1]], 2), projection(TWO, 3)])
def test_sizes_must_fit(wire: Projection) -> None:
    ends = Input(name="lines", shape=(2,)), layer("cells", 2, DeltaLIF())
    network = joined(wire, *ends)
    text = line(GraphError, replace(network, nodes={**network.nodes, **{n.name: n for n in ends}}))
    assert f"'wire': it joins {wire.sources} to {wire.size} elements" in text
    assert "'lines' has 2 and 'cells' 2" in text


@pytest.mark.parametrize("through", ["wire", "lines"])
def test_generators_take_no_input(through: str) -> None:
    noise = layer("noise", 2, Poisson())
    path = [("lines", "wire"), ("wire", "cells"), ("cells", "out")]
    more = [("lines", "second"), ("second", "noise")] if through == "wire" else [(through, "noise")]
    nodes = [replace(projection(TWO, 2), name="second")] if through == "wire" else []
    network = joined(projection(TWO, 2), noise, *nodes, edges=path + more)
    assert "noise: a Poisson generator takes no input; remove the edge" in line(
        UnsupportedError, network
    )


@pytest.mark.parametrize("kind", sorted(RECEPTORS))
def test_a_wrong_receptor_is_answered_with_the_right_ones(kind: NeuronKind) -> None:
    cells = layer("cells", 2, getattr(neurons, kind)())
    text = line(GraphError, joined(projection(TWO, 2, receptor="nose"), cells))
    assert (
        f"{kind} has no receptor 'nose'; there are: {', '.join(RECEPTORS[kind]) or 'none'}" in text
    )


def test_a_delay_between_steps_is_rounded_with_a_warning() -> None:
    spike = np.zeros((6, 2))
    spike[0] = 1
    network = joined(projection(TWO, 2, delay_s=2.6e-3))
    with pytest.warns(UserWarning, match="projection 'wire': delays are rounded to whole steps"):
        late = voltages(network, spike)
    assert np.array_equal(late, voltages(joined(projection(TWO, 2, delay_s=3e-3)), spike))
    assert not late[:3].any()
    assert late[3].all()


# What storage may not change.


def random_rows(rng: np.random.Generator, sources: int, size: int) -> list[list[int]]:
    """Rows of any length, some empty, with targets that come twice."""
    lengths = rng.integers(0, 9, sources) * rng.integers(0, 2, sources)
    return [np.sort(rng.integers(0, size, n)).tolist() for n in lengths]


def expected(wire: Projection, lines: Array) -> Array:
    """Sums of weight times value in the order of delivery, float32; the membrane leaks after."""
    v, shown = np.zeros(wire.size), np.zeros((len(lines), wire.size))
    weight = np.broadcast_to(wire.weight, wire.targets.shape)
    for step, values in enumerate(lines.astype(np.float32)):
        arrived = np.zeros(wire.size, np.float32)
        for j in np.flatnonzero(values):
            for k in range(wire.rows[j], wire.rows[j + 1]):
                arrived[wire.targets[k]] += weight[k] * values[j]
        v = np.exp(-DT_S / 20e-3) * v + arrived
        shown[step] = v
    return shown


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    sources=st.integers(1, 12),
    size=st.sampled_from([1, 5, 64, 130]),
    held=st.booleans(),
)
def test_delivery_is_the_sum_over_the_synapses(
    seed: int, sources: int, size: int, held: bool
) -> None:
    """Spikes with multiplicity, or values of any size and sign, through either kind of index."""
    rng = np.random.default_rng(seed)
    wire = projection(random_rows(rng, sources, size), size)
    wire = replace(wire, weight=rng.normal(size=len(wire.targets)).astype(np.float32))
    lines = (
        rng.normal(size=(12, sources)) if held else rng.poisson(0.7, (12, sources)).astype(float)
    )
    lines *= rng.random(lines.shape) < 0.6
    shown = expected(wire, lines)
    narrow = replace(wire, targets=wire.targets.astype(np.uint16))
    broad, thin = voltages(joined(wire), lines), voltages(joined(narrow), lines)
    assert broad == pytest.approx(shown, rel=1e-12, abs=1e-12)
    assert broad.tobytes() == thin.tobytes()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), index=st.sampled_from([np.uint16, np.int32]))
def test_one_weight_for_all_equals_an_array_of_it(seed: int, index: type) -> None:
    rng = np.random.default_rng(seed)
    wire = projection(random_rows(rng, 9, 70), 70)
    one = rng.normal(size=1).astype(np.float32)
    lines = rng.poisson(0.5, (12, 9)).astype(float)
    alike = replace(wire, targets=wire.targets.astype(index), weight=one)
    each = replace(alike, weight=np.full(len(wire.targets), one[0]))
    shown = voltages(joined(alike), lines)
    assert shown.tobytes() == voltages(joined(each), lines).tobytes()
    weights = [compiled(joined(wire)).weights("wire") for wire in (alike, each)]
    assert np.array_equal(*weights)


def test_indices_above_32767_fit_into_uint16() -> None:
    size = 2**16
    wire = projection([[0, 40_000, size - 1]], size)
    narrow = replace(wire, targets=wire.targets.astype(np.uint16))
    for each in (wire, narrow):
        for threads in (1, 2):
            v = voltages(joined(each), np.ones((1, 1)), threads)[0]
            assert np.flatnonzero(v).tolist() == [0, 40_000, size - 1]


def test_arrays_may_lie_apart_in_memory() -> None:
    wire = projection([[0, 1], [1]], 2)
    apart = {name: np.repeat(getattr(wire, name), 2)[::2] for name in ("rows", "targets", "weight")}
    lines = np.ones((3, 2))
    assert np.array_equal(
        voltages(joined(replace(wire, **apart)), lines), voltages(joined(wire), lines)
    )


@pytest.mark.parametrize("weight", [np.zeros(0, np.float32), np.ones(1, np.float32)])
@pytest.mark.parametrize("index", [np.uint16, np.int32])
def test_a_projection_may_be_empty(weight: Array, index: type) -> None:
    wire = projection([[], [], []], 5, targets=np.zeros(0, index), weight=weight)
    for threads in (1, 2):
        program = compiled(joined(wire), threads)
        program.step(5 * DT_NS, {"lines": np.ones(3)})
        assert program.counters().synaptic_events == 0
        assert program.weights("wire").shape == (0,)


def test_a_target_that_comes_twice_is_reached_twice() -> None:
    assert voltages(joined(projection([[1, 1, 1]], 2)), np.ones((1, 1))).tolist() == [[0, 1.5]]


# How spikes come in.


def test_several_spikes_of_one_line_in_a_step_count_each() -> None:
    spikes = np.zeros(5, SPIKE)
    spikes["t_ns"], spikes["i"] = [0, 1, 2, DT_NS, DT_NS + 1], [0, 0, 1, 1, 1]
    raster = np.array([[2.0, 1.0], [0.0, 2.0]])
    wire = projection([[0], [0, 1]], 2, weight=np.array([0.3, 0.7, 0.2], np.float32))
    fed, shown = compiled(joined(wire)), compiled(joined(wire))
    fed.step(2 * DT_NS, {"lines": spikes})
    shown.run({"lines": raster}, steps=2)
    assert fed.state()["values"].tobytes() == shown.state()["values"].tobytes()
    assert fed.counters().synaptic_events == 2 + 1 + 2


def test_a_held_vector_arrives_in_every_step_and_stops() -> None:
    program = compiled(joined(projection([[0], [1]], 2, delay_s=DT_S)))
    held = np.array([-2.0, 0.25])
    program.step(3 * DT_NS, {"lines": held})
    sums, decay = np.zeros(2), np.exp(-DT_S / 20e-3)
    for step in range(8):
        if step >= 3:
            program.step((step + 1) * DT_NS, {})
        sums = decay * sums + (0.5 * held if 1 <= step <= 3 else 0.0)
        if step >= 2:
            v = program.state()["values"][program._voltages["cells"]]
            assert v == pytest.approx(sums)


def test_two_projections_and_a_linear_onto_one_layer_add_up() -> None:
    wire = projection([[0, 1], [1]], 2, receptor="input")
    second = replace(wire, name="second", delay_s=2 * DT_S, weight=np.array([4.0], np.float32))
    matrix = Linear(name="matrix", shape=(2,), weight=np.array([[16.0, 0.0], [0.0, 64.0]]))
    path = [
        ("lines", "wire"), ("lines", "second"), ("lines", "matrix"), ("wire", "cells"),
        ("second", "cells"), ("matrix", "cells"), ("cells", "out"),
    ]  # fmt: skip
    v = voltages(joined(wire, second, matrix, edges=path), np.array([[1.0, 1], [0, 0], [0, 0]]))
    share, decay = -np.expm1(-DT_S / 20e-3), np.exp(-DT_S / 20e-3)
    first = share * np.array([0.5 + 16, 1.0 + 64])
    assert v[0] == pytest.approx(first)
    assert v[1] == pytest.approx(decay * first)
    assert v[2] == pytest.approx(decay**2 * first + share * np.array([4.0, 8.0]))


@pytest.mark.parametrize(
    "between",
    [
        Flatten(name="between", shape=(2,), shape_in=(2,)),
        Delay(name="between", shape=(2,), delay_s=np.array([2 * DT_S, 0.0])),
    ],
)
def test_spikes_may_come_through_what_passes_them_on(between: Node) -> None:
    path = [("lines", "between"), ("between", "wire"), ("wire", "cells"), ("cells", "out")]
    v = voltages(joined(projection([[0], [1]], 2), between, edges=path), np.eye(4, 2)[[1, 0, 3, 3]])
    late = 2 if isinstance(between, Delay) else 0
    assert np.flatnonzero(v[:, 1])[0] == 0
    assert np.flatnonzero(v[:, 0])[0] == 1 + late if 1 + late < len(v) else True


def test_synapses_reach_their_receptor_and_no_other() -> None:
    for receptor in ("", "jump"):
        v = voltages(joined(projection([[0]], 2, receptor=receptor)), np.ones((1, 1)))
        assert v.tolist() == [[0.5, 0.0]]
    v = voltages(joined(projection([[0]], 2, receptor="input")), np.ones((1, 1)))
    assert v[0, 0] == pytest.approx(0.5 * -np.expm1(-DT_S / 20e-3))
    cells = layer("cells", 2, ALIF(v_threshold=1e9))
    network = joined(projection([[0]], 2), cells)
    network = replace(network, nodes={**network.nodes, "cells": cells})
    assert voltages(network, np.ones((1, 1))) == pytest.approx(v)


def test_the_error_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        compiled(joined(projection(TWO, 2, delay_s=-1.0)))


@pytest.mark.parametrize(
    "order", [["wire", "other", "cells", "out"], ["cells", "out", "other", "wire"]]
)
def test_a_layer_without_delay_reaches_itself_a_step_later(order: list[str]) -> None:
    """Wherever the projection stands in the file, and whatever else the layer remembers."""
    beating = layer("cells", 2, DeltaLIF(i_offset=np.array([3.0, 4.0]), refractory_s=0.0))
    other = replace(projection(TWO, 2, delay_s=5 * DT_S), name="other")
    path = [("cells", "wire"), ("wire", "cells"), ("cells", "other"), ("other", "cells")]
    shown = []
    for delay_s in (0.0, DT_S, 2 * DT_S):
        wire = projection(TWO, 2, delay_s=delay_s, weight=np.array([-0.3], np.float32))
        nodes = {n.name: n for n in (beating, other, wire, Output(name="out", shape=(2,)))}
        network = Network(
            nodes={name: nodes[name] for name in order},
            edges=(*path, ("cells", "out")),
            dt_s=DT_S,
        )
        run = compiled(network).run({}, steps=60, probes={"cells": DT_S * np.arange(61)})
        shown.append(run.probes["cells"].tobytes())
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.filterwarnings("ignore:.*dialect .* ignores")
@pytest.mark.parametrize("model", [LIF(), CubaLIF(), IF(r=100.0), LI()])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_projection_onto_the_input_is_a_matrix_in_every_dialect(
    dialect: str, model: NeuronModel
) -> None:
    """Also back onto the layer, where some dialects count several spikes of a step."""
    rng = np.random.default_rng(1)
    shown = []
    forth, back = rng.integers(-2, 5, (5, 4)) / 2, rng.integers(-3, 2, (5, 5)) / 4
    spiking = model.kind != "LI"
    for sparse in (False, True):
        nodes: list[Node] = [Input(name="lines", shape=(4,)), layer("cells", 5, model)]
        edges = [("cells", "out")]
        for name, source, weight in (("forth", "lines", forth), ("back", "cells", back)):
            if name == "back" and not spiking:
                continue
            full = [list(range(5))] * weight.shape[1]
            nodes.append(
                projection(full, 5, name=name, weight=weight.T.ravel().astype(np.float32))
                if sparse
                else Linear(name=name, shape=(5,), weight=weight)
            )
            edges += [(source, name), (name, "cells")]
        nodes.append(Output(name="out", shape=(5,)))
        network = Network(
            nodes={n.name: n for n in nodes}, edges=tuple(edges), dt_s=DT_S, dialect=dialect
        )
        lines = np.random.default_rng(2).poisson(0.8, (80, 4)).astype(float)
        run = compiled(network).run(
            {"lines": lines}, steps=80, probes={"cells": DT_S * np.arange(81)}
        )
        shown.append(run)
    assert shown[1].probes["cells"] == pytest.approx(shown[0].probes["cells"], abs=1e-12)
    assert np.array_equal(shown[0].outputs["out"], shown[1].outputs["out"]) or not spiking
    assert shown[0].outputs["out"].any()
