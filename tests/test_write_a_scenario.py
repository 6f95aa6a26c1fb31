"""docs/write-a-scenario.md, followed in an empty folder; only with fewer worlds and tries."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
PAGE = Path(__file__).parents[1] / "docs" / "write-a-scenario.md"
if not PAGE.exists():
    pytest.skip("the docs are not here: tests run away from the checkout", allow_module_level=True)

FIRST_LINE = re.compile(r"\A(?:<!--|#) (\S+\.\w+)")


@pytest.fixture
def commands(tmp_path):
    """The page's files in the folder `arm`, and its commands."""
    found = []
    (tmp_path / "arm").mkdir()
    for language, code in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), flags=re.S):
        if language == "sh":
            found.append(code)
        elif language != "text":
            (tmp_path / "arm" / FIRST_LINE.match(code)[1]).write_text(code)
    return found


def test_the_scenario_of_the_page_runs_and_learns(run_block, commands, tmp_path):
    first, tune = commands
    run_block("sh", first.replace("--seeds 4", "--seeds 1"))
    assert (tmp_path / "first" / "report.html").exists()
    found = json.loads((tmp_path / "compared" / "compare.json").read_text())
    by_name = {each["policy"]: each for each in found["policies"]}
    learning, frozen = by_name["learning"], by_name["frozen"]
    assert learning["score"][0] > 0.3 * frozen["score"][0]  # both are minus degrees
    assert found["changes_s"] == [4.0]
    assert "gains" in run_block("sh", tune.replace("--tries 8", "--tries 1"))


def test_its_world_keeps_the_contract(run_block, commands):
    run_block(
        "python",
        "import sys; sys.path.insert(0, 'arm')\n"
        "from reflexarc.runtime.worldcontract import WorldContract\n"
        "from world import Arm, ArmConfig\n"
        "class Check(WorldContract):\n"
        "    def make_world(self, seed): return Arm(ArmConfig(), seed)\n"
        "check = Check()\n"
        "for name in dir(check):\n"
        "    if name.startswith('test_'): getattr(check, name)(); print(name)\n",
    )
