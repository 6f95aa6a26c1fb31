"""Scenarios: what a `scenario.yaml` may say, and how its parts are made.

    scenario = Scenario.load("pole-balance", settings=["world.config.pole_mass_kg=2"])
    world, policy = scenario.make_world(seed=0), scenario.make_policy(seed=0)

A scenario is a folder with `scenario.yaml`, the code it names (`world.py:PoleBalance`) and its
network. Shipped ones are found by name, others by the path of their folder or file.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from reflexarc.actuators.decoders import DecoderSpec, make_decoder
from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime.backends import compile_network
from reflexarc.runtime.config import Document, Strict, apply_setting, read_yaml
from reflexarc.runtime.daemonspec import DaemonSpec
from reflexarc.runtime.errors import ConfigError, MissingFileError, MissingPartError
from reflexarc.runtime.faults import FaultsSpec
from reflexarc.runtime.keys import LinkSpec
from reflexarc.runtime.network import Input, Network, Output
from reflexarc.runtime.policy import ConventionalPolicy, NetworkPolicy, Policy
from reflexarc.runtime.sidecar import files_of, load
from reflexarc.runtime.world import Controller, Device, Part, Score, World
from reflexarc.sensors.encoders import EncoderSpec, make_encoder

#: `file.py:Class`, a file beside scenario.yaml.
CodeRef = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*\.py:[A-Za-z_]\w*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Stream = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,14}$")]


class PartSpec(Strict):
    """A piece of the scenario's own code with its configuration."""

    code: CodeRef
    config: dict[str, Any] = Field(default_factory=dict)


