"""What the machine gives a loop in wall time: priority, locked memory, a core of its own."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import RealTimeRefused

#: What `--rt` says: fail without it, take what there is, or leave the process as it is.
Wish = Literal["require", "try", "off"]

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_PR_SET_TIMERSLACK = 29


class RtSpec(Strict):
    """Real time: `priority` of SCHED_FIFO (above 80 are the kernel's own threads), the core `cpu`
    to stay on, and how long before a deadline the loop spins in place of sleeping.
    """

    priority: int = Field(default=50, ge=1, le=80)
    cpu: int | None = Field(default=None, ge=0, le=4095)
    spin_us: int = Field(default=50, ge=0, le=1000)


@dataclass(frozen=True, slots=True)
class RealTime:
    """What was got: each part, and why not.

    Attributes:
        priority: of SCHED_FIFO; 0 without.
        locked: whether memory is locked, so that no page is fetched in a tick.
        cpu: the core it stays on, or None.
        refused: what was asked for and not given, in words.
    """

    priority: int = 0
    locked: bool = False
    cpu: int | None = None
    refused: tuple[str, ...] = ()

    def lend(self) -> None:
        """Let this thread run just below the loop: it must not lose the processor to others while
        it holds the interpreter, for which the loop then waits.
        """
        if self.priority > 1:
            with suppress(OSError):
                _set_fifo(self.priority - 1)

    def line(self) -> str:
        """One line that says what was got."""
        got = [
            f"SCHED_FIFO {self.priority}" if self.priority else "no priority",
            "memory locked" if self.locked else "memory not locked",
            "any core" if self.cpu is None else f"core {self.cpu}",
        ]
        missing = f"; refused: {'; '.join(self.refused)}" if self.refused else ""
        return f"real time: {', '.join(got)}{missing}"


def prepare(wish: Wish, spec: RtSpec) -> RealTime:
    """Ask the kernel for what `wish` and `spec` say, for this thread and its memory.

    Raises:
        RealTimeRefused: `wish` is "require" and something was refused.
    """
    if wish == "off":
        return RealTime()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # sleep to the nanosecond asked for, not 50 us more
    refused: list[str] = []
    priority = spec.priority if _fifo(spec.priority, refused) else 0
    cpu = spec.cpu if spec.cpu is not None and _pin(spec.cpu, refused) else None
    locked = _lock(libc, refused)
    got = RealTime(priority, locked, cpu, tuple(refused))
    if wish == "require" and refused:
        raise RealTimeRefused(
            f"real time refused: {'; '.join(refused)}; give the process the rights "
            "(LimitRTPRIO, LimitMEMLOCK; see docs/daemon.md) or use --rt=try"
        )
    return got


def _fifo(priority: int, refused: list[str]) -> bool:
    try:
        _set_fifo(priority)
    except OSError as error:
        refused.append(f"SCHED_FIFO {priority}: {error.strerror}")
        return False
    return True


def _set_fifo(priority: int) -> None:
    # Children begin as ordinary processes: the companion must never compete with the loop.
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(priority))


def _pin(cpu: int, refused: list[str]) -> bool:
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError) as error:
        refused.append(f"core {cpu}: {getattr(error, 'strerror', None) or error}")
        return False
    return True


def _lock(libc: ctypes.CDLL, refused: list[str]) -> bool:
    """Lock what is mapped and what will be; locking fetches every page at once."""
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        refused.append(f"mlockall: {os.strerror(ctypes.get_errno())}")
        return False
    _prefault_stack()
    return True


def _prefault_stack() -> None:
    """Touch the part of the stack that a tick may come to use."""
    (ctypes.c_char * (256 * 1024))()


def page_faults() -> int:
    """Pages that this process had to wait for so far, from memory or disk."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


@contextmanager
def no_collector() -> Iterator[None]:
    """Freeze what exists and switch the garbage collector off: it would pause the tick."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
