"""Policies: what sits between observing and acting.

`NetworkPolicy` is the spiking one; `ConventionalPolicy` puts a classical controller in its place,
so that both run in the same loop, through the same gate, on the same plant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from reflexarc.actuators.decoder import Decoder
from reflexarc.runtime.backends.base import Program, State
from reflexarc.runtime.batch import SPIKE, Array, Batch
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.sensors.encoder import Encoder

PortArrays: TypeAlias = Mapping[str, Array]
_NOTHING: PortArrays = {}


class Policy(ABC):
    """Three of the six calls of a tick; see `Loop.tick`.

    Attributes:
        port_inputs, port_outputs: what entered and left the network in the last tick, by port.
        streams: names of the streams that its commands depend on; None: all that there are.
    """

    port_inputs: PortArrays = _NOTHING
    port_outputs: PortArrays = _NOTHING
    streams: frozenset[str] | None = None

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

    The command is the decoders' outputs, one after the other. The network's own time is the loop's
    until `rejoin` or `restore` shifts it: a network that comes from a checkpoint, or that was
    passed over for a while, goes on from where it stood.

    Attributes:
        reached_ns: how far the network has come, in its own time.
        spikes_per_tick: a port's spikes beyond so many in a tick are shed; None: none are.
        shed: spikes shed so far.
    """

    def __init__(
        self, encoders: Sequence[Encoder], program: Program, decoders: Sequence[Decoder]
    ) -> None:
        self.program = program
        self.reached_ns = 0
        self.spikes_per_tick: int | None = None
        self.shed = 0
        self._shift_ns = 0
        self.streams = frozenset(encoder.stream for encoder in encoders)
        self._encoders = encoders
        self._decoders = decoders

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> PortArrays:
        """Each encoder turns the batches of its stream into the input of its port."""
        inputs = {
            encoder.port: encoder.encode(
                [batch for batch in batches if batch.stream == encoder.stream], now_ns, until_ns
            )
            for encoder in self._encoders
        }
        return inputs if self.spikes_per_tick is None else self._within_budget(inputs)

    def think(self, inputs: PortArrays, until_ns: int) -> PortArrays:
        """Step the network."""
        self.port_inputs = inputs
        self.reached_ns = until_ns + self._shift_ns
        if self._shift_ns:
            shown = self.program.step(self.reached_ns, _shifted(inputs, self._shift_ns))
            self.port_outputs = _shifted(shown, -self._shift_ns)
        else:
            self.port_outputs = self.program.step(until_ns, inputs)
        return self.port_outputs

    def decode(self, outputs: PortArrays, now_ns: int, until_ns: int) -> FloatArray:
        """Each decoder turns what left its port into its part of the command."""
        wanted = [d.decode(outputs[d.port], now_ns, until_ns) for d in self._decoders]
        return wanted[0] if len(wanted) == 1 else np.concatenate(wanted)

    def behind_ns(self, now_ns: int) -> int:
        """How much loop time the network has not lived through at loop time `now_ns`."""
        return now_ns + self._shift_ns - self.reached_ns

    def rejoin(self, now_ns: int) -> None:
        """Go on at loop time `now_ns` from where the network stands, as if no time had passed."""
        self._shift_ns = self.reached_ns - now_ns

    def state(self) -> State:
        """A copy of everything that decides the future, but for `reached_ns`.

        `network/...` of the program, `encoder/N/PORT/...`, `decoder/N/PORT/...`, and `loop_ns`: the
        loop time.
        """
        parts = [("network", self.program.state())]
        parts += [(name, part.state()) for name, part in self._parts()]
        arrays = {f"{name}/{key}": array for name, state in parts for key, array in state.items()}
        return {**arrays, "loop_ns": np.array([self.reached_ns - self._shift_ns])}

    def restore(self, state: State, reached_ns: int, now_ns: int) -> list[str]:
        """Go on at loop time `now_ns` from `state`, which was when the network had reached
        `reached_ns` of its own time.

        Returns the names of encoders and decoders that begin anew: it has nothing that fits them.
        Raises ValueError: it is of another network, and nothing has changed.
        """
        was_ns = state.get("loop_ns", np.array([now_ns]))
        if was_ns.dtype != np.int64 or was_ns.shape != (1,):
            raise ValueError("the state is damaged: loop_ns")
        self.program.restore(_within(state, "network"))
        self.reached_ns = reached_ns
        self.rejoin(now_ns)
        later_ns = now_ns - int(was_ns[0])
        anew = []
        for name, part in self._parts():
            try:
                part.restore(_within(state, name), later_ns)
            except ValueError:
                anew.append(name)
        return anew

    def _parts(self) -> Iterator[tuple[str, Encoder | Decoder]]:
        for n, encoder in enumerate(self._encoders):
            yield f"encoder/{n}/{encoder.port}", encoder
        for n, decoder in enumerate(self._decoders):
            yield f"decoder/{n}/{decoder.port}", decoder

    def _within_budget(self, inputs: PortArrays) -> PortArrays:
        """The inputs, each port's spikes up to the budget: the earliest."""
        kept = dict(inputs)
        for port, values in inputs.items():
            if values.dtype == SPIKE and len(values) > (self.spikes_per_tick or 0):
                kept[port] = values[: self.spikes_per_tick]
                self.shed += len(values) - len(kept[port])
        return kept


def _within(state: State, name: str) -> State:
    """What `state` has of the part `name`."""
    begin = f"{name}/"
    return {k.removeprefix(begin): part for k, part in state.items() if k.startswith(begin)}


def _shifted(ports: PortArrays, shift_ns: int) -> PortArrays:
    """The same, spikes later by `shift_ns`."""
    moved = dict(ports)
    for port, values in ports.items():
        if values.dtype == SPIKE and len(values):
            moved[port] = values.copy()
            moved[port]["t_ns"] += shift_ns
    return moved


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
