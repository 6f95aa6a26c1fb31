"""How far every reference in ../shared/nir is reproduced: a table, --json or --markdown.

    python benchmarks/conformance.py [--json | --markdown] [--material FOLDER]

Clocked items count the cells that differ from a simulator's own output; exact items give the
largest error of a spike time in seconds. Rates that no clocked rule can reproduce are compared by
the cosine of their angle, as the NIR paper does, and have no bound.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reflexarc

MATERIAL = Path(__file__).resolve().parents[2] / "shared/nir"
DT_S = 1e-4


@dataclass(frozen=True, kw_only=True)
class Item:
    """One comparison. `measure` returns the figure, which must not exceed `allowed` (None: any)."""

    name: str
    mode: str
    dialect: str
    unit: str
    measure: Callable[[], float]
    allowed: float | None = 0.0


def items(material: Path = MATERIAL) -> Iterator[Item]:
    """Every comparison there is."""
    yield from _outputs(material)
    yield from _published_rasters(material)
    yield from _published_traces(material)
    yield from _published_rates(material)
    yield _exact_trace(material)
    yield from _exported(material)
    yield from _analytic(material)
    yield from _ops(material)


def _cells(name: str, dialect: str, measure: Callable[[], float]) -> Item:
    return Item(name=name, mode="clocked", dialect=dialect, unit="cells", measure=measure)


def raster_difference(
    graph: Path,
    dialect: str,
    raster: np.ndarray,
    reference: np.ndarray,
    layer: str | None = None,
    dt_s: float = DT_S,
) -> int:
    """Cells in which the output, or the spikes of `layer`, differ from `reference`."""
    network = reflexarc.load(graph)
    name = network.inputs()[0].name
    options = {"mode": "clocked", "dialect": dialect, "dt_s": dt_s}
    if layer is None:
        run = reflexarc.simulate(network, {name: raster}, **options)
        found = run.outputs[network.outputs()[0].name]
    else:
        found = layer_raster(network, {name: raster}, layer, options)
    return int(np.sum(found != reference.reshape(found.shape)))


def layer_raster(
    network: reflexarc.Network, inputs: dict[str, np.ndarray], layer: str, options: dict[str, Any]
) -> np.ndarray:
    """Spikes of an inner layer in every step, shape (steps, neurons)."""
    run = reflexarc.simulate(network, inputs, record=[layer], **options)
    (raster,) = inputs.values()
    found = np.zeros((len(raster), network.nodes[layer].size))
    spikes = run.spikes[layer]
    np.add.at(found, (np.rint(spikes.t_s / options["dt_s"]).astype(int), spikes.i), 1)
    return found


def _raster_item(
    graph: Path, reference: str, dialect: str, data: Any, key: str, layer: str | None = None
) -> Item:
    def measure() -> float:
        return raster_difference(graph, dialect, data["input"], data[key], layer)

    return _cells(f"{reference}:{key}", dialect, measure)


#: Which dialect each array of outputs/*.npz follows.
_DIALECT_OF = {
    "norse_zero": "norse",
    "norse_subtract": "norse_subtract",
    "ref_zero": "snntorch",
    "ref_subtract": "euler_subtract",
    "norse": "norse",
    "snntorch": "snntorch",
    "spikingjelly": "spikingjelly",
    "lif1_norse": "norse",
}


def _outputs(material: Path) -> Iterator[Item]:
    for path in sorted((material / "outputs").glob("*.npz")):
        graph = material / "graphs" / f"{path.name.split('__')[0]}.nir"
        data = np.load(path)
        for key in sorted(set(data) - {"input", "meta", "v_norse"}):
            kind, rule = key.split("_", 1)
            layer = {"hid": "lif1.lif", "z": "lif1"}.get(kind)
            yield _raster_item(graph, f"outputs/{path.name}", _DIALECT_OF[rule], data, key, layer)


def _published_rasters(material: Path) -> Iterator[Item]:
    graph = material / "graphs/braille_noDelay_bias_zero.nir"
    data = {"input": np.load(material / "published/braille_sample0_input.npy")}
    dialects = {name: name for name in ("norse", "snntorch")}
    dialects |= {name: f"{name}_2023" for name in ("spyx", "nengo")}
    for name, dialect in dialects.items():
        key = f"{name}_activity_noDelay_bias_zero.npy"
        data[key] = np.load(material / "published" / key)
        yield _raster_item(graph, "published", dialect, data, key, "lif1.lif")


#: Of published/lif_*.csv: graph, dialect, factor of the input (sinabs and rockpool were given
#: spikes of dt/tau), and in which units v was written down; None: it is not the v of the rule.
_TRACES = {
    "norse": ("lif_norse", "norse", 1.0, 1.0),
    "snntorch": ("lif_norse", "snntorch", 1.0, 25.0),
    "spinnaker2": ("lif_norse", "norse", 1.0, None),
    "nengo": ("lif_norse", "nengo_lif", 1.0, 10.0),
    "lava_cpu_float": ("lif_norse", "lava_float", 1.0, 1.0),
    "spyx": ("lif_norse", "spyx_2023", 1.0, None),
    "sinabs": ("lif_norse", "sinabs", 0.04, 1.0),
    "rockpool": ("lif_rockpool", "rockpool", 1.0, 1.0),
}


def _published_traces(material: Path) -> Iterator[Item]:
    for name, (graph, dialect, factor, unit) in _TRACES.items():
        path, file = material / f"published/lif_{name}.csv", material / f"graphs/{graph}.nir"
        columns = np.loadtxt(path, delimiter=",")
        raster, volts, spikes = (columns[:, :1] != 0) * factor, columns[:, 1], columns[:, 2:]
        given = (file, dialect, raster)
        yield _cells(
            f"published/{path.name}:spikes",
            dialect,
            lambda given=given, spikes=spikes: raster_difference(*given, spikes),
        )
        if unit is not None:
            # The columns hold what float32 has of a voltage.
            yield Item(
                name=f"published/{path.name}:v",
                mode="clocked",
                dialect=dialect,
                unit="V",
                allowed=2**-23 * unit,
                measure=lambda given=given, volts=volts, unit=unit: (
                    _trace_error(*given, volts / unit) * unit
                ),
            )


def _trace_error(graph: Path, dialect: str, raster: np.ndarray, volts: np.ndarray) -> float:
    """Largest error of the voltage at the end of each step."""
    network = reflexarc.load(graph)
    (layer,) = _layers(network)
    ends = {layer: DT_S * np.arange(1, len(raster) + 1)}
    inputs = {network.inputs()[0].name: raster}
    run = reflexarc.simulate(
        network, inputs, mode="clocked", dialect=dialect, dt_s=DT_S, probes=ends
    )
    return float(np.abs(run.probes[layer][:, 0] - volts).max())


def _layers(network: reflexarc.Network) -> list[str]:
    return [name for name, node in network.nodes.items() if hasattr(node, "parameters")]


def _published_rates(material: Path) -> Iterator[Item]:
    raster = np.load(material / "published/braille_sample0_input.npy")
    for name, dialect in (("s2", "snntorch"), ("lava", "lava_float")):
        path = material / f"published/{name}_activity_noDelay_bias_zero.npy"

        def measure(path: Path = path, dialect: str = dialect) -> float:
            network = reflexarc.load(material / "graphs/braille_noDelay_bias_zero.nir")
            options = {"mode": "clocked", "dialect": dialect, "dt_s": DT_S}
            found = layer_raster(network, {"input": raster}, "lif1.lif", options)
            reference = np.load(path)
            rates = reference.mean(0 if len(reference) == len(raster) else 1)
            lengths = np.linalg.norm(rates) * np.linalg.norm(found.mean(0))
            return float(1 - rates @ found.mean(0) / lengths)

        yield Item(
            name=f"published:{path.name}",
            mode="clocked",
            dialect=dialect,
            unit="1 - cos",
            measure=measure,
            allowed=None,
        )


def _exact_trace(material: Path) -> Item:
    """The paper's exact solution: a spike is a current of 1 for 1e-4 s."""
    columns = np.loadtxt(material / "published/lif_exact.csv", delimiter=",")

    def measure() -> float:
        network = reflexarc.load(material / "graphs/lif_norse.nir")
        (layer,), (port,) = _layers(network), network.outputs()
        pulses = [
            reflexarc.StepCurrent(k * DT_S, (k + 1) * DT_S, 0, 1.0)
            for k in np.flatnonzero(columns[:, 0])
        ]
        ends = {layer: DT_S * np.arange(1, len(columns) + 1)}
        run = reflexarc.simulate(network, {"input": pulses}, 0.1, mode="exact", probes=ends)
        steps = np.floor(run.spikes[port.name].t_s / DT_S)
        if not np.array_equal(steps, np.flatnonzero(columns[:, 2])):
            return float("inf")
        return float(np.abs(run.probes[layer][:, 0] - columns[:, 1]).max())

    return Item(
        name="published/lif_exact.csv",
        mode="exact",
        dialect="",
        unit="V",
        measure=measure,
        allowed=1e-8,  # of the integrator that wrote it
    )


