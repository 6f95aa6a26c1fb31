"""Networks saved as NIR, read by others' importers and run there; one JSON object.

    python benchmarks/importers.py [--python ENV/bin/python]

Networks built by hand are saved with `reflexarc.save`, read back with `nir`, imported by snnTorch
and Norse (through nirtorch) and run on the same spikes. The figures are the spikes that our clocked
run gave under that simulator's dialect and the cells of the raster that differ. ENV is where the
simulators are; without it they must be where this runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

DT_S = 1e-4
STEPS, LINES, CELLS = 400, 20, 30
SIMULATORS = ("snntorch", "norse")


# Our side: networks, files, rasters.


def networks() -> dict[str, Any]:
    """What each importer can say.

    snnTorch has one threshold a layer and no v_leak; what it makes of a cycle leads the layer's
    input through the recurrent weights (1.0.0), so it gets none.
    """
    import reflexarc

    tau_s, tau_syn_s = 10e-3, 5e-3
    lif = reflexarc.LIF(tau_s=tau_s)
    scaled = reflexarc.LIF(tau_s=tau_s, r=tau_s / DT_S)
    cuba = reflexarc.CubaLIF(
        tau_mem_s=tau_s, tau_syn_s=tau_syn_s, r=tau_s / DT_S, w_in=tau_syn_s / DT_S
    )
    uneven = reflexarc.LIF(
        tau_s=reflexarc.Uniform(5e-3, 20e-3),
        v_threshold=reflexarc.Uniform(0.5, 1.5),
        v_leak=reflexarc.Uniform(-0.2, 0.2),
    )
    return {
        "snntorch/two_layers": layers(scaled, 0.3),
        "snntorch/current_based": layers(cuba, 0.006),
        "norse/two_layers": layers(lif, 60.0),
        "norse/current_based": layers(cuba, 0.006),
        "norse/uneven": layers(uneven, 60.0),
        "norse/recurrent": recurrent(cuba, 0.02),
    }


def layers(model: Any, weight: float) -> Any:
    """Input -> sparse -> neurons -> dense -> neurons."""
    import reflexarc

    net = reflexarc.Builder(seed=1)
    lines = net.input("input", LINES)
    first = net.population("first", CELLS, model)
    second = net.population("second", CELLS, model)
    spread = reflexarc.Lognormal(weight, 0.5)
    net.project(lines, first, reflexarc.FixedIndegree(5), weight=spread, name="sparse")
    matrix = weight * np.random.default_rng(1).random((CELLS, CELLS), np.float32) / 2
    net.linear(first, second, matrix, name="dense")
    net.output("output", second)
    return net.build(mode="clocked", dt_s=DT_S)


def recurrent(model: Any, weight: float) -> Any:
    """Input -> sparse -> neurons that inhibit each other."""
    import reflexarc

    net = reflexarc.Builder(seed=2)
    lines = net.input("input", LINES)
    cells = net.population("cells", CELLS, model)
    net.project(lines, cells, reflexarc.FixedIndegree(5), weight=weight, name="sparse")
    inhibit = reflexarc.Probability(0.3)
    net.project(cells, cells, inhibit, weight=-weight / 2, name="inhibition")
    net.output("output", cells)
    return net.build(mode="clocked", dt_s=DT_S)


def prepare(folder: Path) -> None:
    """Save every network, the spikes that go in and those that our run of the file gives."""
    import reflexarc

    raster = (np.random.default_rng(7).random((STEPS, LINES)) < 0.15).astype(np.float32)
    for name, network in networks().items():
        simulator, _, kind = name.partition("/")
        path = folder / f"{simulator}-{kind}.nir"
        reflexarc.save(network, path)
        loaded = reflexarc.load(path, mode="clocked", dt_s=DT_S, dialect=simulator)
        run = reflexarc.simulate(loaded, {"input": raster})
        np.savez(path.with_suffix(".npz"), input=raster, output=run.outputs["output"])


# The other side: nothing below imports reflexarc.


def compare(folder: Path) -> dict[str, Any]:
    """Spikes and differing cells of every file in `folder` under its simulator."""
    import nir

    figures: dict[str, Any] = {"versions": versions()}
    for path in sorted(folder.glob("*.nir")):
        simulator, _, kind = path.stem.partition("-")
        with np.load(path.with_suffix(".npz")) as arrays:
            given, wanted = arrays["input"], arrays["output"]
        with contextlib.redirect_stdout(io.StringIO()):  # the importers talk
            found = RUNS[simulator](nir.read(path), given)
        figures[f"{simulator}/{kind}"] = {
            "spikes": int(wanted.sum()),
            "cells": int(wanted.size),
            "differ": int((found != wanted).sum()),
        }
    return figures


def versions() -> dict[str, str]:
    """What is compared with."""
    from importlib.metadata import version

    return {name: version(name) for name in ("nir", "nirtorch", "snntorch", "norse", "torch")}


def run_snntorch(graph: Any, raster: np.ndarray) -> np.ndarray:
    """SnnTorch's importer keeps the state in the layers."""
    import torch
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    net = import_from_nir(graph)
    utils.reset(net)
    state, shown = None, []
    with torch.no_grad():
        for row in raster:
            out, state = net(torch.tensor(row)[None], state)
            shown.append(out[0].numpy())
    return np.array(shown)


def run_norse(graph: Any, raster: np.ndarray) -> np.ndarray:
    """Norse's importer hands the state from step to step."""
    import torch
    from norse.torch import from_nir

    net = from_nir(graph, ignore_warnings=True, dt=DT_S)
    state, shown = None, []
    with torch.no_grad():
        for row in raster:
            out, state = net(torch.tensor(row)[None], state)
            shown.append(out[0].numpy())
    return np.array(shown)


RUNS = {"snntorch": run_snntorch, "norse": run_norse}


def main() -> None:
    """Make the files here and compare them where the simulators are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="of the simulators' environment")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(compare(args.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        subprocess.run([args.python, __file__, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
