"""Strict configuration: YAML with line numbers, pydantic models that forbid and freeze.

No aliases, no duplicate keys, nothing unknown, nothing non-finite; every complaint is one line
that names file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.runtime.files import inside


class Strict(BaseModel):
    """Base of every model that describes something a person wrote."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: to PyYAML alone `1e-4` and `1.5e3` are words."""


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for a number, and gives no aliases, which it refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )

#: How deep lists and mappings may lie within each other.
MAX_DEPTH = 32
Model = TypeVar("Model", bound=BaseModel)
#: Line (from 1) of every key, by its path in the document.
Lines = Mapping[tuple[str | int, ...], int]


class Document:
    """A parsed YAML file that remembers where each key stands.

    Attributes:
        source: file name for messages.
        data: plain dicts, lists and scalars.
        lines: line of each key path.
        settings: values that came from the command line: key path to what was written there.
    """

    def __init__(self, source: str, data: Any, lines: dict[tuple[str | int, ...], int]) -> None:
        self.source, self.data, self.lines = source, data, lines
        self.settings: dict[tuple[str | int, ...], str] = {}

    def fail(self, path: tuple[str | int, ...], message: str) -> NoReturn:
        """Raise ConfigError that names file, line and key of `path`."""
        raise ConfigError(f"{self.where(path)}: {message}")

    def where(self, path: tuple[str | int, ...]) -> str:
        """`file:line: key.path`, or the setting it came from, as near as the document knows it."""
        for changed, setting in self.settings.items():
            if changed[: len(path)] == path or path[: len(changed)] == changed:
                return f"--set {setting}"
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines), ())
        line = self.lines.get(known)
        key = ".".join(str(part) for part in path)
        place = f"{self.source}:{line}" if line else self.source
        return f"{place}: {key}" if key else place

    def file(self, folder: Path, path: tuple[str | int, ...], name: str) -> Path:
        """The file `name` in `folder`, as the key `path` gives it. Raises ConfigError."""
        try:
            found = inside(folder, name)
        except ConfigError as error:
            self.fail(path, str(error))
        if not found.is_file():
            self.fail(path, f"no such file: {found}")
        return found

    def validate(self, model: type[Model], at: tuple[str | int, ...] = ()) -> Model:
        """The document, or what stands at the key path `at`, as `model`.

        Raises:
            ConfigError: the first violation as one line.
        """
        data = self.data
        for step in at:
            data = data[step]
        try:
            return model.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            loc = (*first["loc"], *_tag(first))
            self.fail((*at, *_key_path(loc, data)), explain(first))


def _key_path(loc: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """`loc` without the steps pydantic adds for tagged unions, which no key stands for."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(data, Mapping) and (step in data or last):
            path.append(step)
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            path.append(step)
            data = data[step]
    return tuple(path)


def _tag(error: Any) -> tuple[str, ...]:
    """The key that chooses between the members of a union, where the complaint is of it."""
    tagged = error["type"] in ("union_tag_invalid", "union_tag_not_found")
    return (str(error["ctx"]["discriminator"]).strip("'"),) if tagged else ()


def explain(error: Any) -> str:
    """One pydantic error as one line that says what is wrong and what is allowed."""
    kind, message = error["type"], str(error["msg"])
    message = message.removeprefix("Value error, ").replace("\n", " ")
    if kind == "union_tag_invalid":
        return f"'{error['ctx']['tag']}' is not known; use one of {error['ctx']['expected_tags']}"
    if kind in ("missing", "union_tag_not_found"):
        return "required key is missing"
    if kind == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    value = repr(error.get("input"))
    shown = value if len(value) <= 60 else value[:57] + "..."
    return f"{message[0].lower()}{message[1:]} (got {shown})"


def read_yaml(path: Path) -> Document:
    """Parse a YAML file strictly.

    Raises:
        MissingFileError: there is no such file.
        ConfigError: not UTF-8, not YAML, an alias, a duplicate key, a tag, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; check the name") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a UTF-8 text file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """Parse YAML text strictly; `source` names it in messages. Raises ConfigError."""
    try:
        _check_events(text, source)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        place = f"{source}:{_line(error.problem_mark)}"
        raise ConfigError(f"{place}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{source}:1: expected a mapping of keys to values")
    lines: dict[tuple[str | int, ...], int] = {}
    return Document(source, _plain(node, (), source, lines), lines)


def _check_events(text: str, source: str) -> None:
    """Refuse, before anything is built, what is built without end or measure."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        place = f"{source}:{_line(event.start_mark)}"
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{place}: aliases (*{event.anchor}) are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels")


def dump_yaml(data: Mapping[str, Any]) -> str:
    """YAML text (ASCII) that `parse_yaml` reads back, innermost lists and mappings on a line."""
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        width=100,
        default_flow_style=None,
    )


def _line(mark: Any) -> int:
    """Line from 1 of a YAML mark; the parser leaves some marks out."""
    return 1 if mark is None else int(mark.line) + 1


def _plain(
    node: yaml.Node,
    path: tuple[str | int, ...],
    source: str,
    lines: dict[tuple[str | int, ...], int],
) -> Any:
    lines.setdefault(path, _line(node.start_mark))
    if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
        place = f"{source}:{_line(node.start_mark)}"
        raise ConfigError(f"{place}: a value of type {node.tag} is not allowed; leave out the tag")
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node.start_mark)
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{source}:{line}: a key must be a plain word")
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError(
                    f"{source}:{line}: <<: merging is not allowed; write the keys out"
                )
            if key in result:
                raise ConfigError(f"{source}:{line}: {key}: duplicate key; keep one")
            lines[(*path, key)] = line
            result[key] = _plain(value_node, (*path, key), source, lines)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*path, n), source, lines) for n, child in enumerate(node.value)]
    return _scalar(node, source)


_COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
#: Only these plain types may appear; dates, binary, sets and python objects may not.
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}


def _scalar(node: yaml.Node, source: str) -> Any:
    line = _line(node.start_mark)
    if node.tag not in _SCALARS:
        raise ConfigError(f"{source}:{line}: a value of type {node.tag} is not allowed; quote it")
    try:
        return _Loader("").construct_object(node)
    except (ValueError, yaml.YAMLError):
        raise ConfigError(f"{source}:{line}: cannot read the value {node.value!r}") from None


def apply_setting(document: Document, setting: str) -> None:
    """Change one value of `document` in place from `key.path=value` (the value is YAML).

    Keys that are not there are made: whether they may be there is for the model to say.

    Raises:
        ConfigError: no `=`, or a path through something that has no keys.
    """
    key, separator, text = setting.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {setting}: expected key.path=value")
    value = parse_yaml(f"value: {text}", f"--set {key}").data["value"]
    path: tuple[str | int, ...] = ()
    target = document.data
    *parents, last = key.split(".")
    for part in parents:
        step = _step(target, part, key)
        path = (*path, step)
        if isinstance(target, dict):
            target = target.setdefault(step, {})
        else:
            target = target[step]
    step = _step(target, last, key)
    target[step] = value
    document.settings[(*path, step)] = key


def _step(target: Any, part: str, key: str) -> str | int:
    """`part` as a key or index into `target`."""
    if isinstance(target, dict):
        return part
    if isinstance(target, list):
        if part.isdigit() and int(part) < len(target):
            return int(part)
        raise ConfigError(f"--set {key}: '{part}' is not an index from 0 to {len(target) - 1}")
    raise ConfigError(f"--set {key}: there are no keys below '{part}'s parent, a plain value")
