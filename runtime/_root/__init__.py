"""Reflexarc: a real-time closed-loop robotics runtime on spiking neural networks.

network = reflexarc.load("graph.nir", spike_area=1e-4)
run = reflexarc.simulate(network, {"input": reflexarc.Spikes(t_s, i)}, until_s=0.1)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reflexarc.version import __version__

if TYPE_CHECKING:
    from reflexarc.runtime.builder import Builder, Population
    from reflexarc.runtime.connectivity import (
        AllToAll,
        ByDistance,
        Conduction,
        Disc,
        Exponential,
        FixedIndegree,
        FixedOutdegree,
        FixedTotal,
        Gaussian,
        Matrix,
        OneToOne,
        Pairs,
        Pattern,
        Probability,
    )
    from reflexarc.runtime.distribution import Lognormal, Normal, Uniform
    from reflexarc.runtime.drive import Run, Spikes, StepCurrent
    from reflexarc.runtime.errors import (
        ConfigError,
        GraphError,
        MissingFileError,
        ReflexarcError,
        UnsupportedError,
    )
    from reflexarc.runtime.network import Network
    from reflexarc.runtime.neurons import (
        ALIF,
        IF,
        LI,
        LIF,
        AdEx,
        AlphaLIF,
        CondLIF,
        CubaLI,
        CubaLIF,
        DeltaLIF,
        ExpLIF,
        I,
        Izhikevich,
        Poisson,
        Regular,
    )
    from reflexarc.runtime.plasticity import (
        Bcm,
        Clopath,
        EProp,
        Oja,
        PairStdp,
        Pes,
        RewardStdp,
        Rule,
        Sdsp,
        ShortTerm,
        TripletStdp,
        Vogels,
        Voja,
        get_include,
    )
    from reflexarc.runtime.save import save
    from reflexarc.runtime.sidecar import load
    from reflexarc.runtime.simulate import simulate

#: Where each public name lives; imported when first used, so that `import reflexarc` is cheap.
_HOME = {
    "ALIF": "neurons",
    "AdEx": "neurons",
    "AllToAll": "connectivity",
    "AlphaLIF": "neurons",
    "Bcm": "plasticity",
    "Builder": "builder",
    "ByDistance": "connectivity",
    "Clopath": "plasticity",
    "CondLIF": "neurons",
    "Conduction": "connectivity",
    "ConfigError": "errors",
    "CubaLI": "neurons",
    "CubaLIF": "neurons",
    "DeltaLIF": "neurons",
    "Disc": "connectivity",
    "EProp": "plasticity",
    "ExpLIF": "neurons",
    "Exponential": "connectivity",
    "FixedIndegree": "connectivity",
    "FixedOutdegree": "connectivity",
    "FixedTotal": "connectivity",
    "Gaussian": "connectivity",
    "GraphError": "errors",
    "I": "neurons",
    "IF": "neurons",
    "Izhikevich": "neurons",
    "LI": "neurons",
    "LIF": "neurons",
    "Lognormal": "distribution",
    "Matrix": "connectivity",
    "MissingFileError": "errors",
    "Network": "network",
    "Normal": "distribution",
    "Oja": "plasticity",
    "OneToOne": "connectivity",
    "PairStdp": "plasticity",
    "Pairs": "connectivity",
    "Pattern": "connectivity",
    "Pes": "plasticity",
    "Poisson": "neurons",
    "Population": "builder",
    "Probability": "connectivity",
    "ReflexarcError": "errors",
    "Regular": "neurons",
    "RewardStdp": "plasticity",
    "Rule": "plasticity",
    "Run": "drive",
    "Sdsp": "plasticity",
    "ShortTerm": "plasticity",
    "Spikes": "drive",
    "StepCurrent": "drive",
    "TripletStdp": "plasticity",
    "Uniform": "distribution",
    "UnsupportedError": "errors",
    "Vogels": "plasticity",
    "Voja": "plasticity",
    "get_include": "plasticity",
    "load": "sidecar",
    "save": "save",
    "simulate": "simulate",
}

__all__ = [
    "ALIF",
    "IF",
    "LI",
    "LIF",
    "AdEx",
    "AllToAll",
    "AlphaLIF",
    "Bcm",
    "Builder",
    "ByDistance",
    "Clopath",
    "CondLIF",
    "Conduction",
    "ConfigError",
    "CubaLI",
    "CubaLIF",
    "DeltaLIF",
    "Disc",
    "EProp",
    "ExpLIF",
    "Exponential",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedTotal",
    "Gaussian",
    "GraphError",
    "I",
    "Izhikevich",
    "Lognormal",
    "Matrix",
    "MissingFileError",
    "Network",
    "Normal",
    "Oja",
    "OneToOne",
    "PairStdp",
    "Pairs",
    "Pattern",
    "Pes",
    "Poisson",
    "Population",
    "Probability",
    "ReflexarcError",
    "Regular",
    "RewardStdp",
    "Rule",
    "Run",
    "Sdsp",
    "ShortTerm",
    "Spikes",
    "StepCurrent",
    "TripletStdp",
    "Uniform",
    "UnsupportedError",
    "Vogels",
    "Voja",
    "__version__",
    "get_include",
    "load",
    "save",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reflexarc' has no attribute '{name}'")
    value = getattr(import_module(f"reflexarc.runtime.{_HOME[name]}"), name)
    globals()[name] = value
    return value
