"""R21: configuration means what it says."""

import copy
import re
import shutil

import pytest
import yaml

from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.config import parse_yaml
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.scenario import SHIPPED, Scenario

#: What no number of a scenario may be, and how it is told.
BAD_NUMBERS = {".nan": "finite", ".inf": "finite", "-1.0e+300": "", "many": "valid"}
#: Keys for which a list, a mapping or text is no mistake.
OPEN = {("summary",)}


@pytest.fixture
def folders(tmp_path):
    """Copies of the shipped scenarios, free to be broken."""
    for name in ("gaze", "pole_balance"):
        shutil.copytree(SHIPPED / name, tmp_path / name)
    return [tmp_path / "gaze", tmp_path / "pole_balance"]


def leaves(data, path=()):
    """Every key path that leads to a plain value."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def changed(data, path, value, key=None):
    """A copy of `data` with `value` at `path`; or with its last key called `key`."""
    made = copy.deepcopy(data)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    if key is None:
        inner[path[-1]] = value
    else:
        inner[key] = inner.pop(path[-1])
    return made


def breakages(data):
    """Wrong documents, each with the key that is wrong in it."""
    for path, value in leaves(data):
        yield path, changed(data, path, {"surprise": 1})
        if isinstance(path[-1], str):
            wrong = (*path[:-1], f"{path[-1]}x")
            yield wrong, changed(data, path, value, wrong[-1])
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield path, changed(data, path, float("nan"))
            yield path, changed(data, path, float("inf"))
            yield path, changed(data, path, "many")


def test_every_wrong_value_is_refused_with_file_line_and_key(folders, measured):
    refused = 0
    for folder in folders:
        file = folder / "scenario.yaml"
        data = yaml.safe_load(file.read_text())
        for path, broken in breakages(data):
            if path in OPEN:
                continue
            file.write_text(yaml.safe_dump(broken, sort_keys=False))
            with pytest.raises(ConfigError) as caught:
                Scenario.load(str(folder))
            message = str(caught.value)
            assert "\n" not in message
            assert message.startswith(f"{file}:"), message
            assert re.match(r"\d+: \S", message[len(f"{file}:") :]), message
            named = {str(step).removesuffix("x") for step in path if isinstance(step, str)}
            assert any(name in message for name in named), (path, message)
            refused += 1
    assert refused >= 200
    measured(f"{refused} wrong files: all refused in one line with file, line and key")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("seconds", 0, "greater than 0"),
        ("period_ns", 1, "greater than or equal to 100000"),
        ("period_ns", 2_000_000_000, "less than or equal to 1000000000"),
        ("seed", -1, "greater than or equal to 0"),
        ("mode", "slow", "'lockstep' or 'wall'"),
    ],
)
def test_what_is_allowed_is_said(folders, key, value, allowed):
    file = folders[0] / "scenario.yaml"
    data = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**data, key: value}))
    with pytest.raises(ConfigError, match=rf"scenario.yaml:\d+: {key}: .*{allowed}"):
        Scenario.load(str(folders[0]))


def bomb(depth):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(20), r"f.yaml:2: aliases"),
        ("a: &a\n  b: *a\n", r"f.yaml:2: aliases"),
        ("a: 1\nb: 2\na: 3\n", r"f.yaml:3: a: duplicate key"),
        ("a:\n  b: 1\n  b: 1\n", r"f.yaml:3: b: duplicate key"),
        ("a: {b: 1, b: 2}\n", r"f.yaml:1: b: duplicate key"),
        ("<<: {a: 1}\n", r"f.yaml:1: <<: "),
        ("a: !!python/object/apply:os.system [true]\n", r"f.yaml:1: "),
        ("a: " + "[" * 5000 + "]" * 5000, r"f.yaml:1: .*nested"),
        ("a: " + "{b: " * 5000 + "}" * 5000, r"f.yaml:1: .*nested"),
        ("a: " + "9" * 5000, r"f.yaml:1: .*cannot read"),
    ],
    ids=[
        "bomb",
        "itself",
        "duplicate",
        "inner duplicate",
        "flow duplicate",
        "merge",
        "object",
        "deep list",
        "deep mapping",
        "long number",
    ],
)
def test_traps_are_refused_at_once(text, reason):
    begin_ns = monotonic_ns()
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_yaml(text, "f.yaml")
    assert "\n" not in str(caught.value)
    assert monotonic_ns() - begin_ns < 5_000_000_000
