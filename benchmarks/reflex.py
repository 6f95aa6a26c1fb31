"""Spikes in, a network of 1,000 neurons, a command out; beside a bare ZeroMQ echo.

    python benchmarks/reflex.py [--rounds 5000]

One JSON object, times in microseconds. The far end is another process in each case. In turn: a
bare pyzmq echo of 64 or 4096 bytes, and the same socket type with a frame of spikes of that payload
in and a command out through `Pair`, the network, a decoder and the gate. Neither collects garbage,
as the daemon does not. `loop_500_hz` is the CPU
time of `Loop` in real time with that network, as a share of one core; `alone` is the same loop
with the network left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial

import networks
import numpy as np
import numpy.typing as npt
import zmq

from reflexarc.actuators.decoders import PopulationVectorSpec, make_decoder
from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE, Batch, Schema
from reflexarc.runtime.bus import Pair, runtime_dir
from reflexarc.runtime.clock import WallClock, perf_ns
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.policy import ConventionalPolicy, Policy
from reflexarc.runtime.realtime import no_collector
from reflexarc.runtime.wire import encode
from reflexarc.runtime.world import Controller, NoPlant

Row = dict[str, float]
PAYLOADS = (64, 4096)
WARM_UP = 200
NEURONS, LINES, STEP_NS = 1000, 1000, 1_000_000
LOOP_PERIOD_NS, LOOP_SECONDS = 2_000_000, 4


class Reflex:
    """The network with a decoder and a gate."""

    def __init__(self) -> None:
        values = networks.spec("loop", NEURONS, 100, STEP_NS * 1e-6)
        self.program = ClockedBackend(1).compile(networks.network_of(values, loop=True))
        decoder = PopulationVectorSpec(kind="population_vector", port="out", tau_s=0.02, scale=0.1)
        self.decoder = make_decoder(decoder, NEURONS, True)
        self.gate = Gate(GateSpec(low=[-1.0], high=[1.0], rest=[0.0]))

    def step(
        self, spikes: npt.NDArray[np.void], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The command of the step [now_ns, until_ns), in which `spikes` arrive."""
        out = self.program.step(until_ns, {"lines": spikes})["out"]
        wanted = self.decoder.decode(out, now_ns, until_ns)
        return self.gate.guard(wanted, (until_ns - now_ns) * 1e-9)


def spikes_of(count: int, now_ns: int = 0) -> npt.NDArray[np.void]:
    """`count` spikes at `now_ns`, always on the same lines."""
    spikes = np.zeros(count, SPIKE)
    spikes["i"] = np.sort(np.random.default_rng(7).choice(LINES, count, replace=False))
    spikes["t_ns"] = now_ns
    return spikes


def be_echo(endpoint: str) -> None:
    """Send every message back until an empty one comes."""
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.connect(endpoint)
    while message := socket.recv():
        socket.send(message)


def be_reflex(endpoint: str) -> None:
    """Answer every batch of spikes by a command until something else comes."""
    reflex = Reflex()
    with Pair(endpoint, bind=False) as pair:
        while isinstance(batch := pair.receive(10), Batch):
            command = reflex.step(batch.values, batch.t_first_ns, batch.t_last_ns)
            pair.send(Batch("command", Schema.COMMAND, command, t_last_ns=batch.t_last_ns))


class Far:
    """A process at the other end of a bound socket, and round trips to it."""

    def __init__(self, role: str, endpoint: str, last: bytes) -> None:
        self._socket = zmq.Context.instance().socket(zmq.PAIR)
        self._socket.bind(endpoint)
        at = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._process = subprocess.Popen([sys.executable, __file__, "--role", role, "--at", at])
        self._last = last

    def round_trip_us(self, frame: bytes) -> float:
        """Send `frame` and wait for the answer."""
        begin_ns = perf_ns()
        self._socket.send(frame)
        self._socket.recv()
        return (perf_ns() - begin_ns) * 1e-3

    def close(self) -> None:
        """End the process."""
        self._socket.send(self._last)
        self._process.wait()
        self._socket.close()