def _exported(material: Path) -> Iterator[Item]:
    dialects = {
        "snntorch_leaky_ff": ("snntorch", DT_S),
        "spikingjelly_lif_if": ("spikingjelly", DT_S),
        "sinabs_conv1d": ("sinabs", 1.0),
    }
    for name, (dialect, dt_s) in dialects.items():
        graph, data = material / f"exported/{name}.nir", np.load(material / f"exported/{name}.npz")

        def cells(
            graph: Path = graph, dialect: str = dialect, data: Any = data, dt_s: float = dt_s
        ) -> float:
            return raster_difference(graph, dialect, data["input"], data["out"], dt_s=dt_s)

        yield _cells(f"exported/{name}", dialect, cells)
    yield Item(
        name="exported/norse_lifbox_libox",
        mode="clocked",
        dialect="norse",
        unit="V",
        measure=lambda: _norse_voltages(material),
        allowed=1e-5,
    )


def _norse_voltages(material: Path) -> float:
    # Norse's exporter multiplied tau by dt = 1e-3.
    network = reflexarc.load(material / "exported/norse_lifbox_libox.nir", dialect="norse")
    data = np.load(material / "exported/norse_lifbox_libox.npz")
    run = reflexarc.simulate(network, {"input": data["input"]}, mode="clocked", dt_s=1e-6)
    return float(np.abs(run.outputs["output"] - data["out"]).max())


