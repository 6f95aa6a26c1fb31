"""What a roboticist would use: pure pursuit, PID on the offset, and a vehicle of Braitenberg's.

Angles in rad, above 0 to the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.actuators.decoders import PopulationVector, PopulationVectorSpec
from reflexarc.runtime.backends import compile_network
from reflexarc.runtime.batch import Batch
from reflexarc.runtime.builder import Builder
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.lane_keep.build_network import CELL_PX, COLUMNS, DT_S, ROWS, motor_model
from reflexarc.scenarios.lane_keep.car import WHEELBASE_M
from reflexarc.scenarios.lane_keep.world import AHEAD_M
from reflexarc.sensors.pooling import PooledPixels, PooledPixelsSpec


class PurePursuitConfig(Strict):
    """How far ahead along the centre line the point lies that the car makes for."""

    ahead_m: float = Field(default=0.6, ge=AHEAD_M[0], le=AHEAD_M[-1])


class PurePursuit(Controller):
    """Coulter 1992: the arc through a point of the centre line, from the stream "path".

    steering = atan(2 wheelbase y / (x^2 + y^2)) for the point (x, y) seen from the rear axle. It
    knows the track, which no camera does.
    """

    Config: ClassVar[type[Strict]] = PurePursuitConfig

    def __init__(self, config: PurePursuitConfig, seed: int) -> None:
        del seed
        self._ahead_m = config.ahead_m
        self._steering = np.zeros(1)

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Steering angle, rad, shape (1,)."""
        del now_ns
        for batch in batches:
            if batch.stream == "path":
                x, y = (
                    np.interp(self._ahead_m, AHEAD_M, way) for way in batch.values.reshape(-1, 2).T
                )
                self._steering = np.arctan([2 * WHEELBASE_M * y / (x * x + y * y)])
        return self._steering


class PidConfig(Strict):
    """Gains per half width of offset, per half width a second, and per half width times seconds."""

    kp_rad: float = Field(default=0.5, ge=0)
    kd_rad_s: float = Field(default=0.2, ge=0)
    ki_rad_per_s: float = Field(default=0.0, ge=0)


class Pid(Controller):
    """PD, or PID, on the stream "lane"; the sum stays within what the steering can do.

    steering = -(kp offset + kd rate + ki sum of offset)
    """

    Config: ClassVar[type[Strict]] = PidConfig
    MOST_RAD = 0.4

    def __init__(self, config: PidConfig, seed: int) -> None:
        del seed
        self._config = config
        self._summed_rad, self._last_ns = 0.0, 0
        self._steering = np.zeros(1)

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Steering angle, rad, shape (1,)."""
        for batch in batches:
            if batch.stream == "lane":
                offset, rate = batch.values
                passed_s, self._last_ns = (now_ns - self._last_ns) * 1e-9, now_ns
                summed_rad = self._summed_rad + self._config.ki_rad_per_s * offset * passed_s
                self._summed_rad = float(np.clip(summed_rad, -self.MOST_RAD, self.MOST_RAD))
                asked = self._config.kp_rad * offset + self._config.kd_rad_s * rate
                self._steering = np.array([-asked - self._summed_rad])
        return self._steering


class BraitenbergConfig(Strict):
    """Weights from a cell of the lowest row of the picture, and of the uppermost; straight between.

    Above 0 connections cross: events on the left drive the motor neuron of the right, and the car
    turns away from them (fear). Below 0 they inhibit it. `scale` is the steering (rad) of a motor
    neuron that fires at 1 Hz more than the other, `drive` the weight of both to everything.
    """

    near: float = Field(default=0.5, ge=-2, le=2)
    far: float = Field(default=0.0, ge=-2, le=2)
    drive: float = Field(default=0.3, ge=0, le=2)
    scale: float = Field(default=0.004, gt=0, le=1)
    tau_s: float = Field(default=0.05, gt=0, le=1)


class Braitenberg(Controller):
    """Vehicle 2 of Braitenberg 1984 in spiking neurons: the network's two, with fixed weights."""

    Config: ClassVar[type[Strict]] = BraitenbergConfig

    def __init__(self, config: BraitenbergConfig, seed: int) -> None:
        del seed
        seen = PooledPixelsSpec(
            kind="pooled_pixels",
            stream="camera",
            port="camera",
            width=COLUMNS * CELL_PX,
            height=ROWS * CELL_PX,
            cell_px=CELL_PX,
            polarity="merged",
        )
        said = PopulationVectorSpec(
            kind="population_vector",
            port="steering",
            tau_s=config.tau_s,
            scale=2 * config.scale,
            directions=[1.0, -1.0],
        )
        self._policy = NetworkPolicy(
            [PooledPixels(seen, seen.lines)],
            compile_network(vehicle(config), dt_s=DT_S),
            [PopulationVector(said, 2)],
        )
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Steering angle, rad, shape (1,)."""
        begin_ns, self._last_ns = self._last_ns, now_ns
        if now_ns == begin_ns:
            return np.zeros(1)
        inputs = self._policy.encode(batches, begin_ns, now_ns)
        return self._policy.decode(self._policy.think(inputs, now_ns), begin_ns, now_ns)


def vehicle(config: BraitenbergConfig) -> Network:
    """The network of a `Braitenberg`."""
    net = Builder(seed=1)
    camera = net.input("camera", ROWS * COLUMNS)
    motors = net.population("motors", 2, motor_model())
    down, right = np.mgrid[0 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    crossed = (config.far + (config.near - config.far) * down) * right
    net.linear(camera, motors, config.drive + np.array([crossed.ravel(), -crossed.ravel()]))
    net.output("steering", motors)
    return net.build(mode="clocked", dt_s=DT_S)
