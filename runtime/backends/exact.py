"""The exact backend: continuous time, event by event.

Semantics are NIR's. Threshold strictly greater; reset to `v_reset`; everything that reaches a
neuron at one instant is summed before its test; a spike delivers a Dirac of the network's
`spike_area`, at once through linear nodes, later through Delay. Through a Projection it delivers
the same after the Projection's delay, or a jump of the receptor that it names. The cost follows
events.

What lies between two layers (any chain of Linear, Affine, Scale, convolution, pool, Flatten and
Delay) is multiplied out when the network is compiled, and kept as rows compressed by source; a
Projection is used as it lies.

An edge that learns is brought up to date when a spike of its source arrives: a silent synapse costs
nothing; time is in ticks there (docs/decisions/0013-ticks-of-learning.md).

What NIR leaves open, as decided here:

* Currents, the bias of an Affine among them, begin at time 0 and pass a Delay like spikes do.
* What happens exactly at the end of a step or run belongs to the next; a probe shows the voltage
  just before what happens at its time.
* While a neuron is refractory its voltage takes neither charges nor jumps, its synaptic currents
  and its raised threshold go on, and it may fire at the very end.
* A spike through a Projection onto another receptor than `input` adds its weight, whatever its
  area; such a Projection carries no current.
* Edges that learn or tire carry spikes and no current.
* A modulator without a tau_s shows the level that is given, and takes no spikes; one with a tau_s
  takes nothing else.
* A Regular generator fires at `phase` and every `period` after it.
* `v_reset` must be below `v_threshold`: such a neuron would fire without end at one instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reflexarc.ext import exact
from reflexarc.runtime.backends.base import (
    Backend,
    Capabilities,
    Counters,
    PortValues,
    Program,
    State,
)
from reflexarc.runtime.backends.instant import (
    Instant,
    instant_after,
    instants_after,
    nanoseconds,
    seconds_since,
)
from reflexarc.runtime.backends.learner import Learner
from reflexarc.runtime.backends.release import Release
from reflexarc.runtime.backends.wiring import KINDS, build_engine
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.drive import Drive, Run, Spikes, StepCurrent
from reflexarc.runtime.errors import ConfigError, ReflexarcError
from reflexarc.runtime.network import FloatArray, Linear, Network, Output, Projection
from reflexarc.runtime.nirnode import TYPES
from reflexarc.runtime.plasticity import own_rules


class ExactBackend(Backend):
    """Runs any network of neurons with a closed form, without zero-delay loops or graded edges."""

    name = "exact"

    def capabilities(self) -> Capabilities:
        """What it can run."""
        return Capabilities(
            mode="exact",
            nodes=frozenset({*TYPES, "Projection", "Modulator", *KINDS}) - {"Threshold"},
            rules=frozenset(name for name, rule in own_rules().items() if not rule.clocked_only),
            dialects=frozenset(),
            graded=False,
        )

    def compile(self, network: Network, *, dt_s: float | None = None) -> ExactProgram:
        """Make a program; `dt_s` means nothing here.

        Raises:
            UnsupportedError: a node, a rule, a graded edge or a zero-delay loop.
            GraphError: an edge between nodes that do not fit, or a neuron without a meaning.
        """
        return ExactProgram(network)


class ExactProgram(Program):
    """A network compiled for the exact engine, with its state."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._engine, self._wiring = build_engine(network)
        self._levels = {port.name: np.zeros(port.size) for port in network.inputs()}
        self._ports = network.outputs()
        self._spiking = frozenset(
            port.name for port in self._ports if network.is_spiking(port.name)
        )
        self._learning = True
        self._numbers = {name: k for k, name in enumerate(self._wiring.plastic)}
        self._learners: dict[str, Learner] = {}
        self._releases: dict[str, Release] = {}
        for name, plastic in self._wiring.plastic.items():
            if plastic.edge is not None:
                self._learners[name] = Learner(self._engine, self._numbers[name], plastic.edge)
            if plastic.release is not None:
                self._releases[name] = plastic.release
                self._engine.transmit(self._numbers[name], plastic.release)
        self._frozen = {name for name, edge in self._wiring.plastic.items() if edge.frozen}
        self._apply_learning()

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
            ValueError: it has no rule of its weights.
        """
        if edge not in self._learners:
            known = ", ".join(self._learners) or "none"
            raise ValueError(f"edge '{edge}' has no rule of its weights; there are: {known}")
        (self._frozen.add if frozen else self._frozen.discard)(edge)
        self._apply_learning()

    def _apply_learning(self) -> None:
        for name, learner in self._learners.items():
            learner.set_learning(self._learning and name not in self._frozen)

    def step(self, until_ns: int, inputs: PortValues) -> dict[str, Array]:
        """Advance to `until_ns`; see `reflexarc.runtime.backends.base`.

        The times of output spikes are rounded down to whole nanoseconds. An output behind a
        Linear is graded: it shows the charge that reached each of its elements in this step.

        Raises:
            ValueError: as the contract says.
            ReflexarcError: a neuron fires without end at one instant.
        """
        now_ns, now_frac = self._engine.now
        if (until_ns, 0.0) < (now_ns, now_frac):
            raise ValueError(f"until_ns: {until_ns} has passed; the network stands at {now_ns}")
        spikes = {name: values for name, values in inputs.items() if values.dtype == SPIKE}
        levels = {name: values for name, values in inputs.items() if values.dtype != SPIKE}
        for name, values in spikes.items():
            self._check_spikes(name, values, until_ns)
        for name, values in levels.items():
            self._check_level(name, values)
        self._set_levels(levels)
        for name, values in spikes.items():
            area = np.full(len(values), self._spike_area(name))
            t_ns = values["t_ns"].astype(np.int64)
            frac = np.where(t_ns == now_ns, now_frac, 0.0)
            self._send(exact.DIRAC, name, (t_ns, frac), values["i"].astype(np.int64), area)
        emitted = self._advance((until_ns, 0.0), frozenset())
        return {port.name: self._step_output(port, emitted) for port in self._ports}

    def run(
        self,
        inputs: Mapping[str, list[Drive]],
        until_s: float,
        *,
        probes: Mapping[str, Sequence[float] | FloatArray] | None = None,
        record: Sequence[str] = (),
    ) -> Run:
        """Advance by `until_s` seconds; every time is counted from where the program stands.

        Args:
            inputs: what each Input is given; an Input without an entry is silent. What lies at or
                after `until_s` is left out.
            probes: times at which to read the voltages of a layer, in seconds, up to `until_s`.
            record: spiking layers whose spikes are wanted beside those of the outputs.

        Raises:
            ConfigError: an unknown name, an index or time out of range.
            ReflexarcError: a neuron fires without end at one instant.
        """
        probes = probes or {}
        if not (np.isfinite(until_s) and until_s >= 0):
            raise ConfigError(f"until_s: {until_s} must be finite and not negative")
        self._check_run(inputs, until_s, probes, record)
        arriving = [port.name for port in self._ports if port.name not in self._wiring.shown]
        start = self._engine.now
        self._set_levels({})
        for name, drives in inputs.items():
            for drive in drives:
                self._send_drive(name, drive, until_s)
        emitted, voltages = self._advance_by_probes(start, until_s, probes, frozenset(record))
        return Run(
            spikes={name: self._spikes(name, emitted, start) for name in [*arriving, *record]},
            probes=voltages,
            outputs={
                port: self._voltage(layer)[None] for port, layer in self._wiring.shown.items()
            },
            counters=self.counters(),
        )

    def state(self) -> State:
        """A copy of everything that decides the future."""
        levels = {f"level/{name}": level.copy() for name, level in self._levels.items()}
        edges = {
            f"{name}/{part}": values
            for name in self._numbers
            for part, values in self._edge_state(name).items()
        }
        on = [self._learning, *(name not in self._frozen for name in self._learners)]
        learning = {"learning": np.array(on)} if self._learners else {}
        return {**self._engine.state(), **levels, **edges, **learning}

    def _edge_state(self, name: str) -> State:
        """What has been learnt and used up of an edge, and what is on its way to it."""
        state: State = {}
        if name in self._learners:
            state |= self._learners[name].state()
            state["pending"] = self._engine.pending(self._numbers[name])
        if name in self._releases:
            state |= self._releases[name].state()
        return state

    def restore(self, state: State) -> None:
        """Go back to `state`. Raises ValueError if it is not of this network."""
        mine = self.state()
        missing = [name for name in mine if name not in state]
        if missing:
            raise ValueError(f"state: '{missing[0]}' is missing; it is of another network")
        self._check_edges(mine, state)
        levels = {name: np.array(state[f"level/{name}"]) for name in self._levels}
        for name, level in levels.items():
            if level.shape != self._levels[name].shape:
                raise ValueError(f"state: 'level/{name}' is of another network")
        self._engine.restore(state)
        self._levels = levels
        self._restore_edges(state)

    def _check_edges(self, mine: State, state: State) -> None:
        """Refuse what cannot be of these edges, before anything is changed."""
        for key in mine:
            other, varying = state[key], key.endswith("/pending")
            own = "/" in key and key.split("/")[0] in self._numbers
            if own and (
                other.dtype != mine[key].dtype or other.shape[varying:] != mine[key].shape[varying:]
            ):
                raise ValueError(f"state: '{key}' is of another network")
        end = exact.tick_of(state["now"]) + 1
        for name, learner in self._learners.items():
            learner.check(_part(state, name), end)
            _check_pending(state[f"{name}/pending"], learner.edge.targets)
        for name, release in self._releases.items():
            release.check(_part(state, name), end)

    def _restore_edges(self, state: State) -> None:
        on = state.get("learning", np.ones(1, bool))
        self._learning = bool(on[0])
        self._frozen = {
            name for name, learns in zip(self._learners, on[1:], strict=True) if not learns
        }
        for name, learner in self._learners.items():
            learner.restore(_part(state, name), self._learning and name not in self._frozen)
            self._engine.set_pending(self._numbers[name], state[f"{name}/pending"])
        for name, release in self._releases.items():
            release.restore(_part(state, name))

    def weights(self, edge: str) -> FloatArray:
        """A copy of the weights of `edge` as they are now; see `Program`."""
        node = self._network.nodes.get(edge)
        if edge in self._learners:
            learnt = self._learners[edge].weights()
            if not isinstance(node, Linear):
                return learnt
            outputs, inputs = node.weight.shape
            return learnt.reshape(inputs, outputs).T.copy()
        if isinstance(node, Projection):
            return np.array(np.broadcast_to(node.weight, node.targets.shape), np.float64)
        if not isinstance(node, Linear):
            raise ConfigError(
                f"weights: '{edge}' is no Linear node or projection of {self._network.source}"
            )
        return node.weight.copy()

    def counters(self) -> Counters:
        """Work done since the program was compiled (or as the restored state says)."""
        return Counters(**self._engine.counters())

    def _check_spikes(self, name: str, values: Array, until_ns: int) -> None:
        size = self._port_size(name)
        if name in self._wiring.no_spikes:
            raise ValueError(self._no_spikes(name))
        if values.ndim != 1 or (len(values) and values["i"].max() >= size):
            raise ValueError(f"input '{name}': spikes must be 1-d with i below {size}")
        now_ns = self._engine.now[0]
        t_ns = values["t_ns"]
        if len(values) and not (now_ns <= t_ns.min() and t_ns.max() < until_ns):
            raise ValueError(f"input '{name}': spike times must be in [{now_ns}, {until_ns}) ns")

    def _check_level(self, name: str, values: Array) -> None:
        size = self._port_size(name)
        if values.dtype != np.float64 or values.shape != (size,) or not np.isfinite(values).all():
            raise ValueError(f"input '{name}': expected SPIKE records or {size} finite float64")
        if name in self._wiring.no_current:
            raise ValueError(self._no_current(name))

    def _port_size(self, name: str) -> int:
        if name not in self._levels:
            raise ValueError(f"input '{name}': no such port; there are: {', '.join(self._levels)}")
        return len(self._levels[name])

    def _check_run(
        self,
        inputs: Mapping[str, list[Drive]],
        until_s: float,
        probes: Mapping[str, Sequence[float] | FloatArray],
        record: Sequence[str],
    ) -> None:
        for name, drives in inputs.items():
            try:
                size = self._port_size(name)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            for drive in drives:
                if drive.i.size and drive.i.max() >= size:
                    raise ConfigError(f"input '{name}': index {drive.i.max()} of {size} elements")
                if isinstance(drive, StepCurrent) and name in self._wiring.no_current:
                    raise ConfigError(self._no_current(name))
                if isinstance(drive, Spikes) and name in self._wiring.no_spikes:
                    raise ConfigError(self._no_spikes(name))
        for name, times_s in probes.items():
            if name not in self._wiring.layers:
                raise ConfigError(f"probes: '{name}' is not a layer of neurons")
            at_ns = nanoseconds(np.asarray(times_s, np.float64))
            if not np.all((at_ns >= 0) & (at_ns <= nanoseconds(np.array(until_s)))):
                raise ConfigError(f"probes: times of '{name}' must be from 0 to {until_s} s")
        for name in record:
            if name not in self._wiring.layers or not self._wiring.layers[name].spiking:
                raise ConfigError(f"record: '{name}' is not a layer of spiking neurons")

    def _set_levels(self, levels: Mapping[str, Array]) -> None:
        """Make `levels` the vectors held from now on. A current that stays costs nothing."""
        ns, frac = self._engine.now
        for name, old in self._levels.items():
            new = np.array(np.broadcast_to(levels.get(name, 0.0), old.shape))
            (changed,) = (new != old).nonzero()
            if not len(changed):
                continue
            self._levels[name] = new
            index = np.concatenate([changed, changed])
            value = np.concatenate([-old[changed], new[changed]])
            at = np.full(len(index), ns), np.full(len(index), frac)
            self._send(exact.CURRENT, name, at, index, value)

    def _send_drive(self, name: str, drive: Drive, until_s: float) -> None:
        now = self._engine.now
        if isinstance(drive, Spikes):
            inside = drive.t_s < until_s
            area = self._spike_area(name) if drive.area is None else drive.area
            areas = np.broadcast_to(area, drive.t_s.shape)[inside]
            self._send(
                exact.DIRAC, name, instants_after(now, drive.t_s[inside]), drive.i[inside], areas
            )
        elif drive.t0_s < until_s:
            ends_s = min(drive.t1_s, until_s)
            for t_s, sign in ((drive.t0_s, 1.0), (ends_s, -1.0)):
                at = instants_after(now, np.full(len(drive.i), t_s))
                self._send(exact.CURRENT, name, at, drive.i, sign * drive.amplitude)

    def _spike_area(self, name: str) -> float:
        """Of a spike that says none."""
        return 1.0 if name in self._wiring.levels.numbers else self._network.spike_area

    def _send(
        self, kind: int, name: str, at: tuple[Array, Array], index: Array, value: Array
    ) -> None:
        ns, frac = at
        source = index + self._wiring.first_source[name]
        self._engine.send(ns, frac, source, np.ascontiguousarray(value), kind)

    def _advance_by_probes(
        self,
        start: Instant,
        until_s: float,
        probes: Mapping[str, Sequence[float] | FloatArray],
        record: frozenset[str],
    ) -> tuple[Array, dict[str, FloatArray]]:
        """Advance to `until_s`, pausing to read voltages."""
        voltages = {
            name: np.empty((len(times_s), self._wiring.layers[name].size))
            for name, times_s in probes.items()
        }
        stops = sorted(
            (t_s, name, row) for name, times_s in probes.items() for row, t_s in enumerate(times_s)
        )
        emitted = []
        for t_s, name, row in stops:
            emitted.append(self._advance(instant_after(start, t_s), record))
            voltages[name][row] = self._voltage(name)
        emitted.append(self._advance(instant_after(start, until_s), record))
        return np.concatenate(emitted), voltages

    def _advance(self, until: Instant, record: frozenset[str]) -> Array:
        """Run the engine to `until`; what was recorded, in order of time, then unit."""
        recorded = np.array([name in record for name in self._wiring.order], np.uint8)
        emitted, runaway = self._engine.run(*until, recorded)
        if runaway >= 0:
            name, i = self._wiring.locate(runaway)
            raise ReflexarcError(
                f"{self._network.source}: neuron {i} of layer '{name}' fires without end at "
                f"{self._engine.now[0]} ns; weaken its input or lower v_reset"
            )
        if len(emitted) < 2:
            return emitted
        at = emitted["at"]
        return emitted[np.lexsort((emitted["unit"], at["frac"], at["ns"]))]

    def _voltage(self, layer: str) -> FloatArray:
        return self._engine.voltage(*self._wiring.units_of(layer))

    def _of(self, name: str, emitted: Array) -> tuple[Array, Array]:
        """What a layer or port emitted, and the index of the neuron or element."""
        first, end = self._wiring.units_of(name)
        own = emitted[(emitted["unit"] >= first) & (emitted["unit"] < end)]
        return own, own["unit"] - first

    def _spikes(self, name: str, emitted: Array, start: Instant) -> Spikes:
        own, index = self._of(name, emitted)
        return Spikes(seconds_since(start, own["at"]), index, own["area"])

    def _step_output(self, port: Output, emitted: Array) -> Array:
        if port.name in self._wiring.shown:
            return self._voltage(self._wiring.shown[port.name])
        own, index = self._of(port.name, emitted)
        if port.name not in self._spiking:
            return np.bincount(index, own["area"], minlength=port.size)
        spikes = np.empty(len(own), SPIKE)
        spikes["t_ns"], spikes["i"] = own["at"]["ns"], index
        return spikes

    def _no_current(self, name: str) -> str:
        return (
            f"input '{name}': a current cannot reach {self._wiring.no_current[name]} in exact "
            f"mode; give spikes, or use the clocked backend"
        )

    @staticmethod
    def _no_spikes(name: str) -> str:
        return (
            f"input '{name}': a spike has no level in exact mode; give the modulator a tau_s, or "
            f"a StepCurrent"
        )


def _part(state: State, name: str) -> State:
    """The parts of a state that belong to an edge."""
    return {
        key.removeprefix(f"{name}/"): values
        for key, values in state.items()
        if key.startswith(f"{name}/")
    }


def _check_pending(pending: Array, targets: int) -> None:
    target, at = pending["target"], pending["at"]
    if np.any((target < 0) | (target >= targets)) or np.any(np.diff(at) < 0) or np.any(at < 0):
        raise ValueError("the state is damaged: a spike of no target, or out of order")
