"""docs/write-a-rule.md, followed to the letter in an empty folder."""

import re
import shutil
import sysconfig
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "write-a-rule.md"
if not PAGE.exists():
    pytest.skip("the docs are not here: tests run away from the checkout", allow_module_level=True)
if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
    pytest.skip("no C compiler, which the page needs", allow_module_level=True)

FIRST_LINE = re.compile(r"\A(?:/\*|#) (\S+\.\w+)")


@pytest.fixture
def written(tmp_path):
    """The page's files in an empty folder, and its commands."""
    commands = []
    for language, code in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), flags=re.S):
        if language == "sh":
            commands.append(code)
        else:
            (tmp_path / FIRST_LINE.match(code)[1]).write_text(code)
    return commands


def test_the_rule_of_the_page_is_compiled_and_learns(run_block, written, tmp_path):
    (build,) = written
    assert "cancel_kernel" in run_block("sh", build)
    shown = run_block("sh", "python -W error try_it.py")
    spikes, difference = re.search(r"(\d+) spikes, largest difference (\S+)", shown).groups()
    assert int(spikes) > 50
    assert float(difference) < 1e-12


def test_an_installed_rule_is_known_to_sidecar_files(run_block, written, tmp_path):
    (build,) = written
    run_block("sh", build)
    run_block("sh", "python setup.py --quiet egg_info && ls *.egg-info")
    shown = run_block(
        "sh",
        'python -c "from reflexarc.runtime.plasticity import own_rules; print(own_rules())"',
        PYTHONPATH=str(tmp_path),
    )
    assert "'cancel': <class 'cancel.Cancel'>" in shown


def test_a_kernel_of_another_version_is_refused(run_block, written, tmp_path):
    header = tmp_path / "cancel.h"
    header.write_text(header.read_text().replace("KERNEL_ABI,", "KERNEL_ABI + 1,"))
    (build,) = written
    run_block("sh", build)
    shown = run_block("sh", "(python try_it.py || true) 2>&1 | tail -n 1")
    assert "compile it again" in shown
