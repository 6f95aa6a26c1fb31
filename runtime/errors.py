"""Every error the package raises on purpose.

One base class, `ReflexarcError`; each error also inherits the builtin a caller would expect to
catch. A message is one line: what is wrong, where (file, line, key), what to do.
"""

from __future__ import annotations


class ReflexarcError(Exception):
    """Base of every deliberate error. `exit_code` is what the command line returns for it."""

    exit_code = 1


class ConfigError(ReflexarcError, ValueError):
    """A file, option or value that a person wrote is wrong."""

    exit_code = 2


class GraphError(ConfigError):
    """A NIR graph or its sidecar is malformed, or says something the format does not allow."""


class UnsupportedError(ConfigError, NotImplementedError):
    """A backend, codec or device cannot do what is asked; names the node, rule or format."""


class MissingFileError(ConfigError, FileNotFoundError):
    """A file that was named does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class WireError(ReflexarcError, ValueError):
    """A frame that is not one of ours, or is damaged. Counted by receivers, never fatal there."""


class LinkError(ReflexarcError, ConnectionError):
    """The process at the other end of the bus did not answer in time, or went away."""


class DeviceError(ReflexarcError, ConnectionError):
    """A device is not there, cannot be opened, or went away while it was in use."""


class MissingPartError(ReflexarcError, ImportError):
    """A compiled module or optional library is missing; the message says how to get it."""

    exit_code = 2


class InUseError(ConfigError):
    """A name or endpoint that another process holds; the message names that process."""


class AlreadyRunning(ReflexarcError):
    """A daemon of this name runs; the message names its process."""

    exit_code = 3


class RealTimeRefused(ReflexarcError, PermissionError):
    """The kernel does not give what --rt=require asks for."""

    exit_code = 4

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CheckpointError(ReflexarcError, ValueError):
    """A checkpoint is damaged, of another version, or of another network."""
