"""What a daemon's loop may do now: a state machine whose table is its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """What the robot is allowed."""

    CONFIGURING = "configuring"  # no tick has gone well yet; the robot is at rest
    READY = "ready"  # everything works; the robot is held and waits for `arm`
    ARMED = "armed"  # the measured pose goes out until every essential stream is fresh
    RUNNING = "running"  # the network's commands go out, through the gate
    DEGRADED = "degraded"  # as running, but something unessential is shed or silent
    STOPPING = "stopping"  # safe frames go out
    SAFE_STOPPED = "safe-stopped"  # the robot is held; only `arm` or `disarm` leads on


class Event(StrEnum):
    """What can happen to it."""

    GOOD = "good"  # a tick went well, but an essential stream has not been heard yet
    FRESH = "fresh"  # a tick went well and every essential stream is fresh
    STRAIN = "strain"  # as fresh, but something is shed, or an unessential stream is silent
    FAULT = "fault"  # a call failed, hung or gave nonsense, a stream fell silent, overload
    SETTLED = "settled"  # the safe frames have gone out
    ARM = "arm"
    DISARM = "disarm"
    STOP = "stop"
    SHUTDOWN = "shutdown"


#: Where each event leads; a dash: it is refused, and nothing changes.
TABLE = """
| state        | good         | fresh        | strain       | fault        | settled      | arm     | disarm       | stop         | shutdown |
|--------------|--------------|--------------|--------------|--------------|--------------|---------|--------------|--------------|----------|
| configuring  | ready        | ready        | ready        | stopping     | -            | -       | configuring  | stopping     | stopping |
| ready        | ready        | ready        | ready        | stopping     | -            | armed   | ready        | stopping     | stopping |
| armed        | armed        | running      | degraded     | stopping     | -            | armed   | ready        | stopping     | stopping |
| running      | stopping     | running      | degraded     | stopping     | -            | running | stopping     | stopping     | stopping |
| degraded     | stopping     | running      | degraded     | stopping     | -            | degraded| stopping     | stopping     | stopping |
| stopping     | stopping     | stopping     | stopping     | stopping     | safe-stopped | -       | stopping     | stopping     | stopping |
| safe-stopped | safe-stopped | safe-stopped | safe-stopped | safe-stopped | -            | armed   | ready        | safe-stopped | stopping |
"""  # noqa: E501


def _parsed(table: str) -> dict[State, dict[Event, State]]:
    head, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in _rows(table))
    events = [Event(name) for name in head[1:]]
    return {
        State(row[0]): {
            event: State(after)
            for event, after in zip(events, row[1:], strict=True)
            if after != "-"
        }
        for row in rows
    }


def _rows(table: str) -> list[str]:
    return table.strip().splitlines()


NEXT: Mapping[State, Mapping[Event, State]] = _parsed(TABLE)


class Mode:
    """Where a loop stands in the table.

    Attributes:
        state: now.
        reason: why it last left what it was doing for a stop; "" if it never has.
        ending: whether the daemon ends once it has stopped.
    """

    def __init__(self) -> None:
        self.state = State.CONFIGURING
        self.reason = ""
        self.ending = False

    @property
    def moves(self) -> bool:
        """Whether the network's commands go out."""
        return self.state in (State.RUNNING, State.DEGRADED)

    def on(self, event: Event, reason: str = "") -> bool:
        """Take in `event`; False if it is refused. `reason` is kept where it leads to a stop."""
        after = NEXT[self.state].get(event)
        if after is None:
            return False
        if after is State.STOPPING and self.state is not State.STOPPING:
            self.reason = reason or event
        self.ending = self.ending or event is Event.SHUTDOWN
        self.state = after
        return True
