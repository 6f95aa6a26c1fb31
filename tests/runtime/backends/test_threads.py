"""The number of threads changes no bit of what the clocked backend does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.contract import same, same_state
from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import Network

DT_NS = 1_000_000
Make = Callable[..., Network]
Drive = Callable[[int, int], dict[str, Array]]


def course(network: Network, inputs: Drive, threads: int, steps: int) -> list[Any]:
    """All that can be seen of a run in two stretches, the second without learning."""
    program = ClockedBackend(threads).compile(network)
    middle, seen = steps * 2 // 3, []
    for first, last in ((0, middle), (middle, steps)):
        program.learning = first == 0
        seen += program.step(last * DT_NS, inputs(first, last)).values()
        seen += program.state().values()
    edges = ("pairs exp", "pairs delta", "learns")
    return [*seen, *map(program.weights, edges), program.counters()]


@pytest.mark.parametrize(
    ("threads", "size", "steps"),
    # Threads beyond the cores of a machine wait for one another's turns: fewer steps for them.
    [(2, 4, 200), (2, 65, 200), (2, 130, 200), (3, 200, 12), (5, 260, 6), (16, 1100, 4)],
)
def test_threads_change_no_bit(
    network: Make, inputs: Drive, threads: int, size: int, steps: int
) -> None:
    alone, shared = (course(network(size), inputs, n, steps) for n in (1, threads))
    assert alone[-1] == shared[-1]
    assert same(alone[:-1], shared[:-1])


def test_the_network_of_these_tests_is_alive(network: Make, inputs: Drive) -> None:
    program = ClockedBackend().compile(network())
    left = program.step(200 * DT_NS, inputs(0, 200))
    assert all(len(values) > 0 for values in left.values())
    counters = program.counters()
    assert counters.weight_updates > 0
    before = ClockedBackend().compile(network())
    for edge in ("pairs exp", "pairs delta", "learns"):
        assert not same(program.weights(edge), before.weights(edge))


def test_a_state_goes_from_any_number_of_threads_to_any_other(network: Make, inputs: Drive) -> None:
    one, two = (ClockedBackend(n).compile(network(130)) for n in (1, 2))
    one.step(40 * DT_NS, inputs(0, 40))
    two.restore(one.state())
    one.step(80 * DT_NS, inputs(40, 80))
    two.step(80 * DT_NS, inputs(40, 80))
    three = ClockedBackend(3).compile(network(130))
    three.restore(two.state())
    one.step(85 * DT_NS, inputs(80, 85))
    three.step(85 * DT_NS, inputs(80, 85))
    assert same_state(one.state(), three.state())


@pytest.mark.parametrize("threads", [0, -1, 65, 2**70, -(2**70), 1.5, "2", None])
def test_a_number_of_threads_that_cannot_be_is_refused(threads: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ClockedBackend(threads)
    text = str(caught.value)
    assert text == f"threads must be a whole number from 1 to 64, not {threads!r}"
