"""Reflexarc: a real-time closed-loop robotics runtime on spiking neural networks.

network = reflexarc.load("graph.nir", spike_area=1e-4)
run = reflexarc.simulate(network, {"input": reflexarc.Spikes(t_s, i)}, until_s=0.1)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reflexarc.version import __version__

if TYPE_CHECKING:
    from reflexarc.runtime.drive import Run, Spikes, StepCurrent
    from reflexarc.runtime.errors import (
        ConfigError,
        GraphError,
        MissingFileError,
        ReflexarcError,
        UnsupportedError,
    )
    from reflexarc.runtime.network import Network
    from reflexarc.runtime.sidecar import load
    from reflexarc.runtime.simulate import simulate

#: Where each public name lives; imported when first used, so that `import reflexarc` is cheap.
_HOME = {
    "ConfigError": "errors",
    "GraphError": "errors",
    "MissingFileError": "errors",
    "Network": "network",
    "ReflexarcError": "errors",
    "Run": "drive",
    "Spikes": "drive",
    "StepCurrent": "drive",
    "UnsupportedError": "errors",
    "load": "sidecar",
    "simulate": "simulate",
}

__all__ = [
    "ConfigError",
    "GraphError",
    "MissingFileError",
    "Network",
    "ReflexarcError",
    "Run",
    "Spikes",
    "StepCurrent",
    "UnsupportedError",
    "__version__",
    "load",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reflexarc' has no attribute '{name}'")
    value = getattr(import_module(f"reflexarc.runtime.{_HOME[name]}"), name)
    globals()[name] = value
    return value
