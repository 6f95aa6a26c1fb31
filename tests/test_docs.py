"""The pages in docs/: their code is run here, and their tables are compared with the code."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from reflexarc.runtime.config import parse_yaml
from reflexarc.runtime.keys import LinkSpec
from reflexarc.runtime.network import RECEPTORS
from reflexarc.runtime.neurons import NeuronModel
from reflexarc.runtime.plasticity import own_rules
from reflexarc.sensors.encoders import EncoderSpec, make_encoder
from reflexarc.sensors.eventfilter import EventFilterSpec
from reflexarc.sensors.formats import ENDINGS
from reflexarc.sensors.pixels import PRESETS, PixelSpec
from reflexarc.sensors.pooling import PooledPixels, PooledPixelsSpec

DOCS = Path(__file__).parents[1] / "docs"
if not DOCS.exists():
    pytest.skip("the docs are not here: tests run away from the checkout", allow_module_level=True)


def test_all_code_of_building_by_hand_works(run_block):
    text = (DOCS / "building.md").read_text()
    blocks = re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.S)
    assert len(blocks) >= 5
    for language, code in blocks:
        shown = run_block(language, code, "-P", "-W", "error")
        assert not re.search(r"^(0\.?0? spikes|False)", shown, flags=re.M), shown


def test_ordered_faults_are_as_the_page_says(run_block):
    (code,) = re.findall(r"```sh\n(.*?)```", (DOCS / "faults.md").read_text(), flags=re.S)
    shown = run_block("sh", code)
    assert "every fault is accounted for" in shown
    assert "identical" in shown


def test_keys_are_made_as_the_page_says(run_block, tmp_path):
    (code,) = re.findall(r"```sh\n(.*?)```", (DOCS / "keys.md").read_text(), flags=re.S)
    run_block("sh", code)
    names = {"world.public", "world.secret", "loop.public", "loop.secret"}
    assert {path.name for path in tmp_path.iterdir()} == names
    text = re.search(r"```yaml\n(.*?)```", (DOCS / "keys.md").read_text(), flags=re.S).group(1)
    world = parse_yaml(text, "keys.md").data["world"]
    assert LinkSpec.model_validate(world["link"]).allow == ["world.public"]


def test_the_first_network_takes_ten_lines():
    text = (DOCS / "building.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, flags=re.S).group(1)
    lines = [line for line in code.splitlines() if line and not line.startswith("import ")]
    assert len(lines) <= 10


def rows(heading):
    """Cells of the first table under a heading, by the first cell."""
    text = (DOCS / "neurons.md").read_text()
    table = text[text.index(heading) :]
    lines = re.findall(r"^\| `.*$", table[: table.index("\n\n", table.index("|---"))], re.M)
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_kind_is_described_with_its_receptors():
    described = rows("**I** is")
    assert set(described) == {model.kind for model in NeuronModel.__subclasses__()}
    for kind, cells in described.items():
        told = [] if cells[-1] == "none" else cells[-1].split(", ")
        assert tuple(told) == RECEPTORS[kind]


def test_every_parameter_is_listed_with_its_default():
    listed = rows("## Parameters")
    for model in NeuronModel.__subclasses__():
        wanted = [f"`{f.name}` {f.default:g}" for f in dataclasses.fields(model)]
        assert listed[model.kind][0].split(", ") == wanted


def test_all_code_of_learning_works(run_block):
    text = (DOCS / "plasticity.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    shown = run_block("python", f"{first}\n{second}", "-P", "-W", "error")
    spikes, updates = re.search(r"(\d+) spikes, (\d+) weight updates", shown).groups()
    assert int(spikes) > 10
    assert int(updates) > 1000
    low, high = re.search(r"weights from (\S+) to (\S+)", shown).groups()
    assert float(low) < 0.4 < float(high)


def test_the_yaml_of_learning_is_the_network_of_learning():
    text = (DOCS / "plasticity.md").read_text()
    declared = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, flags=re.S)[1])
    for rule in declared["plasticity"]["hidden_to_motor"]:
        own_rules()[rule["rule"]].model_validate(rule)


def test_every_rule_is_listed_with_its_parameters():
    text = (DOCS / "plasticity.md").read_text()
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")]
             for line in re.findall(r"^\| `.*$", text, re.M)]  # fmt: skip
    listed = {cells[0].strip("`"): cells for cells in lines}
    assert set(listed) == set(own_rules())
    for name, rule in own_rules().items():
        _, _, places, exact, parameters = listed[name]
        assert places.split(", ") == sorted(rule.places)
        assert exact == ("no" if rule.clocked_only else "yes")
        keys = [key for key in rule.model_fields if key not in COMMON]
        assert re.findall(r"`(\w+)`", parameters) == keys
        for key, default in re.findall(r"`(\w+)` ([^,]+)", parameters):
            assert str(rule.model_fields[key].default) in (default, str(float_of(default)))


#: Keys that every rule, or every rule of spikes, has.
COMMON = ("rule", "w_min", "w_max", "sign", "frozen", "precision", "dendritic_delay_s")


def float_of(text):
    try:
        return float(text)
    except ValueError:
        return text


def test_sensors_by_name_are_those_of_the_code():
    text = (DOCS / "event-camera.md").read_text()
    listed = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (\S+) \| (?:published|estimate) \| (.+) \|$", text, re.M
    )
    shown = {(preset, key): float(value) for preset, key, value, _ in listed}
    assert len(shown) == len(listed)
    assert shown == {
        (preset, key): value for preset, said in PRESETS.items() for key, value in said.items()
    }


def test_the_line_of_yaml_about_pixels_is_right():
    text = (DOCS / "event-camera.md").read_text()
    said = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
    spec = parse_yaml(said, "event-camera.md").validate(PixelSpec, ("pixels",))
    assert (spec.preset, spec.cutoff_hz) == ("davis346", 100.0)


def test_the_camera_of_the_page_about_cameras_is_right():
    pytest.importorskip("pybullet", reason="PyBullet is not installed")
    from reflexarc.scenarios.pole_balance.world import CameraConfig
    from reflexarc.sensors.adaptive_camera import ShutterSpec

    text = (DOCS / "event-camera.md").read_text()
    said = re.findall(r"```yaml\n(.*?)```", text, re.S)[1]
    camera = parse_yaml(said, "event-camera.md").validate(CameraConfig, ("camera",))
    assert (camera.width, camera.samples) == (128, "edges")
    assert camera.shutter == ShutterSpec()


def test_the_filter_of_the_page_about_recordings_is_right():
    text = (DOCS / "recordings.md").read_text()
    said = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
    spec = parse_yaml(said, "recordings.md").validate(PooledPixelsSpec)
    assert PooledPixels(spec, spec.lines).size == 2 * 32 * 32


def test_every_ending_that_is_read_is_listed():
    text = (DOCS / "recordings.md").read_text()
    assert set(ENDINGS) <= set(re.findall(r"`(\.\w+)`", text))


def test_every_encoder_is_listed_with_its_keys():
    text = (DOCS / "encoders.md").read_text()
    listed = {
        name: re.findall(r"`(\w+)`", keys)
        for name, keys in re.findall(r"^\| `(\w+)` \| (`[^|]*) \|.*\|.*\|.*\|$", text, re.M)
    }
    own = {spec.model_fields["kind"].annotation: spec for spec in typing.get_args(EncoderSpec)}
    common = ("kind", "stream", "port", "width", "height", "filter")
    assert listed == {
        typing.get_args(kind)[0]: [key for key in spec.model_fields if key not in common]
        for kind, spec in own.items()
    }
    assert all(spec.__doc__ for spec in own.values())


def test_every_key_of_the_filter_is_listed():
    text = (DOCS / "encoders.md").read_text()
    part = text[text.index("## Filters") : text.index("## Optic flow")]
    assert re.findall(r"^\| `(\w+)`", part, re.M) == list(EventFilterSpec.model_fields)


def test_the_encoders_of_the_page_about_them_are_right():
    text = (DOCS / "encoders.md").read_text()
    said = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S).group(1))
    flow, rate = (TypeAdapter(EncoderSpec).validate_python(item) for item in said["encoders"])
    assert make_encoder(flow, flow.lines).size == 4 * 3 * 7 * 5
    assert make_encoder(rate, 2).size == 2


def test_the_driver_of_live_cameras_that_is_shown_keeps_the_contract(run_block):
    code = re.search(r"```python\n(.*?)```", (DOCS / "live.md").read_text(), flags=re.S).group(1)
    code += "\nTestMyCameras().test_losses_are_counted()\nprint('kept')"
    assert run_block("python", code, "-P", "-W", "error") == "kept\n"
