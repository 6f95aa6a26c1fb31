"""The command line: `reflexarc VERB`. Every verb is a few lines over the module that does it.

Exit codes: 0 done; 1 a replay differs, the other end of the bus went away, or the disk is full;
2 configuration; 3 the daemon runs already; 4 real time refused; 5 safety stop; 70 a bug in the
daemon; 130 interrupted (Ctrl-C or SIGTERM).
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from reflexarc.runtime.daemoncli import daemon_app
from reflexarc.runtime.errors import ReflexarcError

if TYPE_CHECKING:
    from reflexarc.runtime.compare import Comparison
    from reflexarc.runtime.diverge import Divergence
    from reflexarc.runtime.tune import Tuning
    from reflexarc.sensors.camera import Camera, Listed
    from reflexarc.sensors.fakecamera import FakeCameras

app = typer.Typer(
    name="reflexarc",
    help="A real-time closed-loop robotics runtime on spiking neural networks.",
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
To = Annotated[
    str, typer.Option(help="the running scenario, or a .yaml that says where it is and its keys")
]
attach_app = typer.Typer(
    help="Feed a live stream into a running loop.", invoke_without_command=True
)
app.add_typer(attach_app, name="attach")
app.add_typer(daemon_app)

ScenarioName = Annotated[str, typer.Argument(metavar="NAME", help="a shipped scenario, or a path")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="change one value of the scenario"),
]
Topic = Annotated[str | None, typer.Option(help="of a bag of ROS with several of events")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]


def main() -> None:
    """Run the command; a deliberate error is one line on standard error and an exit code."""
    warnings.formatwarning = _one_line
    # A tick's matrices are small: handing them to other cores costs more than it gains.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.argv[1:2] != ["daemon"]:  # which looks after itself, see reflexarc.__main__
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)  # 130 where Typer has met Ctrl-C
    except ReflexarcError as error:
        _fail(str(error), error.exit_code)
    except TyperException as error:
        _fail(f"{_message(error)}; see 'reflexarc --help'", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        _fail("interrupted", 130)
    gc.freeze()  # nothing that is left needs to be searched for cycles: the end is quicker
    sys.exit(code if isinstance(code, int) else 0)


@app.callback()
@attach_app.callback()
def _begin(context: typer.Context) -> None:
    from reflexarc.runtime.doctor import require_compiled

    if context.invoked_subcommand is None:
        print(context.get_help())
    elif context.invoked_subcommand != "doctor":
        require_compiled()


@app.command()
def run(
    name: ScenarioName,
    seconds: Annotated[float | None, typer.Option(help="simulated seconds")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of every random number")] = None,
    mode: Annotated[str | None, typer.Option(help="lockstep or wall")] = None,
    learning: Annotated[str | None, typer.Option(help="on or off")] = None,
    settings: Settings = None,
    record: Annotated[Path | None, typer.Option(help="where the recording goes")] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for the report (default: in runs/)")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="never open a window")] = False,
    together: Annotated[
        bool, typer.Option("--compare", help="network learning, frozen and baselines, many seeds")
    ] = False,
    seeds: Annotated[int, typer.Option(help="with --compare: how many, from --seed on")] = 10,
    as_json: Json = False,
) -> int:
    """Run a scenario: the network and its baselines, then a report."""
    if together:
        if record is not None or learning is not None:
            raise typer.BadParameter("--compare records nothing and runs learning on and off")
        flags = _flags(seconds=seconds, mode=mode)
        return _compare(name, [*(settings or []), *flags], seed, seeds, out, as_json)
    from reflexarc.runtime.launch import default_out, launch, window_settings
    from reflexarc.runtime.progress import progress_on
    from reflexarc.runtime.scenario import Scenario

    flags = _flags(seconds=seconds, seed=seed, mode=mode, learning=learning)
    scenario = Scenario.load(name, [*(settings or []), *flags])
    if not (headless or as_json):  # the window of PyBullet talks on standard output
        scenario = Scenario.load(name, [*(settings or []), *flags, *window_settings(scenario)])
    folder = out or default_out(scenario.spec.name)
    summary = launch(scenario, folder, progress_on(sys.stderr if as_json else sys.stdout), record)
    if as_json:
        print(summary.model_dump_json())
    else:
        for line in summary.lines():
            print(line)
    return summary.exit_code


def _compare(
    name: str, settings: list[str], seed: int | None, seeds: int, out: Path | None, as_json: bool
) -> int:
    from reflexarc.runtime.compare import compare, write_comparison
    from reflexarc.runtime.files import made
    from reflexarc.runtime.launch import default_out
    from reflexarc.runtime.scenario import Scenario

    if seeds < 1:
        raise typer.BadParameter(f"--seeds must be 1 or more, not {seeds}")
    scenario = Scenario.load(name, settings)
    first = scenario.spec.seed if seed is None else seed
    folder = out or default_out(scenario.spec.name)
    with made(folder):
        found = compare(name, settings, range(first, first + seeds), _teller(as_json))
        files = write_comparison(found, folder)
    _show(found, files, as_json)
    return 0


def _teller(as_json: bool) -> Callable[[str], None]:
    """Says how a search or a comparison goes: beside the result, if that is JSON."""
    stream = sys.stderr if as_json else sys.stdout
    return lambda line: print(line, file=stream, flush=True)


def _show(
    found: Comparison | Tuning | Divergence, files: Mapping[str, Path], as_json: bool
) -> None:
    """A result of many runs, and for people where its files are."""
    if as_json:
        print(found.model_dump_json())
        return
    for line in [*found.lines(), *(f"  {what:<12} {path}" for what, path in files.items())]:
        print(line)


@app.command()
def tune(
    name: ScenarioName,
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="which of its baselines")],
    tries: Annotated[int, typer.Option(help="how many settings to try")] = 200,
    seeds: Annotated[int, typer.Option(help="on how many worlds each is tried")] = 4,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for the search (default: in runs/)")
    ] = None,
    as_json: Json = False,
) -> int:
    """Tune a baseline again, and show the search, so that it is as strong as it can be."""
    from reflexarc.runtime.files import made
    from reflexarc.runtime.launch import default_out
    from reflexarc.runtime.tune import tune as search
    from reflexarc.runtime.tune import write_tuning

    if tries < 1 or seeds < 1:
        raise typer.BadParameter("--tries and --seeds must be 1 or more")
    folder = out or default_out(f"{Path(name).name}-{baseline}")
    with made(folder):
        found = search(name, baseline, settings or [], tries, seeds, _teller(as_json))
        files = write_tuning(found, folder)
    _show(found, files, as_json)
    return 0


@app.command()
def scenarios(as_json: Json = False) -> None:
    """List the shipped scenarios."""
    from reflexarc.runtime.config import read_yaml
    from reflexarc.runtime.scenario import shipped

    found = {name: read_yaml(path).data["summary"] for name, path in shipped().items()}
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, text in found.items():
        print(f"{name:<{width}}  {text}")


@app.command()
def show(name: ScenarioName, settings: Settings = None, as_json: Json = False) -> None:
    """Print a scenario's resolved configuration: every key, defaults filled in."""
    import yaml

    from reflexarc.runtime.scenario import Scenario

    resolved = Scenario.load(name, settings or []).resolved()
    print(json.dumps(resolved) if as_json else yaml.safe_dump(resolved, sort_keys=False).rstrip())


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a graph .nir or a sidecar .yaml")],
    rate: Annotated[float, typer.Option(help="spikes a second of every element")] = 10.0,
    dt: Annotated[float | None, typer.Option(help="clock step to judge by, in seconds")] = None,
    picture: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", help="draw the graph: .png or .svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a network is: its graph, sizes, memory, expected work, and what looks wrong."""
    from reflexarc.runtime.inspection import console, inspect_file, show

    network, found = inspect_file(file, rate_hz=rate, dt_s=dt)
    if picture is not None:
        from reflexarc.runtime.drawing import draw

        draw(network, picture)
    if as_json:
        print(found.model_dump_json())
    else:
        show(found, console())


@app.command()
def events(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="events of a camera, or a run.mcap")],
    picture: Annotated[
        Path | None, typer.Option("--png", metavar="OUT", help="draw pixels and rate")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="pixels of the sensor, if the file is silent")
    ] = None,
    stream: Annotated[str, typer.Option(help="the stream of an .mcap")] = "camera",
    topic: Topic = None,
    as_json: Json = False,
) -> None:
    """Say what is in a recording of an event camera: kind, counts, times, rate."""
    from reflexarc.runtime.eventfile import read_event_file

    found = read_event_file(file, size=_size(size), stream=stream, topic=topic)
    if picture is not None:
        found.draw(picture)
    print(json.dumps(found.facts()) if as_json else found.text())


@app.command()
def doctor(as_json: Json = False) -> int:
    """Say what this machine can and cannot do, and how to mend it."""
    from reflexarc.runtime.doctor import examine

    findings = examine()
    able = all(finding.ok or not finding.needed for finding in findings)
    if as_json:
        print(json.dumps({"ok": able, "findings": [finding.model_dump() for finding in findings]}))
    else:
        for finding in findings:
            print(finding.line())
    return 0 if able else 1


@app.command()
def world(
    name: ScenarioName,
    seed: Annotated[int | None, typer.Option(help="seed of every random number")] = None,
    mode: Annotated[str | None, typer.Option(help="lockstep or wall")] = None,
    settings: Settings = None,
    endpoint: Annotated[str | None, typer.Option(help="ipc://PATH or tcp://127.0.0.1:PORT")] = None,
    once: Annotated[bool, typer.Option("--once", help="end with the first loop")] = False,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve a scenario's world over the bus, for `reflexarc run --set world.process=served`."""
    from reflexarc.runtime.plants import serve
    from reflexarc.runtime.scenario import Scenario

    flags = _flags(seed=seed, mode=mode)
    serve(Scenario.load(name, [*(settings or []), *flags]), endpoint, once, _tell, parent)


