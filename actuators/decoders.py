"""Spike decoders: filtered rate, population vector and centre of mass.

All count the spikes of each line in a step and filter the counts with an exponential of `tau_s`,
whose area is one: a neuron that fires at r Hz settles at r. (Georgopoulos et al. 1986 for the
population vector.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.actuators.decoder import Decoder
from reflexarc.ext.spikes import filter_rates
from reflexarc.runtime.config import Strict


class RateFilter:
    """Firing rate of each of `size` lines in spikes per second, filtered with `tau_s`."""

    def __init__(self, size: int, tau_s: float) -> None:
        self.rate_hz = np.zeros(size)
        self._counts = np.zeros(size)
        self._tau_s = tau_s

    def update(self, spikes: npt.NDArray[Any], duration_s: float) -> npt.NDArray[np.float64]:
        """Take in the SPIKE records of the last `duration_s`; the rates, shape (size,)."""
        keep = math.exp(-duration_s / self._tau_s)
        filter_rates(self.rate_hz, self._counts, spikes, keep, (1.0 - keep) / duration_s)
        return self.rate_hz


class _RateDecoder(Decoder):
    """A decoder of filtered rates: these are all that it remembers."""

    _filter: RateFilter

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The filtered rates."""
        return {"rate_hz": self._filter.rate_hz.copy()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]], later_ns: int = 0) -> None:
        """See `Decoder`."""
        mine, rate_hz = self._filter.rate_hz, state.get("rate_hz")
        if rate_hz is None or len(state) != 1:
            raise ValueError(f"a state of {', '.join(state) or 'nothing'}: it is another's")
        if (rate_hz.shape, rate_hz.dtype) != (mine.shape, mine.dtype):
            raise ValueError(f"'rate_hz' of the state has shape {rate_hz.shape}: another's")
        if not np.isfinite(rate_hz).all():
            raise ValueError("the state is damaged: a rate is not finite")
        mine[:] = rate_hz


class FilteredRateSpec(Strict):
    """`command = offset + scale * rate`: one command element for each line of the port."""

    kind: Literal["filtered_rate"]
    port: str
    tau_s: float = Field(gt=0)
    scale: float = 1.0
    offset: float = 0.0


class PopulationVectorSpec(Strict):
    """`command = scale * sum_i direction_i * rate_i / lines`, one command element.

    `directions` gives each line's preferred direction; absent, the first half of the lines points
    to +1 and the second half to -1 (a push-pull pair of muscles).
    """

    kind: Literal["population_vector"]
    port: str
    tau_s: float = Field(gt=0)
    scale: float
    directions: list[float] | None = None

    @model_validator(mode="after")
    def _some_direction(self) -> PopulationVectorSpec:
        if self.directions is not None and not any(self.directions):
            raise ValueError("directions: at least one must differ from 0")
        return self


class GradedSpec(Strict):
    """`command = scale * value`: takes the voltages of a graded port as they are."""

    kind: Literal["graded"]
    port: str
    scale: float = 1.0


class CentreOfMassSpec(Strict):
    """`command = sum_i place_i * rate_i / (floor_hz + sum_i rate_i)`, one command element.

    The lines' places lie evenly from `low` to `high`. Unlike a population vector it does not grow
    with the activity; the less there is beside `floor_hz`, the nearer it is to 0.
    """

    kind: Literal["centre_of_mass"]
    port: str
    tau_s: float = Field(gt=0)
    low: float
    high: float
    floor_hz: float = Field(gt=0)

    @model_validator(mode="after")
    def _some_range(self) -> CentreOfMassSpec:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


DecoderSpec: TypeAlias = FilteredRateSpec | PopulationVectorSpec | CentreOfMassSpec | GradedSpec


class FilteredRate(_RateDecoder):
    """Decodes each line of a spiking port on its own; see `FilteredRateSpec`."""

    def __init__(self, spec: FilteredRateSpec, port_size: int) -> None:
        self.port, self.size = spec.port, port_size
        self._spec = spec
        self._filter = RateFilter(port_size, spec.tau_s)

    def decode(
        self, values: npt.NDArray[Any], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The wanted command, shape (port size,)."""
        rates = self._filter.update(values, (until_ns - now_ns) * 1e-9)
        return self._spec.offset + self._spec.scale * rates


class PopulationVector(_RateDecoder):
    """Decodes one number from a spiking population; see `PopulationVectorSpec`.

    Raises:
        ValueError: `directions` does not have one entry for each line.
    """

    size = 1

    def __init__(self, spec: PopulationVectorSpec, port_size: int) -> None:
        self.port = spec.port
        directions = spec.directions
        if directions is None:
            directions = [1.0] * (port_size - port_size // 2) + [-1.0] * (port_size // 2)
        if len(directions) != port_size:
            raise ValueError(
                f"port '{spec.port}' has {port_size} lines but there are "
                f"{len(directions)} directions"
            )
        self._readout = np.asarray(directions) * (spec.scale / port_size)
        self._filter = RateFilter(port_size, spec.tau_s)

    def decode(
        self, values: npt.NDArray[Any], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The wanted command, shape (1,)."""
        rates = self._filter.update(values, (until_ns - now_ns) * 1e-9)
        return np.array([self._readout.dot(rates)])


class CentreOfMass(_RateDecoder):
    """Decodes where in a row of lines the activity is; see `CentreOfMassSpec`."""

    size = 1

    def __init__(self, spec: CentreOfMassSpec, port_size: int) -> None:
        self.port = spec.port
        self._places = np.linspace(spec.low, spec.high, port_size)
        self._floor_hz = spec.floor_hz
        self._filter = RateFilter(port_size, spec.tau_s)

    def decode(
        self, values: npt.NDArray[Any], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The wanted command, shape (1,)."""
        rates = self._filter.update(values, (until_ns - now_ns) * 1e-9)
        return np.array([self._places @ rates / (self._floor_hz + rates.sum())])


class Graded(Decoder):
    """Hands on the voltages of a graded port, scaled; see `GradedSpec`."""

    def __init__(self, spec: GradedSpec, port_size: int) -> None:
        self.port, self.size = spec.port, port_size
        self._scale = spec.scale

    def decode(
        self, values: npt.NDArray[Any], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The wanted command, shape (port size,)."""
        return self._scale * values


def make_decoder(spec: DecoderSpec, port_size: int, spiking: bool) -> Decoder:
    """The decoder that `spec` describes, for a port of `port_size` lines.

    Raises:
        ValueError: a spike decoder on a graded port or the reverse; a wrong number of directions.
    """
    if isinstance(spec, GradedSpec):
        if spiking:
            raise ValueError(f"port '{spec.port}' emits spikes; use a spike decoder")
        return Graded(spec, port_size)
    if not spiking:
        raise ValueError(f"port '{spec.port}' emits no spikes; use kind: graded")
    if isinstance(spec, FilteredRateSpec):
        return FilteredRate(spec, port_size)
    if isinstance(spec, CentreOfMassSpec):
        return CentreOfMass(spec, port_size)
    return PopulationVector(spec, port_size)
