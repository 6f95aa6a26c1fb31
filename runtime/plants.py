"""Where a scenario's world runs: in the loop's process, in one started for it, or in one served."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable
from typing import Any

from reflexarc.runtime.bus import runtime_dir
from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.keys import Curve
from reflexarc.runtime.link import HELLO_TIMEOUT_S, LoopRefused, RemotePlant, serve_world
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant, NoPlant, Plant

#: How long a world that is served may take to be there: between two loops it is made afresh.
SERVED_TIMEOUT_S = 5.0
#: Numbers the worlds that this process has started: two may be there at a time.
_started = itertools.count()


def make_plant(
    scenario: Scenario, rest: FloatArray, check: Callable[[], None] = lambda: None
) -> Plant:
    """The plant of a fresh run; `rest` is the command until the first one, (command_size,).

    `check` is called while a process is waited for that is started here, and may raise LinkError.

    Raises:
        ConfigError: the scenario's code or configuration does not fit.
        LinkError: the world's process is not there or did not answer.
    """
    spec = scenario.spec
    if spec.robot is not None:
        return scenario.make_device(spec.seed)
    if spec.world is None:
        return NoPlant()
    if spec.world.process == "loop":
        return LocalPlant(scenario.make_world(spec.seed), rest)
    link: dict[str, Any] = {
        "rest": rest,
        "period_ns": spec.period_ns,
        "mode": spec.mode,
        "digest": scenario.world_digest(spec.seed),
    }
    if spec.world.process == "served":
        return _connect(scenario, link)
    endpoint = f"{world_endpoint(spec.name)}-{os.getpid()}-{next(_started)}"
    command = [sys.executable, "-m", "reflexarc", "world", str(scenario.document.source)]
    command += [f"--set={setting}" for setting in scenario.settings]
    command += ["--endpoint", endpoint, "--once", "--parent", str(os.getpid())]
    return RemotePlant.spawn(command, endpoint, check=check, **link)


def _connect(scenario: Scenario, link: dict[str, Any]) -> RemotePlant:
    name = scenario.spec.name
    endpoint, curve = _served_at(scenario)
    try:
        return RemotePlant.connect(endpoint, timeout_s=SERVED_TIMEOUT_S, curve=curve, **link)
    except LinkError:
        raise LinkError(
            f"no world '{name}' answered at {endpoint} within {SERVED_TIMEOUT_S:g} s; start it "
            f"first with 'reflexarc world {name}', or wait until its loop has ended"
        ) from None


def _served_at(scenario: Scenario) -> tuple[str, Curve | None]:
    """Where the scenario's world is served, and with which keys."""
    world = scenario.spec.world
    if world is None or world.link is None:
        return world_endpoint(scenario.spec.name), None
    return world.link.endpoint, world.link.curve(scenario.document, ("world", "link"))


def world_endpoint(name: str) -> str:
    """Where the world of the loop `name` is served."""
    return f"ipc://{runtime_dir(name)}/world"


def serve(
    scenario: Scenario,
    endpoint: str | None,
    once: bool,
    tell: Callable[[str], None],
    parent: int | None = None,
) -> None:
    """Serve the scenario's world, afresh for every loop that comes, until told to stop.

    A loop that runs another configuration is refused, and the world waits for the next one.
    With `parent`, a process id, it waits no longer than that process is the parent of this one.
    `tell` is given one line whenever the world waits for a loop or has refused one.

    Raises:
        ConfigError: the endpoint is wrong or in use; with `once`, the loop was refused.
        LinkError: with `once`, no loop came; its parent has ended.
    """
    spec = scenario.spec
    where, curve = (endpoint, None) if endpoint else _served_at(scenario)

    def check() -> None:
        if parent is not None and os.getppid() != parent:
            raise LinkError(f"{where}: the process that started this world has gone away")

    going = True
    while going:
        try:
            on = serve_world(
                scenario.make_world(spec.seed),
                where,
                spec.period_ns,
                spec.mode,
                digest=scenario.world_digest(spec.seed),
                curve=curve,
                deadman_ns=round(spec.daemon.deadman_ms * 1e6),
                rest=scenario.make_gate().rest,
                patience_s=HELLO_TIMEOUT_S if once else math.inf,
                check=check,
                on_ready=lambda: tell(f"{spec.name}: waiting for a loop at {where}"),
            )
            going = on and not once
        except LoopRefused as error:
            if once:
                raise
            tell(str(error))