@attach_app.command("recording")
def attach_recording(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="events of a camera, or a run.mcap")],
    to: To = "gaze",
    stream: Annotated[str, typer.Option(help="the stream it feeds")] = "camera",
    speed: Annotated[str, typer.Option(help="times real time, or max")] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="begin again at the end")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="pixels of the sensor, if the file is silent")
    ] = None,
    topic: Topic = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for the loop to start")] = 0.0,
    as_json: Json = False,
) -> None:
    """Play a recording into a running loop as if it were live."""
    from reflexarc.runtime.attach import attach_recording as feed

    fed = feed(
        file,
        loop=to,
        stream=stream,
        speed=_speed(speed),
        repeat=loop,
        size=_size(size),
        topic=topic,
        patience_s=wait,
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(fed)))
    else:
        print(
            f"{fed.events} events in {fed.duration_s:.2f} s ({fed.rate_hz / 1e6:.2f} M/s), "
            f"{fed.dropped} dropped by the loop"
        )


@attach_app.command("udp")
def attach_udp(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="where it listens")],
    size: Annotated[str, typer.Option(metavar="WxH", help="pixels of the sensor")],
    encoding: Annotated[str, typer.Option(help="t64, t32 (faery's) or spif")] = "t64",
    to: To = "gaze",
    stream: Annotated[str, typer.Option(help="the stream it feeds")] = "camera",
    seconds: Annotated[float | None, typer.Option(help="end after so long")] = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for the loop to start")] = 0.0,
    as_json: Json = False,
) -> None:
    """Feed a running loop with camera events from the network, until Ctrl-C."""
    from reflexarc.runtime.attachudp import attach_udp as feed
    from reflexarc.sensors.datagrams import ENCODINGS

    known = next((name for name in ENCODINGS if name == encoding), None)
    if known is None:
        raise typer.BadParameter(f"--encoding {encoding}: use one of {', '.join(ENCODINGS)}")
    pixels = _size(size)
    assert pixels is not None
    fed = feed(
        *_address(address),
        loop=to,
        encoding=known,
        size=pixels,
        stream=stream,
        seconds=seconds,
        patience_s=wait,
        tell=_tell_error,
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(fed)))
    else:
        print(
            f"{fed.events} events in {fed.duration_s:.2f} s, {fed.dropped} dropped by the loop, "
            f"{fed.outside} outside, {fed.malformed} datagrams malformed, {fed.overrun} overrun"
        )


