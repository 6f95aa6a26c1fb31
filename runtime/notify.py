"""Telling a service manager how a daemon is: the datagrams of sd_notify(3), without systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from reflexarc.runtime.clock import monotonic_ns


class Notifier:
    """Sends states to $NOTIFY_SOCKET, never waiting; does nothing where there is none.

    Attributes:
        interval_ns: how often `ping` tells that all is well, half of $WATCHDOG_USEC; None where
            nobody listens.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ means Linux's abstract namespace, whose names begin with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.interval_ns = _interval_ns(environment) if address else None
        self._last_ns = 0

    def tell(self, *states: str) -> None:
        """Send `states` ("READY=1") as one message."""
        if self._address:
            with suppress(OSError):  # nobody there, or it is busy: not the loop's concern
                message = "\n".join(states).encode()
                self._socket.sendto(message, socket.MSG_DONTWAIT, self._address)

    def reloading(self) -> None:
        """Say that the configuration is read again; `tell("READY=1")` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def ping(self, now_ns: int) -> None:
        """Tell the watchdog that all is well, if it is time to."""
        if self.interval_ns is not None and now_ns - self._last_ns >= self.interval_ns:
            self._last_ns = now_ns
            self.tell("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket. May be called twice."""
        self._socket.close()


def _interval_ns(environment: Mapping[str, str]) -> int | None:
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID")
    if not usec.isdecimal() or int(usec) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(usec) * 1000 // 2
