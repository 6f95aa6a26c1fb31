"""What is in a file of camera events: counts, times, rate and a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.files import write_atomic
from reflexarc.runtime.plots import BLUE, GREY
from reflexarc.runtime.recordedevents import RecordedEvents
from reflexarc.sensors.recording import RecordingReader

#: The rate over time has at most so many bins; they double in width when time runs out of them.
MOST_BINS = 200
FIRST_BIN_US = 1000


@dataclass
class EventFile:
    """A file of camera events, summed up.

    Attributes:
        path, format: the file and its kind, as `EVT3`.
        width, height: of the sensor in pixels; where the file does not say and no size is given,
            as its reader assumes.
        count, on: events, and those of rising intensity.
        t_first_us, t_last_us: first and last time as recorded; files with a calendar have unix
            time.
        bin_us, events_per_bin: the rate over time, in bins from the first event on.
        pixels: ON and OFF events of each pixel, shape (2, height, width); not in `facts`.
    """

    path: str
    format: str
    width: int
    height: int
    count: int = 0
    on: int = 0
    t_first_us: int = 0
    t_last_us: int = 0
    bin_us: int = FIRST_BIN_US
    events_per_bin: list[int] = field(default_factory=list)
    pixels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0, 0), np.int64))

    @property
    def duration_s(self) -> float:
        """From the first event to the last."""
        return (self.t_last_us - self.t_first_us) * 1e-6

    @property
    def rate_hz(self) -> float:
        """Events a second; 0 where all have one time."""
        return self.count / self.duration_s if self.duration_s > 0 else 0.0

    def facts(self) -> dict[str, object]:
        """All but the picture, for JSON."""
        kept = {name: value for name, value in vars(self).items() if name != "pixels"}
        return {**kept, "duration_s": self.duration_s, "rate_hz": self.rate_hz}

    def text(self) -> str:
        """A few lines for a person."""
        most = max(self.events_per_bin) / (self.bin_us * 1e-6)
        return "\n".join(
            (
                f"{self.path}: {self.format}, {self.width} x {self.height} pixels",
                f"{self.count} events, {self.on / self.count:.1%} ON",
                f"{self.t_first_us} to {self.t_last_us} us: {self.duration_s:.6f} s",
                f"{self.rate_hz / 1e6:.3f} M events/s, at most {most / 1e6:.3f} "
                f"in {self.bin_us / 1000:g} ms",
            )
        )

    def draw(self, path: Path) -> None:
        """Write a picture: the pixels' events above their rate. Raises ConfigError: not a .png."""
        if path.suffix.lower() != ".png":
            raise ConfigError(f"{path}: a picture of events is a .png file")
        figure = Figure(figsize=(8, 7), layout="constrained")
        image, rate = figure.subplots(2, 1, height_ratios=[4, 1])
        on, off = self.pixels
        level = np.log1p(on + off) * np.sign(on - off + 0.5)
        bound = max(float(np.quantile(np.abs(level), 0.999)), 1.0)
        image.imshow(level, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
        image.set_title(f"{self.count} events: red mostly ON, blue mostly OFF", loc="left")
        t_s = np.arange(len(self.events_per_bin) + 1) * self.bin_us * 1e-6
        rate_mhz = np.array(self.events_per_bin) / self.bin_us
        rate.stairs(rate_mhz, t_s, fill=True, color=BLUE)
        rate.set(xlabel="time since the first event, s", ylabel="M events/s")
        rate.spines[["top", "right"]].set_visible(False)
        rate.tick_params(color=GREY)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        write_atomic(path, buffer.getvalue())


def read_event_file(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    stream: str = "camera",
    topic: str | None = None,
) -> EventFile:
    """Read all of a file of camera events, or of the stream of an `.mcap` that a run left.

    `size` is (width, height) for files that do not say, `topic` for bags with several.

    Raises:
        ConfigError: the file is of an unknown kind, damaged, or holds no events.
        MissingFileError: there is no such file.
    """
    recorded = path.suffix.lower() == ".mcap"
    reader = (
        RecordedEvents(path, stream, size=size)
        if recorded
        else RecordingReader(path, size=size, topic=topic)
    )
    found = EventFile(str(path), reader.format, reader.width, reader.height)
    found.pixels = np.zeros((2, reader.height, reader.width), np.int64)
    bins = np.zeros(MOST_BINS, np.int64)
    for chunk in reader:
        if not found.count:
            found.t_first_us = int(chunk["t"][0])
        found.count += len(chunk)
        found.on += int(np.count_nonzero(chunk["on"]))
        found.t_last_us = int(chunk["t"][-1])
        np.add.at(found.pixels, (1 - chunk["on"].astype(int), chunk["y"], chunk["x"]), 1)
        bins = _counted(found, bins, chunk)
    found.events_per_bin = bins[: (found.t_last_us - found.t_first_us) // found.bin_us + 1].tolist()
    return found


def _counted(found: EventFile, bins: npt.NDArray[np.int64], chunk: Array) -> npt.NDArray[np.int64]:
    """The bins with the events of a chunk, folded in pairs until these fit."""
    elapsed_us = (chunk["t"] - np.uint64(found.t_first_us)).astype(np.int64)
    while elapsed_us[-1] >= found.bin_us * MOST_BINS:
        bins = np.concatenate([bins.reshape(-1, 2).sum(axis=1), np.zeros(MOST_BINS // 2, np.int64)])
        found.bin_us *= 2
    return bins + np.bincount(elapsed_us // found.bin_us, minlength=MOST_BINS)
