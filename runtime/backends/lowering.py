"""From a network to the flat program that the clocked engine runs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from math import exp, expm1, prod

import numpy as np

from reflexarc.ext.program import GENERATORS as GENERATE
from reflexarc.ext.program import MODELS, RESETS, STORAGES
from reflexarc.runtime.backends.lowered import Learning, Lowered, Pool, Signal
from reflexarc.runtime.backends.populations import (
    Population,
    check_layers,
    delay_steps,
    is_refractory,
    nir_population,
    own_population,
)
from reflexarc.runtime.backends.routes import Routes
from reflexarc.runtime.batch import Array
from reflexarc.runtime.dialect import Dialect, Step, discretise
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.learning import misfit_of, target_of
from reflexarc.runtime.linearmap import bias_of, pool_as_conv, reach
from reflexarc.runtime.network import (
    GENERATORS,
    NIR_PARAMETERS,
    RECEPTORS,
    Conv,
    Delay,
    Flatten,
    FloatArray,
    Input,
    Linear,
    Modulator,
    Network,
    Neurons,
    Node,
    Output,
    Pooling,
    Projection,
    Scale,
    Threshold,
)
from reflexarc.runtime.nirgraph import input_size
from reflexarc.runtime.plasticity import (
    Held,
    IntrinsicHomeostasis,
    KernelRule,
    Pes,
    Rewiring,
    Rule,
    ShortTerm,
    SynapticScaling,
    Upkeep,
    agreed,
    holding,
)
from reflexarc.runtime.topology import check_modulators, evaluation_order, recurrent_onto_one_layer

#: A weight matrix with at least this share of non-zero weights is stored in full rows.
DENSE_SHARE = 0.5
#: More spikes a step on average than this cannot be drawn: exp(-mean) must not vanish.
_MOST_MEAN = 700.0


#: Kinds whose membrane a rule can see.
_MEMBRANES = ("LIF", "ALIF", "DeltaLIF")

_NOWHERE = Signal(-1, 0)


def lower(network: Network, dialect: Dialect, dt_s: float) -> Lowered:
    """Make the program of one clock step.

    Raises:
        UnsupportedError: what the clocked engine cannot do; names node or rule.
        ConfigError: a sidecar value that does not fit the graph.
    """
    return _Lowering(network, dialect, dt_s).run()


class _Lowering:
    def __init__(self, network: Network, dialect: Dialect, dt_s: float) -> None:
        self.network, self.dialect, self.dt_s = network, dialect, dt_s
        self.out = Lowered()
        self.routes = Routes(network, self.out, dt_s)
        check_layers(network)
        check_modulators(network)
        self.sources: dict[str, list[str]] = {name: [] for name in network.nodes}
        for source, target in network.edges:
            if source not in self.out.projections:
                self.sources[target].append(source)
        self.delay_steps = {
            node.name: _whole_steps(node, dt_s, network.source)
            for node in network.nodes.values()
            if isinstance(node, Delay)
        }
        self.holding = {name for name, steps in self.delay_steps.items() if steps.min() >= 1}
        self.holding |= self.routes.holding
        self.steps: dict[str, Step] = {}
        self.rings: dict[str, int] = {}
        self.shared: set[str] = set()
        self.tuned: dict[str, int] = {}
        drops = dialect.drops_recurrent_bias
        self.unbiased = recurrent_onto_one_layer(network) if drops else frozenset()

    def run(self) -> Lowered:
        self._check_rules()
        order = evaluation_order(self.network, self.holding)
        self.routes.settle(order, self._single())
        self._remember_targets()
        self._find_behind(order)
        self.shared = self._shared(order)
        for name in order:
            self._place(name)
        for port, node in enumerate(self.network.inputs()):
            if isinstance(node, Modulator) and node.tau_s is not None:
                self._modulate(port, node, node.tau_s)
        for name in self.routes.early:
            self.routes.deliver(name)
        for name in order:
            self._evaluate(name)
        for name in self.routes.late:
            self.routes.deliver(name)
        for name in order:
            if name in self.delay_steps and name in self.holding:
                self._write_delay(name)
        for name, found in self.out.learning.items():
            for rule in (found.rule, *found.upkeep):
                self._learn(name, rule)
        return self.out

    def _shared(self, order: list[str]) -> set[str]:
        """The Flattens that show their source's own values: no edge at them leads backwards."""
        at = {name: k for k, name in enumerate(order)}
        late = {end for edge in self.network.edges if at[edge[0]] >= at[edge[1]] for end in edge}
        return {
            name
            for name, sources in self.sources.items()
            if isinstance(self.network.nodes[name], Flatten)
            and len(sources) == 1
            and name not in late
        }

    # Where the values of each node lie.

    def _place(self, name: str) -> None:
        node, out = self.network.nodes[name], self.out
        match node:
            case Neurons() if self._is_populated(node) or node.kind in GENERATORS:
                out.signals[name] = out.new_signal(np.zeros(node.size), spiking=True)
            case Neurons():
                out.signals[name] = self._place_neurons(node)
            case Projection():
                pass
            case Linear() | Conv() | Pooling() | Scale():
                bias = self._bias(node) if self.dialect.bias_at_t0 else None
                first = np.zeros(node.size) if bias is None else bias
                out.signals[name] = out.new_signal(first, spiking=False)
            case Modulator() if node.tau_s is not None:
                out.ports[name] = out.new_signal(np.zeros(node.size), spiking=True)
                out.signals[name] = out.new_signal(np.zeros(node.size), spiking=False)
            case Input():
                out.ports[name] = out.new_signal(np.zeros(node.size), spiking=True)
                out.signals[name] = out.ports[name]
            case Threshold():
                out.signals[name] = out.new_signal(np.zeros(node.size), spiking=True)
            case Flatten() if name in self.shared:
                out.signals[name] = out.signals[self.sources[name][0]]
            case Output() if self._shows_one(name):
                out.signals[name] = out.signals[self.sources[name][0]]
            case Delay() | Output() | Flatten():
                spiking = self.network.is_spiking(name)
                out.signals[name] = out.new_signal(np.zeros(node.size), spiking=spiking)
            case _:
                raise UnsupportedError(
                    f"node '{name}': the clocked engine does not run {type(node).__name__}"
                )

    def _bias(self, node: Node) -> FloatArray | None:
        """What `node` adds to each element under the dialect, or None."""
        return None if node.name in self.unbiased else bias_of(node)

    def _discretised(self, node: Neurons) -> Step:
        """The factors of a layer of NIR; warns of what the dialect ignores."""
        ignored = self.dialect.ignored(node)
        if ignored:
            warnings.warn(
                f"{self.network.source}: node '{node.name}': dialect {self.network.dialect} "
                f"ignores {', '.join(ignored)}",
                UserWarning,
                stacklevel=2,
            )
        return discretise(node, self.dialect, self.dt_s)

    def _place_neurons(self, node: Neurons) -> Signal:
        out = self.out
        step = self.steps[node.name] = self._discretised(node)
        v0 = self.network.initial_v.get(node.name, step.v0)
        state = out.values.add(v0)
        if step.a_syn is not None:
            out.values.add(np.zeros(node.size))
        out.voltages[node.name] = slice(state, state + node.size)
        if node.spiking:
            return out.new_signal(np.zeros(node.size), spiking=True)
        return Signal(state, node.size)

    def _modulate(self, port: int, node: Modulator, tau_s: float) -> None:
        """Let rules see the level of a modulator instead of what enters at its port."""
        out = self.out
        x, y = out.ports[node.name], out.signals[node.name]
        constants = [exp(-self.dt_s / tau_s), -expm1(-self.dt_s / tau_s)]
        params = out.constants.add([*constants, node.spike_value(self.dt_s)])
        out.emit("modulate", variant=port, n=node.size, x=x.at, y=y.at, params=params)

    # One operation or a few for each node, in order.

    def _evaluate(self, name: str) -> None:
        node, out = self.network.nodes[name], self.out
        y = out.signals.get(name, _NOWHERE)
        match node:
            case Neurons() if node.kind in GENERATORS:
                self._generate(node, y)
            case Neurons() if self._is_populated(node):
                self._step_population(node, y)
            case Neurons():
                self._step_neurons(node, self._gather(name, self.routes.sums(name)), y)
            case Projection():
                if name not in self.routes.early and name not in self.routes.late:
                    self.routes.deliver(name)
            case Linear():
                self._multiply(node, self._gather(name), y)
            case Conv():
                self._convolve(node, self._gather(name), y)
            case Pooling():
                divisor = prod(node.kernel) if node.kind == "average" else 1
                self._convolve(pool_as_conv(node), self._gather(name), y, divisor)
            case Scale() | Threshold():
                self._emit_rowwise(node, self._gather(name), y)
            case Flatten() if name not in self.shared:
                self._sum((out.signals[source] for source in self.sources[name]), y)
            case Delay():
                if name not in self.holding:
                    self._write_delay(name)
                steps = self.delay_steps[name]
                self._emit_delay("delay_read", name, y=y.at, targets=out.targets.add(steps))
                self._scan(y)
            case Output():
                self._show(name, y)
        if name in out.rings:
            ring = out.rings[name]
            out.emit("record", x=y.at, x_list=y.list_id, ring=ring.number)

    def _gather(self, name: str, arrived: int = -1) -> Signal:
        """The sum of what leads to `name`: its only source itself, or a buffer."""
        out, sources = self.out, self.sources[name]
        signals = [out.signals[source] for source in sources]
        if len(sources) == 1 and sources[0] != name and arrived < 0:
            return signals[0]
        size = input_size(self.network.nodes[name])
        spiking = bool(signals) and arrived < 0 and all(signal.spiking for signal in signals)
        buffer = out.new_signal(np.zeros(size), spiking=spiking)
        self._sum(signals, buffer)
        if arrived >= 0:
            if not signals:
                silence = out.new_signal(np.zeros(size), spiking=False)
                out.emit("copy", n=size, x=silence.at, y=buffer.at)
            out.emit("collect", n=size, y=buffer.at, arrived=arrived)
        return buffer

    def _sum(self, signals: Iterable[Signal], y: Signal) -> None:
        for k, x in enumerate(signals):
            self.out.emit("add" if k else "copy", n=y.size, x=x.at, y=y.at)
        self._scan(y)

    def _scan(self, y: Signal) -> None:
        if y.spiking:
            self.out.emit("scan", n=y.size, x=y.at, y_list=y.list_id)

    def _step_neurons(self, node: Neurons, x: Signal, y: Signal) -> None:
        step = self.steps[node.name]
        rows = [step.a, step.g, step.c]
        if node.spiking:
            assert step.limit is not None
            assert step.threshold is not None
            rows += [step.limit, step.threshold, self._reset_row(node, step)]
        if step.a_syn is not None and step.g_syn is not None:
            rows += [step.a_syn, step.g_syn]
        self.out.emit(
            "neurons",
            variant=RESETS[self._reset(node)],
            n=node.size,
            m=0 if step.a_syn is None else node.size,
            x=x.at,
            y=y.at,
            y_list=y.list_id,
            state=self.out.voltages[node.name].start,
            params=self.out.constants.add(np.concatenate(rows)),
            tuned=self._tuned(node, rows),
        )

    def _tuned(self, node: Neurons, rows: Sequence[FloatArray]) -> int:
        """Where the layer's parameters lie if a rule changes them; else -1."""
        if node.name not in self.out.learning:
            return -1
        self.tuned[node.name] = self.out.values.add(np.concatenate(rows))
        return self.tuned[node.name]

    def _reset(self, node: Neurons) -> str:
        if not node.spiking:
            return "graded"
        return self.dialect.reset + ("_rectified" if self.dialect.rectifies else "")

    def _reset_row(self, node: Neurons, step: Step) -> FloatArray:
        """What v is set to, or (spikes as often as they fit) may not go below."""
        assert step.threshold is not None
        assert step.reset is not None
        if self.dialect.reset != "subtract_each":
            return step.reset
        return -step.threshold if self._clips(node) else np.full(node.size, -np.inf)

    def _clips(self, node: Neurons) -> bool:
        """Whether v goes no lower than -v_threshold."""
        dialect = self.dialect
        return dialect.reset == "subtract_each" and dialect.clips_if and node.kind == "IF"

    def _multiply(self, node: Linear, x: Signal, y: Signal) -> None:
        out = self.out
        by_source = np.ascontiguousarray(node.weight.T)
        x = self._released(node.name, x)
        op = self._product(node, x, y)
        if node.name in self.out.learning:
            place = out.values.add(by_source)
            out.plastic[node.name] = slice(place, place + by_source.size)
            out.fed[node.name] = x
            rule = out.learning[node.name].rule
            if isinstance(rule, KernelRule) and not rule.takes_values:
                number = out.learning[node.name].number
                out.emit("settle", x_list=x.list_id, synapses=number)
            out.emit("linear", **op, variant=STORAGES["plastic"], weights=place)
            return
        bits, pool = self._storage(by_source)
        nonzero = by_source != 0.0
        if nonzero.mean() >= DENSE_SHARE:
            weights = pool.add(by_source)
            out.emit("linear", **op, variant=STORAGES[f"dense{bits}"], weights=weights)
            return
        ends = np.cumsum(nonzero.sum(axis=1))
        out.emit(
            "linear",
            **op,
            variant=STORAGES[f"sparse{bits}"],
            weights=pool.add(by_source[nonzero]),
            rows=out.rows.add(np.concatenate([[0], ends])),
            targets=out.targets.add(np.nonzero(nonzero)[1]),
        )

    def _released(self, name: str, x: Signal) -> Signal:
        """What arrives of `x`: the spikes themselves, or what short-term plasticity leaves."""
        if name not in self.out.releases:
            return x
        y = Signal(self.out.values.add(np.zeros(x.size)), x.size, x.list_id)
        self.out.release(name, x=x.at, x_list=x.list_id, y=y.at)
        return y

    def _product(self, node: Node, x: Signal, y: Signal) -> dict[str, int]:
        """What every operation `y = bias + weights x` has."""
        bias = self._bias(node)
        return {
            "n": y.size,
            "m": x.size,
            "x": x.at,
            "x_list": x.list_id,
            "y": y.at,
            "params": -1 if bias is None else self.out.constants.add(bias),
        }

    def _storage(self, weights: FloatArray) -> tuple[int, Pool]:
        """Bits of a weight and where weights of so many go: float32 where nothing is lost."""
        with np.errstate(over="ignore"):
            lossless = bool(np.all(weights.astype(np.float32) == weights))
        return (32, self.out.weights32) if lossless else (64, self.out.weights64)

    def _convolve(self, node: Conv, x: Signal, y: Signal, divisor: int = 1) -> None:
        """A convolution of one axis is one of two, the first of length 1."""
        out, groups = self.out, node.groups
        (in_y, in_x), (out_y, out_x), (taps_y, taps_x) = (
            (1, *shape)[-2:] for shape in (node.shape_in[1:], node.shape[1:], node.weight.shape[2:])
        )
        channels_out, channels_in = node.weight.shape[0] // groups, node.weight.shape[1]
        by_source = node.weight.reshape(groups, channels_out, channels_in, -1)
        by_source = np.ascontiguousarray(by_source.transpose(0, 2, 3, 1))
        geometry = [channels_in, channels_out, in_y, in_x, out_y, out_x, taps_x, taps_y * taps_x]
        axes = [_hits(node, axis) for axis in range(len(node.stride))]
        if len(axes) == 1:
            axes.insert(0, (np.array([0, 1]), np.array([[0, 0]])))
        (starts_y, hits_y), (starts_x, hits_x) = axes
        bits, pool = self._storage(by_source)
        out.emit(
            "conv",
            **self._product(node, x, y),
            variant=STORAGES[f"dense{bits}"],
            weights=pool.add(by_source),
            rows=out.rows.add([*geometry, divisor, *starts_y, *(starts_x + len(hits_y))]),
            targets=out.targets.add(np.concatenate([hits_y, hits_x])),
        )

    def _emit_rowwise(self, node: Scale | Threshold, x: Signal, y: Signal) -> None:
        row = node.scale if isinstance(node, Scale) else node.threshold
        kind = type(node).__name__.lower()
        params = self.out.constants.add(row)
        self.out.emit(kind, n=y.size, x=x.at, y=y.at, y_list=y.list_id, params=params)

    def _write_delay(self, name: str) -> None:
        self._emit_delay("delay_write", name, x=self._gather(name).at)

    def _emit_delay(self, kind: str, name: str, **fields: int) -> None:
        steps = self.delay_steps[name]
        depth = int(steps.max()) + 1
        if name not in self.rings:
            self.rings[name] = self.out.values.add(np.zeros(depth * steps.size))
        self.out.emit(kind, n=steps.size, m=depth, state=self.rings[name], **fields)

    def _shows_one(self, name: str) -> bool:
        """Whether an Output passes on the spikes of one node: it needs no values of its own."""
        sources = self.sources[name]
        return len(sources) == 1 and self.network.is_spiking(sources[0])

    def _show(self, name: str, y: Signal) -> None:
        if not self._shows_one(name):
            self._sum((self.out.signals[source] for source in self.sources[name]), y)
        if y.spiking:
            port = [node.name for node in self.network.outputs()].index(name)
            self.out.emit("log", variant=port, n=y.size, x=y.at, x_list=y.list_id)

    # Layers that population kernels run.

    def _single(self) -> set[str]:
        """Layers of which no neuron spikes twice in a step."""
        layers = [node for node in self.network.nodes.values() if isinstance(node, Neurons)]
        return {node.name for node in layers if self._is_populated(node)}

    def _is_populated(self, node: Neurons) -> bool:
        """Whether a population kernel runs the layer."""
        if node.kind not in NIR_PARAMETERS:
            return node.kind not in GENERATORS
        plain = self.dialect.reset == "v_reset" and not self.dialect.rectifies
        if node.spiking and not plain and is_refractory(node):
            raise UnsupportedError(
                f"{self.network.source}: node '{node.name}': dialect {self.network.dialect} has "
                "no refractory time; use a dialect that only resets to v_reset"
            )
        return node.spiking and plain

    def _step_population(self, node: Neurons, y: Signal) -> None:
        out, own = self.out, node.kind not in NIR_PARAMETERS
        population = self._own(node) if own else self._nir(node)
        state = [out.values.add(values) for values in population.state]
        out.voltages[node.name] = slice(state[0], state[0] + node.size)
        constants, uniform = population.constants()
        if own:
            self.routes.make_sums(node)
        arrived = self.routes.sums(node.name)
        x = self._own_input(node, arrived) if own else self._nir_input(node, arrived)
        number, tuned = out.layers, self._tuned(node, population.rows)
        wait = out.values.add(np.zeros(node.size)) if population.waits else -1
        out.emit(
            "population",
            variant=MODELS[population.model],
            n=node.size,
            m=population.substeps,
            x=x,
            state=state[0],
            params=out.constants.add(constants),
            uniform=int(uniform and tuned < 0),
            tuned=tuned,
            arrived=arrived,
            layer=number,
            fired=out.fired,
            wait=wait,
            peak=self._show_membrane(node, population, state, wait),
        )
        out.emit("fired", n=node.size, y=y.at, y_list=y.list_id, layer=number, fired=out.fired)
        out.layers += 1
        out.fired += node.size

    def _show_membrane(
        self, node: Neurons, population: Population, state: list[int], wait: int
    ) -> int:
        """Note what rules see of a layer; returns where its voltages before a reset go, or -1."""
        rules = [e.rule for e in self.out.learning.values() if e.layer is node]
        if not any(isinstance(rule, KernelRule) and "membrane" in rule.sees for rule in rules):
            return -1
        rows, size = population.rows, node.size
        peak = self.out.values.add(np.zeros(size))
        constants = {"decay": rows[0], "gain": rows[1], "threshold": rows[3]}
        constants["height"] = rows[3] - node.parameters["v_leak"]
        places = {"peak": peak}
        if wait >= 0:
            places["wait"] = wait
        if node.kind == "ALIF":
            places["raised"] = state[1]
            constants["relaxing"], constants["jump"] = rows[6], rows[7]
        self.out.views[node.name] = {
            **{name: slice(at, at + size) for name, at in places.items()},
            **{name: np.array(np.broadcast_to(row, size)) for name, row in constants.items()},
        }
        return peak

    def _own(self, node: Neurons) -> Population:
        return own_population(node, self.dt_s, self.network.initial_v.get(node.name))

    def _nir(self, node: Neurons) -> Population:
        step = self._discretised(node)
        v0 = self.network.initial_v.get(node.name, step.v0)
        return nir_population(node, step, v0, self.dt_s)

    def _nir_input(self, node: Neurons, arrived: int) -> int:
        """Where the layer's input lies; -1 if only projections reach it, whose sums it reads."""
        alone = arrived >= 0 and not self.sources[node.name]
        return -1 if alone else self._gather(node.name).at

    def _own_input(self, node: Neurons, arrived: int) -> int:
        """Where the current into a layer of ours lies, that of `input` projections included."""
        last = len(RECEPTORS[node.kind]) - 1
        reached = last > 0 and self.routes.reach(node.name, "input")
        if not self.sources[node.name] and not reached:
            return -1
        return self._gather(node.name, arrived + last * node.size if reached else -1).at

    def _generate(self, node: Neurons, y: Signal) -> None:
        p, out = node.parameters, self.out
        if node.kind == "Poisson":
            mean = p["rate"] * self.dt_s
            if mean.max() > _MOST_MEAN:
                raise UnsupportedError(
                    f"{self.network.source}: node '{node.name}': rate: {mean.max():g} spikes a "
                    f"step; the most is {_MOST_MEAN:g}, so give a shorter dt_s"
                )
            rows = [np.exp(-mean), mean]
        else:
            rows = [_near_whole(p["phase"] / self.dt_s), _near_whole(p["period"] / self.dt_s)]
        out.emit(
            "generate",
            variant=GENERATE[node.kind],
            n=node.size,
            params=out.constants.add(np.concatenate(rows)),
            y=y.at,
            y_list=y.list_id,
            layer=list(self.network.nodes).index(node.name),
        )

    # Learning.

    def _check_rules(self) -> None:
        """Number what learns, projections first."""
        others = len(self.out.projections)
        for name in self.network.plasticity:
            rules = agreed(self.network.rules(name))
            for rule in rules:
                self._check_rule(name, rule)
            upkeep = tuple(rule for rule in rules if isinstance(rule, Upkeep))
            main = [rule for rule in rules if not isinstance(rule, Upkeep | ShortTerm)]
            for rule in rules:
                if isinstance(rule, ShortTerm):
                    self.out.releases[name] = rule
            if not (upkeep or main):
                continue
            if name in self.out.projections:
                number = self.routes.number(name)
            else:
                number, others = others, others + 1
            self._check_upkeep(name, main, upkeep)
            self.out.learning[name] = Learning(
                number=number,
                rule=main[0] if main else holding(upkeep[0]),
                upkeep=upkeep,
                layer=target_of(self.network, name),
            )

    def _check_rule(self, name: str, rule: Rule) -> None:
        place = f"{self.network.source}: plasticity '{name}'"
        misfit = misfit_of(self.network.nodes, name, self.network.rules(name))
        if misfit:
            keys = "".join(f": {key}" for key in misfit[0])
            raise ConfigError(f"{place}{keys}: {misfit[1]}")
        if isinstance(rule, IntrinsicHomeostasis):
            self._check_thresholds(place, rule)
            return
        takes_values = isinstance(rule, KernelRule) and rule.takes_values
        graded = [n for n in self._senders(name) if not self.network.is_spiking(n)]
        if graded and not takes_values:
            raise UnsupportedError(
                f"{place}: rule {rule.rule} needs spikes into the edge, and "
                f"{', '.join(graded)} is graded"
            )
        for modulator in rule.modulators:
            if isinstance(self.network.nodes[modulator], Projection):
                raise ConfigError(
                    f"{place}: modulator: '{modulator}' is a projection, which shows no values"
                )
        if isinstance(rule, KernelRule | Upkeep):
            layer = target_of(self.network, name)
            if layer is None or not layer.spiking or layer.size != self.network.nodes[name].size:
                raise UnsupportedError(
                    f"{place}: rule {rule.rule} needs an edge that leads to one layer of "
                    "neurons, which spike"
                )
            if isinstance(rule, KernelRule):
                self._check_sight(layer, place, rule)

    def _check_sight(self, layer: Neurons, place: str, rule: KernelRule) -> None:
        if "membrane" in rule.sees:
            self._check_membrane(layer, place, rule)
        self._check_readout(layer, place, rule)

    def _check_membrane(self, layer: Neurons, place: str, rule: KernelRule) -> None:
        if layer.name in self.network.plasticity:
            raise UnsupportedError(
                f"{place}: rule {rule.rule} needs thresholds that stay, and "
                f"{self.network.rules(layer.name)[0].rule} moves those of '{layer.name}'"
            )
        tau_s = layer.parameters.get("tau", np.zeros(0))
        if layer.kind not in _MEMBRANES or not self._is_populated(layer):
            raise UnsupportedError(
                f"{place}: rule {rule.rule} needs a layer of {', '.join(_MEMBRANES)} under a "
                f"dialect that resets to v_reset; '{layer.name}' is {layer.kind} under "
                f"{self.network.dialect}"
            )
        if np.any(tau_s != tau_s[0]):
            raise UnsupportedError(
                f"{place}: rule {rule.rule} needs one tau for all neurons of '{layer.name}'"
            )
        if np.any(layer.parameters["v_threshold"] <= layer.parameters["v_leak"]):
            raise UnsupportedError(
                f"{place}: rule {rule.rule} needs v_threshold above v_leak in '{layer.name}'"
            )

    def _check_readout(self, layer: Neurons, place: str, rule: KernelRule) -> None:
        if rule.readout_name is None:
            return
        node = self.network.nodes[rule.readout_name]
        if not isinstance(node, Linear) or node.weight.shape[1] != layer.size:
            raise ConfigError(
                f"{place}: readout: '{rule.readout_name}' is no Linear or Affine node with the "
                f"{layer.size} neurons of '{layer.name}' as inputs"
            )

    def _check_thresholds(self, place: str, rule: IntrinsicHomeostasis) -> None:
        if self.dialect.reset == "subtract_each" and rule.threshold_min <= 0:
            raise UnsupportedError(
                f"{place}: threshold_min: dialect {self.network.dialect} divides by the threshold; "
                "give a threshold_min above 0"
            )

    def _check_upkeep(self, name: str, main: list[Rule], upkeep: Sequence[Upkeep]) -> None:
        if not (upkeep and main):
            return
        rule = main[0]
        if not isinstance(rule, KernelRule) or type(rule).first is not KernelRule.first:
            raise UnsupportedError(
                f"{self.network.source}: plasticity '{name}': {upkeep[0].rule} does not stack "
                f"with {rule.rule}; give them to two edges"
            )

    def _senders(self, name: str) -> list[str]:
        return [before for before, after in self.network.edges if after == name]

    def _remember_targets(self) -> None:
        """Have the spikes remembered that get to the synapses later."""
        for found in self.out.learning.values():
            steps = self._dendritic_steps(found)
            if steps and found.layer is not None:
                self.routes.remember(found.layer.name, found.layer.size, steps, self._single())

    def _find_behind(self, order: list[str]) -> None:
        """Find the matrices that are multiplied after their layer's step: they act in the next."""
        at = {name: k for k, name in enumerate(order)}
        self.out.behind = {
            name
            for name, found in self.out.learning.items()
            if name not in self.out.projections
            and found.layer is not None
            and at[name] > at[found.layer.name]
        }

    def _dendritic_steps(self, found: Learning) -> int:
        """Steps from a target's spike to what the synapse sees in the arrival's frame of time."""
        if not isinstance(found.rule, KernelRule):
            return 0
        what = f"{self.network.source}: rule {found.rule.rule}: dendritic delays"
        both_ways = np.array([2.0 * found.rule.dendritic_delay_s])
        return int(delay_steps(both_ways, self.dt_s, what)[0])

    def _learn(self, name: str, rule: Rule) -> None:
        match rule:
            case Held():
                pass
            case KernelRule():
                self._learn_by_kernel(name)
            case Pes():
                self._learn_by_error(name, rule)
            case IntrinsicHomeostasis():
                self._tune(name, rule)
            case SynapticScaling():
                self._scale_synapses(name, rule)
            case Rewiring():
                self._rewire(name, rule)

    def _learn_by_kernel(self, name: str) -> None:
        out, found = self.out, self.out.learning[name]
        assert found.layer is not None
        assert isinstance(found.rule, KernelRule)
        steps = self._dendritic_steps(found)
        targets = out.rings[found.layer.name].number if steps else -1
        if name in out.projections:
            senders = self.routes.place(name)
        else:
            listed = -1 if found.rule.takes_values else out.fed[name].list_id
            senders = {"x_list": listed, "synapses": found.number}
        y_list = out.signals[found.layer.name].list_id
        out.emit("learn", y_list=y_list, m=steps, rows=targets, **senders)

    def _learn_by_error(self, name: str, rule: Pes) -> None:
        out, x = self.out, self._gather(name)
        decay = exp(-self.dt_s / rule.tau_pre_s)
        constants = [
            decay,
            (1.0 - decay) / self.dt_s,
            rule.learning_rate * self.dt_s,
            *rule.bounds,
        ]
        out.emit(
            "pes",
            n=self.network.nodes[name].size,
            m=x.size,
            x=x.at,
            y=out.signals[rule.modulator].at,
            state=out.values.add(np.zeros(x.size)),
            params=out.constants.add(constants),
            weights=out.plastic[name].start,
            synapses=out.learning[name].number,
        )

    def _tune(self, name: str, rule: IntrinsicHomeostasis) -> None:
        """Let the thresholds of a layer follow its spikes; rows as `neurons` and neurons.h say."""
        node, out = self.network.nodes[name], self.out
        assert isinstance(node, Neurons)
        n, rows, first = node.size, self.tuned[name], out.values.add(node.parameters["v_threshold"])
        out.thresholds[name] = slice(first, first + n)
        wanted = rule.rate_hz * self.dt_s
        constants = [rule.eta, wanted, rule.threshold_min, rule.threshold_max]
        plain = not self._is_populated(node)
        out.emit(
            "tune",
            variant=int(self.dialect.fires_at_threshold and node.kind in NIR_PARAMETERS),
            n=n,
            x=out.signals[name].at,
            y=rows + 3 * n,
            weights=rows + 4 * n if plain else -1,
            rows=rows + 5 * n if plain and self._clips(node) else -1,
            state=first,
            params=out.constants.add(constants),
            synapses=out.learning[name].number,
        )

    def _scale_synapses(self, name: str, rule: SynapticScaling) -> None:
        out, found = self.out, self.out.learning[name]
        assert found.layer is not None
        period, n = rule.period_steps(self.dt_s), found.layer.size
        decay, unit = exp(-self.dt_s / rule.tau_s), -expm1(-self.dt_s / rule.tau_s) / self.dt_s
        constants = [decay, unit, period, rule.rate_hz, rule.beta * period * self.dt_s]
        spikes = out.signals[found.layer.name]
        out.emit(
            "scaling",
            n=n,
            x=spikes.at,
            x_list=spikes.list_id,
            state=out.values.add(np.full(n, rule.rate_hz)),
            params=out.constants.add(constants),
            synapses=found.number,
        )

    def _rewire(self, name: str, rule: Rewiring) -> None:
        wire = self.out.projections[name]
        constants = [rule.period_steps(self.dt_s), rule.threshold, rule.share, rule.w_new]
        self.out.emit(
            "rewire",
            variant=int(wire.source == wire.layer.name and not rule.allow_self),
            params=self.out.constants.add(constants),
            layer=list(self.network.nodes).index(name),
            synapses=self.out.learning[name].number,
        )


def _hits(node: Conv, axis: int) -> tuple[Array, Array]:
    """Where each input coordinate's hits begin, and the hits: pairs (tap, output coordinate)."""
    along = reach(node, axis)
    length = node.shape_in[1 + axis]
    starts = np.searchsorted(along.source, np.arange(length + 1))
    return starts, np.column_stack([along.tap, along.target])


def _whole_steps(node: Delay, dt_s: float, source: str) -> Array:
    """Delays in clock steps, to the nearest."""
    return delay_steps(node.delay_s, dt_s, f"{source}: node '{node.name}': delays").astype(np.int32)


def _near_whole(steps: FloatArray) -> FloatArray:
    """Times in steps, on the edge of a step where they are meant to be there."""
    return np.where(np.abs(steps - np.rint(steps)) <= 1e-6, np.rint(steps), steps)
