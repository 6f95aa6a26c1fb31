"""Policies: what sits between observing and acting.

`NetworkPolicy` is the spiking one; `ConventionalPolicy` puts a classical controller in its place,
so that both run in the same loop, through the same gate, on the same plant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from reflexarc.actuators.decoder import Decoder
from reflexarc.runtime.backends.base import Program
from reflexarc.runtime.batch import Array, Batch
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.sensors.encoder import Encoder

PortArrays: TypeAlias = Mapping[str, Array]
_NOTHING: PortArrays = {}


class Policy(ABC):
    """Three of the six calls of a tick; see `Loop.tick`.

    Attributes:
        port_inputs, port_outputs: what entered and left the network in the last tick, by port.
    """

    port_inputs: PortArrays = _NOTHING
    port_outputs: PortArrays = _NOTHING

    @abstractmethod
    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Any:
        """From observations to what `think` takes."""

    @abstractmethod
    def think(self, inputs: Any, until_ns: int) -> Any:
        """Advance to `until_ns`."""

    @abstractmethod
    def decode(self, outputs: Any, now_ns: int, until_ns: int) -> FloatArray:
        """The wanted command, shape (command_size,)."""


class NetworkPolicy(Policy):
    """A spiking network with its encoders and decoders.

    The command is the decoders' outputs, one after the other.
    """

    def __init__(
        self, encoders: Sequence[Encoder], program: Program, decoders: Sequence[Decoder]
    ) -> None:
        self.program = program
        self._encoders = encoders
        self._decoders = decoders

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> PortArrays:
        """Each encoder turns the batches of its stream into the input of its port."""
        return {
            encoder.port: encoder.encode(
                [batch for batch in batches if batch.stream == encoder.stream], now_ns, until_ns
            )
            for encoder in self._encoders
        }

    def think(self, inputs: PortArrays, until_ns: int) -> PortArrays:
        """Step the network."""
        self.port_inputs = inputs
        self.port_outputs = self.program.step(until_ns, inputs)
        return self.port_outputs

    def decode(self, outputs: PortArrays, now_ns: int, until_ns: int) -> FloatArray:
        """Each decoder turns what left its port into its part of the command."""
        return np.concatenate(
            [decoder.decode(outputs[decoder.port], now_ns, until_ns) for decoder in self._decoders]
        )


class ConventionalPolicy(Policy):
    """A classical controller: it sees the batches and gives the command."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def encode(
        self, batches: Sequence[Batch], now_ns: int, until_ns: int
    ) -> tuple[Sequence[Batch], int]:
        """Nothing to encode."""
        return batches, now_ns

    def think(self, inputs: tuple[Sequence[Batch], int], until_ns: int) -> FloatArray:
        """One step of the controller."""
        return self._controller.control(*inputs)

    def decode(self, outputs: FloatArray, now_ns: int, until_ns: int) -> FloatArray:
        """Nothing to decode."""
        return outputs
