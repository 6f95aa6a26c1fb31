"""The README's tour: every command in it is run here, in the order in which it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
if not README.exists():
    pytest.skip("the README is not here: tests run away from the checkout", allow_module_level=True)
pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")


def tour():
    """Language and text of every block of the tour."""
    text = README.read_text()
    section = text[text.index("## Ten-minute tour") : text.index("## Where things are")]
    return re.findall(r"```(sh|python)\n(.*?)```", section, flags=re.S)


def test_every_command_of_the_tour_works(tmp_path, run_block):
    # a folder called `reflexarc` where Python runs would hide an editable install
    sockets = tmp_path / "sockets"
    sockets.mkdir(mode=0o700)
    blocks = tour()
    assert len(blocks) >= 7
    for language, text in blocks:
        text = text.replace("source .venv/bin/activate\n", "")
        run_block(language, text, XDG_RUNTIME_DIR=str(sockets))
    assert (tmp_path / "runs" / "tour" / "report.html").exists()
