"""Backends: what can run a network. `base` is the contract."""

from __future__ import annotations

from reflexarc.runtime.backends.base import Backend, Program
from reflexarc.runtime.network import Mode, Network


def backend_for(mode: Mode) -> Backend:
    """The backend that runs `mode` on this machine's processor."""
    # Imported here: asking for one mode must not load the compiled engine of the other.
    if mode == "exact":
        from reflexarc.runtime.backends.exact import ExactBackend

        return ExactBackend()
    from reflexarc.runtime.backends.clocked import ClockedBackend

    return ClockedBackend()


def compile_network(network: Network, *, dt_s: float | None = None) -> Program:
    """Compile `network` with the backend of its own mode. Raises UnsupportedError."""
    return backend_for(network.mode).compile(network, dt_s=dt_s)
