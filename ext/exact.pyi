"""Event-driven spiking network in continuous time, over arrays. Times are (ns, fraction) pairs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[Any]
#: Whole nanoseconds, and the fraction of the next, [0, 1).
_Time: TypeAlias = tuple[int, float]

TIME: np.dtype[Any]
MODEL: np.dtype[Any]
UNIT: np.dtype[Any]
FIBRE: np.dtype[Any]
EVENT: np.dtype[Any]
DUE: np.dtype[Any]
EMITTED: np.dtype[Any]
PENDING: np.dtype[Any]
LEVEL: np.dtype[Any]
#: A tick of what learns, in seconds: docs/decisions/0013-ticks-of-learning.md.
TICK_S: float

LEAKY: int
CURRENT_BASED: int
INTEGRATOR: int
PORT: int
ADAPTIVE: int
EXPONENTIAL: int
ALPHA: int
POISSON: int
REGULAR: int
TO_INPUT: int
TO_VOLTAGE: int
TO_FIRST: int
TO_SECOND: int
TO_LEVEL: int
DIRAC: int
CURRENT: int

def tick_of(now: _Array) -> int:
    """The tick of an instant, dtype TIME, shape ()."""

class Bundle(NamedTuple):
    """Synapses onto the units from `first` on; the engine reads the arrays where they lie.

    `target` is int32, shape (synapses,); `weight` float64 or float32, of that shape or (1,) where
    all are alike; `receptor` says what they act on: TO_INPUT (the current of dv/dt, where a spike
    is a Dirac), TO_VOLTAGE (a jump), TO_FIRST or TO_SECOND (a jump of that synaptic current), or
    TO_LEVEL: then it is one synapse, float64, onto the level of modulator `first`.
    """

    target: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float64] | npt.NDArray[np.float32]
    first: int
    receptor: int

class Plastic(NamedTuple):
    """What changes about the synapses of bundle number `bundle`: weights, or what is delivered.

    `layer` is the number of the layer whose spikes its weights learn from, `lag` the ticks from
    such a spike to when the synapses see it.
    """

    bundle: int
    layer: int
    lag: int

class ExactEngine:
    """A network as arrays, and its state.

    Units (neurons, then elements of output ports) stand layer after layer in topological order:
    a fibre without delay may only reach later layers. Sources are the neurons, then whatever else
    sends. Not safe to share between threads without a lock; `run` and `send` release the GIL.

    Args:
        models: constants that units share, dtype MODEL, shape (models,); gain1 to peak2 are the
            engine's.
        model_of: the model of each unit, int32, shape (units,).
        v: first voltages, float64, shape (units,).
        random: where the random numbers of each unit begin, uint64, shape (units,).
        fibres_of: int64, shape (sources + 1,); source s has the fibres from fibres_of[s] up to
            but without fibres_of[s + 1].
        fibres: dtype FIBRE; synapses begin .. end - 1 of one bundle share a source and a delay.
        bundles: the synapses.
        layer_first: first unit of each layer, int64, shape (layers,).
        spike_area: charge of the Dirac that a neuron's spike delivers.
        edges: the bundles about which something changes; numbered from 0 on.
        levels: what each modulator shows at first, float64, shape (modulators,); kept where it
            lies, for the `modulator` of an Edge.
        levels_of: how it decays, dtype LEVEL, of that shape.

    Raises:
        ValueError: arrays that lead outside one another.
    """

    def __init__(
        self,
        *,
        models: _Array,
        model_of: npt.NDArray[np.int32],
        v: npt.NDArray[np.float64],
        random: npt.NDArray[np.uint64],
        fibres_of: npt.NDArray[np.int64],
        fibres: _Array,
        bundles: Sequence[Bundle],
        layer_first: npt.NDArray[np.int64],
        spike_area: float,
        edges: Sequence[Plastic] = (),
        levels: npt.NDArray[np.float64] | None = None,
        levels_of: _Array | None = None,
    ) -> None: ...
    @property
    def now(self) -> _Time:
        """Where the network stands."""

    def send(
        self,
        ns: npt.NDArray[np.int64],
        frac: npt.NDArray[np.float64],
        source: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        kind: int,
    ) -> None:
        """Let sources send Diracs (`kind` DIRAC, charge) or changes of current (CURRENT).

        The order of the arrays does not matter, to the last bit. All have shape (n,).

        Raises:
            ValueError: a time that has passed, an unknown source; nothing is sent then.
            MemoryError: the queue cannot grow.
        """

    def run(self, ns: int, frac: float, recorded: npt.NDArray[np.uint8]) -> tuple[_Array, int]:
        """Work off every instant before (ns, frac); what happens exactly then stays queued.

        Args:
            recorded: for each layer whether its spikes are wanted; ports are always recorded.

        Returns:
            The spikes (dtype EMITTED, in order of time), and the unit that fired again within
            a picosecond of itself, where the network then stands, or -1.

        Raises:
            ValueError: the time has passed.
            MemoryError: the queue or the record cannot grow.
        """

    def voltage(self, first: int, last: int) -> npt.NDArray[np.float64]:
        """Voltages of units first .. last - 1 as of `now`; changes nothing."""

    def counters(self) -> dict[str, int]:
        """Work done: synaptic_events, neuron_updates, spikes, weight_updates."""

    def learn(self, k: int, edge: Any) -> None:
        """Let edge k learn: an `Edge` whose `weight` is that of its bundle."""

    def transmit(self, k: int, release: Any) -> None:
        """Give edge k short-term plasticity: a `Release`, whose arrays change."""

    def set_learning(self, k: int, on: bool) -> None:
        """Let edge k learn, or leave its weights as they are."""

    def settle(self, k: int) -> None:
        """Replay for edge k what its targets have done. It changes no future bit."""

    def finish(self, k: int) -> None:
        """After `settle`: what time alone has done since. The caller puts back what it changes."""

    def resume(self, k: int, active: bool) -> None:
        """Go on from the arrays of edge k as they are, learning or not."""

    def pending(self, k: int) -> _Array:
        """Spikes of targets that are on their way to the synapses of edge k, dtype PENDING."""

    def set_pending(self, k: int, pending: _Array) -> None:
        """Replace them. Raises MemoryError."""

    def state(self) -> dict[str, _Array]:
        """A copy of everything that changes."""

    def restore(self, state: Mapping[str, _Array]) -> None:
        """Go back to `state`. Raises ValueError if it is of another network."""
