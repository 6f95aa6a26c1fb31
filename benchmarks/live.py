"""What it costs to bring live events into a loop, beside the bare parts in the same run.

    python benchmarks/live.py [--events N] [--datagrams N] [--repeats N]

Prints one JSON object: `file` (a synthesised EVT3 recording of N events read alone, and played by
another process over the bus into a loop in lockstep; M events/s, medians; events lost) and `udp`
(from the sending of a datagram with one event until a loop that waits for it goes on, through
`attach udp` in another process; until bare bytes are back through another process that passes them
from a bare UDP socket to a bare ZeroMQ pair; in turn, p50 and p99 in ms, and the ratio of the two).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import faery
import numpy as np
import zmq

from reflexarc.runtime.attach import attach_recording
from reflexarc.runtime.attachudp import attach_udp
from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.bus import runtime_dir
from reflexarc.runtime.clock import pause, perf_ns
from reflexarc.sensors.attached import AttachedSensor
from reflexarc.sensors.recording import RecordingReader

LOOP = "live"
WIDTH, HEIGHT = 1280, 720
PERIOD_NS = 1_000_000
#: Gap between datagrams.
GAP_S = 0.001
T64 = struct.Struct("<QHHB")


def main() -> None:
    """Measure, or be the other process of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--datagrams", type=int, default=2000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--role", choices=["feeder", "relay", "udp"])
    parser.add_argument("--at", default="")
    options = parser.parse_args()
    if options.role:
        serve(options.role, options.at, options.port)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        path = Path(folder) / "synthesised.raw"
        synthesise(path, options.events)
        runs = [file(path) for _ in range(options.repeats)]
        report = {
            "file": {
                "events": options.events,
                "bytes": path.stat().st_size,
                **{key: float(np.median([run[key] for run in runs])) for key in runs[0]},
            },
            "udp": udp(options.datagrams),
        }
    print(json.dumps(report))


def serve(role: str, at: str, port: int) -> None:
    """Be the other process."""
    if role == "feeder":
        attach_recording(at, loop=LOOP, speed=None)
    elif role == "udp":
        attach_udp(
            "127.0.0.1", port, loop=LOOP, encoding="t64", size=(WIDTH, HEIGHT), tell=print_line
        )
    else:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard,
            zmq.Context.instance().socket(zmq.PAIR) as pair,
        ):
            heard.bind(("127.0.0.1", port))
            pair.connect(at)
            print_line("listening")
            while True:
                pair.send(heard.recv(2048))


def print_line(line: str) -> None:
    """To the process that waits for it."""
    print(line, flush=True)


def start(role: str, at: object = "", port: int = 0) -> subprocess.Popen[str]:
    """Start the other process."""
    argv = [sys.executable, __file__, "--role", role, "--at", str(at), "--port", str(port)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def synthesise(path: Path, count: int) -> None:
    """Rows of random length, 20 events a microsecond, as a busy camera of a megapixel gives."""
    random = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = np.arange(count) // 20
    lengths = random.integers(1, 12, count)
    first = np.repeat(np.arange(count), lengths)[:count]
    starts = np.concatenate([[0], np.cumsum(lengths)])[first]
    events["x"] = random.integers(0, WIDTH - 12, count)[first] + np.arange(count) - starts
    events["y"] = random.integers(0, HEIGHT, count)[first]
    events["on"] = random.integers(0, 2, count).astype(bool)[first]
    stream = faery.events_stream_from_array(events, dimensions=(WIDTH, HEIGHT))
    stream.to_file(path, version="evt3")


def file(path: Path) -> dict[str, float]:
    """The file read alone, and through the bus."""
    begin_ns = perf_ns()
    count = sum(len(chunk) for chunk in RecordingReader(path))
    alone_s = (perf_ns() - begin_ns) * 1e-9
    begin_ns = perf_ns()
    stream = faery.events_stream_from_file(path)
    assert sum(len(chunk) for chunk in stream) == count
    bare_s = (perf_ns() - begin_ns) * 1e-9
    end_ns = (count // 20 + 1) * 1000
    taken = dropped = tick = 0
    with AttachedSensor(LOOP, width=WIDTH, height=HEIGHT, wait=True) as sensor:
        feeding = start("feeder", path)
        taken += len(sensor.read(0).values)
        begin_ns = perf_ns()
        while tick * PERIOD_NS < end_ns:
            tick += 1
            batch = sensor.read(tick * PERIOD_NS)
            taken, dropped = taken + len(batch.values), dropped + batch.dropped
        spent_s = (perf_ns() - begin_ns) * 1e-9
        feeding.wait()
    return {
        "to_loop_mev_per_s": count / spent_s / 1e6,
        "reader_alone_mev_per_s": count / alone_s / 1e6,
        "faery_alone_mev_per_s": count / bare_s / 1e6,
        "dropped": dropped,
        "unexplained_losses": count - taken - dropped,
    }


def free_ports() -> list[int]:
    """Two UDP ports that nobody has."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for found in (one, other):
            found.bind(("127.0.0.1", 0))
        return [int(found.getsockname()[1]) for found in (one, other)]


def udp(count: int) -> dict[str, float]:
    """One event at a time into a loop, and bare bytes over the same two hops, in turn."""
    to_loop, to_relay = free_ports()
    loop_ns: list[int] = []
    relay_ns: list[int] = []
    at = f"ipc://{runtime_dir(LOOP)}/pair"
    with (
        AttachedSensor(LOOP, width=WIDTH, height=HEIGHT, wait=True) as sensor,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        zmq.Context.instance().socket(zmq.PAIR) as pair,
    ):
        pair.bind(at)
        others = [start("udp", port=to_loop), start("relay", at, to_relay)]
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()
        sender.sendto(T64.pack(0, 0, 0, 1), ("127.0.0.1", to_loop))
        for n in range(1, count + 1):
            begin_ns = perf_ns()
            sender.sendto(T64.pack(n * 1000, n % WIDTH, 0, 1), ("127.0.0.1", to_loop))
            sensor.read(n * PERIOD_NS - 1)  # returns when the stream has come to n ms
            loop_ns.append(perf_ns() - begin_ns)
            pause(GAP_S)
            begin_ns = perf_ns()
            sender.sendto(b"0123456789abc", ("127.0.0.1", to_relay))
            pair.recv()
            relay_ns.append(perf_ns() - begin_ns)
            pause(GAP_S)
        for other in others:
            other.terminate()
            other.wait()
    found = {
        f"{name}_p{q}_ms": float(np.percentile(spent, q)) / 1e6
        for name, spent in (("to_loop", loop_ns), ("bare", relay_ns))
        for q in (50, 99)
    }
    return {
        "datagrams": count,
        **found,
        "ratio_p50": found["to_loop_p50_ms"] / found["bare_p50_ms"],
    }


if __name__ == "__main__":
    main()
