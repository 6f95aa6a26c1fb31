"""Other engines on the same networks, through the neutral harness, in environments of their own."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Result: TypeAlias = dict[str, Any]
#: Rates that differ by more than this make a comparison void.
MOST_RATE_APART = 0.05
#: A run is repeated when other processes used more than this many cores, so many times at most.
QUIET_CORES, TRIES = 0.15, 3


@dataclass(frozen=True)
class Peer:
    """How the harness runs an engine.

    Attributes:
        adapter: module of the harness.
        loop: its options for being stepped; None if it cannot.
        runs: whether it runs the networks by themselves.
        coarse: whether its step is 1 ms.
        drive_1k: constant current that gives 1,000 neurons about 5 Hz, as each draws its own
            synapses; None keeps the network's.
    """

    adapter: str
    loop: str | None = ""
    runs: bool = True
    coarse: bool = False
    drive_1k: float | None = None


PEERS = {
    "nest": Peer("nest_e", drive_1k=7.28),
    "brian2": Peer("brian2_e", "netop", drive_1k=7.43),
    "genn": Peer("genn_e", drive_1k=7.47),
    "nengo": Peer("nengo_e", "sparse", runs=False, coarse=True),
    "norse": Peer("torch_e", "norse-csr", runs=False, coarse=True),
    "snntorch": Peer("torch_e", "snntorch-csr", runs=False, coarse=True),
    "spikingjelly": Peer("torch_e", "spikingjelly-csr", runs=False, coarse=True),
}
OUR_DRIVE_1K = 7.6


class Bench:
    """Runs ours and the peers' in turn, each in a process of its own.

    Args:
        harness: folder of the neutral harness.
        pythons: an interpreter for each peer that is to join.
        repeat: runs of each.
    """

    def __init__(self, harness: Path, pythons: Mapping[str, str], repeat: int) -> None:
        unknown = sorted(pythons.keys() - PEERS.keys())
        if unknown:
            raise SystemExit(f"--peer {unknown[0]}: not known; there are: {', '.join(PEERS)}")
        self.harness, self.pythons, self.repeat = harness, pythons, repeat

    def ours(self, script: str, *options: object) -> Result:
        """One run of a script beside this one."""
        path = Path(__file__).with_name(script)
        return quietly([sys.executable, str(path), *map(str, options)])

    def peer(self, name: str, *options: object) -> Result:
        """One run of the harness under a peer."""
        return quietly([self.pythons[name], "bench.py", *map(str, options)], self.harness)

    def steps(self, n: int, k: int, dt_ms: float, steps: int = 2000) -> Result:
        """Microseconds of a control step, ours and the peers'."""
        size = ["--n", n, "--k", k, "--dt", dt_ms, "--steps", steps]
        drive = ["--drive", OUR_DRIVE_1K] if n == 1000 else []
        commands = {}
        for name in self.pythons:
            peer = PEERS[name]
            if peer.loop is None or (peer.coarse and dt_ms < 1.0):
                continue
            own = ["--opt", peer.loop] if peer.loop else []
            if n == 1000 and peer.drive_1k is not None:
                own += ["--set", f"I_e={peer.drive_1k}"]
            commands[name] = ["loop", peer.adapter, *size, *own]
        return self._in_turn("p50", ["driver.py", "loop", "loop", *size, *drive], commands)

    def runs(self, net: str, key: str, n: int, k: int, ms: int) -> Result:
        """A network by itself, ours and the peers'.

        `ms` is a multiple of 100, by which the harness counts GeNN's spikes.
        """
        size = ["--n", n, "--k", k, "--ms", ms, "--warm", 100]
        commands = {
            name: ["tput", PEERS[name].adapter, net, *size]
            for name in self.pythons
            if PEERS[name].runs
        }
        return self._in_turn(key, ["driver.py", "tput", net, *size], commands)

    def _in_turn(
        self, key: str, ours: Sequence[object], peers: Mapping[str, Sequence[object]]
    ) -> Result:
        taken: dict[str, list[Result]] = {"reflexarc": [], **{name: [] for name in peers}}
        for _ in range(self.repeat):
            taken["reflexarc"].append(self.ours(*map(str, ours)))
            for name, options in peers.items():
                taken[name].append(self.peer(name, *options))
        return compared(key, taken)


def compared(key: str, taken: Mapping[str, Sequence[Result]]) -> Result:
    """Medians of every engine, and how many times better ours is than the best that agrees.

    `mev_s` is the better the larger, the rest the smaller. Engines whose rate is too far from ours
    are named in `void` and do not count.
    """
    medians = {name: _median(runs, key) for name, runs in taken.items()}
    ours = medians.pop("reflexarc")
    void = [
        name
        for name, found in medians.items()
        if abs(found["rate_hz"] / ours["rate_hz"] - 1.0) > MOST_RATE_APART
    ]
    result: Result = {"reflexarc": ours, "peers": medians, "void": void}
    valid = {name: found[key] for name, found in medians.items() if name not in void}
    if valid:
        best = (max if key == "mev_s" else min)(valid, key=lambda name: valid[name])
        ratio = ours[key] / valid[best] if key == "mev_s" else valid[best] / ours[key]
        result |= {"fastest_peer": best, "ratio": round(ratio, 2)}
    return result


def _median(runs: Sequence[Result], key: str) -> Result:
    found = {name: statistics.median(run[name] for run in runs) for name in (key, "rate_hz")}
    found = {name: round(value, 4 if value < 10 else 1) for name, value in found.items()}
    if "version" in runs[0]:
        found["version"] = runs[0]["version"]
    disturbed = sum(run["disturbed"] for run in runs)
    return {**found, **({"disturbed_runs": disturbed} if disturbed else {})}


def quietly(command: Sequence[str], folder: Path | None = None) -> Result:
    """Run `command`, again if the machine was not quiet; the JSON object it ends with.

    `disturbed` says that it never was. Raises SystemExit with its last line if it fails.
    """
    for _ in range(TRIES):
        others = _Others()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        disturbed = others.cores() > QUIET_CORES
        if done.returncode:
            line = (done.stderr.strip() or "no message").splitlines()[-1]
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}: {line}")
        if not disturbed:
            break
    text = done.stdout.strip()
    result: Result = json.loads(text[text.rfind("\n{") + 1 :])
    return {**result, "disturbed": disturbed}


class _Others:
    """How much other processes than our children compute, from now on."""

    def __init__(self) -> None:
        self.busy, self.own, self.at = self._now()

    def cores(self) -> float:
        """Cores that others used on average."""
        busy, own, at = self._now()
        return max(0.0, (busy - self.busy) - (own - self.own)) / max(at - self.at, 1e-9)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        ticks = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4] - ticks[7]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = used.ru_utime + used.ru_stime
        return busy / os.sysconf("SC_CLK_TCK"), own, time.monotonic()
