"""What tests share: commands of pages, options, and a small scenario of its own made of real parts,
a sliding mass seen by readings and events.
"""

import os
import subprocess
import sys
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from reflexarc.runtime import nirfile
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.network import Input, Linear, Network, Neurons, Output
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant

#: How long a process may take to say a line that a test waits for.
LINE_S = 60.0

WORLD = '''
import numpy as np
from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.config import Strict
from reflexarc.runtime.world import Controller, Score, World


class Slide(World):
    """x' = u + noise, seen as a reading and by a camera of 8 x 4 pixels."""

    class Config(Strict):
        noise: float = 1.0

    def __init__(self, config, seed):
        self.config, self.random = config, np.random.default_rng(seed)
        self.x, self.now_ns, self.seq = 0.5, 0, 0

    def advance(self, until_ns, command):
        first, self.now_ns = self.now_ns, until_ns
        kick = self.config.noise * self.random.standard_normal()
        self.x += (float(command[0]) + kick) * (until_ns - first) * 1e-9
        events = np.zeros(self.random.integers(0, 4) if until_ns else 0, EVENT)
        first_us, last_us = first // 1000, until_ns // 1000
        events["t"] = np.sort(self.random.integers(first_us, last_us + 1, len(events)))
        events["x"] = np.clip(4 + 4 * self.x, 0, 7)
        events["y"] = self.random.integers(0, 4, len(events))
        events["on"] = self.random.integers(0, 2, len(events)) == 1
        batches = [
            Batch("camera", Schema.EVENTS, events, first, until_ns, self.seq),
            Batch("state", Schema.READINGS, np.array([self.x]), first, until_ns, self.seq),
            Batch("truth", Schema.READINGS, np.array([self.x, 1.0]), first, until_ns, self.seq),
        ]
        self.seq += 1
        return batches


class Proportional(Controller):
    def __init__(self, config, seed):
        pass

    def control(self, batches, now_ns):
        return -2 * batches[1].values


class Near(Score):
    unit = "s near 0"

    def __init__(self, config, seed):
        self.seconds = 0.0

    def update(self, truth, now_ns):
        self.seconds += 1e-3 * (abs(truth[0]) < 0.2)
        return True

    @property
    def value(self):
        return self.seconds
'''

SCENARIO = {
    "name": "slide",
    "summary": "hold a mass in the middle",
    "seconds": 0.2,
    "period_ns": 1_000_000,
    "seed": 3,
    "world": {"code": "world.py:Slide"},
    "network": "nets/slide.yaml",
    "encoders": [
        {
            "kind": "pooled_pixels",
            "stream": "camera",
            "port": "pixels",
            "width": 8,
            "height": 4,
            "cell_px": 4,
        },
        {
            "kind": "signed_rate",
            "stream": "state",
            "port": "error",
            "readings": [0],
            "scale": [1.0],
            "max_rate_hz": 400.0,
        },
    ],
    "decoders": [{"kind": "population_vector", "port": "motor", "tau_s": 0.02, "scale": 0.05}],
    "gate": {"low": [-3.0], "high": [3.0], "rest": [0.0], "slew_per_s": [200.0]},
    "score": {"code": "world.py:Near"},
    "baselines": {"p": {"code": "world.py:Proportional"}},
}
SIDECAR = {
    "graph": "slide.nir",
    "mode": "clocked",
    "dt_s": 1e-3,
    "plasticity": {
        "seen": {"rule": "pes", "modulator": "errors", "learning_rate": 1e-4},
    },
}


