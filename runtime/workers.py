"""Processes that share out independent runs."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool


@contextmanager
def workers(jobs: int) -> Iterator[Pool]:
    """As many fresh processes as there are cores, and no more than `jobs`.

    They end when the block does, however it does.
    """
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(min(jobs, os.cpu_count() or 1), _quiet) as pool:
        yield pool


def _quiet() -> None:
    """Ctrl-C is the parent's to hear, which then ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
