"""Encoders of readings: Gaussian population, rate, signed rate, delta, and level.

Rates become spikes without chance: each line adds up its rate and spikes at every whole number,
so a line at r Hz gives r spikes a second, evenly spaced.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.ext.spikes import fire, log_gaussians, quanta
from reflexarc.runtime.batch import SPIKE, Array, Batch
from reflexarc.runtime.config import Strict
from reflexarc.sensors.encoder import Encoder, check_state, kept

FloatArray = npt.NDArray[np.float64]


class GaussianPopulationSpec(Strict):
    """One reading as the activity of a population with Gaussian tuning curves.

    The port's n lines have their centres evenly from `low` to `high`; line i fires at
    `max_rate_hz * exp(-(value - centre_i)^2 / (2 sigma^2))`. A value outside the range is taken
    as the nearer end.
    """

    kind: Literal["gaussian_population"]
    stream: str
    port: str
    reading: int = Field(default=0, ge=0)
    low: float
    high: float
    sigma: float = Field(gt=0)
    max_rate_hz: float = Field(gt=0)

    @model_validator(mode="after")
    def _some_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class RateSpec(Strict):
    """Each reading as the rate of one line (Adrian & Zotterman 1926, J. Physiol. 61:151).

    0 at `low` and below, `max_rate_hz` at `high` and above, and straight in between.
    """

    kind: Literal["rate"]
    stream: str
    port: str
    readings: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    low: list[float]
    high: list[float]
    max_rate_hz: float = Field(gt=0)

    @model_validator(mode="after")
    def _a_range_each(self) -> Self:
        check_ranges(self.readings, self.low, self.high)
        return self


class SignedRateSpec(Strict):
    """Each reading as a pair of lines: the first fires for positive values, the second for others.

    The rate is `max_rate_hz * |value| / scale`, at most `max_rate_hz`.
    """

    kind: Literal["signed_rate"]
    stream: str
    port: str
    readings: list[int] = Field(min_length=1)
    scale: list[float]
    max_rate_hz: float = Field(gt=0)

    @model_validator(mode="after")
    def _one_scale_each(self) -> Self:
        _check_pairs(self.readings, self.scale, "scale")
        return self


class DeltaSpec(Strict):
    """Each reading as a pair of lines that spike once for each `quantum` it rises or falls.

    Counting from the first value; the first line of a pair is for rising.
    """

    kind: Literal["delta"]
    stream: str
    port: str
    readings: list[int] = Field(min_length=1)
    quantum: list[float]

    @model_validator(mode="after")
    def _one_quantum_each(self) -> Self:
        _check_pairs(self.readings, self.quantum, "quantum")
        return self


class LevelSpec(Strict):
    """Each reading as a value held over the step: `gain * (reading - zero)`, one line each.

    For errors and rewards. 0 until the first readings arrive; `zero` is 0 unless given.
    """

    kind: Literal["level"]
    stream: str
    port: str
    readings: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    gain: list[float]
    zero: list[float] | None = None

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        for name, values in (("gain", self.gain), ("zero", self.zero)):
            if values is not None and len(values) != len(self.readings):
                raise ValueError(
                    f"{name}: {len(values)} entries, but there are {len(self.readings)} readings"
                )
        return self


def check_ranges(readings: list[int], low: list[float], high: list[float]) -> None:
    """Raises ValueError: not one range for each reading, or one that is empty."""
    if not len(readings) == len(low) == len(high):
        raise ValueError("readings, low and high: must have as many entries each")
    if any(one >= other for one, other in zip(low, high, strict=True)):
        raise ValueError("low: must be below high")


def _check_pairs(readings: list[int], values: list[float], name: str) -> None:
    if len(values) != len(readings):
        raise ValueError(f"{name}: {len(values)} entries, but there are {len(readings)} readings")
    if min(values) <= 0:
        raise ValueError(f"{name}: must be above 0")
    if min(readings) < 0:
        raise ValueError("readings: must not be negative")


class _ReadingEncoder(Encoder):
    """Keeps the last readings of its stream; silent until the first arrive."""

    def __init__(self, stream: str, port: str, size: int, highest_reading: int) -> None:
        self.stream, self.port, self.size = stream, port, size
        self._highest = highest_reading
        self._values: Array | None = None
        self._phase = np.zeros(size)

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The spikes of the step."""
        for batch in batches:
            if len(batch.values) > self._highest:
                self._values = batch.values
        if self._values is None:
            return np.zeros(0, SPIKE)
        expected = self._expected(self._values, (until_ns - now_ns) * 1e-9)
        return fire(self._phase, expected, SPIKE, now_ns, until_ns)

    def state(self) -> dict[str, Array]:
        """The phases, and the last readings."""
        return {"phase": self._phase.copy(), "values": kept(self._values)}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        check_state(state, {"phase": self._phase, "values": np.zeros(0)})
        phase, values = state["phase"], state["values"]
        if not ((phase >= 0) & (phase < 1)).all() or 0 < len(values) <= self._highest:
            raise ValueError("the state is damaged: phases lie in [0, 1)")
        self._phase[:] = phase
        self._values = values.copy() if len(values) else None

    @abstractmethod
    def _expected(self, values: Array, duration_s: float) -> FloatArray:
        """How many spikes each line is to give, not necessarily whole, shape (size,)."""


