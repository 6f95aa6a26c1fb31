"""The clocked backend: a fixed step, a named dialect, a compiled engine without the GIL.

A spike has the value 1 for one step. Weights are held in float32 where that loses nothing and in
float64 otherwise; plastic weights, states and sums are float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from reflexarc.ext.clocked import THREADS, ClockedEngine, all_finite
from reflexarc.ext.program import PORT
from reflexarc.runtime.backends.base import (
    Backend,
    Capabilities,
    Counters,
    PortValues,
    Program,
    State,
)
from reflexarc.runtime.backends.learner import Edge, Learner, Synapses
from reflexarc.runtime.backends.lowered import Learning, Ring
from reflexarc.runtime.backends.lowering import lower
from reflexarc.runtime.backends.release import Release
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.dialect import DIALECTS, Dialect, named
from reflexarc.runtime.drive import Run, Spikes
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import (
    OWN_PARAMETERS,
    FloatArray,
    Linear,
    Modulator,
    Network,
    Neurons,
    Projection,
)
from reflexarc.runtime.nirgraph import input_size
from reflexarc.runtime.nirnode import TYPES
from reflexarc.runtime.plasticity import KernelRule, own_rules

#: Engine time is bounded by this many steps a call, so that a long run can be interrupted.
_MOST_STEPS = 1_000
#: Loop time is an int64.
_MOST_NS = 2**63 - 1


class ClockedBackend(Backend):
    """Runs networks step by step under a dialect."""

    name = "clocked"

    def capabilities(self) -> Capabilities:
        """Every node of this release, graded edges, PES, all dialects."""
        return Capabilities(
            mode="clocked",
            nodes=frozenset({*TYPES, "Projection", "Modulator", *OWN_PARAMETERS}),
            rules=frozenset(own_rules()),
            dialects=frozenset(DIALECTS),
            graded=True,
        )

    def __init__(self, threads: int = 1) -> None:
        """Programs of this backend share their work among `threads`, one for each core at most.

        Raises:
            ConfigError: not a whole number from 1 to 64.
        """
        if not isinstance(threads, int | np.integer) or not 1 <= threads <= THREADS:
            raise ConfigError(
                f"threads must be a whole number from 1 to {THREADS}, not {threads!r}"
            )
        self._threads = int(threads)

    def compile(self, network: Network, *, dt_s: float | None = None) -> ClockedProgram:
        """Make a program with steps of `dt_s` (default: the network's own).

        Its bits do not depend on the number of threads.

        Raises:
            ConfigError: no dt_s, or one that is not a whole number of nanoseconds.
            UnsupportedError: an unknown dialect, node or rule.
        """
        step_s = network.dt_s if dt_s is None else dt_s
        if step_s is None:
            raise ConfigError(f"{network.source}: clocked mode needs a step; give dt_s")
        return ClockedProgram(network, named(network.dialect), step_s, self._threads)


class ClockedProgram(Program):
    """A network compiled for the clocked engine; see `Program`. Time starts at 0.

    Attributes:
        dt_s, dt_ns: the clock step.
    """

    def __init__(self, network: Network, dialect: Dialect, dt_s: float, threads: int = 1) -> None:
        self.dt_s, self.dt_ns = dt_s, _nanoseconds(dt_s, network.source)
        self._network, self._dialect = network, dialect
        lowered = lower(network, dialect, dt_s)
        self._signals, self._voltages = lowered.signals, lowered.voltages
        self._ports = lowered.ports
        self._plastic, self._views = lowered.plastic, lowered.views
        self._fed, self._behind = lowered.fed, lowered.behind
        self._values = lowered.values.finish()
        self._events = np.zeros(lowered.events + 1, np.int32)
        self._starts = np.array([*lowered.list_starts, 0], np.int64)
        self._counts = np.zeros(len(lowered.list_starts) + 1, np.int64)
        self._inputs = {node.name: k for k, node in enumerate(network.inputs())}
        self._outputs = {node.name: lowered.signals[node.name] for node in network.outputs()}
        #: By output port, where its values lie; None for one that spikes.
        self._shown = [
            (name, None if signal.spiking else signal.range)
            for name, signal in self._outputs.items()
        ]
        self._thresholds = lowered.thresholds
        #: The targets of projections that are rewired: the network keeps its own.
        self._targets = {
            name: wire.projection.targets.copy()
            for name, wire in lowered.projections.items()
            if name in lowered.learning and _is_rewired(lowered.learning[name])
        }
        table, constants = lowered.table(), lowered.constants.finish()
        self._tables = [table, constants]
        self._arrived = np.zeros(lowered.arrived + 1, np.float32)
        self._rings = [_ring_arrays(ring) for ring in lowered.rings.values()]
        self._engine = ClockedEngine(
            table,
            self._values,
            constants,
            lowered.weights32.finish(),
            lowered.weights64.finish(),
            lowered.rows.finish(),
            lowered.targets.finish(),
            self._events,
            self._starts,
            self._counts,
            self._port_table(),
            self._arrived,
            np.zeros(lowered.fired + 1, np.int32),
            lowered.layers,
            [self._synapse_arrays(wire.projection) for wire in lowered.projections.values()],
            len(lowered.learning),
            self._rings,
            self.dt_ns,
            network.seed % 2**64,
            threads,
        )

        self._learning, self._numbers = True, {n: e.number for n, e in lowered.learning.items()}
        self._frozen = {name for name, e in lowered.learning.items() if e.rule.frozen}
        self._learners = {
            name: Learner(self._engine, found.number, self._edge(name, found, found.rule))
            for name, found in lowered.learning.items()
            if isinstance(found.rule, KernelRule)
        }
        self._releases = {
            name: Release(rule, input_size(network.nodes[name]), dt_s)
            for name, rule in lowered.releases.items()
        }
        self._engine.transmit(list(self._releases.values()))
        self._apply_learning()

    def _edge(self, name: str, found: Learning, rule: KernelRule) -> Edge:
        """The arrays of an edge that learns by a kernel."""
        node, layer = self._network.nodes[name], found.layer
        assert layer is not None
        if isinstance(node, Projection):
            rewired = name in self._targets
            index = self._targets[name] if rewired else node.targets
            synapses = Synapses(rows=node.rows, index=index, targets=node.size, rewired=rewired)
            kind = np.float64 if rule.precision == "double" else np.float32
            weight = np.array(np.broadcast_to(node.weight, node.targets.shape), kind)
        else:
            weight = self._values[self._plastic[name]]
            rows = np.arange(0, weight.size + 1, layer.size)
            synapses = Synapses(rows=rows, index=None, targets=layer.size)
        modulator = rule.modulators[0] if rule.modulators else None
        return Edge(
            rule,
            synapses,
            weight,
            self.dt_s,
            tabled=True,
            modulator=None if modulator is None else self._values[self._signals[modulator].range],
            modulator_tau_s=self._tau_of(modulator),
            voltage=self._values[self._voltages[layer.name]],
            input=self._values[self._fed[name].range] if rule.takes_values else None,
            readout=None if rule.readout_name is None else self._readout(rule.readout_name),
            layer=self._layer_views(name, layer),
            behind=name in self._behind,
            seed=_seed(self._network.seed, name),
        )

    def _synapse_arrays(self, node: Projection) -> tuple[Array, Array, Array, int]:
        """Rows, targets and weight, each in one piece, and the size of the layer they reach."""
        index = self._targets.get(node.name, node.targets)
        rows, targets, weight = map(np.ascontiguousarray, (node.rows, index, node.weight))
        return rows, targets, weight, node.size

    def _readout(self, name: str) -> FloatArray:
        """The weights of a matrix by source: a view of them if it learns."""
        if name in self._plastic:
            return self._values[self._plastic[name]]
        node = self._network.nodes[name]
        assert isinstance(node, Linear)
        return np.ascontiguousarray(node.weight.T, np.float64).reshape(-1)

    def _layer_views(self, edge: str, layer: Neurons) -> dict[str, FloatArray]:
        """What the rule of `edge` sees of its layer."""
        views = {
            name: self._values[what] if isinstance(what, slice) else what
            for name, what in self._views.get(layer.name, {}).items()
        }
        jumps = layer.kind == "DeltaLIF" and isinstance(self._network.nodes[edge], Projection)
        return {**views, "gain": np.ones(layer.size)} if jumps and views else views

    def _tau_of(self, modulator: str | None) -> float | None:
        """With what the level of a node decays within a step; None: not at all."""
        node = None if modulator is None else self._network.nodes[modulator]
        return node.tau_s if isinstance(node, Modulator) else None

    def _port_table(self) -> Array:
        signals = [self._ports[name] for name in self._inputs]
        rows = [(signal.at, signal.list_id, signal.size, 0, 0, 0) for signal in signals]
        return np.array([*rows, (0, 0, 0, 0, 0, 0)], PORT)

    @property
    def learning(self) -> bool:
        """Whether plastic weights change."""
        return self._learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self._learning = on
        self._apply_learning()

    def freeze(self, edge: str, frozen: bool = True) -> None:
        """Hold the weights of one edge, or let it learn again.

        Raises:
            ValueError: it has no rule.
        """
        if edge not in self._numbers:
            known = ", ".join(self._numbers) or "none"
            raise ValueError(
                f"edge '{edge}' has no rule of its weights; those that learn are: {known}"
            )
        (self._frozen.add if frozen else self._frozen.discard)(edge)
        self._apply_learning()

    def _apply_learning(self) -> None:
        for name, number in self._numbers.items():
            on = self._learning and name not in self._frozen
            if name in self._learners:
                self._learners[name].set_learning(on)
            else:
                self._engine.set_learning(number, on)

    @property
    def now_ns(self) -> int:
        """Loop time it stands at, in nanoseconds."""
        return self._engine.step * self.dt_ns

    def step(self, until_ns: int, inputs: PortValues) -> dict[str, Array]:
        """Advance to `until_ns`, a multiple of `dt_ns`; see the contract in `base`.

        A spike enters in the step its time falls in; a spike out carries the start of its step.
        """
        steps = self._steps_until(until_ns)
        self._enter(inputs, until_ns)
        if steps <= _MOST_STEPS:
            return self._advance(steps)
        parts = [
            self._advance(min(_MOST_STEPS, steps - done)) for done in range(0, steps, _MOST_STEPS)
        ]
        return self._in_one(parts)

    def _steps_until(self, until_ns: int) -> int:
        steps, rest = divmod(until_ns - self._engine.step * self.dt_ns, self.dt_ns)
        if rest or steps < 0:
            raise ValueError(
                f"until_ns {until_ns} must be {self.now_ns} or later by whole steps of "
                f"{self.dt_ns} ns"
            )
        return steps

    def _enter(self, inputs: PortValues, until_ns: int) -> None:
        """Give the ports their inputs; the others are silent. A bad input changes no state."""
        self._engine.release()
        held = []
        for name, values in inputs.items():
            if name not in self._inputs:
                known = ", ".join(self._inputs) or "none"
                raise ValueError(f"no input port '{name}'; there are: {known}")
            port = self._inputs[name]
            if values.dtype == SPIKE:
                if len(values):
                    self._feed(name, port, values, until_ns)
            else:
                held.append((port, _checked_vector(name, values, self._signals[name].size)))
        for port, vector in held:
            self._engine.hold(port, vector)

    def _feed(self, name: str, port: int, spikes: Array, until_ns: int) -> None:
        try:
            self._engine.feed(port, spikes, until_ns)
        except ValueError as error:
            raise ValueError(f"input '{name}': {error}") from None

    def _advance(self, steps: int) -> dict[str, Array]:
        """Run the engine; what each output port shows then."""
        engine = self._engine
        engine.advance(steps)
        shown: dict[str, Array] = {}
        for port, (name, values) in enumerate(self._shown):
            shown[name] = (
                engine.left(port, SPIKE) if values is None else self._values[values].copy()
            )
        return shown

    def _in_one(self, parts: list[dict[str, Array]]) -> dict[str, Array]:
        """The outputs of one stretch of time from those of its parts."""
        return {
            name: np.concatenate([part[name] for part in parts])
            if signal.spiking
            else parts[-1][name]
            for name, signal in self._outputs.items()
        }

    def run(
        self,
        inputs: Mapping[str, FloatArray],
        *,
        steps: int,
        probes: Mapping[str, Sequence[float] | FloatArray] | None = None,
        record: Sequence[str] = (),
    ) -> Run:
        """Run `steps` clock steps from where the program stands.

        Args:
            inputs: by port, the value of every step, shape (steps, size).
            steps: how many.
            probes: by layer, times in seconds at which to read its voltage: that after the last
                step that has ended by then.
            record: inner spiking layers whose spikes to return.

        Returns:
            `spikes` of spiking Outputs and recorded layers (t_s is the start of the step),
            `probes` (times, size), `outputs` of every Output (steps, size).

        Raises:
            ConfigError: an unknown port, layer or shape, or a time outside the run.
        """
        rasters = {name: self._raster(name, value, steps) for name, value in inputs.items()}
        reading = self._probe_steps(probes or {}, steps)
        watched = [*self._outputs, *(self._recordable(name) for name in record)]
        shown = {name: np.zeros((steps, self._signals[name].size)) for name in watched}
        traces = {name: np.zeros((steps + 1, self._network.nodes[name].size)) for name in reading}
        first_s = self._engine.step * self.dt_s
        self._read_voltages(traces, 0)
        self._engine.release()
        for k in range(steps):
            for name, raster in rasters.items():
                self._engine.hold(self._inputs[name], raster[k])
            self._engine.advance(1)
            for name, rows in shown.items():
                rows[k] = self._values[self._signals[name].range]
            self._read_voltages(traces, k + 1)
        late = self._dialect.output_shift_steps
        shown = {name: _shifted(rows, late, 0) for name, rows in shown.items()}
        traces = {name: _shifted(rows, late, 1) for name, rows in traces.items()}
        return Run(
            spikes={
                name: self._spikes(rows, first_s)
                for name, rows in shown.items()
                if self._signals[name].spiking
            },
            probes={name: traces[name][at] for name, at in reading.items()},
            outputs={name: shown[name] for name in self._outputs},
            counters=self.counters(),
        )

    def _raster(self, name: str, value: FloatArray, steps: int) -> FloatArray:
        if name not in self._inputs:
            known = ", ".join(self._inputs) or "none"
            raise ConfigError(f"no input port '{name}'; there are: {known}")
        size = self._signals[name].size
        try:
            raster = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(f"input '{name}': expected numbers") from None
        if raster.ndim < 1 or raster.shape[0] != steps or raster.size != steps * size:
            raise ConfigError(
                f"input '{name}': expected shape ({steps}, {size}), not {raster.shape}"
            )
        if not np.isfinite(raster).all():
            raise ConfigError(f"input '{name}': every value must be finite")
        return raster.reshape(steps, size)

    def _probe_steps(
        self, probes: Mapping[str, Sequence[float] | FloatArray], steps: int
    ) -> dict[str, Array]:
        reading = {}
        for name, times_s in probes.items():
            if name not in self._voltages:
                known = ", ".join(self._voltages) or "none"
                raise ConfigError(f"probe '{name}': no layer of neurons; there are: {known}")
            # A millionth of a step of grace: 0.3 / 0.1 is a little less than 3.
            at = np.floor(np.asarray(times_s, np.float64).reshape(-1) / self.dt_s + 1e-6)
            if not np.all((at >= 0) & (at <= steps)):
                raise ConfigError(
                    f"probe '{name}': times must lie within 0 to {steps * self.dt_s:g} s"
                )
            reading[name] = at.astype(np.int64)
        return reading

    def _recordable(self, name: str) -> str:
        if name not in self._signals or not self._signals[name].spiking:
            known = ", ".join(n for n, s in self._signals.items() if s.spiking) or "none"
            raise ConfigError(f"record '{name}': not a spiking node; there are: {known}")
        return name

    def _read_voltages(self, traces: Mapping[str, Array], row: int) -> None:
        for name, trace in traces.items():
            trace[row] = self._values[self._voltages[name]]

    def _spikes(self, rows: Array, first_s: float) -> Spikes:
        step, i = np.nonzero(rows)
        count = np.maximum(rows[step, i].astype(np.int64), 0)
        return Spikes(first_s + np.repeat(step, count) * self.dt_s, np.repeat(i, count))

    def state(self) -> State:
        """A copy of values (with plastic weights), event lists and time."""
        return {
            "network": self._identity.copy(),
            "step": np.array([self._engine.step]),
            "learning": np.array(
                [self._learning, *(name not in self._frozen for name in self._numbers)]
            ),
            "values": self._values.copy(),
            "arrived": self._arrived.copy(),
            "events": self._events.copy(),
            "counts": self._counts.copy(),
            **self._remembered(),
            **{
                f"{name}/{part}": values
                for edges in (self._learners, self._releases)
                for name, edge in edges.items()
                for part, values in edge.state().items()
            },
        }

    def _remembered(self) -> State:
        """The spikes that are on their way, one after another."""
        held = [_held(counts, index) for counts, index, _ in self._rings]
        return {
            "ring/counts": _joined([counts for counts, _, _ in self._rings], np.int64),
            "ring/index": _joined(
                [index[which] for (_, index, _), which in zip(self._rings, held, strict=True)],
                np.int32,
            ),
            "ring/value": _joined(
                [
                    value[which]
                    for (_, _, value), which in zip(self._rings, held, strict=True)
                    if value is not None
                ],
                np.float32,
            ),
        }

    def _remember(self, state: State) -> None:
        counts, index, value = (state[f"ring/{part}"] for part in ("counts", "index", "value"))
        for ring_counts, ring_index, ring_value in self._rings:
            ring_counts[:], counts = counts[: len(ring_counts)], counts[len(ring_counts) :]
            which, total = _held(ring_counts, ring_index), int(ring_counts.sum())
            ring_index[which], index = index[:total], index[total:]
            if ring_value is not None:
                ring_value[which], value = value[:total], value[total:]

    def restore(self, state: State) -> None:
        """Go back to `state`. Raises ValueError for a state of another network."""
        mine = self.state()
        if state.keys() != mine.keys() or any(
            state[key].dtype != mine[key].dtype
            or (state[key].shape != mine[key].shape and key not in _VARYING)
            for key in mine
        ):
            raise ValueError("the state does not have the parts of this network's state")
        if not np.array_equal(state["network"], self._identity):
            raise ValueError("the state is of another network, dialect, step or seed")
        learnt = {
            name: {part: state[f"{name}/{part}"] for part in learner.state()}
            for name, learner in self._learners.items()
        }
        released = {
            name: {part: state[f"{name}/{part}"] for part in release.state()}
            for name, release in self._releases.items()
        }
        step = int(state["step"][0])
        self._check_lists(state, step)
        self._check_remembered(state)
        for name, learner in self._learners.items():
            learner.check(learnt[name], step)
        for name, release in self._releases.items():
            release.check(released[name], step)
        self._engine.step = step
        self._values[:] = state["values"]
        self._arrived[:] = state["arrived"]
        self._events[:] = state["events"]
        self._counts[:] = state["counts"]
        self._remember(state)
        self._engine.refresh()
        self._restore_learning(state["learning"], learnt)
        for name, release in self._releases.items():
            release.restore(released[name])

    def _restore_learning(self, on: Array, learnt: Mapping[str, State]) -> None:
        self._learning, frozen = bool(on[0]), ~on[1:]
        self._frozen = {name for name, held in zip(self._numbers, frozen, strict=True) if held}
        for name, number in self._numbers.items():
            active = self._learning and name not in self._frozen
            if name in self._learners:
                self._learners[name].restore(learnt[name], active)
            else:
                self._engine.resume(number, active)

    @cached_property
    def _identity(self) -> Array:
        """What tells its states from those of other networks: all that does not change."""
        fixed = [
            getattr(node, part)
            for name, node in self._network.nodes.items()
            for part in ("rows", "targets", "weight", "delay_s")
            if isinstance(getattr(node, part, None), np.ndarray)
            and not (part == "weight" and name in self._numbers)
        ]
        for learner in self._learners.values():
            fixed += [learner.edge.parameter, learner.edge.limits]
        fixed += [release.limits for release in self._releases.values()]
        clock = np.array([self.dt_ns, self._network.seed % 2**64], np.uint64)
        return _digest(*self._tables, *fixed, clock)

    def _check_lists(self, state: State, step: int) -> None:
        """Refuse a time or lists of events that cannot be, before anything is changed."""
        sizes = np.diff(self._starts[:-1], append=len(self._events) - 1)
        counts, events = state["counts"][:-1], state["events"][:-1]
        if not 0 <= step <= _MOST_NS // self.dt_ns:
            raise ValueError(f"the state is damaged: step {step}")
        if np.any((counts < 0) | (counts > sizes)):
            raise ValueError("the state is damaged: more events than elements")
        if np.any((events < 0) | (events >= np.repeat(sizes, sizes))):
            raise ValueError("the state is damaged: an event of no element")

    def _check_remembered(self, state: State) -> None:
        """Refuse spikes that do not fit their rings, before anything is changed."""
        counts, index, value = (state[f"ring/{part}"] for part in ("counts", "index", "value"))
        weighted = 0
        for own, ring_index, ring_value in self._rings:
            part, counts = counts[: len(own)], counts[len(own) :]
            if np.any((part < 0) | (part > ring_index.shape[1])):
                raise ValueError("the state is damaged: more spikes than elements")
            total = int(part.sum())
            which, index = index[:total], index[total:]
            if len(which) != total or np.any((which < 0) | (which >= ring_index.shape[1])):
                raise ValueError("the state is damaged: a spike of no element")
            weighted += total if ring_value is not None else 0
        if len(index) or len(value) != weighted:
            raise ValueError("the state is damaged: its spikes do not match their counts")

    def weights(self, edge: str) -> FloatArray:
        """A copy of the weights of `edge` as they are now.

        Shape (outputs, inputs); of a projection (synapses,), in the order of its rows.
        """
        node = self._network.nodes.get(edge)
        learnt = self._learners[edge].weights() if edge in self._learners else None
        if learnt is not None and isinstance(node, Projection):
            return learnt
        if isinstance(node, Projection):
            return np.array(np.broadcast_to(node.weight, node.targets.shape), np.float64)
        if not isinstance(node, Linear):
            raise ValueError(f"no Linear, Affine or projection '{edge}'")
        if edge not in self._plastic:
            return node.weight.copy()
        outputs, inputs = node.weight.shape
        weight = self._values[self._plastic[edge]] if learnt is None else learnt
        return weight.reshape(inputs, outputs).T.copy()

    def targets(self, edge: str) -> Array:
        """A copy of the targets of a projection as they are now; see `Program`."""
        node = self._network.nodes.get(edge)
        if not isinstance(node, Projection):
            raise ValueError(f"no projection '{edge}'")
        return self._targets.get(edge, node.targets).copy()

    def thresholds(self, layer: str) -> FloatArray:
        """A copy of the thresholds of a layer as they are now; see `Program`."""
        node = self._network.nodes.get(layer)
        if layer in self._thresholds:
            return self._values[self._thresholds[layer]].copy()
        if not isinstance(node, Neurons) or "v_threshold" not in node.parameters:
            raise ValueError(f"no layer '{layer}' with thresholds")
        return node.parameters["v_threshold"].copy()

    def counters(self) -> Counters:
        """Work done so far."""
        events, updates, spikes, weights = self._engine.counters()
        return Counters(
            synaptic_events=events,
            neuron_updates=updates,
            spikes=spikes,
            weight_updates=weights,
        )


#: Parts of a state whose length depends on the moment.
_VARYING = frozenset({"ring/index", "ring/value"})


def _is_rewired(found: Learning) -> bool:
    return any(rule.role == "wiring" for rule in found.upkeep)


def _ring_arrays(ring: Ring) -> tuple[Array, Array, Array | None]:
    """Counts (depth,), indices and values (depth, capacity) of a ring."""
    shape = ring.depth, ring.capacity
    value = np.zeros(shape, np.float32) if ring.weighted else None
    return np.zeros(ring.depth, np.int64), np.zeros(shape, np.int32), value


def _held(counts: Array, index: Array) -> Array:
    """Which entries of a ring hold spikes."""
    return np.arange(index.shape[1]) < counts[:, None]


def _joined(parts: list[Array], dtype: type[np.generic]) -> Array:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _nanoseconds(dt_s: float, source: str) -> int:
    exact = dt_s * 1e9
    dt_ns = round(exact) if np.isfinite(exact) else 0
    if dt_ns < 1 or abs(exact - dt_ns) > 1e-6 * dt_ns:
        raise ConfigError(f"{source}: dt_s {dt_s!r} must be a positive whole number of nanoseconds")
    return dt_ns


def _seed(seed: int, edge: str) -> int:
    """A seed of an edge's own."""
    return int.from_bytes(hashlib.sha256(f"{seed} {edge}".encode()).digest()[:8], "little")


def _digest(*arrays: Array) -> Array:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return np.frombuffer(digest.digest(), np.uint8)


def _checked_vector(name: str, values: Array, size: int) -> Array:
    if values.dtype != np.float64 or values.shape != (size,):
        raise ValueError(
            f"input '{name}': expected SPIKE records or float64 of shape ({size},), not "
            f"{values.dtype} of shape {values.shape}"
        )
    if not all_finite(values):
        raise ValueError(f"input '{name}': every value must be finite")
    return values


def _shifted(rows: Array, steps: int, first: int) -> Array:
    """`rows` later by `steps`, the rows from `first` on."""
    if steps == 0:
        return rows
    moved = np.zeros_like(rows)
    moved[:first] = rows[:first]
    moved[first + steps :] = rows[first : len(rows) - steps]
    return moved
