"""The network: a graph of nodes and edges with what NIR cannot say beside it.

The nodes are those of NIR (https://neuroir.org); names and units are NIR's: seconds, and whatever
unit the graph uses for voltage and current. Reading a file is `reflexarc.runtime.nirfile`; the
sidecar is `reflexarc.runtime.sidecar`; running is `reflexarc.runtime.backends`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import expm1, prod
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.plasticity import Rule

FloatArray: TypeAlias = npt.NDArray[np.float64]
NeuronKind: TypeAlias = Literal[
    "LIF",
    "CubaLIF",
    "LI",
    "CubaLI",
    "IF",
    "I",
    "ALIF",
    "DeltaLIF",
    "ExpLIF",
    "AlphaLIF",
    "CondLIF",
    "AdEx",
    "Izhikevich",
    "Poisson",
    "Regular",
]
Mode: TypeAlias = Literal["exact", "clocked"]

#: Parameters of NIR's kinds of neuron, in NIR's names; times in seconds. Those that spike may also
#: have `refractory`: seconds after a spike for which v is held at v_reset (absent: none).
NIR_PARAMETERS: Mapping[NeuronKind, tuple[str, ...]] = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "IF": ("r", "v_threshold", "v_reset"),
    "I": ("r",),
}
_LEAKY = ("r", "v_leak", "v_threshold", "v_reset", "refractory")
_TWO_SYNAPSES = ("tau_excitatory", "tau_inhibitory")
#: Parameters of the kinds that NIR does not have; docs/neurons.md has the equations.
OWN_PARAMETERS: Mapping[NeuronKind, tuple[str, ...]] = {
    "ALIF": ("tau", *_LEAKY, "tau_threshold", "threshold_jump"),
    "DeltaLIF": ("tau", *_LEAKY, "i_offset"),
    "ExpLIF": ("tau_mem", *_LEAKY, *_TWO_SYNAPSES, "i_offset"),
    "AlphaLIF": ("tau_mem", *_LEAKY, *_TWO_SYNAPSES, "i_offset"),
    "CondLIF": (
        "c",
        "g_leak",
        *_LEAKY[1:],
        "e_excitatory",
        "e_inhibitory",
        *_TWO_SYNAPSES,
        "i_offset",
    ),
    "AdEx": (
        "c",
        "g_leak",
        *_LEAKY[1:],
        "delta_t",
        "v_peak",
        "a",
        "b",
        "tau_w",
        *_TWO_SYNAPSES,
        "i_offset",
    ),
    "Izhikevich": ("a", "b", "c", "d", "v_peak", "i_offset"),
    "Poisson": ("rate",),
    "Regular": ("period", "phase"),
}
#: Parameters of each kind of neuron.
NEURON_PARAMETERS: Mapping[NeuronKind, tuple[str, ...]] = {**NIR_PARAMETERS, **OWN_PARAMETERS}
#: Kinds that emit spikes; the others hand on their voltage.
SPIKING: frozenset[str] = frozenset(NEURON_PARAMETERS) - {"LI", "CubaLI", "I"}
#: Kinds that take no input.
GENERATORS: frozenset[str] = frozenset({"Poisson", "Regular"})
#: What a Projection can reach of each kind, the first unless it says otherwise; a spike adds its
#: weight to the synaptic variable of that receptor. `input` is NIR's: the current of dv/dt, where
#: a spike is a Dirac of the network's spike_area (exact) or an amplitude for one step (clocked).
#: Everything but a Projection reaches `input`, which every kind but the generators has.
RECEPTORS: Mapping[NeuronKind, tuple[str, ...]] = {
    **dict.fromkeys(NEURON_PARAMETERS, ("input",)),
    "DeltaLIF": ("jump", "input"),
    "ExpLIF": ("excitatory", "inhibitory", "input"),
    "AlphaLIF": ("excitatory", "inhibitory", "input"),
    "CondLIF": ("excitatory", "inhibitory", "input"),
    "AdEx": ("excitatory", "inhibitory", "input"),
    "Izhikevich": ("jump", "input"),
    "Poisson": (),
    "Regular": (),
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A vertex of the graph. `shape` is the shape of its output without time and batch axes."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements of the output."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Input(Node):
    """Where spikes or values enter."""


@dataclass(frozen=True, kw_only=True)
class Modulator(Input):
    """An input port that leads to no neuron: rules of learning that name it use what it shows.

    Attributes:
        tau_s: None shows in each step what was given in it, a spike counting 1 in its step. Else
            the level of a neuromodulator: d level/dt = (x - level) / tau_s, where x is the value
            held, or for a spike a Dirac of area one, which raises the level by 1 / tau_s (NEST's
            volume transmitter). In clocked mode the node shows what it is at the end of a step;
            each rule says when that counts for it.

    Raises:
        ConfigError: a tau_s that is not above 0 and finite, or more than one axis.
    """

    tau_s: float | None = None

    def __post_init__(self) -> None:
        where = f"modulator '{self.name}'"
        if self.tau_s is not None and not 0 < self.tau_s < np.inf:
            raise ConfigError(f"{where}: tau_s must be above 0 and finite, not {self.tau_s}")
        if len(self.shape) != 1:
            raise ConfigError(f"{where}: it has one axis, not the shape {self.shape}")

    def spike_value(self, dt_s: float) -> float:
        """The value that, held for a step of `dt_s`, does what a spike in it does."""
        return 1.0 if self.tau_s is None else 1.0 / (self.tau_s * -expm1(-dt_s / self.tau_s))


@dataclass(frozen=True, kw_only=True)
class Output(Node):
    """Where spikes or values leave."""


@dataclass(frozen=True, kw_only=True)
class Neurons(Node):
    """A layer of neurons of one kind.

    `parameters` maps NIR's names to float64 arrays of shape (size,), read-only.
    """

    kind: NeuronKind
    parameters: Mapping[str, FloatArray]

    @property
    def spiking(self) -> bool:
        """Whether the layer emits spikes (otherwise it hands on its voltage)."""
        return self.kind in SPIKING


@dataclass(frozen=True, kw_only=True)
class Linear(Node):
    """`y = weight @ x (+ bias)`: NIR's Linear (bias None) and Affine.

    `weight` has shape (outputs, inputs), `bias` shape (outputs,); float64, read-only.
    """

    weight: FloatArray
    bias: FloatArray | None = None


@dataclass(frozen=True, kw_only=True)
class Scale(Node):
    """`y = scale * x`, element by element; `scale` float64, shape (size,), read-only."""

    scale: FloatArray


@dataclass(frozen=True, kw_only=True)
class Threshold(Node):
    """`y = 1` where x > threshold, else 0; `threshold` float64, shape (size,), read-only."""

    threshold: FloatArray


@dataclass(frozen=True, kw_only=True)
class Flatten(Node):
    """The same values, axes `start_dim` to `end_dim` of `shape_in` as one; no batch axis."""

    shape_in: tuple[int, ...]
    start_dim: int = 0
    end_dim: int = -1


@dataclass(frozen=True, kw_only=True)
class Conv(Node):
    """Cross-correlation of a signal padded with zeros, as torch's: NIR's Conv1d and Conv2d.

    Attributes:
        shape_in: (channels, *lengths) of the input; `shape` is (channels out, *lengths out).
        weight: float64, shape (channels out, channels in / groups, *taps), read-only.
        bias: float64, shape (channels out,), read-only, or None.
        stride, dilation: one number an axis, at least 1.
        padding: zeros before and after, one pair an axis.
        groups: into how many groups the channels fall that see nothing of one another.
    """

    shape_in: tuple[int, ...]
    weight: FloatArray
    bias: FloatArray | None = None
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class Pooling(Node):
    """Sum or mean over windows, channel by channel: NIR's SumPool2d and AvgPool2d.

    `shape_in` and `shape` are (channels, height, width). A mean counts the padded zeros, as
    torch's does.
    """

    shape_in: tuple[int, ...]
    kind: Literal["sum", "average"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Projection(Node):
    """Synapses from the spikes of one node onto the neurons of one layer, compressed by source.

    Attributes:
        sources: elements of the node that sends.
        rows: int64, shape (sources + 1,): the synapses of source j are rows[j] to rows[j + 1].
        targets: uint16 or int32, shape (synapses,), ascending within a row; one may come twice.
        weight: float32, shape (synapses,), or (1,) where all are alike.
        delay_s: from a spike to its arrival; the same for all synapses.
        receptor: which of the layer's receptors it reaches; "" is the kind's first.

    `shape` is that of the layer it reaches.
    """

    sources: int
    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.uint16] | npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    delay_s: float = 0.0
    receptor: str = ""


@dataclass(frozen=True, kw_only=True)
class Delay(Node):
    """Holds each element back for `delay_s` seconds, shape (size,)."""

    delay_s: FloatArray


@dataclass(frozen=True, kw_only=True)
class Network:
    """A graph and its sidecar, ready for any backend.

    Attributes:
        nodes: by NIR name, in the order of the file.
        edges: pairs of node names.
        source: the file it came from, for messages.
        spike_area: charge of the Dirac that one spike delivers in exact mode.
        mode, dialect, dt_s: how to run it unless the caller says otherwise.
        initial_v: first voltage by layer name, shape (size,); where absent the dialect decides.
        plasticity: learning rule, or several that stack, by name of the Linear node or Projection
            whose weights they change, or of the layer whose neurons.
        seed: of everything random in it.
    """

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    source: str = "<memory>"
    spike_area: float = 1.0
    mode: Mode = "exact"
    dialect: str = "reflexarc"
    dt_s: float | None = None
    initial_v: Mapping[str, FloatArray] = field(default_factory=dict)
    plasticity: Mapping[str, Rule | tuple[Rule, ...]] = field(default_factory=dict)
    seed: int = 0

    def inputs(self) -> list[Input]:
        """The input ports, modulators among them, in the order of the file."""
        return [node for node in self.nodes.values() if isinstance(node, Input)]

    def outputs(self) -> list[Output]:
        """The output ports, in the order of the file."""
        return [node for node in self.nodes.values() if isinstance(node, Output)]

    def rules(self, name: str) -> tuple[Rule, ...]:
        """The learning rules of a node."""
        rules = self.plasticity.get(name, ())
        return rules if isinstance(rules, tuple) else (rules,)

    def is_spiking(self, name: str) -> bool:
        """Whether spikes (rather than graded values) leave the node `name`.

        A node that passes on what it receives is spiking when all its sources are.
        """
        seen, pending = {name}, [name]
        while pending:
            node = self.nodes[pending.pop()]
            if isinstance(node, Linear | Projection | Scale | Conv | Pooling) or (
                isinstance(node, Neurons) and not node.spiking
            ):
                return False
            if isinstance(node, Delay | Flatten | Output):
                sources = [pre for pre, post in self.edges if post == node.name]
                if not sources:
                    return False
                pending += [pre for pre in sources if pre not in seen]
                seen.update(sources)
        return True
