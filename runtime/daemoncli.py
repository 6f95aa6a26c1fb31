"""The verbs of the daemon: to start it, and to ask a running one."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import suppress
from importlib.resources import files
from typing import Annotated, Any, Literal

import typer

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="the daemon; the only one by default")
]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]

#: Something in the daemon itself went wrong (EX_SOFTWARE of sysexits.h).
BUG = 70

daemon_app = typer.Typer()


@daemon_app.command("daemon")
def run_the_daemon(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a robot.yaml, or a scenario's name")],
    rt: Annotated[str, typer.Option(help="real time: require, try or off")] = "try",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="change one value of the file"),
    ] = None,
) -> int:
    """Hold a robot in real time until told to end."""
    from reflexarc.runtime.errors import ReflexarcError

    try:
        from reflexarc.runtime.confined import warm

        warm()
        from reflexarc.runtime.daemon import run_daemon

        return run_daemon(file, settings or [], _wish(rt))
    except ReflexarcError:
        raise
    except Exception:
        traceback.print_exc()
        print(
            "reflexarc: a bug in the daemon; please report it with the lines above", file=sys.stderr
        )
        return BUG


@daemon_app.command()
def status(name: Name = None, as_json: Json = False) -> None:
    """Say how a running daemon is."""
    from reflexarc.runtime.ask import ask

    answer = ask(name, "status")
    if as_json:
        print(json.dumps(answer))
        return
    for line in status_lines(answer):
        print(line)


@daemon_app.command()
def weights(name: Name = None, as_json: Json = False) -> None:
    """Say what a running daemon has learnt, in figures."""
    from reflexarc.runtime.ask import ask

    found = ask(name, "weights")["weights"]
    if as_json:
        print(json.dumps(found))
        return
    for edge, figures in found.items():
        shape = " x ".join(map(str, figures.pop("shape")))
        print(f"{edge}: {shape}, " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
    if not found:
        print("nothing in this network learns")


@daemon_app.command()
def learning(on: Annotated[str, typer.Argument(metavar="on|off")], name: Name = None) -> None:
    """Switch learning on or off; it works only while the robot runs."""
    if on not in ("on", "off"):
        raise typer.BadParameter(f"{on}: use on or off")
    _obey(name, "learning", on=on == "on")


@daemon_app.command()
def checkpoint(name: Name = None) -> None:
    """Keep what has been learnt now; print the file."""
    from reflexarc.runtime.ask import ask

    print(ask(name, "checkpoint")["path"])


@daemon_app.command()
def reload(name: Name = None) -> None:
    """Read the file again and go on with it, if all of it is right."""
    _obey(name, "reload")


@daemon_app.command()
def arm(name: Name = None) -> None:
    """Let the robot move as soon as every essential stream is fresh."""
    _obey(name, "arm")


@daemon_app.command()
def disarm(name: Name = None) -> None:
    """Stop and hold the robot; after a safety stop: take it for known."""
    _obey(name, "disarm")


@daemon_app.command()
def stop(name: Name = None) -> None:
    """Stop the robot now; the daemon goes on and waits for `arm`."""
    _obey(name, "stop")


@daemon_app.command()
def detach(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="an attached stream")],
    name: Annotated[
        str | None, typer.Option("--from", help="the daemon; the only one by default")
    ] = None,
) -> None:
    """Send the feeder of a stream away; without an essential stream the robot stops."""
    _obey(name, "detach", stream=stream)


@daemon_app.command()
def tail(name: Name = None, as_json: Json = False) -> None:
    """Follow a daemon: its log, and how it is once a second, until Ctrl-C."""
    from reflexarc.runtime.ask import follow

    with suppress(KeyboardInterrupt):
        for said in follow(name):
            if as_json:
                print(json.dumps(said), flush=True)
            elif "log" in said:
                print(f"{said['date']} {said['log']}", flush=True)
            else:
                print(_summary(said), flush=True)


@daemon_app.command()
def unit() -> None:
    """Print a systemd unit for `reflexarc daemon`, all it does not need shut."""
    text = (files("reflexarc.runtime") / "reflexarc@.service").read_text()
    print(text.replace("@PYTHON@", sys.executable), end="")


def _obey(name: str | None, verb: str, **more: Any) -> None:
    from reflexarc.runtime.ask import ask

    print(ask(name, verb, **more)["state"])


def _wish(text: str) -> Literal["require", "try", "off"]:
    for wish in ("require", "try", "off"):
        if text == wish:
            return wish
    raise typer.BadParameter(f"--rt {text}: use require, try or off")


def _summary(facts: dict[str, Any]) -> str:
    busy = facts.get("busy_us") or {"p50": 0, "p99": 0}
    return (
        f"{facts.get('name', '?')}: {facts.get('state', 'configuring')}, "
        f"{facts.get('ticks', 0)} ticks, {facts.get('overruns', 0)} overruns, "
        f"busy p50 {busy['p50']} p99 {busy['p99']} us"
    )


def status_lines(facts: dict[str, Any]) -> list[str]:
    """The answer to `status`, for people."""
    lines = [_summary(facts)]
    if facts.get("hung"):
        lines.append("  THE LOOP HANGS: no tick for half a second")
    shown = ("reason", "failure", "real_time", "file", "checkpoint")
    lines += [f"  {key.replace('_', ' '):<12} {facts[key]}" for key in shown if facts.get(key)]
    if "learning" in facts:
        wanted, on = facts["learning"]["wanted"], facts["learning"]["on"]
        lines.append(f"  learning     {'on' if on else 'off'}{'' if on == wanted else ' (wanted)'}")
        lines.append(f"  overload     {facts['overload']['step']} shed")
    for name, stream in facts.get("streams", {}).items():
        age = "not heard yet" if stream["age_ms"] is None else f"{stream['age_ms']:g} ms old"
        state = "alive" if stream["alive"] else "SILENT"
        role = "" if stream["essential"] else ", not essential"
        lines.append(f"  stream {name:<12} {state}, {age}, {stream['dropped']} lost{role}")
    return lines
