"""Building by hand: what each call makes of the network, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import Delay, Input, Linear, Neurons, Output, Projection


def two(kind=reflexarc.ExpLIF, seed=1, **options):
    """A builder with 6 lines, 5 and 4 neurons."""
    net = reflexarc.Builder(seed)
    ends = net.input("lines", 6), net.population("a", 5, kind(), **options)
    return net, *ends, net.population("b", 4, kind(), **options)


def dense(node):
    """A projection as a matrix (targets, sources), and how often each pair is joined."""
    weight, count = np.zeros((2, node.size, node.sources))
    source = np.repeat(np.arange(node.sources), np.diff(node.rows))
    weights = np.broadcast_to(node.weight, node.targets.shape)
    np.add.at(weight, (node.targets, source), weights)
    np.add.at(count, (node.targets, source), 1)
    return weight, count


def projected(net, names):
    nodes = net.build().nodes
    return [nodes[name] for name in names]


def test_a_network_has_its_nodes_and_edges_in_the_order_of_the_calls():
    net, lines, a, _ = two()
    names = net.project(lines, a, reflexarc.AllToAll(), weight=0.5, delay_s=1e-3)
    net.output("out", a)
    network = net.build(mode="clocked", dt_s=1e-3, dialect="norse", spike_area=2.0)
    assert list(network.nodes) == ["lines", "a", "b", "lines_to_a", "out"]
    assert network.edges == (("lines", "lines_to_a"), ("lines_to_a", "a"), ("a", "out"))
    assert names == ("lines_to_a",)
    kinds = [type(node) for node in network.nodes.values()]
    assert kinds == [Input, Neurons, Neurons, Projection, Output]
    assert (network.mode, network.dt_s, network.dialect, network.spike_area) == (
        "clocked",
        1e-3,
        "norse",
        2.0,
    )
    node = network.nodes["lines_to_a"]
    assert (node.sources, node.shape, node.delay_s, node.receptor) == (6, (5,), 1e-3, "excitatory")
    assert node.weight.tolist() == [0.5]
    assert dense(node)[1].tolist() == np.ones((5, 6)).tolist()


def test_parameters_are_numbers_arrays_or_distributions():
    net = reflexarc.Builder(3)
    v_reset = [0.0, 0.1, 0.2]
    model = reflexarc.LIF(tau_s=0.01, v_reset=v_reset, v_threshold=reflexarc.Uniform(0.5, 1.0))
    net.population("n", 3, model, initial_v=reflexarc.Normal(0.2, 0.1))
    network = net.build()
    parameters = network.nodes["n"].parameters
    assert parameters["tau"].tolist() == [0.01] * 3
    assert parameters["v_reset"].tolist() == v_reset
    assert len(set(parameters["v_threshold"])) == len(set(network.initial_v["n"])) == 3
    assert all(not values.flags.writeable for values in parameters.values())
    assert all(values.dtype == np.float64 for values in parameters.values())


def test_a_parameter_that_all_share_costs_one_number():
    net = reflexarc.Builder()
    net.population("n", 1_000_000, reflexarc.AdEx(), initial_v=-60.0)
    network = net.build()
    values = [*network.nodes["n"].parameters.values(), network.initial_v["n"]]
    assert all(array.strides == (0,) and array.shape == (1_000_000,) for array in values)


def test_the_same_seed_gives_the_same_network():
    def made(seed):
        net, lines, a, b = two(seed=seed)
        net.project(lines, a, reflexarc.Probability(0.5), weight=reflexarc.Normal(1, 0.5))
        net.project(a, b, reflexarc.FixedTotal(7), weight=reflexarc.Uniform(0, 1))
        nodes = net.build().nodes
        return b"".join(
            nodes[name].targets.tobytes() + nodes[name].weight.tobytes()
            for name in ("lines_to_a", "a_to_b")
        )

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_what_comes_later_changes_nothing_before():
    net, lines, a, b = two()
    (name,) = net.project(lines, a, reflexarc.Probability(0.5))
    before = net.build().nodes[name].targets.copy()
    net.project(a, b, reflexarc.Probability(0.5))
    assert np.array_equal(net.build().nodes[name].targets, before)


# Patterns.


def test_one_to_one():
    net, _, a, b = two()
    names = net.project(a[1:5], b, reflexarc.OneToOne(), weight=[1, 2, 3, 4])
    weight, count = dense(*projected(net, names))
    assert np.array_equal(weight, np.diag([1.0, 2, 3, 4]) @ np.eye(4, 5, 1))
    assert count.sum() == 4


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 99)), max_size=20))
def test_given_pairs_take_their_weights_along(given):
    net, _, a, b = two()
    source, target, weight = (np.array([entry[k] for entry in given], int) for k in range(3))
    wanted, often = np.zeros((2, 4, 5))
    np.add.at(wanted, (target + 1, source + 2), weight)
    np.add.at(often, (target + 1, source + 2), 1)
    names = net.project(a[2:], b[1:], reflexarc.Pairs(source, target), weight=weight)
    made, count = dense(*projected(net, names))
    assert np.array_equal(made, wanted)
    assert np.array_equal(count, often)


def test_a_matrix_and_one_of_scipy():
    import scipy.sparse

    wanted = np.array([[0, 0.5, 0, 0, 1], [0, 0, 0, 0, 0], [2, 0, 0, 3, 0], [0, 0, 0, 4, 0]])
    for form in (np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix):
        net, _, a, b = two()
        weight, count = dense(*projected(net, net.project(a, b, reflexarc.Matrix(form(wanted)))))
        assert np.array_equal(weight, wanted)
        assert np.array_equal(count, wanted != 0)


def test_degrees_within_parts():
    net, lines, a, _ = two()
    (into,) = projected(net, net.project(lines[2:], a[:3], reflexarc.FixedIndegree(3)))
    count = dense(into)[1]
    assert count.sum(axis=1).tolist() == [3, 3, 3, 0, 0]
    assert count[:, :2].sum() == 0
    (out,) = projected(net, net.project(lines[2:], a[:3], reflexarc.FixedOutdegree(2)))
    assert dense(out)[1].sum(axis=0).tolist() == [0, 0, 2, 2, 2, 2]
    (all_,) = projected(net, net.project(a, a, reflexarc.FixedTotal(20)))
    assert np.array_equal(dense(all_)[1], 1 - np.eye(5))
    (own,) = projected(net, net.project(a, a, reflexarc.AllToAll(allow_self=True)))
    assert np.array_equal(dense(own)[1], np.ones((5, 5)))
    (many,) = projected(
        net, net.project(lines, a, reflexarc.FixedIndegree(50, allow_multiple=True))
    )
    assert dense(many)[1].sum(axis=1).tolist() == [50] * 5


def test_nobody_within_reach():
    net, _, a, b = two()
    (none,) = projected(net, net.project(a, b, reflexarc.Probability(0.0)))
    assert none.rows.tolist() == [0] * 6
    assert none.targets.size == 0
    drawn = reflexarc.Uniform(0, 1)
    (none,) = projected(net, net.project(a, b, reflexarc.Probability(0.0), weight=drawn))
    assert (none.receptor, none.weight.size) == ("excitatory", 0)


def test_by_distance():
    net = reflexarc.Builder(1)
    at = np.arange(8.0)
    line = net.population("line", 8, reflexarc.ExpLIF(), positions=at)
    near = reflexarc.ByDistance(reflexarc.Disc(1.0, 1.0), torus=[8.0])
    names = net.project(line, line, near)
    ring = np.eye(8)[:, np.arange(1, 9) % 8]
    assert np.array_equal(dense(*projected(net, names))[1], ring + ring.T)
    names = net.project(line[2:4], line[3:6], near, name="part")
    count = dense(*projected(net, names))[1]
    assert sorted(zip(*np.nonzero(count), strict=True)) == [(3, 2), (4, 3)]


# Weights and receptors.


def test_the_sign_of_a_weight_chooses_its_receptor():
    net, _, a, b = two()
    (one,) = projected(net, net.project(a, b, reflexarc.AllToAll(), weight=-2.0))
    assert (one.receptor, one.weight.tolist()) == ("inhibitory", [-2.0])
    wanted = np.where(np.arange(20).reshape(4, 5) % 3 == 0, -1.5, 0.5)
    names = net.project(a, b, reflexarc.Matrix(wanted))
    assert names == ("a_to_b_2_excitatory", "a_to_b_2_inhibitory")
    up, down = projected(net, names)
    assert (up.receptor, down.receptor) == ("excitatory", "inhibitory")
    assert np.array_equal(dense(up)[0], np.maximum(wanted, 0))
    assert np.array_equal(dense(down)[0], np.minimum(wanted, 0))


def test_a_conductance_has_no_sign():
    net, _, a, b = two(reflexarc.CondLIF)
    (one,) = projected(net, net.project(a, b, reflexarc.AllToAll(), weight=-2.0))
    assert (one.receptor, one.weight.tolist()) == ("inhibitory", [2.0])
    with pytest.raises(ConfigError, match="projection 'a_to_b_2': a conductance cannot be neg"):
        net.project(a, b, reflexarc.AllToAll(), weight=-2.0, receptor="inhibitory")


@pytest.mark.parametrize(
    ("kind", "receptor", "reached"),
    [
        (reflexarc.ExpLIF, "inhibitory", "inhibitory"),
        (reflexarc.AdEx, "input", "input"),
        (reflexarc.DeltaLIF, None, "jump"),
        (reflexarc.Izhikevich, None, "jump"),
        (reflexarc.LIF, None, "input"),
        (reflexarc.LI, "input", "input"),
    ],
)
def test_a_given_receptor_wins(kind, receptor, reached):
    net, lines, a, _ = two(kind)
    weights = np.where(np.arange(30).reshape(5, 6) % 2, 1.0, -1.0)
    names = net.project(lines, a, reflexarc.Matrix(weights), receptor=receptor)
    (node,) = projected(net, names)
    assert node.receptor == reached
    assert np.array_equal(dense(node)[0], weights)


# Delays.


def test_each_delay_is_a_projection_of_its_own():
    net, _, a, b = two()
    delays = reflexarc.Uniform(0.0, 3e-3)
    weight = reflexarc.Uniform(0, 1)
    grid = {"delay_s": delays, "delay_step_s": 1e-3}
    names = net.project(a, b, reflexarc.AllToAll(), weight=weight, name="wire", **grid)
    nodes = projected(net, names)
    assert names == ("wire_1000us", "wire_2000us", "wire_3000us")
    assert [node.delay_s for node in nodes] == [1e-3, 2e-3, 3e-3]
    assert np.array_equal(sum(dense(node)[1] for node in nodes), np.ones((4, 5)))
    assert len({weight for node in nodes for weight in node.weight.tolist()}) == 20


def test_delays_grow_with_distance():
    net = reflexarc.Builder(1)
    at = np.array([0.0, 1.0, 3.0, 7.0])
    line = net.population("line", 4, reflexarc.ExpLIF(), positions=at)
    speed = reflexarc.Conduction(speed=1000.0, base_s=0.5e-3)
    names = net.project(line, line, reflexarc.AllToAll(), delay_s=speed, delay_step_s=0.5e-3)
    total = np.zeros((4, 4))
    for node in projected(net, names):
        total += dense(node)[1] * node.delay_s
    assert total == pytest.approx((abs(at - at[:, None]) / 1000 + 0.5e-3) * (1 - np.eye(4)))


# Linear nodes and ports.


def test_linear_nodes_between_parts():
    net, lines, a, b = two(reflexarc.LIF)
    weight = np.arange(6.0).reshape(2, 3)
    assert net.linear(lines[:3], a[1:3], weight, [1, 2]) == "lines_to_a"
    assert net.linear(a, b, np.ones((4, 5)), delay_s=2e-3) == "a_to_b"
    network = net.build()
    node = network.nodes["lines_to_a"]
    assert isinstance(node, Linear)
    assert np.array_equal(node.weight[1:3, :3], weight)
    assert node.weight.sum() == weight.sum()
    assert node.bias.tolist() == [0, 1, 2, 0, 0]
    assert isinstance(network.nodes["a_to_b_delay"], Delay)
    assert network.nodes["a_to_b_delay"].delay_s.tolist() == [2e-3] * 4
    assert network.edges[2:] == (
        ("a", "a_to_b"),
        ("a_to_b", "a_to_b_delay"),
        ("a_to_b_delay", "b"),
    )


def test_a_matrix_to_an_open_port_and_a_rule():
    net, lines, *_ = two()
    port = net.output("sum", 1)
    rule = reflexarc.Pes(modulator="sum", learning_rate=1e-3)
    net.linear(lines, port, np.ones((1, 6)), name="w", plasticity=rule)
    network = net.build()
    assert network.plasticity == {"w": rule}
    assert network.edges == (("lines", "w"), ("w", "sum"))


def test_a_rule_for_each_part_of_a_projection():
    net, _, a, b = two()
    rule = reflexarc.PairStdp(a_plus=0.1, a_minus=0.1, w_min=-1.0)
    weights = np.where(np.arange(20).reshape(4, 5) % 2, 0.5, -0.5)
    names = net.project(a, b, reflexarc.Matrix(weights), plasticity=rule)
    assert net.build().plasticity == dict.fromkeys(names, rule)
    assert len(names) == 2
    net.project(a, b, reflexarc.AllToAll(), weight=-2.0, plasticity=rule, name="low")
    with pytest.raises(ConfigError, match="node 'low', plasticity, w_min: -1 is above the small"):
        net.build()
    net, _, a, _ = two()
    pes = reflexarc.Pes(modulator="a", learning_rate=1e-3)
    net.project(a, a, reflexarc.AllToAll(), name="not", plasticity=pes)
    with pytest.raises(ConfigError, match="plasticity: no Linear or Affine node of that"):
        net.build()


def test_rules_that_stack_are_of_different_roles():
    net, _, a, b = two()
    rule = reflexarc.PairStdp(a_plus=0.1, a_minus=0.1)
    net.project(a, b, reflexarc.AllToAll(), name="w", plasticity=[rule, rule])
    with pytest.raises(ConfigError, match="1, rule: pair_stdp changes the weights already"):
        net.build()


def test_projections_run():
    net = reflexarc.Builder(1)
    lines = net.input("lines", 3)
    cells = net.population("cells", 4, reflexarc.DeltaLIF())
    net.project(lines, cells, reflexarc.Pairs([0, 0, 2], [1, 3, 2]), weight=2.0, delay_s=2e-3)
    net.output("out", cells)
    network = net.build(mode="clocked", dt_s=1e-3)
    raster = np.zeros((8, 3))
    raster[1, 0] = raster[4, 2] = 1
    shown = reflexarc.simulate(network, {"lines": raster}).outputs["out"]
    assert sorted(np.flatnonzero(shown.any(axis=0))) == [1, 2, 3]
    first = shown.argmax(axis=0)
    assert first[1] == first[3] == first[2] - 3
    assert shown.sum() == 3


def test_a_network_of_nirs_kinds_runs():
    net = reflexarc.Builder(1)
    lines = net.input("lines", 3)
    cells = net.population("cells", 3, reflexarc.IF())
    net.linear(lines, cells, 2 * np.eye(3))
    net.output("out", cells)
    network = net.build(mode="clocked", dt_s=1e-3)
    raster = np.tile([1000.0, 0.0, 0.0], (4, 1))
    run = reflexarc.simulate(network, {"lines": raster})
    assert run.outputs["out"].sum(axis=0).tolist() == [4.0, 0.0, 0.0]


# What is wrong is one line that names the place.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, i, a, b: n.input("lines", 3), "node 'lines': there is one of that name"),
        (lambda n, i, a, b: n.input("a/b", 3), "node 'a/b': a name is printable text without"),
        (lambda n, i, a, b: n.input("a\nb", 3), "a name is printable text without a '/'"),
        (lambda n, i, a, b: n.input("c", 0), "node 'c': expected whole numbers of at least 1"),
        (lambda n, i, a, b: n.input("c", 2**26), "node 'c': more than 33554432 elements"),
        (lambda n, i, a, b: n.population("c", 3, 5), "population 'c': expected a kind of neuron"),
        (
            lambda n, i, a, b: n.population("c", 3, reflexarc.LIF(tau_s=-1)),
            "population 'c', tau: value -1; must be greater than 0",
        ),
        (
            lambda n, i, a, b: n.population("c", 3, reflexarc.LIF(r=[1, 2])),
            "population 'c', r: 2 values for 3 neurons",
        ),
        (
            lambda n, i, a, b: n.population("c", 3, reflexarc.LIF(r="x")),
            "population 'c', r: expected numbers",
        ),
        (
            lambda n, i, a, b: n.population("c", 3, reflexarc.LIF(), positions=[[1, 2]]),
            r"node 'c', positions: expected shape \(3, 1 to 3\), not \(1, 2\)",
        ),
        (lambda n, i, a, b: a[3:3], "a: a part must be neighbours"),
        (lambda n, i, a, b: a[::2], "a: a part must be neighbours"),
        (lambda n, i, a, b: a[1], r"a\[1\]: give a range"),
        (lambda n, i, a, b: n.output("o", a[:2]), "output 'o': a part of 'a'"),
        (
            lambda n, i, a, b: n.project(a, i, reflexarc.AllToAll()),
            "projection 'a_to_lines': 'lines' has no synapses",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.AllToAll(), receptor="gaba"),
            "projection 'a_to_b': ExpLIF has no receptor 'gaba'; there are: excitatory, inhib",
        ),
        (
            lambda n, i, a, b: n.project(a, a, reflexarc.FixedIndegree(5)),
            r"projection 'a_to_a': FixedIndegree\(.*there are only 4 sources",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.FixedOutdegree(5)),
            "there are only 4 targets",
        ),
        (
            lambda n, i, a, b: n.project(a[:1], a[:1], reflexarc.FixedIndegree(1, False, True)),
            "there are only 0 sources",
        ),
        (lambda n, i, a, b: n.project(a, b, reflexarc.FixedTotal(21)), "there are only 20 pairs"),
        (lambda n, i, a, b: n.project(a, b, reflexarc.FixedIndegree(1.5)), "a whole number from"),
        (lambda n, i, a, b: n.project(a, b, reflexarc.Probability(1.5)), "p must be from 0 to 1"),
        (lambda n, i, a, b: n.project(a, b, reflexarc.OneToOne()), "5 sources and 4 targets"),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.Pairs([5], [0])),
            "sources from 5 to 5, but there are only 5",
        ),
        (lambda n, i, a, b: n.project(a, b, reflexarc.Pairs([0], [-1])), "targets from -1 to -1"),
        (lambda n, i, a, b: n.project(a, b, reflexarc.Pairs([0.5], [0])), "must be whole numbers"),
        (lambda n, i, a, b: n.project(a, b, reflexarc.Pairs([0, 1], [0])), "2 sources, but 1 tar"),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.Matrix(np.ones((5, 4)))),
            r"Matrix: shape \(5, 4\), expected \(targets, sources\) \(4, 5\)",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.Matrix(np.full((4, 5), np.nan))),
            "weight: every one must be finite",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.Matrix(np.ones((4, 5))), weight=1.0),
            "weight: the Matrix brings its own",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.AllToAll(), weight=np.ones(20)),
            "weight: one for each synapse needs a pattern with given pairs",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.Pairs([0, 1], [0, 1]), weight=[1, 2, 3]),
            "weight: 3 values for 2 pairs",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.AllToAll(), weight=np.inf),
            "weight: every value must be finite",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.AllToAll(), weight=1e39),
            "weight: every one must be finite and below 3.4e38",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.AllToAll(), delay_s=-1),
            "delay_s must be a number from 0",
        ),
        (
            lambda n, i, a, b: n.project(
                a, b, reflexarc.AllToAll(), delay_s=reflexarc.Uniform(0, 1)
            ),
            "delay_step_s: delays that differ need a grid",
        ),
        (
            lambda n, i, a, b: n.project(
                a, b, reflexarc.AllToAll(), delay_s=reflexarc.Uniform(0, 1), delay_step_s=1e-9
            ),
            "give a coarser grid",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.ByDistance(reflexarc.Gaussian(0.5, 1.0))),
            "a distance needs both populations to have positions",
        ),
        (
            lambda n, i, a, b: n.project(a, b, reflexarc.ByDistance(reflexarc.Gaussian(2.0, 1.0))),
            "peak must be above 0 and up to 1",
        ),
        (
            lambda n, i, a, b: n.linear(a, b, np.ones((5, 4))),
            r"linear 'a_to_b', weight: expected shape \(4, 5\), not \(5, 4\)",
        ),
        (lambda n, i, a, b: n.linear(a, i, np.ones((6, 5))), "nothing leads from a to lines"),
        (lambda n, i, a, b: n.build(mode="fast"), "build: mode 'fast' is not known"),
        (lambda n, i, a, b: n.build(dt_s=0.0), "build: dt_s must be above 0"),
        (lambda n, i, a, b: n.build(dialect="x"), "dialect 'x' is not known"),
        (lambda n, i, a, b: reflexarc.Builder(-1), "Builder: seed -1 must be a whole number"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    net, *ends = two()
    before = net.build()
    with pytest.raises(ConfigError, match=message) as error:
        call(net, *ends)
    assert "\n" not in str(error.value)
    after = net.build()
    assert (list(after.nodes), after.edges) == (list(before.nodes), before.edges)


def test_values_need_a_matrix():
    net = reflexarc.Builder()
    graded = net.population("graded", 2, reflexarc.LI())
    cells = net.population("cells", 2, reflexarc.LIF())
    noise = net.population("noise", 2, reflexarc.Poisson(rate_hz=5.0))
    with pytest.raises(ConfigError, match="'graded' sends no spikes; use linear"):
        net.project(graded, cells, reflexarc.OneToOne())
    with pytest.raises(ConfigError, match="'noise' has no synapses"):
        net.project(cells, noise, reflexarc.OneToOne())
    net.linear(graded, cells, np.eye(2))
    net.project(noise, cells, reflexarc.OneToOne())


def test_a_population_of_another_builder():
    net, _, a, _ = two()
    other = reflexarc.Builder()
    with pytest.raises(ConfigError, match="is not of this Builder"):
        other.output("o", a)
    rule = reflexarc.Pes(modulator="none", learning_rate=1e-3)
    net.linear(a, a, np.eye(5), plasticity=rule)
    with pytest.raises(ConfigError, match="node 'a_to_a', plasticity, modulator: 'none' is not"):
        net.build()