def _analytic(material: Path) -> Iterator[Item]:
    listed = json.loads((material / "analytic/cases.json").read_text())
    for case in listed["cases"]:
        yield Item(
            name=f"analytic/{case['name']}",
            mode="exact",
            dialect="",
            unit="s",
            allowed=1e-9,
            measure=lambda case=case: _case_error(material, case),
        )
    for net in listed["nets"]:
        yield Item(
            name=f"analytic/{net['name']}",
            mode="exact",
            dialect="",
            unit="s",
            allowed=1e-9,
            measure=lambda net=net: _net_error(material, net),
        )


def _drives(inputs: list[dict[str, Any]]) -> list[Any]:
    steps = [
        reflexarc.StepCurrent(entry["t0"], entry["t1"], 0, entry["amp"])
        for entry in inputs
        if entry["type"] == "step"
    ]
    diracs = [entry for entry in inputs if entry["type"] == "dirac"]
    areas = [entry["area"] for entry in diracs]
    return [*steps, reflexarc.Spikes([e["t"] for e in diracs], [0] * len(diracs), areas)]


def _case_error(material: Path, case: dict[str, Any]) -> float:
    network = reflexarc.load(material / f"analytic/{case['name']}.nir")
    layer = next(name for name in network.nodes if name not in ("input", "output"))
    run = reflexarc.simulate(
        network,
        {"input": _drives(case["inputs"])},
        case["t_end"],
        mode="exact",
        probes={layer: sorted(probe["t"] for probe in case["probes"])},
    )
    volts = [probe["v"] for probe in sorted(case["probes"], key=lambda probe: probe["t"])]
    error = np.abs(run.probes[layer][:, 0] - volts).max(initial=0.0)
    if "output" not in run.spikes:
        return float(error)
    return max(float(error), _time_error(run.spikes["output"], case["expected_spike_times"]))


def _net_error(material: Path, net: dict[str, Any]) -> float:
    network = reflexarc.load(
        material / f"analytic/{net['name']}.nir", spike_area=net["connections"][0]["spike_area"]
    )
    inputs = {f"in_{name}": _drives(given) for name, given in net["external_inputs"].items()}
    run = reflexarc.simulate(network, inputs, net["t_end"], mode="exact")
    expected = net["expected_spike_times"]
    return max(_time_error(run.spikes[f"out_{name}"], times) for name, times in expected.items())


