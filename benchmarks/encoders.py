"""Prints how many camera events and readings a second each encoder takes, as one JSON object.

    python benchmarks/encoders.py [--repeats 15] [--events 1000000] [--packet 20000]

One pinned core, CPU time, medians of `repeats` rounds in which every encoder and the NumPy that
does the same takes its turn. Events come in packets, uniformly over 640x480 pixels at 10 M/s;
`filtered` sifts them by hot pixels and background activity before it pools them. NumPy on the same
packets: `numpy_pooled` gives the same spikes as `pooled`, to the byte, by arithmetic on arrays;
`numpy_add_at` and `numpy_bincount` count events by cell, without times. What filters and optic flow
do event by event has no form in NumPy: `ratio_to_numpy_pooled` sets them beside pooling there.
Readings: 8 of them, steps of 1 ms; microseconds a call.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reflexarc.runtime.batch import EVENT, SPIKE, Array, Batch, Schema
from reflexarc.sensors.encoder import Encoder
from reflexarc.sensors.encoders import make_encoder
from reflexarc.sensors.eventfilter import EventFilterSpec
from reflexarc.sensors.latency import LatencySpec
from reflexarc.sensors.opticflow import OpticFlowSpec
from reflexarc.sensors.pooling import PixelsSpec, PooledPixelsSpec
from reflexarc.sensors.population import (
    DeltaSpec,
    GaussianPopulationSpec,
    LevelSpec,
    RateSpec,
    SignedRateSpec,
)

WIDTH, HEIGHT, CELL_PX, RATE_MHZ = 640, 480, 8, 10
COLUMNS, CELLS = WIDTH // CELL_PX, WIDTH // CELL_PX * HEIGHT // CELL_PX
STEP_NS, CALLS, READINGS = 1_000_000, 2_000, 8
CAMERA: dict[str, Any] = {"stream": "s", "port": "p", "width": WIDTH, "height": HEIGHT}
SIFT = EventFilterSpec(hot_rate_hz=200.0, background_us=5_000)
SPEEDS_PX_S = [100.0, 400.0, 1600.0, 6400.0]


def pixel_encoders() -> dict[str, Encoder]:
    """Those that touch every event, by name."""
    specs = {
        "pixels": PixelsSpec(kind="pixels", **CAMERA),
        "pooled": PooledPixelsSpec(kind="pooled_pixels", cell_px=CELL_PX, **CAMERA),
        "filtered": PooledPixelsSpec(kind="pooled_pixels", cell_px=CELL_PX, filter=SIFT, **CAMERA),
        "optic_flow": OpticFlowSpec(
            kind="optic_flow", tile_px=32, speeds_px_s=SPEEDS_PX_S, **CAMERA
        ),
    }
    return {name: make_encoder(spec, spec.lines) for name, spec in specs.items()}


def reading_encoders() -> dict[str, Encoder]:
    """Those of readings, by name."""
    known: dict[str, Any] = {"stream": "s", "port": "p"}
    each: dict[str, Any] = {**known, "readings": list(range(READINGS))}
    ends = {"low": [-1.0] * READINGS, "high": [1.0] * READINGS}
    ones = [1.0] * READINGS
    gaussian = GaussianPopulationSpec(
        kind="gaussian_population", low=-1.0, high=1.0, sigma=0.1, max_rate_hz=200.0, **known
    )
    return {
        "gaussian_population": make_encoder(gaussian, 100),
        "rate": make_encoder(RateSpec(kind="rate", max_rate_hz=200.0, **ends, **each), READINGS),
        "signed_rate": make_encoder(
            SignedRateSpec(kind="signed_rate", scale=ones, max_rate_hz=200.0, **each), 2 * READINGS
        ),
        "delta": make_encoder(DeltaSpec(kind="delta", quantum=ones, **each), 2 * READINGS),
        "level": make_encoder(LevelSpec(kind="level", gain=ones, **each), READINGS),
        "latency": make_encoder(LatencySpec(kind="latency", **ends, **each), READINGS),
    }


def drawn(count: int) -> Array:
    """Events anywhere, in order of time."""
    random = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = np.sort(random.integers(0, count // RATE_MHZ, count))
    events["x"], events["y"] = random.integers(0, WIDTH, count), random.integers(0, HEIGHT, count)
    events["on"] = random.integers(0, 2, count)
    return events


def cells_of(events: Array) -> Array:
    """The line of each event by NumPy."""
    column, row = events["x"] // CELL_PX, events["y"] // CELL_PX
    return row.astype(np.int64) * COLUMNS + column + CELLS * events["on"]


def numpy_spikes(events: Array, from_ns: int, last_ns: int) -> Array:
    """What `pooled` gives, by NumPy."""
    spikes = np.empty(len(events), SPIKE)
    spikes["t_ns"] = np.clip(events["t"].astype(np.int64) * 1000 + STEP_NS, from_ns, last_ns)
    spikes["i"] = cells_of(events)
    return spikes


def numpy_added(events: Array) -> Array:
    """Counts of the cells by np.add.at."""
    counts = np.zeros(2 * CELLS, np.int64)
    np.add.at(counts, cells_of(events), 1)
    return counts


def turns(packets: list[Batch]) -> dict[str, Callable[[], object]]:
    """One pass over all packets for each encoder and reference, by name."""
    last_ns = 1 << 60

    def through(encoder: Encoder) -> Callable[[], object]:
        return lambda: [encoder.encode([batch], 0, STEP_NS) for batch in packets]

    def by(call: Callable[[Array], Array]) -> Callable[[], object]:
        return lambda: [call(batch.values) for batch in packets]

    return {
        **{name: through(encoder) for name, encoder in pixel_encoders().items()},
        "numpy_pooled": by(lambda events: numpy_spikes(events, 0, last_ns)),
        "numpy_add_at": by(numpy_added),
        "numpy_bincount": by(lambda events: np.bincount(cells_of(events), minlength=2 * CELLS)),
    }


def medians(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of a call, in turn; the first round is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def of_events(count: int, packet: int, repeats: int) -> dict[str, Any]:
    """Millions of events a second, and ratios to the NumPy of the same run."""
    parts = np.array_split(drawn(count), max(count // packet, 1))
    packets = [Batch("s", Schema.EVENTS, part) for part in parts]
    check = pixel_encoders()["pooled"].encode([packets[0]], 0, STEP_NS)
    assert check.tobytes() == numpy_spikes(packets[0].values, 0, STEP_NS - 1).tobytes()
    took_s = medians(turns(packets), repeats)
    mev_s = {name: round(count / seconds * 1e-6, 1) for name, seconds in took_s.items()}
    ratio = {name: round(took_s["numpy_pooled"] / took_s[name], 1) for name in pixel_encoders()}
    return {"mev_s": mev_s, "ratio_to_numpy_pooled": ratio}


def of_readings(repeats: int) -> dict[str, float]:
    """Microseconds a call."""
    steps = np.random.default_rng(0).uniform(-1, 1, (CALLS, READINGS))
    batches = [[Batch("s", Schema.READINGS, values)] for values in steps]

    def through(encoder: Encoder) -> Callable[[], object]:
        return lambda: [
            encoder.encode(batch, n * STEP_NS, (n + 1) * STEP_NS) for n, batch in enumerate(batches)
        ]

    calls = {name: through(encoder) for name, encoder in reading_encoders().items()}
    return {name: round(took / CALLS * 1e6, 2) for name, took in medians(calls, repeats).items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--packet", type=int, default=20_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = of_events(options.events, options.packet, options.repeats)
    print(json.dumps({**found, "us_per_call": of_readings(options.repeats)}, indent=1))


if __name__ == "__main__":
    main()
