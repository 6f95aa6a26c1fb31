"""Progress of a run: a bar with the live score on a terminal, plain lines elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class RunProgress(ABC):
    """Shows how far a run is. `update` is cheap enough to be called every tick."""

    @abstractmethod
    def start(self, name: str, total_s: float) -> None:
        """Begin a run called `name` of `total_s` simulated seconds."""

    @abstractmethod
    def update(self, done_s: float, score: Callable[[], str]) -> None:
        """`done_s` simulated seconds are done; `score()` is the live score as text."""

    @abstractmethod
    def finish(self, text: str) -> None:
        """The run has ended; `text` says how."""


class Silent(RunProgress):
    """Shows nothing."""

    def start(self, name: str, total_s: float) -> None:
        """Nothing."""

    def update(self, done_s: float, score: Callable[[], str]) -> None:
        """Nothing."""

    def finish(self, text: str) -> None:
        """Nothing."""


class Lines(RunProgress):
    """Plain lines: one when a run starts, one at every fifth of it, one when it ends."""

    PARTS = 5

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._name, self._total_s, self._part = "", 1.0, 0

    def start(self, name: str, total_s: float) -> None:
        """Say what begins."""
        self._name, self._total_s, self._part = name, total_s, 0
        self._print(f"{name}: {total_s:g} s")

    def update(self, done_s: float, score: Callable[[], str]) -> None:
        """Print a line when another part is done."""
        part = int(self.PARTS * done_s / self._total_s + 1e-9)
        if self._part < part < self.PARTS:
            self._part = part
            text = f"{self._name}: {done_s:.1f} of {self._total_s:g} s, {score()}"
            self._print(text.removesuffix(", "))

    def finish(self, text: str) -> None:
        """Print how it ended."""
        self._print(f"{self._name}: {text}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Bar(RunProgress):
    """A bar on a terminal, redrawn at most every hundredth of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(console=console)
        self._task = TaskID(0)
        self._done_s = self._shown_s = self._step_s = 0.0

    def start(self, name: str, total_s: float) -> None:
        """Draw an empty bar."""
        self._bar = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:5.1f} of {task.total:g} s"),
            TextColumn("{task.fields[score]}"),
            console=self._console,
        )
        self._bar.start()
        self._task = self._bar.add_task(name, total=total_s, score="")
        self._done_s, self._shown_s, self._step_s = 0.0, 0.0, total_s / 100

    def update(self, done_s: float, score: Callable[[], str]) -> None:
        """Move the bar when it would be seen."""
        self._done_s = done_s
        if done_s - self._shown_s >= self._step_s:
            self._shown_s = done_s
            self._bar.update(self._task, completed=done_s, score=score())

    def finish(self, text: str) -> None:
        """Leave the bar where it is, with how it ended."""
        self._bar.update(self._task, completed=self._done_s, score=text, refresh=True)
        self._bar.stop()


def progress_on(stream: TextIO) -> RunProgress:
    """A bar if `stream` is a terminal, plain lines if not."""
    console = Console(file=stream)
    return Bar(console) if console.is_terminal else Lines(stream)
