"""What the bus costs, beside bare ZeroMQ doing the same in the same run.

    python benchmarks/bus.py [--rounds N] [--events N]

Prints one JSON object: `wire` (encode and decode of a frame), `link` (a lockstep round trip to a
world in another process, and a bare pyzmq echo of one header's size, interleaved), `attach`
(camera events from another process into a loop in lockstep, and the same bytes over a bare pair).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import numpy as np
import zmq

from reflexarc.ext.ring import FrameRing
from reflexarc.runtime.attach import Feeder
from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.bus import runtime_dir
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.link import RemotePlant, serve_world
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.wire import HEADER_BYTES, decode, encode
from reflexarc.runtime.world import World
from reflexarc.sensors.attached import AttachedSensor

LOOP = "bench"
PERIOD_NS = 1_000_000
EVENTS_A_FRAME = 1000


class Still(World):
    """A world in which nothing happens: what is left is the link."""

    def __init__(self) -> None:
        """Nothing to set up."""

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """One reading, as a joint sensor would give."""
        return [Batch("joint", Schema.READINGS, command.copy(), until_ns, until_ns)]


def main() -> None:
    """Measure, or be the other process of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--role", choices=sorted(ROLES))
    parser.add_argument("--endpoint", default="")
    options = parser.parse_args()
    if options.role:
        ROLES[options.role](options.endpoint, options.events)
        return
    with tempfile.TemporaryDirectory() as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        report = {
            "wire": wire(options.rounds),
            "ring": ring(options.rounds),
            "link": link(options.rounds),
            "attach": attach(options.events),
        }
    print(json.dumps(report))


def camera(count: int) -> Array:
    """`count` events, 10 a microsecond."""
    events = np.zeros(count, EVENT)
    events["t"] = np.arange(count) // 10
    events["x"] = np.arange(count) % 640
    return events


def p50_us(work: Callable[[], object], rounds: int) -> float:
    """The median duration of `work`."""
    spent = []
    for _ in range(rounds):
        start = perf_ns()
        work()
        spent.append(perf_ns() - start)
    return float(np.median(spent)) / 1e3


def wire(rounds: int) -> dict[str, float]:
    """A frame of camera events, encoded and decoded."""
    batch = Batch("camera", Schema.EVENTS, camera(EVENTS_A_FRAME))
    frame = encode(batch)
    encode_us = p50_us(lambda: encode(batch), rounds)
    decode_us = p50_us(lambda: decode(frame), rounds)
    return {
        "events_a_frame": EVENTS_A_FRAME,
        "encode_p50_us": encode_us,
        "decode_p50_us": decode_us,
        "copy_p50_us": p50_us(lambda: bytes(memoryview(frame)), rounds),
        "frames_per_s": 1e6 / (encode_us + decode_us),
        "events_per_s": EVENTS_A_FRAME * 1e6 / (encode_us + decode_us),
    }


def ring(rounds: int) -> dict[str, float]:
    """A frame into the shared ring and out again, in one process."""
    frames = FrameRing(bytearray(1 << 20), create=True)
    frame = encode(Batch("camera", Schema.EVENTS, camera(EVENTS_A_FRAME)))
    push_us, pop_us = [], []
    for _ in range(rounds):
        push_us.append(p50_us(lambda: frames.push(frame), 1))
        pop_us.append(p50_us(frames.pop, 1))
    return {"push_p50_us": float(np.median(push_us)), "pop_p50_us": float(np.median(pop_us))}