@attach_app.command("camera")
def attach_camera(
    driver: Annotated[str, typer.Option(help="neuromorphic or dv")] = "neuromorphic",
    serial: Annotated[str | None, typer.Option(help="of the camera (default: the first)")] = None,
    fake: Annotated[
        str | None,
        typer.Option(
            metavar="bar|FILE",
            help="no hardware: a moving bar, or a recording; SIGUSR1 unplugs it and plugs it in",
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="say which cameras are there")] = False,
    to: To = "gaze",
    stream: Annotated[str, typer.Option(help="the stream it feeds")] = "camera",
    seconds: Annotated[float | None, typer.Option(help="end after so long")] = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for the loop to start")] = 0.0,
    as_json: Json = False,
) -> None:
    """Feed a running loop with a camera at this machine, until Ctrl-C."""
    from reflexarc.sensors.fakecamera import FakeCameras
    from reflexarc.sensors.usbcameras import DRIVERS

    if driver not in DRIVERS:
        raise typer.BadParameter(f"--driver {driver}: use one of {', '.join(DRIVERS)}")
    cameras = DRIVERS[driver]() if fake is None else _fake_cameras(fake)
    if listing:
        found = cameras.cameras()
        print(json.dumps([camera._asdict() for camera in found]) if as_json else _listed(found))
        return
    if isinstance(cameras, FakeCameras):
        signal.signal(signal.SIGUSR1, lambda *_: cameras.toggle())
    _feed_camera(cameras.open, to, serial, stream, seconds, wait, as_json)
    if isinstance(cameras, FakeCameras):
        _tell_error(f"the fake camera made {cameras.made} events; {cameras.lost} lost at the end")


