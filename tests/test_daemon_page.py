"""docs/daemon.md says what the code does: its table, its defaults, its verbs."""

import re
from pathlib import Path

import pytest
import typer.main

from reflexarc.runtime.config import parse_yaml
from reflexarc.runtime.daemoncli import daemon_app
from reflexarc.runtime.daemonspec import DaemonSpec
from reflexarc.runtime.mode import TABLE

PAGE = Path(__file__).parents[1] / "docs" / "daemon.md"
if not PAGE.exists():
    pytest.skip("the pages are not here", allow_module_level=True)
TEXT = PAGE.read_text()


def test_the_table_is_that_of_the_code():
    assert TABLE.strip() in TEXT


def test_the_defaults_are_those_of_the_code():
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", TEXT, re.S) if b.startswith("daemon:"))
    said = parse_yaml(block, "daemon.md").data["daemon"]
    real = DaemonSpec().model_dump()
    assert said == real


def test_every_verb_is_on_the_page():
    commands = typer.main.get_command(daemon_app).commands
    for verb in commands:
        assert f"reflexarc {verb}" in TEXT
