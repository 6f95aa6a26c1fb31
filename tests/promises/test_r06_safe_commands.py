"""R6: nothing non-finite or out of range leaves the gate."""

import numpy as np

from reflexarc.actuators.gate import Gate, GateSpec

SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 5e-324, -5e-324, 1.7e308, -1.7e308]
PERIOD_S = 1e-3


def random_spec(random):
    low, rest, high = np.sort(random.normal(0, 10.0 ** random.integers(-3, 4), (3, 4)), axis=0)
    slew = list(10.0 ** random.uniform(-2, 5, 4)) if random.random() < 0.5 else None
    return GateSpec(low=list(low), high=list(high), rest=list(rest), slew_per_s=slew)


def random_commands(random, count):
    commands = random.normal(0, 1, (count, 4)) * 10.0 ** random.integers(-300, 300, (count, 4))
    special = random.random((count, 4)) < 0.001
    commands[special] = random.choice(SPECIAL, special.sum())
    return commands


def test_no_generated_command_escapes(count, measured):
    random = np.random.default_rng(6)
    vectors, gates = count(50_000, 1_000_000), 0
    escapes = left = stops = 0
    while left < vectors:
        spec, commands = random_spec(random), random_commands(random, 1000)
        gate, gates = Gate(spec), gates + 1
        safe = np.array([gate.guard(command, PERIOD_S) for command in commands])
        in_range = (safe >= spec.low) & (safe <= spec.high) & np.isfinite(safe)
        escapes += int((~in_range.all(axis=1)).sum())
        if spec.slew_per_s is not None:
            step = np.abs(np.diff(safe, axis=0, prepend=[spec.rest]))
            # What a difference of doubles can be off by, and no more.
            rounding = 4 * np.spacing(np.abs(safe).max(axis=0))
            escapes += int((step > np.array(spec.slew_per_s) * PERIOD_S + rounding).any(1).sum())
        stops += gate.stopped is not None
        left += len(safe)
    assert escapes == 0
    assert stops > gates // 2  # the vectors did include what is not finite
    measured(f"{left} vectors through {gates} gates, {stops} of them stopped: {escapes} escapes")