@attach_app.command("dv")
def attach_dv(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="of the DV server")],
    to: To = "gaze",
    stream: Annotated[str, typer.Option(help="the stream it feeds")] = "camera",
    seconds: Annotated[float | None, typer.Option(help="end after so long")] = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for the loop to start")] = 0.0,
    as_json: Json = False,
) -> None:
    """Feed a running loop with what a DV server streams, until Ctrl-C."""
    from reflexarc.sensors.dvserver import DvServer

    _feed_camera(DvServer(*_address(address)).open, to, None, stream, seconds, wait, as_json)


def _feed_camera(
    open_camera: Callable[[str | None], Camera],
    to: str,
    serial: str | None,
    stream: str,
    seconds: float | None,
    wait: float,
    as_json: bool,
) -> None:
    from reflexarc.runtime.attachcamera import Interruption
    from reflexarc.runtime.attachcamera import attach_camera as feed

    fed = feed(
        open_camera,
        loop=to,
        serial=serial,
        stream=stream,
        seconds=seconds,
        patience_s=wait,
        tell=_tell_error,
        interruption=Interruption([signal.SIGINT, signal.SIGTERM]),
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(fed)))
    else:
        print(
            f"{fed.events} events in {fed.duration_s:.2f} s, {fed.lost} lost by the camera, "
            f"{fed.dropped} dropped by the loop, gone {fed.absences} times"
        )


