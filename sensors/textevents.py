"""Camera events as text: a line an event, `t x y p`, as of the event-camera data set.

(Mueggler et al. 2017, IJRR 36:142.) Columns are apart by blanks or commas. Times with a point or
an exponent are seconds; where those of the first lines are all whole numbers, they are
microseconds. Polarity is 1 for ON, 0 or -1 for OFF. Before the events may stand empty lines,
comments after `#` or `%`, and one line either of names, which then tell the order of the columns
(faery's tell the size too, as `x@640`), or of width and height (Rebecq et al. 2019, CVPR).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.errors import ConfigError

#: What columns are called, in small letters.
_NAMES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps", "t_us", "t_s"),
    "x": ("x",),
    "y": ("y",),
    "p": ("p", "on", "pol", "polarity"),
}


class Layout(NamedTuple):
    """How a file of text is to be read.

    Attributes:
        skip: lines before the first event.
        order: columns of t, x, y and p.
        scale_us: microseconds that a time of 1 is.
        size: (width, height) where it says so.
    """

    skip: int
    order: tuple[int, int, int, int]
    scale_us: float
    size: tuple[int, int] | None


def open_text(
    path: Path, chunk: int
) -> tuple[tuple[int, int] | None, Callable[[], Iterator[Array]]]:
    """(width, height) if the file says it, and its events, `chunk` lines at a time.

    Iterating raises ConfigError with the number of a line that is not an event.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        layout = _layout(list(islice(file, 1000)))

    def chunks() -> Iterator[Array]:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            done = len(list(islice(file, layout.skip)))
            while lines := list(islice(file, chunk)):
                yield _parse(lines, layout, path, done)
                done += len(lines)

    return layout.size, chunks


def _layout(lines: list[str]) -> Layout:
    order, size, skip = (0, 1, 2, 3), None, 0
    for line in lines:
        cells = _cells(line.lower())
        if named := _named(_cells(line.lower().lstrip("#% "))):
            order, size = named
        elif len(cells) == 2 and all(cell.isdecimal() for cell in cells):
            size = int(cells[0]), int(cells[1])
        elif cells and line.lstrip()[0] not in "#%":
            break
        skip += 1
    times = [cells[order[0]] for cells in map(_cells, lines[skip:]) if len(cells) == 4]
    whole = bool(times) and all(re.fullmatch(r"\d+", time) for time in times)
    return Layout(skip, order, 1.0 if whole else 1e6, size)


def _named(
    cells: list[str],
) -> tuple[tuple[int, int, int, int], tuple[int, int] | None] | None:
    """Order and size that a line of names tells; None for another line."""
    names = [cell.partition("@")[0] for cell in cells]
    sizes = [cell.partition("@")[2] for cell in cells]
    places = [
        next((n for n, name in enumerate(names) if name in _NAMES[key]), -1) for key in "txyp"
    ]
    if min(places) < 0:
        return None
    t, x, y, p = places
    told = sizes[x].isdecimal() and sizes[y].isdecimal()
    return (t, x, y, p), (int(sizes[x]), int(sizes[y])) if told else None


def _cells(line: str) -> list[str]:
    return line.replace(",", " ").split()


def _parse(lines: list[str], layout: Layout, path: Path, done: int) -> Array:
    try:
        # no comments here: NumPy would take what is before one as an event
        table = np.loadtxt((line.replace(",", " ") for line in lines), ndmin=2, comments=None)
        return _events(table, layout)
    except (ValueError, IndexError):
        for n, line in enumerate(lines):
            _check_line(line, layout, f"{path}:{done + n + 1}")
        raise


def _check_line(line: str, layout: Layout, where: str) -> None:
    """Raises ConfigError for a line that is not an event."""
    try:
        if cells := _cells(line):
            _events(np.array([cells], np.float64), layout)
    except (ValueError, IndexError):
        raise ConfigError(f"{where}: expected 't x y p', got {line.strip()[:40]!r}") from None


def _events(table: npt.NDArray[np.float64], layout: Layout) -> Array:
    """Raises ValueError or IndexError: not all rows are events."""
    if table.size == 0:
        return np.empty(0, EVENT)
    if table.shape[1] != 4:
        raise ValueError("not four columns")
    t, x, y, p = (table[:, column] for column in layout.order)
    t_us, pixels = np.rint(t * layout.scale_us), np.stack((x, y))
    if not ((t >= 0) & (t_us < 2**63) & np.isin(p, (-1, 0, 1))).all():
        raise ValueError("not a time or a polarity")
    if not ((pixels >= 0) & (pixels <= 65535) & (pixels == np.floor(pixels))).all():
        raise ValueError("not a pixel")
    events = np.empty(len(table), EVENT)
    events["t"], events["x"], events["y"], events["on"] = t_us, x, y, p > 0
    return events
