"""A small world for the tests of the link; as a script it serves itself in its own process.

python oscillator.py ENDPOINT PERIOD_NS MODE [FAIL_AT_NS]
"""

import sys

import numpy as np

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.errors import ConfigError, ReflexarcError
from reflexarc.runtime.link import serve_world
from reflexarc.runtime.world import World


class Oscillator(World):
    """Noise on a camera, and a state that adds up its commands."""

    command_size = 2

    def __init__(self, seed=0, fail_at_ns=None):
        self.random = np.random.default_rng(seed)
        self.fail_at_ns = fail_at_ns
        self.state, self.t_ns, self.seq = np.zeros(2), 0, 0

    def advance(self, until_ns, command):
        if self.fail_at_ns is not None and until_ns >= self.fail_at_ns:
            raise ConfigError("the oscillator broke")
        events = np.zeros(self.random.integers(0, 50), EVENT)
        events["t"] = np.sort(
            self.random.integers(self.t_ns // 1000, until_ns // 1000 + 1, len(events))
        )
        events["x"] = self.random.integers(0, 320, len(events))
        events["on"] = self.random.integers(0, 2, len(events))
        self.state = self.state + command
        span = self.t_ns, until_ns, self.seq
        self.t_ns, self.seq = until_ns, self.seq + 1
        return [
            Batch("camera", Schema.EVENTS, events, *span),
            Batch("truth", Schema.READINGS, self.state.copy(), *span),
        ]


if __name__ == "__main__":
    fail_at_ns = int(sys.argv[4]) if len(sys.argv) > 4 else None
    world = Oscillator(fail_at_ns=fail_at_ns)
    try:
        serve_world(world, sys.argv[1], int(sys.argv[2]), sys.argv[3], digest="d1")
    except ReflexarcError:
        sys.exit(3)