def round_trips(endpoint: str, payload: int, rounds: int) -> Row:
    """Both in turn, so that what disturbs one disturbs the other."""
    echo, reflex = Far("echo", endpoint, b""), Far("reflex", second(endpoint), b"bye")
    bare = bytes(payload)
    took = [
        (echo.round_trip_us(bare), reflex.round_trip_us(frame))
        for frame in map(partial(frame_of, payload // SPIKE.itemsize), range(WARM_UP + rounds))
    ]
    echo.close()
    reflex.close()
    rows = dict(zip(("echo", "reflex"), np.array(took)[WARM_UP:].T, strict=True))
    found = {
        f"{name}_p{q}": float(np.percentile(us, q)) for name, us in rows.items() for q in (50, 99)
    }
    return {
        **found,
        **{f"ratio_p{q}": found[f"reflex_p{q}"] / found[f"echo_p{q}"] for q in (50, 99)},
    }


def frame_of(count: int, step: int) -> bytes:
    """The frame of `count` spikes that arrive at the begin of a step."""
    now_ns = step * STEP_NS
    spikes = spikes_of(count, now_ns)
    return encode(Batch("lines", Schema.SPIKES, spikes, now_ns, now_ns + STEP_NS))


def second(endpoint: str) -> str:
    """Another endpoint of the same kind."""
    return endpoint if endpoint.startswith("tcp") else f"{endpoint}-2"


class ReflexPolicy(Policy):
    """The network in the loop, fed with 100 spikes a tick."""

    def __init__(self) -> None:
        self.reflex, self.spikes, self.now_ns = Reflex(), spikes_of(100), 0

    def encode(self, batches: object, now_ns: int, until_ns: int) -> npt.NDArray[np.void]:
        """The same spikes, at the begin of the tick."""
        self.now_ns = now_ns
        arriving = self.spikes.copy()
        arriving["t_ns"] = now_ns
        return arriving

    def think(self, inputs: npt.NDArray[np.void], until_ns: int) -> npt.NDArray[np.float64]:
        """Advance."""
        return self.reflex.step(inputs, self.now_ns, until_ns)

    def decode(
        self, outputs: npt.NDArray[np.float64], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """It is decoded."""
        return outputs


class Rest(Controller):
    """No network."""

    def __init__(self) -> None:
        self._rest = np.zeros(1)

    def control(self, batches: object, now_ns: int) -> npt.NDArray[np.float64]:
        """Rest."""
        return self._rest


def core_share(policy: Policy) -> float:
    """CPU time over real time of a loop at 500 Hz."""
    gate = Gate(GateSpec(low=[-1.0], high=[1.0], rest=[0.0]))
    loop = Loop(WallClock(LOOP_PERIOD_NS), NoPlant(), policy, gate)
    ticks = LOOP_SECONDS * 1_000_000_000 // LOOP_PERIOD_NS
    begin_ns, before = perf_ns(), resource.getrusage(resource.RUSAGE_THREAD)
    loop.run(ticks)
    after, took_s = resource.getrusage(resource.RUSAGE_THREAD), (perf_ns() - begin_ns) * 1e-9
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / took_s


def measure(rounds: int) -> dict[str, Row]:
    """Round trips by transport and payload, and the share of a core."""
    found: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        endpoints = {"ipc": f"ipc://{runtime_dir('reflex')}/bench", "tcp": "tcp://127.0.0.1:*"}
        for name, endpoint in endpoints.items():
            for payload in PAYLOADS:
                found[f"reflex_{name}_{payload}"] = round_trips(endpoint, payload, rounds)
    shares = {
        "core_share": core_share(ReflexPolicy()),
        "alone": core_share(ConventionalPolicy(Rest())),
    }
    return {**found, "loop_500_hz": shares}


def main() -> None:
    """Measure and print, or be the far end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--role", choices=["echo", "reflex"])
    parser.add_argument("--at", default="")
    options = parser.parse_args()
    if options.role:
        with no_collector():
            {"echo": be_echo, "reflex": be_reflex}[options.role](options.at)
    else:
        print(json.dumps(measure(options.rounds), indent=1))


if __name__ == "__main__":
    main()
