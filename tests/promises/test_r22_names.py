"""R22: names stay in their folder."""

import shutil

import numpy as np
import pytest
import yaml

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import attach_endpoint, runtime_dir
from reflexarc.runtime.errors import ConfigError, WireError
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.sidecar import load
from reflexarc.runtime.wire import encode

HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "//",
    "../secret",
    "../../secret",
    "nets/../../secret",
    "./../secret",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "~/secret",
    "~root/secret",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1b[2Jb",
    "a\x7fb",
    "..\\secret",
    "C:\\secret",
    "\\\\host\\share",
    "nets/..",
    "nets/../..",
    "link/secret.nir",
    "file-link.nir",
    "...//...//x",
    "%2e%2e/secret",
    "a" * 300,
    "a/" * 200 + "b",
    "\u202egnp.nir",
    "\u200b",
    "a\u2028b",
    "-rf",
    "--set=x",
    "$(touch x)",
    "`touch x`",
    "a;b",
    "a|b",
    "a b",
    "a*",
    "{a,b}",
    "ipc://x",
    "file:///etc/passwd",
    "CON",
    "COM1:",
    "A",
    "É",
    "ａ",
    "a.b",
    "a,b",
    "a:b",
    "a@b",
    "a#b",
    "a?b",
    "a=b",
    "a'b",
    'a"b',
    "<a>",
    "!a",
    "+a/",
    "a\tb",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A scenario beside a secret that is a valid network, with links that lead to it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    secret = tmp_path / "secret"
    made = tmp_path / "mine"
    shutil.copytree(SHIPPED / "gaze", made)
    secret.mkdir(mode=0o700)
    shutil.copy(made / "network.nir", secret / "secret.nir")
    (made / "link").symlink_to(secret)
    (made / "file-link.nir").symlink_to(secret / "secret.nir")
    return made


def refused(attempt, name, error=ConfigError):
    with pytest.raises(error) as caught:
        attempt(name)
    message = str(caught.value)
    assert "\n" not in message
    assert "\0" not in message
    assert "\x1b" not in message
    return 1


def test_hostile_names_of_loops_and_streams_are_refused(folder, measured):
    def send(name):
        encode(Batch(name, Schema.READINGS, np.zeros(1)))

    assert len(set(HOSTILE)) >= 60
    # A dash at the front is a plain name to everything that takes these.
    names = [name for name in HOSTILE if name != "-rf"]
    loops = sum(refused(runtime_dir, name) for name in names)
    streams = sum(refused(lambda stream: attach_endpoint("gaze", stream), n) for n in names)
    frames = sum(refused(send, name, WireError) for name in names)
    assert {path.name for path in folder.parent.iterdir()} == {"mine", "secret"}
    measured(
        f"{len(names)} hostile names as loop, stream and in a frame: {loops + streams + frames} "
        "refused, nothing made outside"
    )


def test_hostile_names_of_files_are_refused(folder, measured):
    scenario, sidecar = folder / "scenario.yaml", folder / "network.yaml"
    said, net = yaml.safe_load(scenario.read_text()), yaml.safe_load(sidecar.read_text())
    count = 0
    for name in HOSTILE:
        # Whether it leads out or is only not there, the secret beside is never read.
        sidecar.write_text(yaml.safe_dump({**net, "graph": name}))
        count += refused(load, sidecar)
        sidecar.write_text(yaml.safe_dump({**net, "arrays": name}))
        count += refused(load, sidecar)
        sidecar.write_text(yaml.safe_dump(net))
        for change in ({"network": name}, {"world": {**said["world"], "code": f"{name}:PanTilt"}}):
            scenario.write_text(yaml.safe_dump({**said, **change}))
            count += refused(lambda path: Scenario.load(str(path)), folder)
    measured(f"{len(HOSTILE)} hostile names as graph, arrays, network and code: {count} refused")
