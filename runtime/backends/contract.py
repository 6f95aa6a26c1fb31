"""The backend contract as tests, for our backends and for yours.

    from reflexarc.runtime.backends.contract import BackendContract

    class TestMyBackend(BackendContract):
        def make_backend(self):
            return MyBackend()

A test runner that collects methods named `test_*` runs them; nothing here imports one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from reflexarc.runtime.backends.base import Backend, PortValues, Program, State
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import (
    Input,
    Linear,
    Network,
    NeuronKind,
    Neurons,
    Node,
    Output,
    Projection,
)
from reflexarc.runtime.plasticity import PairStdp, Rule, ShortTerm

#: Length of a step of these tests, and of the clock step asked for.
TICK_NS = 1_000_000


class BackendContract(ABC):
    """What every backend must do; see `reflexarc.runtime.backends.base`."""

    @abstractmethod
    def make_backend(self) -> Backend:
        """A new backend."""

    def make_program(self) -> Program:
        """Two lines into three neurons that fire after a few spikes."""
        return self.make_backend().compile(three_neurons(), dt_s=TICK_NS * 1e-9)

    def test_capabilities_name_what_it_runs(self) -> None:
        """Modes, node types and dialects are declared."""
        capabilities = self.make_backend().capabilities()
        assert self.make_backend().name
        assert capabilities.mode in ("exact", "clocked")
        assert {"Input", "Output", "Linear", "LIF"} <= capabilities.nodes

    def test_a_silent_step_shows_every_output(self) -> None:
        """A port without an entry is silent, an output without spikes is an empty array."""
        left = self.make_program().step(TICK_NS, {})
        assert left.keys() == {"output"}
        assert left["output"].dtype == SPIKE
        assert left["output"].shape == (0,)

    def test_spikes_leave_in_order_within_their_step(self) -> None:
        """Times ascend within [now, until), indices are those of the layer."""
        program, seen = self.make_program(), 0
        for tick in range(20):
            spikes = program.step((tick + 1) * TICK_NS, burst(tick))["output"]
            assert np.all(np.diff(spikes["t_ns"]) >= 0)
            assert np.all(spikes["t_ns"] >= tick * TICK_NS)
            assert np.all(spikes["t_ns"] < (tick + 1) * TICK_NS)
            assert np.all(spikes["i"] < 3)
            seen += spikes.size
        assert seen > 0

    def test_a_held_vector_drives(self) -> None:
        """A port also takes a float64 vector, held over the step."""
        left = self.make_program().step(100 * TICK_NS, {"input": np.array([50.0, 0.0])})
        assert left["output"].size > 0

    def test_a_spike_in_each_step_equals_them_all_in_one(self) -> None:
        """How a stretch of time is cut into steps does not matter."""
        pieces, whole = self.make_program(), self.make_program()
        given = np.concatenate([burst(tick)["input"] for tick in range(20)])
        together = whole.step(20 * TICK_NS, {"input": given})["output"]
        assert same(np.concatenate(outputs(pieces, 0, 20)), together)

    def test_the_same_inputs_give_the_same_bytes(self) -> None:
        """Two programs of one network do not differ."""
        first, second = self.make_program(), self.make_program()
        assert same(outputs(first, 0, 20), outputs(second, 0, 20))
        assert same_state(first.state(), second.state())

    def test_restore_is_as_if_never_stopped(self) -> None:
        """In the same program, and in one made afresh."""
        program = self.make_program()
        outputs(program, 0, 7)
        state = program.state()
        expected = outputs(program, 7, 20)
        for other in (program, self.make_program()):
            other.restore(state)
            assert same(outputs(other, 7, 20), expected)

    def test_state_is_a_copy(self) -> None:
        """Going on does not change a state that was taken."""
        program = self.make_program()
        state = program.state()
        before = {key: value.copy() for key, value in state.items()}
        outputs(program, 0, 10)
        assert same_state(state, before)

    def test_a_foreign_state_is_refused(self) -> None:
        """A state that lacks a part or is of another shape is not taken."""
        program = self.make_program()
        state = program.state()
        missing = dict(list(state.items())[:-1])
        assert refusal(lambda: program.restore(missing), ValueError)
        other = self.make_backend().compile(three_neurons(neurons=4), dt_s=TICK_NS * 1e-9)
        assert refusal(lambda: program.restore(other.state()), ValueError)

    def test_bad_inputs_are_refused_and_change_nothing(self) -> None:
        """One line that names the port; the state stays."""
        program = self.make_program()
        outputs(program, 0, 3)
        before, now_ns = program.state(), 3 * TICK_NS
        for inputs in bad_inputs(now_ns):
            message = refusal(lambda: program.step(now_ns + TICK_NS, inputs), ValueError)  # noqa: B023
            assert message
            assert "\n" not in message
        assert refusal(lambda: program.step(now_ns - TICK_NS, {}), ValueError)
        assert same_state(program.state(), before)

    def test_weights_are_a_copy(self) -> None:
        """Shape (outputs, inputs); an unknown edge is refused."""
        program = self.make_program()
        weights = program.weights("weights")
        assert weights.shape == (3, 2)
        assert weights.dtype == np.float64
        weights[:] = 0.0
        assert same(program.weights("weights"), three_weights(3))
        assert refusal(lambda: program.weights("nowhere"), ValueError)

    def test_counters_count(self) -> None:
        """Integers that start at nothing and grow with the work."""
        program = self.make_program()
        assert program.counters().spikes == 0
        left = outputs(program, 0, 20)
        counters = program.counters()
        assert counters.spikes == sum(spikes.size for spikes in left)
        assert counters.synaptic_events > 0
        assert all(isinstance(value, int) for value in vars(counters).values())

    def test_an_unknown_node_is_refused_by_name(self) -> None:
        """At compile time, as UnsupportedError."""
        network = three_neurons()
        nodes = {**network.nodes, "odd": Strange(name="odd", shape=(1,))}
        strange = Network(nodes=nodes, edges=network.edges)
        message = refusal(
            lambda: self.make_backend().compile(strange, dt_s=TICK_NS * 1e-9), UnsupportedError
        )
        assert "odd" in message

    # Projections and generators, of backends whose capabilities name them.

    def runs(self, *nodes: str) -> bool:
        """Whether the backend names all of `nodes` among its capabilities."""
        return set(nodes) <= self.make_backend().capabilities().nodes

    def make_wired(self, **changes: Any) -> Program:
        """A program of `wired`."""
        return self.make_backend().compile(wired(**changes), dt_s=TICK_NS * 1e-9)

    def make_generators(self, kind: NeuronKind, *, seed: int = 0, **values: float) -> Program:
        """A program of `generators`."""
        network = generators(kind, seed=seed, **values)
        return self.make_backend().compile(network, dt_s=TICK_NS * 1e-9)

    def test_a_projection_delivers_after_its_delay(self) -> None:
        """Each spike reaches the targets of its row, with their weights, two ticks later."""
        if not self.runs("Projection"):
            return
        program = self.make_wired()
        assert program.step(2 * TICK_NS, spike(0))["output"].size == 0
        left = program.step(3 * TICK_NS, {})["output"]
        assert sorted(left["i"]) == [0, 2]
        assert np.all(left["t_ns"] // TICK_NS == 2)
        assert program.step(6 * TICK_NS, {})["output"].size == 0
        assert program.counters().synaptic_events == 2

    def test_a_jump_needs_no_time(self) -> None:
        """A spike of weight w moves the voltage by w at once; two of an instant add up."""
        if not self.runs("Projection", "DeltaLIF"):
            return
        for weight, fires in ((1.5, [1]), (0.9, []), (-1.5, [])):
            program = self.make_wired(kind="DeltaLIF", weight=weight, delay_s=0.0)
            assert program.step(TICK_NS, spike(1))["output"]["i"].tolist() == fires
        program = self.make_wired(kind="DeltaLIF", weight=0.9, delay_s=0.0)
        assert program.step(TICK_NS, spike(1, 1))["output"]["i"].tolist() == [1]

    def test_spikes_on_their_way_are_part_of_the_state(self) -> None:
        """They arrive after `restore`, in the same program and in one made afresh."""
        if not self.runs("Projection"):
            return
        program = self.make_wired()
        program.step(TICK_NS, spike(0))
        state = program.state()
        expected = program.step(4 * TICK_NS, {})["output"]
        assert expected.size == 2
        for other in (program, self.make_wired()):
            other.restore(state)
            assert same(other.step(4 * TICK_NS, {})["output"], expected)

    def test_weights_of_a_projection_are_a_copy(self) -> None:
        """Shape (synapses,), in the order of its rows, also where one stands for all."""
        if not self.runs("Projection"):
            return
        program = self.make_wired()
        for _ in range(2):
            weights = program.weights("wires")
            assert same(weights, np.full(3, 10.0))
            weights[:] = 0.0

    def test_a_projection_that_does_not_fit_is_refused_by_name(self) -> None:
        """At compile time, as ConfigError in one line."""
        if not self.runs("Projection"):
            return
        beyond = np.array([0, 3, 1], np.int32)
        crossed = np.array([2, 0, 1], np.int32)
        for changes in ({"targets": beyond}, {"targets": crossed}, {"receptor": "nose"}):
            message = refusal(lambda: self.make_wired(**changes), ConfigError)  # noqa: B023
            assert "wires" in message
            assert "\n" not in message

    def test_a_regular_generator_fires_on_time(self) -> None:
        """At phase + k period, also where that is the first instant of a step."""
        if not self.runs("Regular"):
            return
        tick_s = TICK_NS * 1e-9
        program = self.make_generators("Regular", period=3 * tick_s, phase=tick_s)
        left = [program.step(until * TICK_NS, {})["output"] for until in (4, 5, 11)]
        ticks = [(spikes["t_ns"] + TICK_NS // 2) // TICK_NS for spikes in left]
        assert [each.tolist() for each in ticks] == [[1] * 3, [4] * 3, [7] * 3 + [10] * 3]

    def test_a_poisson_generator_comes_from_the_seed(self) -> None:
        """The same seed gives the same bytes however time is cut, another seed others."""
        if not self.runs("Poisson"):
            return
        whole, pieces, other = (
            self.make_generators("Poisson", rate=200.0, seed=seed) for seed in (1, 1, 2)
        )
        expected = whole.step(200 * TICK_NS, {})["output"]
        assert 60 < expected.size < 180
        left = [pieces.step(k * TICK_NS, {})["output"] for k in range(1, 101)]
        fresh = self.make_generators("Poisson", rate=200.0, seed=1)
        fresh.restore(pieces.state())
        left.append(fresh.step(200 * TICK_NS, {})["output"])
        assert same(np.concatenate(left), expected)
        assert not same(other.step(200 * TICK_NS, {})["output"], expected)

    def test_a_generator_takes_no_input(self) -> None:
        """An edge into one is refused at compile time, in one line."""
        if not self.runs("Poisson"):
            return
        fed = generators("Poisson", rate=1.0)
        nodes = {"input": Input(name="input", shape=(3,)), **fed.nodes}
        network = Network(nodes=nodes, edges=(*fed.edges, ("input", "source")))
        message = refusal(
            lambda: self.make_backend().compile(network, dt_s=TICK_NS * 1e-9), ConfigError
        )
        assert "source" in message
        assert "\n" not in message

    # Edges that learn, of backends whose capabilities name these rules.

    def make_learner(self, *rules: Rule, projection: bool = False) -> Program:
        """A program of `three_neurons`, whose edge `weights` has `rules`."""
        network = projected() if projection else three_neurons()
        network = replace(network, plasticity={"weights": rules})
        return self.make_backend().compile(network, dt_s=TICK_NS * 1e-9)

    def learners(self, *rules: Rule) -> list[Callable[[], Program]]:
        """Makers of programs: a matrix, and a projection where there are any, with `rules`."""
        known = self.make_backend().capabilities()
        if not {rule.rule for rule in rules} <= known.rules:
            return []
        places = (False, True) if {"Projection", "DeltaLIF"} <= known.nodes else (False,)
        return [partial(self.make_learner, *rules, projection=place) for place in places]

    def test_an_edge_learns_within_its_bounds(self) -> None:
        """Weights change, and the changes are counted; reading them on the way changes no bit."""
        for make in self.learners(PAIR):
            program, read = make(), make()
            first = program.weights("weights")
            outputs(program, 0, 20)
            for tick in range(20):
                outputs(read, tick, tick + 1)
                assert read.weights("weights").shape == first.shape
            learnt = program.weights("weights")
            assert not same(learnt, first)
            assert np.all((learnt >= PAIR.w_min) & (learnt <= PAIR.w_max))
            assert program.counters().weight_updates > 0
            assert same(read.weights("weights"), learnt)
            assert same_state(read.state(), program.state())

    def test_an_edge_can_be_held(self) -> None:
        """By `learning` with all others, by `freeze` alone; it delivers, and learns again later."""
        for make in self.learners(PAIR):
            for hold in (_hold_all, _hold_one):
                program = make()
                outputs(program, 0, 10)
                hold(program, True)
                held = program.weights("weights")
                assert sum(spikes.size for spikes in outputs(program, 10, 20)) > 0
                assert same(program.weights("weights"), held)
                hold(program, False)
                assert same(program.weights("weights"), held)
                outputs(program, 20, 30)
                assert not same(program.weights("weights"), held)
            assert refusal(lambda: make().freeze("nowhere"), ValueError)  # noqa: B023

    def test_what_was_learnt_is_part_of_the_state(self) -> None:
        """Going on after `restore`, also while held, equals never having stopped."""
        for rules in ((PAIR,), (DEPRESSING,), (PAIR, DEPRESSING)):
            for make in self.learners(*rules):
                program = make()
                outputs(program, 0, 7)
                state = program.state()
                expected = outputs(program, 7, 20)
                weights, end = program.weights("weights"), program.state()
                for other in (program, make()):
                    other.restore(state)
                    assert same(outputs(other, 7, 20), expected)
                    assert same(other.weights("weights"), weights)
                    assert same_state(other.state(), end)
                if PAIR in rules:
                    program.freeze("weights")
                    held = make()
                    held.restore(program.state())
                    assert same(outputs(held, 20, 30), outputs(program, 20, 30))
                    assert same(held.weights("weights"), weights)

    def test_short_term_plasticity_delivers_a_share(self) -> None:
        """Two spikes that follow each other closely deliver less than two; no weight changes."""
        fresh = ShortTerm(u=1.0, tau_recovery_s=1e-9)  # recovers before the next
        for make, make_plain in zip(self.learners(DEPRESSING), self.learners(fresh), strict=True):
            program, plain = make(), make_plain()
            first = program.weights("weights")
            left = outputs(program, 0, 20)
            assert sum(map(len, left)) < sum(map(len, outputs(plain, 0, 20)))
            assert same(program.weights("weights"), first)


#: Rules that these tests give to an edge.
PAIR = PairStdp(a_plus=0.05, a_minus=0.04, w_max=2.0)
DEPRESSING = ShortTerm(u=0.5, tau_recovery_s=0.2)


def _hold_all(program: Program, held: bool) -> None:
    program.learning = not held


def _hold_one(program: Program, held: bool) -> None:
    program.freeze("weights", held)


class Strange(Node):
    """A node that no backend knows."""


def three_weights(neurons: int) -> Array:
    """Weights from two lines onto `neurons`, all different."""
    return np.arange(1.0, 2 * neurons + 1).reshape(neurons, 2) / 4


def three_neurons(neurons: int = 3) -> Network:
    """Input (2) -> weights -> lif -> output; a spike is worth 0.4 times its weight or so."""
    weights = Linear(name="weights", shape=(neurons,), weight=three_weights(neurons))
    return chain(Input(name="input", shape=(2,)), weights, layer("lif", neurons, "LIF", **_LIF))


def projected() -> Network:
    """`three_neurons` with a projection and neurons that jump."""
    weights = Projection(
        name="weights",
        shape=(3,),
        sources=2,
        rows=np.array([0, 3, 6]),
        targets=np.array([0, 1, 2, 0, 1, 2], np.int32),
        weight=np.array([0.2, 0.4, 0.6, 0.3, 0.5, 0.7], np.float32),
        delay_s=1e-9 * TICK_NS,
    )
    own = {"refractory": 0.0, "i_offset": 0.0}
    cells = layer("lif", 3, "DeltaLIF", **_LIF, **own)
    return chain(Input(name="input", shape=(2,)), weights, cells)


def wired(
    *, kind: NeuronKind = "LIF", weight: float = 10.0, delay_s: float = 2e-9 * TICK_NS, **more: Any
) -> Network:
    """Input (2) -> wires -> cells (3) -> output; 0 reaches 0 and 2, 1 reaches 1."""
    wires = Projection(
        name="wires",
        shape=(3,),
        sources=2,
        rows=np.array([0, 2, 3]),
        weight=np.array([weight], np.float32),
        delay_s=delay_s,
        **{"targets": np.array([0, 2, 1], np.int32), **more},
    )
    own = {} if kind == "LIF" else {"refractory": 0.0, "i_offset": 0.0}
    return chain(Input(name="input", shape=(2,)), wires, layer("cells", 3, kind, **_LIF, **own))


def generators(kind: NeuronKind, *, seed: int = 0, **values: float) -> Network:
    """Three generators -> output."""
    return replace(chain(layer("source", 3, kind, **values)), seed=seed)


_LIF = {"tau": 0.01, "r": 4.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}


def layer(name: str, size: int, kind: NeuronKind, **values: float) -> Neurons:
    """Neurons that are all alike."""
    parameters = {key: np.full(size, value) for key, value in values.items()}
    return Neurons(name=name, shape=(size,), kind=kind, parameters=parameters)


def chain(*nodes: Node) -> Network:
    """Each node feeds the next, the last an Output of its name `output`."""
    every = [*nodes, Output(name="output", shape=nodes[-1].shape)]
    names = [node.name for node in every]
    return Network(
        nodes={node.name: node for node in every},
        edges=tuple(pairwise(names)),
        spike_area=TICK_NS * 1e-9,
    )


def spike(*lines: int) -> dict[str, Array]:
    """One spike on each of `lines` at time 0."""
    return {"input": np.array([(0, i) for i in lines], SPIKE)}


def burst(tick: int) -> dict[str, Array]:
    """A few input spikes within a tick, a different pattern each time."""
    t_ns = tick * TICK_NS + np.arange(0, TICK_NS, 200_000)
    spikes = np.empty(t_ns.size, SPIKE)
    spikes["t_ns"], spikes["i"] = t_ns, (np.arange(t_ns.size) * (tick + 1)) % 2
    return {"input": spikes}


def outputs(program: Program, first: int, last: int) -> list[Array]:
    """Step through ticks `first` to `last` with a burst in each; what left, tick by tick."""
    return [program.step((k + 1) * TICK_NS, burst(k))["output"] for k in range(first, last)]


def bad_inputs(now_ns: int) -> list[PortValues]:
    """Inputs that a program with port `input` (2) must refuse for the tick at `now_ns`."""

    def spikes(*pairs: tuple[int, int]) -> dict[str, Array]:
        return {"input": np.array(list(pairs), SPIKE)}

    return [
        {"nowhere": np.zeros(2)},
        {"input": np.zeros(3)},
        {"input": np.zeros(2, np.float32)},
        {"input": np.zeros((1, 2))},
        spikes((now_ns, 2)),
        spikes((now_ns - 1, 0)),
        spikes((now_ns + TICK_NS, 0)),
    ]


def refusal(call: Callable[[], Any], kind: type[Exception]) -> str:
    """The message of the `kind` that `call` raises; empty if it raises nothing."""
    try:
        call()
    except kind as error:
        return str(error)
    return ""


def same(first: Any, second: Any) -> bool:
    """Whether two arrays, or two lists of arrays, are the same bytes."""
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first.dtype == second.dtype and first.tobytes() == second.tobytes())


def same_state(first: State, second: State) -> bool:
    """Whether two states are the same bytes."""
    return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
