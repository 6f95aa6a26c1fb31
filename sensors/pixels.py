"""The pixels of an event camera: what may be said about them, and sensors by name.

The model is in `reflexarc.ext.pixels`, its figures beside other simulators in
`docs/event-camera.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.config import Strict

Preset: TypeAlias = Literal["ideal", "v2e_noisy", "dvs128", "davis346", "dvxplorer", "gen4"]

#: What the sensors differ in from "ideal". A value is published of the sensor itself where its
#: comment does not say "estimate". Sources; a star: compared with the values once more.

#:
#: - G: Gallego et al. 2022, "Event-based Vision: A Survey", IEEE TPAMI 44(1), table 1. Its least
#:   contrast c is taken as the threshold ln(1 + c), its stationary noise as leak, its event rate as
#:   that of the readout, and its latency as wholly that of the readout.
#: - L*: Lichtsteiner, Posch & Delbruck 2008, IEEE J. Solid-State Circuits 43(2), abstract.
#: - B: Brandli et al. 2014, IEEE J. Solid-State Circuits 49(10), of the DAVIS240.
#: - I: iniVation, "Specifications - current models".
#: - V*: v2e (Hu, Liu & Delbruck 2021), its emulator's `noisy` or its defaults.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "ideal": {},
    "v2e_noisy": {
        "mismatch": 0.25,  # V: 0.05 at 0.2
        "cutoff_hz": 30.0,  # V
        "leak_rate_hz": 0.1,  # V
        "leak_spread_decades": 0.1,  # V
        "shot_rate_hz": 5.0,  # V
    },
    "dvs128": {
        "on_threshold": 0.157,  # G: 17 %
        "off_threshold": 0.157,  # estimate: as ON
        "mismatch": 0.134,  # L: 2.1 % of contrast
        "cutoff_hz": 3000.0,  # L: at 1 klux
        "refractory_us": 500,  # estimate: V
        "leak_rate_hz": 0.05,  # G
        "leak_spread_decades": 0.1,  # estimate: V
        "shot_rate_hz": 0.001,  # estimate: V
        "readout_rate_hz": 1e6,  # G
        "readout_latency_us": 15,  # L: the least, above 1 klux; G has 12
    },
    "davis346": {
        "on_threshold": 0.134,  # I, G: 14.3 %
        "off_threshold": 0.255,  # I, G: 22.5 %, ln(1 - c)
        "mismatch": 0.18,  # estimate: B, 3.5 % of contrast, over the mean threshold
        "cutoff_hz": 300.0,  # estimate: V
        "refractory_us": 500,  # estimate: V
        "leak_rate_hz": 0.1,  # G
        "leak_spread_decades": 0.1,  # estimate: V
        "shot_rate_hz": 0.001,  # estimate: V
        "readout_rate_hz": 12e6,  # I, G
        "readout_latency_us": 20,  # G
    },
    "dvxplorer": {
        "on_threshold": 0.122,  # I: 13 % seen by half of the pixels
        "off_threshold": 0.122,  # estimate: as ON
        "mismatch": 0.32,  # estimate: I, 27.5 % seen by 99.9 %, were it all mismatch
        "cutoff_hz": 300.0,  # estimate: V
        "refractory_us": 500,  # estimate: V
        "leak_rate_hz": 0.03,  # estimate: G, Samsung DVS-Gen3
        "leak_spread_decades": 0.1,  # estimate: V
        "shot_rate_hz": 0.001,  # estimate: V
        "readout_rate_hz": 165e6,  # I
        "readout_latency_us": 50,  # estimate: G, Samsung DVS-Gen3
    },
    "gen4": {  # Prophesee Gen 4, Sony IMX636
        "on_threshold": 0.104,  # G: 11 %
        "off_threshold": 0.104,  # estimate: as ON
        "mismatch": 0.15,  # estimate: V, 0.03 at 0.2
        "cutoff_hz": 300.0,  # estimate: V
        "refractory_us": 500,  # estimate: V
        "leak_rate_hz": 0.1,  # G
        "leak_spread_decades": 0.1,  # estimate: V
        "shot_rate_hz": 0.001,  # estimate: V
        "readout_rate_hz": 1066e6,  # G
        "readout_latency_us": 20,  # G: 20 to 150
    },
}


class PixelSpec(Strict):
    """The pixels of an event camera: a sensor by name, and what is to differ from it.

    Intensities are in DN, 0 to 255; thresholds in ln units of intensity.

    Attributes:
        preset: the sensor that gives every value not said; `PRESETS` has the values.
        on_threshold, off_threshold: nominal change that makes an event.
        mismatch: relative standard deviation of the pixels' own thresholds, drawn apart for ON and
            OFF from a normal distribution that is cut off at a tenth of the nominal threshold.
        knee_dn: intensity below which the photoreceptor is linear instead of logarithmic.
        cutoff_hz: its bandwidth (-3 dB) in white light, in proportion to intensity + 20 DN; null
            for no limit.
        refractory_us: how long a pixel is held in reset after an event.
        leak_rate_hz: ON events of a pixel in a still scene.
        leak_spread_decades: standard deviation of the log10 of that rate over the pixels.
        hot_share, hot_rate_hz: this share of the pixels, at random, leaks at that rate.
        shot_rate_hz: noise events of a pixel in the dark, ON and OFF together.
        readout_rate_hz: events a second that the arbiter can grant; null for no limit.
        readout_latency_us: from its grant to the time stamp.
    """

    preset: Preset = "ideal"
    on_threshold: float = Field(default=0.2, ge=0.01, le=10)
    off_threshold: float = Field(default=0.2, ge=0.01, le=10)
    mismatch: float = Field(default=0.0, ge=0, le=0.5)
    knee_dn: float = Field(default=20.0, gt=1, le=255)
    cutoff_hz: float | None = Field(default=None, gt=0, le=1e9)
    refractory_us: int = Field(default=0, ge=0, le=1_000_000_000)
    leak_rate_hz: float = Field(default=0.0, ge=0, le=1e6)
    leak_spread_decades: float = Field(default=0.0, ge=0, le=1)
    hot_share: float = Field(default=0.0, ge=0, le=1)
    hot_rate_hz: float = Field(default=100.0, ge=0, le=1e6)
    shot_rate_hz: float = Field(default=0.0, ge=0, le=1e6)
    readout_rate_hz: float | None = Field(default=None, gt=0, le=1e12)
    readout_latency_us: int = Field(default=0, ge=0, le=1_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def _over_preset(cls, data: Any) -> Any:
        """What the preset says, under what is said here."""
        if not isinstance(data, Mapping):
            return data
        preset = data.get("preset", "ideal")
        return {**PRESETS[preset], **data} if preset in list(PRESETS) else data


def make_pixels(
    spec: PixelSpec, width: int, height: int, generator: np.random.Generator
) -> PixelArray:
    """`width` x `height` pixels whose pattern and noise are drawn from `generator`."""

    def steps(nominal: float) -> npt.NDArray[np.float64]:
        spread = generator.standard_normal((height, width))
        return nominal * np.maximum(0.1, 1.0 + spec.mismatch * spread)

    on_step, off_step = steps(spec.on_threshold), steps(spec.off_threshold)
    decades = spec.leak_spread_decades * generator.standard_normal((height, width))
    leak_hz = spec.leak_rate_hz * 10.0**decades
    leak_hz[generator.random((height, width)) < spec.hot_share] = spec.hot_rate_hz
    return PixelArray(
        on_step,
        off_step,
        leak_hz * on_step,
        on_threshold=spec.on_threshold,
        off_threshold=spec.off_threshold,
        knee_dn=spec.knee_dn,
        cutoff_hz=spec.cutoff_hz or 0.0,
        refractory_us=spec.refractory_us,
        shot_rate_hz=spec.shot_rate_hz,
        readout_rate_hz=spec.readout_rate_hz or 0.0,
        readout_latency_us=spec.readout_latency_us,
        seed=int(generator.integers(2**63)),
    )
