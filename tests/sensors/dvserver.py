"""A DV server to test with: the wire bytes are dv-processing's own.

    python dvserver.py PORT     a line on standard input is a number of events to send; "" ends it

It runs in a process of its own, because a server of dv-processing only lets go when that ends.
"""

from __future__ import annotations

import sys

import dv_processing as dv

WIDTH, HEIGHT = 346, 260


def main() -> None:
    """Serve until standard input ends."""
    camera = dv.io.Stream.EventStream(0, "events", "DAVIS346_00000042", (WIDTH, HEIGHT))
    server = dv.io.NetworkWriter("127.0.0.1", int(sys.argv[1]), camera)
    print("serving", flush=True)
    t_us = 1_700_000_000_000_000
    for line in sys.stdin:
        events = dv.EventStore()
        for n in range(int(line)):
            events.push_back(t_us + n, n % WIDTH, n % HEIGHT, n % 2 == 1)
        server.writeEvents(events)
        t_us += int(line)
        print(server.getClientCount(), flush=True)


if __name__ == "__main__":
    main()
