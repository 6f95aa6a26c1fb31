"""The backend contract: what can run a network, and how the loop steps it.

    program = Backend().compile(network, dt_s=1e-3)
    outputs = program.step(until_ns, inputs)

`step` is the contract everything else refers to: it advances the network from where it stands to
`until_ns` (loop time) under `inputs` and returns what left its output ports in between.

* A port input is either spikes (dtype `SPIKE`, sorted by time, within [now, until)) or a vector
  (float64, shape (size,)) held constant over the step. A port without an entry is silent.
* A spiking output port returns its spikes (dtype `SPIKE`); a graded one the vector it shows at
  the end of the step (float64, shape (size,)).
* The same inputs after the same state give the same bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray, Mode, Network

PortValues: TypeAlias = Mapping[str, Array]
State: TypeAlias = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend can run: node types (NIR's names), rules, whether edges may be graded."""

    mode: Mode
    nodes: frozenset[str]
    rules: frozenset[str]
    dialects: frozenset[str]
    graded: bool


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Work done since the program was compiled, in events."""

    synaptic_events: int = 0
    neuron_updates: int = 0
    spikes: int = 0
    weight_updates: int = 0


class Program(ABC):
    """A compiled network with its state."""

    #: Whether plastic weights change. Frozen weights still deliver.
    learning: bool = True

    def freeze(self, edge: str, frozen: bool = True) -> None:
        """Hold the weights of one edge, or let it learn again.

        Raises ValueError: it has no rule that changes weights.
        """
        raise ValueError(f"edge '{edge}' has no rule of its weights; there are: none")

    @abstractmethod
    def step(self, until_ns: int, inputs: PortValues) -> dict[str, Array]:
        """Advance to `until_ns` under `inputs`; see the module's contract.

        Raises:
            ValueError: an unknown port, a wrong shape or dtype, an index out of range, a time
                outside the step, or `until_ns` in the past. The state is unchanged then.
        """

    @abstractmethod
    def state(self) -> State:
        """A copy of everything that decides the future.

        Going on after `restore` equals never having stopped, bit for bit.
        """

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go back to `state`, which must come from the same network. Raises ValueError."""

    @abstractmethod
    def weights(self, edge: str) -> FloatArray:
        """A copy of the weights of the Linear node or projection `edge`.

        Shape (outputs, inputs); of a projection (synapses,), in the order of its rows. Raises
        ValueError for any other node.
        """

    def targets(self, edge: str) -> Array:
        """A copy of the targets of the projection `edge`, which a rule of its wiring changes.

        Integers, shape (synapses,), in the order of its rows. Raises ValueError for any other node.
        """
        raise ValueError(f"'{edge}': this backend does not show targets")

    def thresholds(self, layer: str) -> FloatArray:
        """A copy of the thresholds of `layer`, which a rule of its excitability changes.

        Shape (neurons,). Raises ValueError for a node that has none.
        """
        raise ValueError(f"'{layer}': this backend does not show thresholds")

    @abstractmethod
    def counters(self) -> Counters:
        """Work done so far."""


class Backend(ABC):
    """Something that can run networks."""

    name: str

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can run."""

    @abstractmethod
    def compile(self, network: Network, *, dt_s: float | None = None) -> Program:
        """Make a program.

        `dt_s` is the clock step of clocked mode (default: the network's own).

        Raises:
            UnsupportedError: the network needs what the backend cannot do; names node or rule.
        """
