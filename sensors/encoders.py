"""All encoders a scenario may name; docs/encoders.md lists them."""

from __future__ import annotations

from typing import TypeAlias

from reflexarc.sensors.encoder import Encoder
from reflexarc.sensors.latency import Latency, LatencySpec
from reflexarc.sensors.opticflow import OpticFlow, OpticFlowSpec
from reflexarc.sensors.pooling import PixelsSpec, PooledPixels, PooledPixelsSpec
from reflexarc.sensors.population import (
    Delta,
    DeltaSpec,
    GaussianPopulation,
    GaussianPopulationSpec,
    Level,
    LevelSpec,
    Rate,
    RateSpec,
    SignedRate,
    SignedRateSpec,
)

EncoderSpec: TypeAlias = (
    PixelsSpec
    | PooledPixelsSpec
    | OpticFlowSpec
    | GaussianPopulationSpec
    | RateSpec
    | SignedRateSpec
    | DeltaSpec
    | LevelSpec
    | LatencySpec
)


def make_encoder(spec: EncoderSpec, port_size: int) -> Encoder:
    """The encoder that `spec` describes, for a port of `port_size` lines.

    Raises:
        ValueError: the encoder does not make that many lines.
    """
    match spec:
        case PixelsSpec() | PooledPixelsSpec():
            return PooledPixels(spec, port_size)
        case OpticFlowSpec():
            return OpticFlow(spec, port_size)
        case GaussianPopulationSpec():
            return GaussianPopulation(spec, port_size)
        case RateSpec():
            return Rate(spec, port_size)
        case SignedRateSpec():
            return SignedRate(spec, port_size)
        case DeltaSpec():
            return Delta(spec, port_size)
        case LevelSpec():
            return Level(spec, port_size)
        case LatencySpec():
            return Latency(spec, port_size)
