"""Distributions to draw weights, delays and parameters from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from math import isfinite, log

import numpy as np
import numpy.typing as npt

from reflexarc.ext import chance
from reflexarc.runtime.errors import ConfigError

Reals = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution(ABC):
    """Something to draw numbers from. Raises ConfigError where its own numbers make no sense."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isfinite(value):
                raise ConfigError(f"{self}: {field.name} must be a finite number")
        problem = self._problem()
        if problem:
            raise ConfigError(f"{self}: {problem}")

    def _problem(self) -> str | None:
        return None

    @abstractmethod
    def fill(self, out: Reals, seed: int, number: int) -> None:
        """Fill `out` (one axis) from stream `number` of `seed`."""


@dataclass(frozen=True)
class Normal(Distribution):
    """Gaussian. With `keep_sign`, values on the other side of 0 than the mean become 0."""

    mean: float
    deviation: float
    keep_sign: bool = True

    def _problem(self) -> str | None:
        return "deviation cannot be negative" if self.deviation < 0 else None

    def fill(self, out: Reals, seed: int, number: int) -> None:
        """Fill `out`; see `Distribution`."""
        chance.normal(out, seed, number)
        out *= self.deviation
        out += self.mean
        if self.keep_sign and self.mean != 0:
            (np.maximum if self.mean > 0 else np.minimum)(out, 0.0, out=out)


@dataclass(frozen=True)
class Lognormal(Distribution):
    """`median` times exp(sigma x), x normal. All values have the sign of the median."""

    median: float
    sigma: float

    def _problem(self) -> str | None:
        if self.median == 0:
            return "median cannot be 0"
        return "sigma cannot be negative" if self.sigma < 0 else None

    def fill(self, out: Reals, seed: int, number: int) -> None:
        """Fill `out`; see `Distribution`."""
        chance.normal(out, seed, number)
        out *= self.sigma
        out += log(abs(self.median))
        np.exp(out, out=out)
        if self.median < 0:
            np.negative(out, out=out)


@dataclass(frozen=True)
class Uniform(Distribution):
    """Evenly between `low` and `high`."""

    low: float
    high: float

    def _problem(self) -> str | None:
        return "low is above high" if self.low > self.high else None

    def fill(self, out: Reals, seed: int, number: int) -> None:
        """Fill `out`; see `Distribution`."""
        chance.uniform(out, seed, number)
        out *= self.high - self.low
        out += self.low
