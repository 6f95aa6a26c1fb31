"""Reflexarc: a real-time closed-loop robotics runtime on spiking neural networks."""

from reflexarc.version import __version__

__all__ = ["__version__"]
