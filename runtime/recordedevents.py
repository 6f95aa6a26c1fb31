"""The camera events of a run, read from its recording, to be played into another loop."""

from __future__ import annotations

from pathlib import Path

from reflexarc.runtime.batch import Schema
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.recording import Recording
from reflexarc.sensors.recording import RecordingReader


class RecordedEvents(RecordingReader):
    """A stream of camera events in a recording that `reflexarc run` made; see `RecordingReader`."""

    def __init__(
        self, path: Path | str, stream: str, *, size: tuple[int, int] | None = None
    ) -> None:
        """`size` is (width, height) where no encoder of the recorded run says it.

        Raises MissingFileError, and ConfigError: not a recording, or without such a stream.
        """
        self.path, self.format = Path(path), "MCAP"
        recording = Recording.open(path)
        if recording.schema(stream) is not Schema.EVENTS:
            raise ConfigError(
                f"{path}: it has no camera events called '{stream}'; "
                f"it has: {', '.join(sorted(recording.streams)) or 'nothing'}"
            )
        self.width, self.height = size or _size(recording, stream)
        self._chunks = lambda: (batch.values.copy() for batch in recording.batches(stream))


def _size(recording: Recording, stream: str) -> tuple[int, int]:
    """(width, height) of the camera, from the encoder that listened to it."""
    for encoder in recording.start.config["encoders"]:
        if encoder["stream"] == stream and "width" in encoder:
            return encoder["width"], encoder["height"]
    raise ConfigError(f"{recording.path}: it does not say the size of '{stream}'; give --size")