def _fake_cameras(source: str) -> FakeCameras:
    from reflexarc.sensors.fakecamera import FakeCameras
    from reflexarc.sensors.recording import RecordingReader

    return FakeCameras(None if source == "bar" else RecordingReader(source))


def _listed(cameras: list[Listed]) -> str:
    lines = [f"{camera.name} {camera.serial or '(serial unknown)'}" for camera in cameras]
    return "\n".join(lines) or "no camera found"


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a recording made with --record")],
    as_json: Json = False,
) -> int:
    """Run a recording's network again and say whether spikes and commands are byte-identical."""
    from reflexarc.runtime.replay import replay as rerun

    result = rerun(file)
    print(result.model_dump_json() if as_json else result.text())
    return 0 if result.identical else 1


@app.command()
def diverge(
    first: Annotated[Path, typer.Argument(metavar="A", help="a recording, as in lockstep")],
    second: Annotated[Path, typer.Argument(metavar="B", help="another one, as on the wall clock")],
    out: Annotated[Path | None, typer.Option(help="folder for it (default: in runs/)")] = None,
    as_json: Json = False,
) -> None:
    """Say what real time cost: how two recordings of one scenario and seed differ."""
    from reflexarc.runtime.diverge import diverge as compare
    from reflexarc.runtime.diverge import write_divergence
    from reflexarc.runtime.launch import default_out
    from reflexarc.runtime.recording import Recording

    one, other = Recording.open(first), Recording.open(second)
    found = compare(one, other)
    files = write_divergence(found, one, other, out or default_out(f"{found.scenario}-diverge"))
    _show(found, files, as_json)


@app.command()
def faults(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the recording of a run")],
    as_json: Json = False,
) -> int:
    """Say whether a run kept its promises under the faults that its scenario orders."""
    from reflexarc.runtime.faultcheck import check_run

    found = check_run(file)
    if as_json:
        print(json.dumps({"kept": not found, "violations": found}))
    else:
        print("\n".join(found) or f"{file}: every fault is accounted for, nothing was violated")
    return 1 if found else 0


@app.command()
def keys(
    name: Annotated[str, typer.Argument(metavar="NAME", help="whose keys: robot, world, ...")],
    folder: Annotated[Path, typer.Option("--out", help="the folder for the files")] = Path(),
) -> None:
    """Make the keys by which a process is known on the network: a public file and a secret one."""
    from reflexarc.runtime.keys import make_keys

    for file in make_keys(folder, name):
        print(file)


@app.command()
def version() -> None:
    """Print the version."""
    from reflexarc import __version__

    print(__version__)


def _flags(**given: float | str | None) -> list[str]:
    """Options that were given, as settings of the scenario."""
    return [f"{key}={value}" for key, value in given.items() if value is not None]


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _speed(text: str) -> float | None:
    """`--speed` as a factor; None for as fast as it goes."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e6:
        raise typer.BadParameter(f"--speed {text}: expected a number above 0, or max")
    return speed


def _size(text: str | None) -> tuple[int, int] | None:
    """`--size` as (width, height)."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise typer.BadParameter(f"--size {text}: expected WIDTHxHEIGHT, such as 640x480")
    return int(found[1]), int(found[2])


def _address(text: str) -> tuple[str, int]:
    """`HOST:PORT`."""
    found = re.fullmatch(r"(.+):(\d{1,5})", text)
    if not found or int(found[2]) > 65535:
        raise typer.BadParameter(f"{text}: expected HOST:PORT, such as 127.0.0.1:3333")
    return found[1].strip("[]"), int(found[2])


def _message(error: TyperException) -> str:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(text.split()).rstrip(".")


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"reflexarc: warning: {message}\n"


def _fail(message: str, code: int) -> NoReturn:
    print(f"reflexarc: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