def _time_error(spikes: Any, expected_s: list[float]) -> float:
    """Largest error in seconds; infinite when the count is wrong."""
    if len(spikes.t_s) != len(expected_s):
        return float("inf")
    return float(np.abs(spikes.t_s - expected_s).max(initial=0.0))


def _ops(material: Path) -> Iterator[Item]:
    for path in sorted((material / "ops").glob("*.npz")):
        y = np.load(path)["y"].reshape(1, -1)
        single = bool(np.all(y.astype(np.float32) == y))

        def measure(path: Path = path, y: np.ndarray = y) -> float:
            network, x = reflexarc.load(path.with_suffix(".nir")), np.load(path)["x"]
            (source,), (port,) = network.inputs(), network.outputs()
            run = reflexarc.simulate(network, {source.name: x[None]}, mode="clocked")
            return float(np.abs(run.outputs[port.name] - y).max())

        yield Item(
            name=f"ops/{path.stem}",
            mode="clocked",
            dialect="",
            unit="abs",
            measure=measure,
            # Some references were computed in float32.
            allowed=2**-23 * max(1.0, np.abs(y).max()) if single else 1e-12,
        )


def results(material: Path) -> Iterator[dict[str, Any]]:
    """A row for each item: the figure, or why there is none."""
    for item in items(material):
        row = {key: value for key, value in asdict(item).items() if key != "measure"}
        try:
            figure = item.measure()
            within = None if item.allowed is None else bool(figure <= item.allowed)
            yield {**row, "figure": figure, "ok": within}
        except reflexarc.UnsupportedError as error:
            yield {**row, "figure": None, "ok": None, "reason": str(error)}


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows as lines of plain text."""
    verdicts = {True: "ok", False: "DIFFERS", None: "-"}
    for row in rows:
        verdict = verdicts[row["ok"]]
        yield f"{verdict:8}{row['mode']:8} {row['dialect']:16} {_figure(row):18} {row['name']}"


#: What the material holds and no item compares, and why.
NOT_COMPARED = """\
- `published/lif_lava_cpu_fixed.csv`, `lif_lava_loihi_fixed.csv`: fixed point, which no dialect is.
  The same holds for the rates without a bound above, and for the voltages of
  `published/lif_spinnaker2.csv`.
- The voltages of `published/lif_spyx.csv` are those before the reset.
"""


def markdown(rows: list[dict[str, Any]]) -> Iterator[str]:
    """docs/conformance.md, line by line."""
    counts = [sum(row["ok"] is verdict for row in rows) for verdict in (True, False, None)]
    yield "# Conformance"
    yield ""
    yield "Written by `python benchmarks/conformance.py --markdown > docs/conformance.md`."
    yield "Rasters count the cells that differ from a simulator's own; exact items give the largest"
    yield "error of a spike time (s) or a probed voltage; all else the largest error."
    yield ""
    yield f"Of {len(rows)} items {counts[0]} are within what is allowed, {counts[1]} differ, and"
    yield f"{counts[2]} have no bound."
    yield ""
    yield "| item | mode | dialect | figure | allowed | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        verdict = {True: "ok", False: "**differs**", None: "-"}[row["ok"]]
        allowed = "-" if row["allowed"] is None else f"{row['allowed']:.2g}"
        yield (
            f"| {row['name']} | {row['mode']} | {row['dialect'] or '-'} | {_figure(row)} | "
            f"{allowed} | {verdict} |"
        )
    yield ""
    yield "## Not compared"
    yield ""
    yield from NOT_COMPARED.splitlines()


def _figure(row: dict[str, Any]) -> str:
    return "refused" if row["figure"] is None else f"{row['figure']:.2g} {row['unit']}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--markdown", action="store_true", help="docs/conformance.md")
    parser.add_argument("--material", type=Path, default=MATERIAL, help="folder shared/nir")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # old files are meant to warn
    rows = list(results(options.material))
    if options.json:
        print(json.dumps({"items": rows}))
        return
    print("\n".join(markdown(rows) if options.markdown else table(rows)))


if __name__ == "__main__":
    main()