class GaussianPopulation(_ReadingEncoder):
    """See `GaussianPopulationSpec`. Raises ValueError where the port has fewer than 2 lines."""

    def __init__(self, spec: GaussianPopulationSpec, port_size: int) -> None:
        if port_size < 2:
            raise ValueError(f"port '{spec.port}' needs at least 2 lines for a population")
        super().__init__(spec.stream, spec.port, port_size, spec.reading)
        self._spec = spec
        self._centres = np.linspace(spec.low, spec.high, port_size)

    def rates_hz(self, value: float) -> FloatArray:
        """The tuning curves at `value`, shape (port size,)."""
        spec = self._spec
        rates = log_gaussians(self._centres, min(max(value, spec.low), spec.high), spec.sigma)
        np.exp(rates, rates)
        rates *= spec.max_rate_hz
        return rates

    def _expected(self, values: Array, duration_s: float) -> FloatArray:
        rates = self.rates_hz(float(values[self._spec.reading]))
        rates *= duration_s
        return rates


class Rate(_ReadingEncoder):
    """See `RateSpec`. Raises ValueError where the port lacks a line a reading."""

    def __init__(self, spec: RateSpec, port_size: int) -> None:
        check_line_each(spec.port, port_size, len(spec.readings))
        super().__init__(spec.stream, spec.port, port_size, max(spec.readings))
        self._readings = np.array(spec.readings)
        self._low, self._high = np.array(spec.low), np.array(spec.high)
        self._max_rate_hz = spec.max_rate_hz

    def _expected(self, values: Array, duration_s: float) -> FloatArray:
        share = (values[self._readings] - self._low) / (self._high - self._low)
        rates_hz: FloatArray = self._max_rate_hz * np.clip(share, 0.0, 1.0)
        return rates_hz * duration_s


class SignedRate(_ReadingEncoder):
    """See `SignedRateSpec`. Raises ValueError where the port lacks two lines a reading."""

    def __init__(self, spec: SignedRateSpec, port_size: int) -> None:
        _check_port(spec.port, port_size, len(spec.readings))
        super().__init__(spec.stream, spec.port, port_size, max(spec.readings))
        self._readings = np.repeat(spec.readings, 2)
        self._gain = _both_ways(spec.max_rate_hz / np.array(spec.scale))
        self._max_rate_hz = spec.max_rate_hz

    def _expected(self, values: Array, duration_s: float) -> FloatArray:
        signed_hz = values[self._readings] * self._gain
        rates_hz: FloatArray = np.minimum(np.maximum(signed_hz, 0.0), self._max_rate_hz)
        return rates_hz * duration_s


class Delta(_ReadingEncoder):
    """See `DeltaSpec`. Raises ValueError where the port lacks two lines a reading."""

    def __init__(self, spec: DeltaSpec, port_size: int) -> None:
        _check_port(spec.port, port_size, len(spec.readings))
        super().__init__(spec.stream, spec.port, port_size, max(spec.readings))
        self._readings = np.repeat(spec.readings, 2)
        self._quantum = _both_ways(np.array(spec.quantum))
        self._reference: FloatArray | None = None

    def state(self) -> dict[str, Array]:
        """As of all readings, and from where the steps are counted."""
        return {**super().state(), "reference": kept(self._reference)}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        check_state(state, {**super().state(), "values": np.zeros(0), "reference": np.zeros(0)})
        reference = state["reference"]
        if len(reference) not in (0, self.size):
            raise ValueError("'reference' of the state is of another encoder")
        super().restore({name: part for name, part in state.items() if name != "reference"})
        self._reference = reference.copy() if len(reference) else None

    def _expected(self, values: Array, duration_s: float) -> FloatArray:
        del duration_s
        now: FloatArray = values.take(self._readings)
        if self._reference is None:
            self._reference = now.copy()
        return quanta(self._reference, now, self._quantum)


class Level(Encoder):
    """See `LevelSpec`. Raises ValueError where the port lacks a line a reading."""

    def __init__(self, spec: LevelSpec, port_size: int) -> None:
        check_line_each(spec.port, port_size, len(spec.readings))
        self.stream, self.port, self.size = spec.stream, spec.port, port_size
        self._readings = np.array(spec.readings)
        self._gain = np.array(spec.gain)
        self._zero = np.zeros(port_size) if spec.zero is None else np.array(spec.zero)
        self._shown = np.zeros(port_size)

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The values of the newest readings, float64 of shape (size,)."""
        for batch in batches:
            if len(batch.values) > self._readings.max():
                self._shown = self._gain * (batch.values[self._readings] - self._zero)
        return self._shown.copy()

    def state(self) -> dict[str, Array]:
        """What it shows."""
        return {"shown": self._shown.copy()}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        check_state(state, {"shown": self._shown})
        self._shown = state["shown"].copy()


def _both_ways(values: FloatArray) -> FloatArray:
    """Each value for the first line of its pair, and negated for the second."""
    return np.column_stack((values, -values)).ravel()


def check_line_each(port: str, port_size: int, readings: int) -> None:
    """Raises ValueError: the port has not one line for each reading."""
    if port_size != readings:
        raise ValueError(f"port '{port}' has {port_size} lines, but there are {readings} readings")


def _check_port(port: str, port_size: int, readings: int) -> None:
    if port_size != 2 * readings:
        raise ValueError(
            f"port '{port}' has {port_size} lines, but {readings} readings need {2 * readings}"
        )