def link(rounds: int) -> dict[str, float]:
    """Round trips to a world and to a bare echo, in turn."""
    echo_at = f"ipc://{runtime_dir(LOOP)}/echo"
    world_at = f"ipc://{runtime_dir(LOOP)}/world"
    message, command = bytes(HEADER_BYTES), np.zeros(1)
    echo = zmq.Context.instance().socket(zmq.PAIR)
    echo.bind(echo_at)
    echoing = start("echo", echo_at)
    plant = RemotePlant.spawn(
        argv("world", world_at), world_at, rest=command, period_ns=PERIOD_NS, mode="lockstep"
    )

    def bare() -> None:
        echo.send(message)
        echo.recv()

    bare()
    times: dict[str, list[float]] = {"bare_echo": [], "exchange": []}
    for n in range(rounds):
        times["bare_echo"].append(p50_us(bare, 1))
        start_ns = perf_ns()
        plant.exchange(command, n * PERIOD_NS)
        times["exchange"].append((perf_ns() - start_ns) / 1e3)
    plant.close()
    echo.send(b"")
    echoing.wait()
    echo.close()
    report = {
        f"{name}_p{q}_us": float(np.percentile(values, q))
        for name, values in times.items()
        for q in (50, 99)
    }
    report["ratio_p50"] = report["exchange_p50_us"] / report["bare_echo_p50_us"]
    return report


def attach(count: int) -> dict[str, float]:
    """Camera events through `Feeder` and `AttachedSensor`, and as bytes over a bare pair."""
    bare_s = bare_transfer(count)
    taken, tick = 0, 0
    with AttachedSensor(LOOP, width=640, height=480, wait=True) as sensor:
        feeding = start("feeder", "", count)
        sensor.read(0)
        start_ns = perf_ns()
        while taken < count - 10:
            tick += 1
            taken += len(sensor.read(tick * PERIOD_NS).values)
        attach_s = (perf_ns() - start_ns) * 1e-9
        feeding.wait()
    return {
        "events": count,
        "events_per_s": count / attach_s,
        "bare_events_per_s": count / bare_s,
        "ratio": attach_s / bare_s,
    }


def bare_transfer(count: int) -> float:
    """Seconds for the same bytes, in frames of the same size, over a bare pair."""
    endpoint = f"ipc://{runtime_dir(LOOP)}/bare"
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.bind(endpoint)
    sending = start("sender", endpoint, count)
    socket.recv()
    start_ns = perf_ns()
    for _ in range(count // EVENTS_A_FRAME):
        socket.recv()
    spent_s = (perf_ns() - start_ns) * 1e-9
    sending.wait()
    socket.close()
    return spent_s


def argv(role: str, endpoint: str, events: int = 0) -> list[str]:
    """How to start this file as the other process."""
    options = ["--role", role, "--endpoint", endpoint, "--events", str(events)]
    return [sys.executable, __file__, *options]


def start(role: str, endpoint: str, events: int = 0) -> subprocess.Popen[bytes]:
    """Start the other process."""
    return subprocess.Popen(argv(role, endpoint, events))


def be_echo(endpoint: str, _events: int) -> None:
    """Send every message back until an empty one, or none for ten seconds."""
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.rcvtimeo = 10_000
    socket.connect(endpoint)
    while message := socket.recv():
        socket.send(message)


def be_world(endpoint: str, _events: int) -> None:
    """Serve a world."""
    serve_world(Still(), endpoint, PERIOD_NS, "lockstep")


def be_feeder(_endpoint: str, count: int) -> None:
    """Feed `count` events as fast as the loop takes them."""
    events = camera(count)
    with Feeder(LOOP, size=(640, 480), paced=False) as feeder:
        for begin in range(0, count, EVENTS_A_FRAME):
            feeder.send(events[begin : begin + EVENTS_A_FRAME])
        feeder.finish()


def be_sender(endpoint: str, count: int) -> None:
    """Send as many bytes as `count` events take."""
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.connect(endpoint)
    frame = bytes(HEADER_BYTES + EVENTS_A_FRAME * EVENT.itemsize)
    socket.send(b"")
    for _ in range(count // EVENTS_A_FRAME):
        socket.send(frame)


ROLES: dict[str, Callable[[str, int], None]] = {
    "echo": be_echo,
    "world": be_world,
    "feeder": be_feeder,
    "sender": be_sender,
}

if __name__ == "__main__":
    main()
