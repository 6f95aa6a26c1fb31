"""Feeding a running loop with the camera events that arrive at a UDP port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from reflexarc.runtime.attach import Fed, Feeder
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.sensors.datagrams import Datagrams, Encoding

#: How often the state is told.
TELL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class FedUdp(Fed):
    """What became of it; see `Datagrams` for the counts."""

    malformed: int
    outside: int
    overrun: int


def attach_udp(
    host: str,
    port: int,
    *,
    loop: str,
    encoding: Encoding,
    size: tuple[int, int],
    stream: str = "camera",
    seconds: float | None = None,
    patience_s: float = 0.0,
    tell: Callable[[str], None] = lambda line: None,
) -> FedUdp:
    """Feed `loop` with what arrives, for `seconds` or until Ctrl-C; `tell` hears a line a second.

    `size` is (width, height) of the sensor.

    Raises:
        ConfigError: the address, or the loop refuses.
        LinkError: no such loop within `patience_s`, or it went away.
    """
    with (
        Datagrams(host, port, encoding, size) as source,
        Feeder(loop, stream=stream, size=size, paced=True, patience_s=patience_s) as feeder,
    ):
        tell(f"listening at {source.address[0]}:{source.address[1]}")
        start_ns = told_ns = monotonic_ns()
        told = 0
        with suppress(KeyboardInterrupt):
            while seconds is None or monotonic_ns() - start_ns < seconds * 1e9:
                events = source.receive()
                feeder.send(events)
                now_ns = monotonic_ns()
                if now_ns - told_ns >= TELL_EVERY_S * 1e9:
                    rate_hz = (feeder.events - told) / ((now_ns - told_ns) * 1e-9)
                    tell(f"{rate_hz / 1e6:.3f} M events/s, {_losses(source)}")
                    told, told_ns = feeder.events, now_ns
        duration_s = (monotonic_ns() - start_ns) * 1e-9
        dropped = feeder.finish()
    return FedUdp(
        feeder.events, dropped, duration_s, source.malformed, source.outside, source.overrun
    )


def _losses(source: Datagrams) -> str:
    return (
        f"{source.overrun} datagrams overrun, {source.malformed} malformed, "
        f"{source.outside} events outside"
    )
