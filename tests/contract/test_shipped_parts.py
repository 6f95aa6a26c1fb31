"""Every sensor, encoder, decoder and world that ships keeps its contract."""

from dataclasses import replace

import numpy as np
import pytest

from reflexarc.actuators.contract import DecoderContract
from reflexarc.actuators.decoders import (
    CentreOfMassSpec,
    FilteredRateSpec,
    GradedSpec,
    PopulationVectorSpec,
    make_decoder,
)
from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.sensors.contract import EncoderContract, SensorContract
from reflexarc.sensors.encoders import make_encoder
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.eventfilter import EventFilterSpec
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.latency import LatencySpec
from reflexarc.sensors.opticflow import OpticFlowSpec
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.pooling import PooledPixelsSpec
from reflexarc.sensors.population import DeltaSpec, GaussianPopulationSpec, RateSpec, SignedRateSpec
from reflexarc.sensors.recorded import RecordedSensor


class TestJointReadings(SensorContract):
    def make_sensor(self):
        return JointReadings("rail", lambda: np.array([1.0, 2.0]))


class TestEventCamera(SensorContract):
    def make_sensor(self):
        frames = np.random.default_rng(0)
        pixels = make_pixels(PixelSpec(), 8, 6, np.random.default_rng(1))

        def render():
            return frames.uniform(10, 250, (6, 8)).astype(np.float32)

        return EventCamera("camera", render, pixels, 4_000_000)


class TestRecordedSensor(SensorContract):
    def make_sensor(self):
        return RecordedSensor("camera", Schema.EVENTS, [events(k * 7_000_000) for k in range(20)])


def events(now_ns, size=64):
    generator = np.random.default_rng(now_ns)
    values = np.zeros(generator.integers(0, 50), EVENT)
    values["t"] = np.sort(generator.integers(max(0, now_ns - 3_000_000), now_ns + 1, len(values)))
    values["t"] //= 1000
    values["x"], values["y"] = generator.integers(0, 2 * size, (2, len(values)))
    return Batch("camera", Schema.EVENTS, values, max(0, now_ns - 3_000_000), now_ns)


class TestPooledPixels(EncoderContract):
    def make_encoder(self):
        spec = PooledPixelsSpec(
            kind="pooled_pixels", stream="camera", port="p", width=64, height=48, cell_px=8
        )
        return make_encoder(spec, spec.lines)

    def make_batches(self, now_ns):
        whole = events(now_ns)
        half = len(whole.values) // 2
        parts = [replace(whole, values=part) for part in np.split(whole.values, [half])]
        return parts[: now_ns // self.period_ns % 3]


class TestFilteredPixels(TestPooledPixels):
    def make_encoder(self):
        said = EventFilterSpec(
            region={"left": 4, "top": 2, "width": 40, "height": 30},
            hot_rate_hz=50.0,
            background_us=20_000,
        )
        spec = PooledPixelsSpec(
            kind="pooled_pixels",
            stream="camera",
            port="p",
            width=64,
            height=48,
            cell_px=8,
            filter=said,
        )
        return make_encoder(spec, spec.lines)


class TestOpticFlow(TestPooledPixels):
    def make_encoder(self):
        spec = OpticFlowSpec(
            kind="optic_flow",
            stream="camera",
            port="p",
            width=64,
            height=48,
            tile_px=8,
            speeds_px_s=[1.0, 100.0, 1e5],
        )
        return make_encoder(spec, spec.lines)


class ReadingEncoders(EncoderContract):
    spec = None
    lines = 0

    def make_encoder(self):
        return make_encoder(self.spec, self.lines)

    def make_batches(self, now_ns):
        values = np.random.default_rng(now_ns).normal(0, 3, 2)
        return [Batch("rail", Schema.READINGS, values, now_ns, now_ns)]


class TestGaussianPopulation(ReadingEncoders):
    lines = 12
    spec = GaussianPopulationSpec(
        kind="gaussian_population",
        stream="rail",
        port="p",
        low=-1.0,
        high=1.0,
        sigma=0.3,
        max_rate_hz=300.0,
    )


class TestRate(ReadingEncoders):
    lines = 2
    spec = RateSpec(
        kind="rate",
        stream="rail",
        port="p",
        readings=[0, 1],
        low=[-1.0, -2.0],
        high=[1.0, 2.0],
        max_rate_hz=2000.0,
    )


class TestSignedRate(ReadingEncoders):
    lines = 4
    spec = SignedRateSpec(
        kind="signed_rate",
        stream="rail",
        port="p",
        readings=[0, 1],
        scale=[1.0, 2.0],
        max_rate_hz=2000.0,
    )


class TestDelta(ReadingEncoders):
    lines = 4
    spec = DeltaSpec(kind="delta", stream="rail", port="p", readings=[0, 1], quantum=[0.05, 0.5])


class TestLatency(ReadingEncoders):
    lines = 2
    spec = LatencySpec(
        kind="latency", stream="rail", port="p", readings=[1, 0], low=[-1.0, -5.0], high=[1.0, 5.0]
    )


del ReadingEncoders


class TestFilteredRate(DecoderContract):
    port_size = 5

    def make_decoder(self):
        spec = FilteredRateSpec(kind="filtered_rate", port="m", tau_s=0.01)
        return make_decoder(spec, self.port_size, spiking=True)


class TestCentreOfMass(DecoderContract):
    port_size = 4

    def make_decoder(self):
        spec = CentreOfMassSpec(
            kind="centre_of_mass", port="m", tau_s=0.01, low=-1.0, high=1.0, floor_hz=20.0
        )
        return make_decoder(spec, self.port_size, spiking=True)


class TestPopulationVector(DecoderContract):
    port_size = 7

    def make_decoder(self):
        spec = PopulationVectorSpec(kind="population_vector", port="m", tau_s=0.01, scale=2.0)
        return make_decoder(spec, self.port_size, spiking=True)


class TestGraded(DecoderContract):
    port_size = 3
    spiking = False

    def make_decoder(self):
        return make_decoder(GradedSpec(kind="graded", port="m"), self.port_size, spiking=False)


class TestPoleBalance(WorldContract):
    def make_world(self, seed):
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        return Scenario.load("pole-balance").make_world(seed)


class TestPanTilt(WorldContract):
    def make_world(self, seed):
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        return Scenario.load("gaze").make_world(seed)
