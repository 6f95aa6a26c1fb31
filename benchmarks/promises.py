"""Keep docs/promises.md: run the promises' tests and write what they measured.

    python benchmarks/promises.py [--soak] [PYTEST ARGUMENTS]

Rows whose tests were not run keep their last figures; rows whose test file is gone are removed.
The figures themselves are kept in docs/promises.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from reflexarc.runtime.clock import date_utc

ROOT = Path(__file__).resolve().parents[1]
TESTS, KEPT, PAGE = "tests/promises", ROOT / "docs/promises.json", ROOT / "docs/promises.md"
HEAD = """# Promises

What the runtime promises to a robot that trusts it, and what was measured when the test of each
promise last ran. A promise without a test does not stand here. `make test` runs the quick counts,
`make soak` the long ones, which then writes this page; T is the period of a tick. The machine of
these figures is small and shared ({machine}): what is timed stands beside a reference of the same
run.

| # | promise | measured | test | run |
|---|---|---|---|---|
"""
Rows = dict[str, dict[str, Any]]


def run_tests(soak: bool, arguments: list[str]) -> tuple[int, Rows]:
    """Exit code of the tests, and a row for each promise that measured something."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        options = ["-q", "--figures", str(figures), *(["--soak"] if soak else [])]
        command = [sys.executable, "-m", "pytest", *options, *(arguments or [TESTS])]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        rows = json.loads(figures.read_text()) if figures.exists() else {}
    about = {"date": date_utc()[:10], "run": "soak" if soak else "quick"}
    return code, {promise: {**row, **about} for promise, row in rows.items()}


def merged(kept: Rows, new: Rows) -> Rows:
    """The newest row of each promise that still has a test, in order."""
    rows = {**kept, **new}
    held = {promise: row for promise, row in rows.items() if (ROOT / row["test"]).exists()}
    return dict(sorted(held.items(), key=lambda item: int(item[0][1:])))


def page(rows: Rows) -> str:
    """The table in Markdown."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    lines = [
        f"| {promise} | {row['promise']} | {'<br>'.join(row['figures'])} "
        f"| [{Path(row['test']).name}](../{row['test']}) | {row['run']}, {row['date']} |"
        for promise, row in rows.items()
    ]
    return HEAD.format(machine=machine) + "\n".join(lines) + "\n"


def main() -> None:
    """Run, merge, write; a test that failed leaves everything as it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--soak", action="store_true", help="the long counts")
    options, arguments = parser.parse_known_args()
    code, new = run_tests(options.soak, arguments)
    if code == 0:
        rows = merged(json.loads(KEPT.read_text()) if KEPT.exists() else {}, new)
        KEPT.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(page(rows))
    sys.exit(code)


if __name__ == "__main__":
    main()
