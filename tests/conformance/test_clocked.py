"""Other simulators' outputs, bit for bit, and the stateless operations (../shared/nir)."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import reflexarc

ROOT = Path(__file__).resolve().parents[2]
MATERIAL = ROOT.parent / "shared/nir"
BENCHMARK = ROOT / "benchmarks/conformance.py"
# Old files are meant to warn.
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def items():
    """The items of the conformance benchmark, or one that skips; test_analytic has the analytic."""
    if not (MATERIAL.exists() and BENCHMARK.exists()):
        reason = pytest.mark.skip(reason=f"{MATERIAL} or {BENCHMARK} is absent")
        return [pytest.param(None, marks=reason, id="absent")]
    listed = runpy.run_path(str(BENCHMARK))["items"](MATERIAL)
    chosen = [item for item in listed if not item.name.startswith("analytic/")]
    return [pytest.param(item, id=item.name) for item in chosen]


@pytest.mark.parametrize("item", items())
def test_reference(item):
    # Of what no clocked rule reproduces, an angle of rates: far below that of two unlike rasters.
    assert item.measure() <= (0.25 if item.allowed is None else item.allowed)


def test_every_reference_is_there():
    if not MATERIAL.exists():
        pytest.skip(f"{MATERIAL} is absent")
    names = [param.id for param in items()]
    assert sum(name.startswith("outputs/") for name in names) == 42
    files = {path.stem for folder in ("ops", "exported") for path in (MATERIAL / folder).iterdir()}
    assert files <= {name.rpartition("/")[2] for name in names}
    assert len(names) == len(set(names))


def test_a_wrong_dialect_differs():
    if not MATERIAL.exists():
        pytest.skip(f"{MATERIAL} is absent")
    graph = MATERIAL / "graphs/braille_noDelay_bias_zero.nir"
    data = np.load(MATERIAL / "outputs/braille_noDelay_bias_zero__real_sample0.npz")
    network = reflexarc.load(graph)
    run = reflexarc.simulate(
        network, {"input": data["input"]}, mode="clocked", dialect="snntorch", dt_s=1e-4
    )
    assert np.sum(run.outputs["output"] != data["out_norse_zero"]) > 0


def test_norse_voltages_of_a_self_spiking_neuron():
    path = MATERIAL / "outputs/two_lif_neurons__no_input.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    reference = np.load(path)["v_norse"]
    run = reflexarc.simulate(
        reflexarc.load(MATERIAL / "graphs/two_lif_neurons.nir"),
        {},
        0.1,
        mode="clocked",
        dialect="norse",
        dt_s=1e-4,
        probes={name: np.arange(1, 1001) * 1e-4 for name in ("lif1", "lif2")},
    )
    found = np.column_stack([run.probes["lif1"], run.probes["lif2"]])
    assert np.abs(found - reference).max() < 1e-5
