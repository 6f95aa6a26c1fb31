"""Camera events in HDF5, in the layouts of DSEC and MVSEC.

DSEC (Gehrig et al. 2021, IEEE RA-L 6(3)): `events/x`, `y`, `p` and `t`, in microseconds since
`t_offset`; times here include it. MVSEC (Zhu et al. 2018, IEEE RA-L 3(3)): rows of x, y, seconds
and polarity (-1, 1) in `davis/left/events`, or `davis/right/events` where there is no left. What is
compressed by a filter of Blosc needs the package hdf5plugin.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.errors import ConfigError

MVSEC_EVENTS = ("davis/left/events", "davis/right/events")
MVSEC_SIZE = (346, 260)


def open_hdf5(
    path: Path, size: tuple[int, int], chunk: int
) -> tuple[str, tuple[int, int], Callable[[], Iterator[Array]]]:
    """Format, (width, height) and events, `chunk` at a time.

    Raises:
        ConfigError: neither layout, or compressed by a filter that is not there.
    """
    if importlib.util.find_spec("hdf5plugin"):
        importlib.import_module("hdf5plugin")  # registers its filters
    with h5py.File(path) as file:
        if all(f"events/{name}" in file for name in "txyp"):
            name, find, used = "HDF5 DSEC", _dsec, [f"events/{name}" for name in "txyp"]
        elif camera := next((camera for camera in MVSEC_EVENTS if camera in file), None):
            name, find, used, size = "HDF5 MVSEC", partial(_mvsec, camera), [camera], MVSEC_SIZE
        elif "CD/events" in file:
            raise ConfigError(
                f"{path}: HDF5 in Metavision's layout is not read; export it as EVT3 (.raw)"
            )
        else:
            raise ConfigError(
                f"{path}: HDF5 in neither DSEC's nor MVSEC's layout; it has: {', '.join(file)}"
            )
        if not all(_readable(file[dataset]) for dataset in used):
            raise ConfigError(
                f"{path}: compressed by a filter that is not here; pip install hdf5plugin"
            )

    def chunks() -> Iterator[Array]:
        with h5py.File(path) as file:
            yield from find(file, chunk)

    return name, size, chunks


def _readable(dataset: h5py.Dataset) -> bool:
    """Whether all filters of a dataset are there."""
    made = dataset.id.get_create_plist()
    filters = [made.get_filter(k)[0] for k in range(made.get_nfilters())]
    return all(h5py.h5z.filter_avail(code) for code in filters)


def _dsec(file: h5py.File, chunk: int) -> Iterator[Array]:
    group = file["events"]
    offset_us = int(file["t_offset"][()]) if "t_offset" in file else 0
    for begin in range(0, len(group["t"]), chunk):
        part = slice(begin, begin + chunk)
        t_us = group["t"][part].astype(np.int64) + offset_us
        events = np.empty(len(t_us), EVENT)
        events["t"], events["on"] = t_us, group["p"][part] > 0
        events["x"], events["y"] = group["x"][part], group["y"][part]
        yield events


def _mvsec(camera: str, file: h5py.File, chunk: int) -> Iterator[Array]:
    table = file[camera]
    for begin in range(0, len(table), chunk):
        rows = table[begin : begin + chunk]
        events = np.empty(len(rows), EVENT)
        events["t"], events["on"] = np.rint(rows[:, 2] * 1e6), rows[:, 3] > 0
        events["x"], events["y"] = rows[:, 0], rows[:, 1]
        yield events
