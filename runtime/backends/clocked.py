"""The clocked backend: a fixed step, a named dialect, a compiled engine without the GIL.

A spike has the value 1 for one step. Weights are held in float32 where that loses nothing and in
float64 otherwise; plastic weights, states and sums are float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from reflexarc.ext.clocked import LOG_ENTRY, PORT, ClockedEngine, all_finite
from reflexarc.runtime.backends.base import (
    Backend,
    Capabilities,
    Counters,
    PortValues,
    Program,
    State,
)
from reflexarc.runtime.backends.lowering import lower
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.dialect import DIALECTS, Dialect, named
from reflexarc.runtime.drive import Run, Spikes
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import FloatArray, Linear, Network
from reflexarc.runtime.nirnode import TYPES

#: Room for spikes that leave during one call of the engine, unless one step needs more.
_LOG_ENTRIES = 65_536
#: Engine time is bounded by this many steps a call, so that a long run can be interrupted.
_MOST_STEPS = 1_000


class ClockedBackend(Backend):
    """Runs networks step by step under a dialect."""

    name = "clocked"

    def capabilities(self) -> Capabilities:
        """Every node of this release, graded edges, PES, all dialects."""
        return Capabilities(
            mode="clocked",
            nodes=frozenset(TYPES),
            rules=frozenset({"pes"}),
            dialects=frozenset(DIALECTS),
            graded=True,
        )

    def compile(self, network: Network, *, dt_s: float | None = None) -> ClockedProgram:
        """Make a program with steps of `dt_s` (default: the network's own).

        Raises:
            ConfigError: no dt_s, or one that is not a whole number of nanoseconds.
            UnsupportedError: an unknown dialect, node or rule.
        """
        step_s = network.dt_s if dt_s is None else dt_s
        if step_s is None:
            raise ConfigError(f"{network.source}: clocked mode needs a step; give dt_s")
        return ClockedProgram(network, named(network.dialect), step_s)


class ClockedProgram(Program):
    """A network compiled for the clocked engine; see `Program`. Time starts at 0.

    Attributes:
        dt_s, dt_ns: the clock step.
    """

    def __init__(self, network: Network, dialect: Dialect, dt_s: float) -> None:
        self.dt_s, self.dt_ns = dt_s, _nanoseconds(dt_s, network.source)
        self._network, self._dialect = network, dialect
        lowered = lower(network, dialect, dt_s)
        self._signals, self._voltages = lowered.signals, lowered.voltages
        self._plastic = lowered.plastic
        self._values = lowered.values.finish()
        self._events = np.zeros(lowered.events + 1, np.int32)
        self._starts = np.array([*lowered.list_starts, 0], np.int64)
        self._counts = np.zeros(len(lowered.list_starts) + 1, np.int64)
        self._inputs = {node.name: k for k, node in enumerate(network.inputs())}
        self._outputs = {node.name: lowered.signals[node.name] for node in network.outputs()}
        table, constants = lowered.table(), lowered.constants.finish()
        self._identity = _digest(table, constants)
        leaving = sum(signal.size for signal in self._outputs.values())
        log = np.zeros(max(leaving, _LOG_ENTRIES), LOG_ENTRY)
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
            log,
            min(_MOST_STEPS, log.size // max(leaving, 1)),
            self.dt_ns,
        )

    def _port_table(self) -> Array:
        signals = [self._signals[name] for name in self._inputs]
        rows = [(signal.at, signal.list_id, signal.size, 0, 0, 0) for signal in signals]
        return np.array(rows, PORT)

    @property
    def learning(self) -> bool:
        """Whether plastic weights change."""
        return self._engine.learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self._engine.learning = on

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
        most = self._engine.steps_per_call
        parts = [self._advance(min(most, steps - done)) for done in range(0, max(steps, 1), most)]
        return parts[0] if len(parts) == 1 else self._joined(parts)

    def _steps_until(self, until_ns: int) -> int:
        steps, rest = divmod(until_ns - self.now_ns, self.dt_ns)
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
        self._engine.advance(steps)
        return {
            name: self._engine.left(port, SPIKE)
            if signal.spiking
            else self._values[signal.range].copy()
            for port, (name, signal) in enumerate(self._outputs.items())
        }

    def _joined(self, parts: list[dict[str, Array]]) -> dict[str, Array]:
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
            "values": self._values.copy(),
            "events": self._events.copy(),
            "counts": self._counts.copy(),
        }

    def restore(self, state: State) -> None:
        """Go back to `state`. Raises ValueError for a state of another network."""
        mine = self.state()
        if state.keys() != mine.keys() or any(
            state[key].shape != mine[key].shape or state[key].dtype != mine[key].dtype
            for key in mine
        ):
            raise ValueError("the state does not have the parts of this network's state")
        if not np.array_equal(state["network"], self._identity):
            raise ValueError("the state is of another network, dialect or step")
        self._engine.step = int(state["step"][0])
        self._values[:] = state["values"]
        self._events[:] = state["events"]
        self._counts[:] = state["counts"]

    def weights(self, edge: str) -> FloatArray:
        """A copy of the weights of `edge`, shape (outputs, inputs), as they are now."""
        node = self._network.nodes.get(edge)
        if not isinstance(node, Linear):
            raise ValueError(f"no Linear or Affine node '{edge}'")
        if edge not in self._plastic:
            return node.weight.copy()
        outputs, inputs = node.weight.shape
        return self._values[self._plastic[edge]].reshape(inputs, outputs).T.copy()

    def counters(self) -> Counters:
        """Work done so far."""
        events, updates, spikes, weights = self._engine.counters()
        return Counters(
            synaptic_events=events,
            neuron_updates=updates,
            spikes=spikes,
            weight_updates=weights,
        )


def _nanoseconds(dt_s: float, source: str) -> int:
    exact = dt_s * 1e9
    dt_ns = round(exact) if np.isfinite(exact) else 0
    if dt_ns < 1 or abs(exact - dt_ns) > 1e-6 * dt_ns:
        raise ConfigError(f"{source}: dt_s {dt_s!r} must be a positive whole number of nanoseconds")
    return dt_ns


def _digest(*arrays: Array) -> Array:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
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
