from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.mode import NEXT, Event, Mode, State

S, E = State, Event
TICKS = {E.GOOD, E.FRESH, E.STRAIN}


def in_state(state):
    mode = Mode()
    mode.state = state
    return mode


def expected(state, event):
    """The rules in words, written a second time; None: refused."""
    if event is E.SETTLED:
        return S.SAFE_STOPPED if state is S.STOPPING else None
    if state is S.STOPPING:
        return None if event is E.ARM else S.STOPPING
    if event is E.SHUTDOWN:
        return S.STOPPING
    if event in (E.FAULT, E.STOP):
        return S.SAFE_STOPPED if state is S.SAFE_STOPPED else S.STOPPING
    if event is E.ARM:
        if state is S.CONFIGURING:
            return None
        return state if state in (S.RUNNING, S.DEGRADED) else S.ARMED
    if event is E.DISARM:
        if state in (S.RUNNING, S.DEGRADED):
            return S.STOPPING
        return S.CONFIGURING if state is S.CONFIGURING else S.READY
    if state in (S.ARMED, S.RUNNING, S.DEGRADED):
        waiting = S.ARMED if state is S.ARMED else S.STOPPING
        return {E.GOOD: waiting, E.FRESH: S.RUNNING, E.STRAIN: S.DEGRADED}[event]
    return S.READY if state is S.CONFIGURING else state


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_state_and_event(state, event):
    mode, after = in_state(state), expected(state, event)
    assert mode.on(event, "why") is (after is not None)
    assert mode.state is (after or state)
    left_for_a_stop = after is S.STOPPING and state is not S.STOPPING
    assert mode.reason == ("why" if left_for_a_stop else "")
    assert mode.ending is (event is E.SHUTDOWN)


def test_the_table_is_whole():
    assert set(NEXT) == set(State)


@given(st.lists(st.sampled_from(Event)))
def test_nothing_moves_without_arm(events):
    """Whatever happens: after a stop, or at the start, commands go out only once armed."""
    mode, armed = Mode(), False
    for event in events:
        mode.on(event)
        if event is E.ARM and mode.state is not S.STOPPING:
            armed = mode.state is not S.CONFIGURING
        elif mode.state in (S.STOPPING, S.SAFE_STOPPED, S.READY, S.CONFIGURING):
            armed = False
        assert armed or not mode.moves


@given(st.lists(st.sampled_from(Event)), st.sampled_from([E.FAULT, E.STOP]))
def test_a_stop_always_stops(events, stop):
    mode = Mode()
    for event in events:
        mode.on(event)
    mode.on(stop)
    assert mode.state in (S.STOPPING, S.SAFE_STOPPED)


@given(st.lists(st.sampled_from(Event)))
def test_shutdown_leads_to_an_end_in_two_steps(events):
    mode = Mode()
    for event in events:
        mode.on(event)
    mode.on(E.SHUTDOWN)
    mode.on(E.SETTLED)
    assert mode.state is S.SAFE_STOPPED
    assert mode.ending