def slide_network():
    random = np.random.default_rng(1)
    lif = {
        "tau": np.full(6, 0.02),
        "r": np.full(6, 1.0),
        "v_leak": np.zeros(6),
        "v_threshold": np.full(6, 0.05),
        "v_reset": np.zeros(6),
    }
    leaky = {"tau": np.full(6, 0.02), "r": np.ones(6), "v_leak": np.zeros(6)}
    push = np.repeat([[-1.0, 1.0], [1.0, -1.0]], 3, axis=0)
    nodes = [
        Input(name="pixels", shape=(4,)),
        Input(name="error", shape=(2,)),
        Linear(name="seen", shape=(6,), weight=random.uniform(0, 1.5, (6, 4))),
        Linear(name="felt", shape=(6,), weight=push),
        Linear(name="wrong", shape=(6,), weight=push),
        Neurons(name="errors", shape=(6,), kind="LI", parameters=leaky),
        Neurons(name="muscles", shape=(6,), kind="LIF", parameters=lif),
        Output(name="motor", shape=(6,)),
        Output(name="trace", shape=(6,)),
    ]
    edges = [
        ("pixels", "seen"),
        ("error", "felt"),
        ("error", "wrong"),
        ("wrong", "errors"),
        ("seen", "muscles"),
        ("felt", "muscles"),
        ("muscles", "motor"),
        ("errors", "trace"),
    ]
    return Network(nodes={node.name: node for node in nodes}, edges=tuple(edges))


@pytest.fixture
def slide_folder(tmp_path):
    """The folder of the scenario `slide`, with nothing of the shipped ones."""
    folder = tmp_path / "slide"
    (folder / "nets").mkdir(parents=True)
    (folder / "world.py").write_text(WORLD)
    (folder / "scenario.yaml").write_text("# by hand\n" + yaml.safe_dump(SCENARIO))
    (folder / "nets" / "slide.yaml").write_text(yaml.safe_dump(SIDECAR))
    nirfile.write(slide_network(), folder / "nets" / "slide.nir")
    return folder


@pytest.fixture
def record_slide(slide_folder):
    """A function that runs the scenario in lockstep and records it.

    It returns the scenario, the loop, the ticks as the loop's listeners saw them, the path and
    the recorder's summary.
    """

    def record(path, policy_name="network", *, settings=(), ticks=None, **options):
        scenario = Scenario.load(str(slide_folder), settings)
        gate, score, seen = scenario.make_gate(), scenario.make_score(0), []
        if policy_name == "network":
            policy = scenario.make_policy()
        else:
            policy = scenario.make_baseline(policy_name, 0)
        plant = LocalPlant(scenario.make_world(scenario.spec.seed), gate.rest)

        def keep_score(tick):
            score.update(tick.batches[-1].values, tick.now_ns)
            seen.append(tick)

        with Recorder(path, scenario, policy_name, score=score, **options) as recorder:
            clock = LockstepClock(scenario.spec.period_ns)
            loop = Loop(clock, plant, policy, gate, listeners=[keep_score, recorder])
            loop.run(ticks or scenario.ticks)
            summary = recorder.close(policy)
        return SimpleNamespace(
            scenario=scenario, policy=policy, loop=loop, ticks=seen, path=path, summary=summary
        )

    return record


@pytest.fixture
def heard():
    """A function that waits for a line with `text` from a process; returns the line."""

    def wait(process, text, stream="stderr"):
        overdue = Timer(LINE_S, process.kill)
        overdue.start()
        try:
            for line in getattr(process, stream):
                if text in line:
                    return line
        finally:
            overdue.cancel()
        raise AssertionError(f"ended with {process.wait()} before it said {text!r}")

    return wait


@pytest.fixture
def run_block(tmp_path):
    """Run a block of a page in `tmp_path` with this environment's commands; it must print."""

    def run(language, code, *options, **variables):
        environment = {**os.environ, **variables}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment.pop("DISPLAY", None)
        command = ["bash", "-euo", "pipefail", "-c", code]
        if language == "python":
            command = [sys.executable, *options, "-c", code]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"nothing was printed by:\n{code}"
        return done.stdout

    return run


def pytest_addoption(parser):
    """Options of `tests/promises`."""
    parser.addoption("--soak", action="store_true", help="the long counts of the promises")
    parser.addoption("--figures", metavar="FILE", help="leave what the promises measured there")
