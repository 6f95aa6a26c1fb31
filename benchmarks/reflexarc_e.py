"""Reflexarc behind the interface of the neutral peer harness, so that its driver runs us too.

PYTHONPATH=benchmarks python ../shared/peers/bench.py tput reflexarc_e cuba --ms 1000
PYTHONPATH=benchmarks python ../shared/peers/bench.py loop reflexarc_e --n 1000 --dt 1.0
"""

from __future__ import annotations

from typing import Any

import networks
import numpy as np
import numpy.typing as npt

from reflexarc import __version__
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE

MS_NS = 1_000_000


class Engine:
    """See the harness's bench.py."""

    def __init__(self, opt: str) -> None:
        self.version = f"Reflexarc {__version__}"
        self.nsyn = 0

    def build(self, spec: networks.Spec, threads: int) -> None:
        """Build and compile a network that runs by itself."""
        self.program = self._compile(spec, threads, loop=False)

    def _compile(self, spec: networks.Spec, threads: int, *, loop: bool) -> ClockedProgram:
        self.nsyn = spec["n"] * spec["k"]
        return ClockedBackend(threads).compile(networks.network_of(spec, loop=loop))

    def run(self, ms: float) -> None:
        """Advance."""
        self.program.step(self.program.now_ns + round(ms * MS_NS), {})

    def spikes(self) -> int:
        """Spikes since the network was built."""
        return self.program.counters().spikes

    def build_loop(self, spec: networks.Spec) -> None:
        """Build and compile a network with ports."""
        self.program = self._compile(spec, 1, loop=True)
        self.now_ns = 0
        self._make_batch(0)

    def _make_batch(self, size: int) -> None:
        self.batch = {"lines": np.zeros(size, SPIKE)}
        self.ids, self.t_ns = self.batch["lines"]["i"], self.batch["lines"]["t_ns"]

    def step(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """One millisecond with spikes on the lines `ids` at its beginning."""
        if len(self.ids) != len(ids):
            self._make_batch(len(ids))
        self.ids[:] = ids
        self.t_ns.fill(self.now_ns)
        self.now_ns += MS_NS
        return self.program.step(self.now_ns, self.batch)["out"]["i"]