class RangeSpec(Strict):
    """Where `reflexarc tune` looks for a number; `log`: evenly in its logarithm."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("need low below high, and with log both above 0")
        return self


class BaselineSpec(PartSpec):
    """A conventional controller; `tune` has the keys of `config` that tuning may change.

    A key is a path: `gains.0` is the first entry of the list `gains`.
    """

    tune: dict[str, RangeSpec] = Field(default_factory=dict)


class WorldSpec(PartSpec):
    """The world, and where it runs.

    `process`: in the loop's own ("loop"), in one that the launcher starts ("own"), or in one that
    somebody else has started with `reflexarc world NAME` ("served"); the last two over the bus.
    `link` says where a served one is, on this machine or another.
    """

    process: Literal["loop", "own", "served"] = "loop"
    link: LinkSpec | None = None


class AttachSpec(Strict):
    """A stream of camera events that other processes feed with `reflexarc attach`.

    `width` and `height` are of the largest sensor that may feed it, in pixels. At most
    `buffer_events` wait for the loop: in real time the oldest give way, so that what a loop acts on
    is never older than they take to come.
    """

    stream: Stream
    buffer_events: int = Field(default=1 << 20, ge=1, le=1 << 28)
    width: int = Field(ge=1, le=65535)
    height: int = Field(ge=1, le=65535)


class ScenarioSpec(Strict):
    """Everything `scenario.yaml` may say."""

    name: Name
    summary: str
    seconds: float = Field(gt=0, le=1e7)
    period_ns: int = Field(ge=100_000, le=1_000_000_000)
    mode: Literal["lockstep", "wall"] = "lockstep"
    seed: int = Field(default=0, ge=0, lt=2**32)
    learning: bool = True
    world: WorldSpec | None = None
    robot: PartSpec | None = None
    attach: list[AttachSpec] = Field(default_factory=list)
    network: str
    encoders: list[Annotated[EncoderSpec, Field(discriminator="kind")]] = Field(min_length=1)
    decoders: list[Annotated[DecoderSpec, Field(discriminator="kind")]] = Field(min_length=1)
    gate: GateSpec
    faults: FaultsSpec | None = None
    score: PartSpec | None = None
    baselines: dict[Name, BaselineSpec] = Field(default_factory=dict)
    daemon: DaemonSpec = DaemonSpec()

    @model_validator(mode="after")
    def _something_to_see(self) -> Self:
        if self.world is None and self.robot is None and not self.attach:
            raise ValueError("need a world, or at least one stream under attach")
        if self.world is not None and self.robot is not None:
            raise ValueError("robot: there is a world already; keep one of them")
        if self.robot is not None and self.mode != "wall":
            raise ValueError("robot: its time cannot be simulated; set mode: wall")
        if any(encoder.stream == "truth" for encoder in self.encoders):
            raise ValueError("no encoder may listen to the stream 'truth'")
        return self

    @model_validator(mode="after")
    def _faults_can_strike(self) -> Self:
        for n, fault in enumerate(self.faults.schedule if self.faults else []):
            if self.world is None:
                raise ValueError("faults: there is no world to suffer them")
            if fault.kind == "stall" and self.mode != "wall":
                raise ValueError(f"faults.schedule.{n}: a stall needs mode: wall")
            stream = getattr(fault, "stream", "")
            if stream == "truth" or stream in {attach.stream for attach in self.attach}:
                raise ValueError(f"faults.schedule.{n}: '{stream}' is not a sensor of the world")
        return self


PartT = TypeVar("PartT", bound=Part)


@dataclass(frozen=True)
class Scenario:
    """A scenario that has been read and checked.

    Attributes:
        spec: what it says, defaults filled in.
        folder: where its files are.
        document: the YAML, for messages.
        settings: what was changed, as `key.path=value`.
    """

    spec: ScenarioSpec
    folder: Path
    document: Document
    settings: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str, settings: Sequence[str] = ()) -> Scenario:
        """Read the scenario `name` (or path), change it by `key.path=value` settings, check it.

        Raises:
            ConfigError: anything is wrong; one line with file, line, key.
        """
        path = find(name)
        document = read_yaml(path)
        for setting in settings:
            apply_setting(document, setting)
        scenario = cls(document.validate(ScenarioSpec), path.parent, document, tuple(settings))
        scenario.check()
        return scenario

    @classmethod
    def load_policy(cls, path: Path) -> Scenario:
        """Read a scenario.yaml for its network, encoders, decoders and gate alone.

        The code it names may be absent; no world, score or baseline can be made from it then.

        Raises:
            ConfigError: as `load`.
        """
        document = read_yaml(path)
        scenario = cls(document.validate(ScenarioSpec), path.parent, document)
        scenario._check_ports()
        return scenario

    def check(self) -> None:
        """Make sure that everything the scenario names exists and fits. Raises ConfigError."""
        self._check_ports()
        for kind, part, at in self._parts():
            self._config(kind, part, at)
        for name, baseline in self.spec.baselines.items():
            self._check_ranges(name, baseline)
        if self.spec.world and self.spec.world.link:
            self.spec.world.link.curve(self.document, ("world", "link"))

    @property
    def ticks(self) -> int:
        """Ticks in the scenario's own duration."""
        return max(1, round(self.spec.seconds * 1e9 / self.spec.period_ns))

    def resolved(self) -> dict[str, Any]:
        """Everything the scenario says with defaults filled in, as plain data for YAML and JSON."""
        spec = self.spec
        data = spec.model_dump()
        for kind, part, at in self._parts():
            _inside(data, at)["config"] = self._config(kind, part, at)[1].model_dump()
        return data

    def world_digest(self, seed: int) -> str:
        """What two processes must agree on to share a world, in short."""
        world = self.resolved()["world"]
        text = json.dumps([self.spec.name, world["config"], seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def truth(self) -> tuple[str, ...]:
        """Name and unit of each element of the stream "truth", where the world tells them."""
        if self.spec.world is None:
            return ()
        world: type[World] = self._config(World, self.spec.world, ("world",))[0]
        return world.truth

    @property
    def changes_s(self) -> list[float]:
        """When the world is changed, by the key `changes` of its configuration."""
        world = self.spec.world
        changes = world.config.get("changes") if world is not None else None
        return [float(change["at_s"]) for change in changes or []]

    @property
    def has_window(self) -> bool:
        """Whether the world can show itself on a display."""
        world = self.spec.world
        if world is None:
            return False
        return "window" in type(self._config(World, world, ("world",))[1]).model_fields

    @cached_property
    def network(self) -> Network:
        """The network, read from its file."""
        return load(self.document.file(self.folder, ("network",), self.spec.network))

    @property
    def network_files(self) -> list[Path]:
        """The files the network was read from: a graph, or a sidecar, its graph and its arrays."""
        return files_of(self.folder / self.spec.network)

    def make_world(self, seed: int) -> World:
        """A fresh world, in wall mode told so. Raises ConfigError where the scenario has none."""
        if self.spec.world is None:
            raise ConfigError(f"{self.spec.name}: this scenario has no world of its own")
        world = self._make(World, self.spec.world, ("world",), seed)
        if self.spec.mode == "wall":
            world.keep_pace(self.spec.period_ns)
        return world

    def make_device(self, seed: int) -> Device:
        """The robot's own drivers. Raises ConfigError where the scenario names none."""
        if self.spec.robot is None:
            raise ConfigError(f"{self.spec.name}: this scenario has no robot of its own")
        return self._make(Device, self.spec.robot, ("robot",), seed)

    def make_policy(self) -> NetworkPolicy:
        """The network with its encoders and decoders, in its first state."""
        spec = self.spec
        program = compile_network(self.network, dt_s=self.network.dt_s or spec.period_ns * 1e-9)
        program.learning = spec.learning
        encoders = [make_encoder(item, self._input(n).size) for n, item in enumerate(spec.encoders)]
        decoders = [
            make_decoder(item, self._output(n).size, self._spiking(item.port))
            for n, item in enumerate(spec.decoders)
        ]
        return NetworkPolicy(encoders, program, decoders)

    def make_baseline(self, name: str, seed: int) -> Policy:
        """The conventional controller `name` as a policy."""
        controller = self._make(Controller, self.spec.baselines[name], ("baselines", name), seed)
        return ConventionalPolicy(controller)

    def make_score(self, seed: int) -> Score | None:
        """A fresh score, or None where the scenario has none."""
        if self.spec.score is None:
            return None
        return self._make(Score, self.spec.score, ("score",), seed)

    def make_gate(self) -> Gate:
        """A fresh gate."""
        return Gate(self.spec.gate)

    def _parts(self) -> Iterator[tuple[type[Part], PartSpec, tuple[str, ...]]]:
        """Every piece of the scenario's own code: what it must be, its spec, where it stands."""
        spec = self.spec
        if spec.world:
            yield World, spec.world, ("world",)
        if spec.robot:
            yield Device, spec.robot, ("robot",)
        if spec.score:
            yield Score, spec.score, ("score",)
        for name, baseline in spec.baselines.items():
            yield Controller, baseline, ("baselines", name)

    def check_daemon(self) -> None:
        """Make sure that a daemon can hold this loop. Raises ConfigError."""
        spec, daemon = self.spec, self.spec.daemon
        if 2 * spec.period_ns > daemon.deadman_ms * 1e6:
            self.document.fail(
                ("period_ns",),
                f"at most half of the deadman's {daemon.deadman_ms:g} ms in a daemon "
                f"(got {spec.period_ns})",
            )
        streams = sorted({encoder.stream for encoder in spec.encoders})
        known = [*streams, *([daemon.pose.stream] if daemon.pose else [])]
        for stream in daemon.streams:
            if stream not in known:
                self.document.fail(
                    ("daemon", "streams", stream),
                    f"no encoder listens to this stream; they listen to: {', '.join(streams)}",
                )
        if daemon.pose and len(daemon.pose.readings) != len(spec.gate.low):
            self.document.fail(
                ("daemon", "pose", "readings"),
                f"{len(daemon.pose.readings)} entries, but a command has {len(spec.gate.low)}",
            )

    def _check_ports(self) -> None:
        fed = [encoder.port for encoder in self.spec.encoders]
        for n, encoder in enumerate(self.spec.encoders):
            port = self._input(n)
            if encoder.port in fed[:n]:
                self.document.fail(("encoders", n, "port"), "another encoder feeds this port")
            try:
                make_encoder(encoder, port.size)
            except ValueError as error:
                self.document.fail(("encoders", n), str(error))
        commands = 0
        for n, decoder in enumerate(self.spec.decoders):
            port_size = self._output(n).size
            try:
                made = make_decoder(decoder, port_size, self._spiking(decoder.port))
            except ValueError as error:
                self.document.fail(("decoders", n), str(error))
            commands += made.size
        if commands != len(self.spec.gate.low):
            self.document.fail(
                ("gate", "low"),
                f"{len(self.spec.gate.low)} entries, but the decoders give {commands} commands",
            )

    def _check_ranges(self, name: str, baseline: BaselineSpec) -> None:
        at = ("baselines", name)
        config = self._config(Controller, baseline, at)[1].model_dump()
        for key in baseline.tune:
            try:
                value = value_at(config, key)
            except (KeyError, IndexError, TypeError, ValueError):
                self.document.fail((*at, "tune", key), "there is no such key in the config")
            if not isinstance(value, float | int) or isinstance(value, bool):
                self.document.fail((*at, "tune", key), f"{value!r} is not a number to tune")

    def _input(self, n: int) -> Input:
        name = self.spec.encoders[n].port
        ports = {node.name: node for node in self.network.inputs()}
        if name not in ports:
            self.document.fail(("encoders", n, "port"), _no_port(name, ports, "input"))
        return ports[name]

    def _output(self, n: int) -> Output:
        name = self.spec.decoders[n].port
        ports = {node.name: node for node in self.network.outputs()}
        if name not in ports:
            self.document.fail(("decoders", n, "port"), _no_port(name, ports, "output"))
        return ports[name]

    def _spiking(self, port: str) -> bool:
        return self.network.is_spiking(port)

    def _make(self, kind: type[PartT], part: PartSpec, at: tuple[str, ...], seed: int) -> PartT:
        made, config = self._config(kind, part, at)
        try:
            made_part: PartT = made(config, seed)
        except ImportError as error:
            raise MissingPartError(
                f"{self.spec.name}: {part.code} needs {error.name}, which is not installed; "
                "'reflexarc doctor' says how to get it"
            ) from None
        return made_part

    def _config(self, kind: type[PartT], part: PartSpec, at: tuple[str, ...]) -> tuple[Any, Strict]:
        """The class that `part` names and its configuration, checked."""
        file, _, name = part.code.partition(":")
        found = getattr(self._module(file, at), name, None)
        if not (isinstance(found, type) and issubclass(found, kind)):
            self.document.fail((*at, "code"), f"{file} has no {kind.__name__} called {name}")
        where = (*at, "config")
        known = where if "config" in _inside(self.document.data, at) else None
        config = self.document.validate(found.Config, where) if known else found.Config()
        return found, config

    def _module(self, file: str, at: tuple[str, ...]) -> ModuleType:
        """The scenario's own module `file`, imported."""
        path = self.folder / file
        if not path.is_file():
            self.document.fail((*at, "code"), f"there is no {file} beside scenario.yaml")
        try:
            return _import(path)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            self.document.fail((*at, "code"), f"{file} cannot be imported: {reason}")


def _import(path: Path) -> ModuleType:
    """A scenario's module: by its full name if it is shipped, else from its path."""
    folder = path.parent
    if folder.parent == SHIPPED:
        return importlib.import_module(f"reflexarc.scenarios.{folder.name}.{path.stem}")
    name = f"reflexarc_scenario.{folder.name}.{path.stem}"
    if name in sys.modules and sys.modules[name].__file__ == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it is run: classes look up their own module, as pydantic does for their annotations.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


#: Where the shipped scenarios are.
SHIPPED = Path(str(importlib.import_module("reflexarc.scenarios").__file__)).resolve().parent


def shipped() -> dict[str, Path]:
    """The shipped scenarios: name to scenario.yaml."""
    files = sorted(SHIPPED.glob("*/scenario.yaml"))
    return {file.parent.name.replace("_", "-"): file for file in files}


def find(name: str) -> Path:
    """The scenario.yaml of a shipped scenario's name, or of a path to a folder or file.

    Raises:
        MissingFileError: there is none; the message lists the names there are.
    """
    known = shipped()
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix == ".yaml" and path.is_file():
        return path.resolve()
    if (path / "scenario.yaml").is_file():
        return (path / "scenario.yaml").resolve()
    raise MissingFileError(
        f"no scenario '{name}'; there are: {', '.join(known)}; or give the path of a scenario.yaml"
    )


def _no_port(name: str, ports: dict[str, Any], kind: str) -> str:
    return f"the network has no {kind} '{name}'; it has: {', '.join(ports) or 'none'}"


def value_at(config: Any, key: str) -> Any:
    """What stands in plain data at a path such as `gains.0`."""
    for step in key.split("."):
        config = config[int(step) if isinstance(config, list) else step]
    return config


def with_value(config: Any, key: str, value: float) -> Any:
    """A copy of plain data in which another number stands at the path `key`."""
    first, _, rest = key.partition(".")
    step = int(first) if isinstance(config, list) else first
    copied = config.copy()
    copied[step] = with_value(config[step], rest, value) if rest else value
    return copied


def _inside(data: Any, at: tuple[str, ...]) -> Any:
    for step in at:
        data = data[step]
    return data
