"""R12: local sockets are private and have a single owner."""

import os
import signal
import stat
import subprocess
import sys
from itertools import product

import pytest

from reflexarc.runtime.bus import Claim, Pair, Publisher, check_endpoint, runtime_dir
from reflexarc.runtime.errors import ConfigError


def test_whatever_the_umask_the_directory_is_ours_alone(tmp_path, monkeypatch, measured):
    made = 0
    for umask in (0o000, 0o022, 0o002, 0o077):
        home = tmp_path / f"session-{umask:o}"
        home.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
        before = os.umask(umask)
        try:
            directory = runtime_dir("robot")
        finally:
            os.umask(before)
        for folder in (directory, directory.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            made += 1
    measured(f"{made} directories under 4 umasks: all of mode 0700")


def test_a_directory_open_to_others_is_refused(tmp_path, measured):
    refused = 0
    for group, other in product(range(8), repeat=2):
        folder = tmp_path / f"{group}{other}"
        folder.mkdir()
        folder.chmod(0o700 | group << 3 | other)
        if group == other == 0:
            check_endpoint(f"ipc://{folder}/socket")
            continue
        with pytest.raises(ConfigError, match="mode 0700"):
            check_endpoint(f"ipc://{folder}/socket")
        refused += 1
    assert refused == 63
    measured(f"{refused} of 63 modes that let others in refused")


def test_a_second_owner_is_refused_and_told_the_first(tmp_path, count, measured):
    endpoint, tries = f"ipc://{tmp_path}/socket", count(10, 100)
    code = (
        f"from reflexarc.runtime.bus import Pair; import sys; pair = Pair({endpoint!r}, bind=True)"
    )
    refused = 0
    owner = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('bound', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout.readline() == b"bound\n"
        for kind in (lambda at: Pair(at, bind=True), Publisher, Claim) * tries:
            with pytest.raises(ConfigError, match=f"in use by process {owner.pid}"):
                kind(endpoint)
            refused += 1
        owner.send_signal(signal.SIGKILL)  # what it leaves behind stands in nobody's way
        owner.wait()
    Pair(endpoint, bind=True).close()
    assert list(tmp_path.iterdir()) == []
    measured(
        f"{refused} second binds refused with the owner's process id; free again after kill -9"
    )
