"""How many ranks a run has, and which of them this process is; all of it without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from genhub.errors import GenHubError, Problem

__all__ = ["Place", "launch_problems", "place_here", "start_lines", "world_of"]


@dataclass(frozen=True)
class Place:
    """Which rank a process is; `local` counts the ranks of its machine."""

    rank: int
    world: int
    local: int


def place_here() -> Place | None:
    """Read what torchrun, `accelerate launch` or a line of srun says: RANK and WORLD_SIZE.

    Gives None where nobody started this process as a rank. Raises GH406 for what is no number.
    """
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return None
    rank = _number("RANK")
    place = Place(rank, _number("WORLD_SIZE"), _number("LOCAL_RANK", rank))
    if not 0 <= place.rank < place.world:
        raise GenHubError("GH406", f"the environment says RANK {place.rank} of {place.world}")
    return place


def world_of(loaded: Any, place: Place | None = None) -> int:
    """Give the number of ranks: the launcher's, else `launch.processes`, else what drivers need.

    Raises GH406 where launcher, config and drivers do not agree.
    """
    world, problems = _world(loaded, None if place is None else place.world)
    if problems:
        raise GenHubError.several(problems)
    return world


def launch_problems(loaded: Any) -> list[Problem]:
    """Find what cannot be or has no effect in `launch:`, over all variants that are compared.

    Nothing can where `launch:` is as it comes and the config itself has no parallel scheduler.
    """
    launch = loaded.config.launch
    plain = launch.processes == "auto" and not launch.simulate and "," not in launch.devices
    return [] if plain and loaded.config.parallel is None else _world(loaded, None)[1]


def start_lines(loaded: Any, world: int) -> list[str]:
    """Say how several ranks are started: here, and on several machines."""
    name = "FILE" if loaded.path is None else str(loaded.path)
    if loaded.config.launch.simulate:
        return [f"{world} ranks, as threads of one process: genhub run {name}"]
    return [
        f"{world} ranks, as processes of this machine: genhub run {name}",
        f"on {world} machines, on each of them: torchrun --nnodes {world} --nproc-per-node 1 "
        f"--rdzv-backend c10d --rdzv-endpoint HOST:29500 -m genhub.cli run {name}",
    ]


def _world(loaded: Any, given: int | None) -> tuple[int, list[Problem]]:
    from genhub.plan import parts_from_config
    from genhub.plan.checks import check_needs, own_world

    launch = loaded.config.launch
    asked = None if launch.processes == "auto" else launch.processes
    variants = [loaded, *(loaded.variant(name) for name in loaded.config.compare)]
    parts = [parts_from_config(variant) for variant in variants]
    world = given or asked or max(own_world(each, None) for each in parts)
    parallel = any(variant.config.parallel is not None for variant in variants)
    said = _contradiction(launch, world, given, parallel)
    if said is not None:
        field, message, hint = said
        return world, [Problem("GH406", message, hint, loaded.mark(("launch", field)))]
    found = [p for each in parts for p in check_needs(each, world=own_world(each, world))]
    return world, [p for p in dict.fromkeys(found) if p.code == "GH406"]


def _contradiction(
    launch: Any, world: int, given: int | None, parallel: bool
) -> tuple[str, str, str] | None:
    """Give field, message and hint of what cannot be."""
    if given is not None and launch.processes not in ("auto", given):
        message = f"launch.processes is {launch.processes}, and WORLD_SIZE is {given}"
        return "processes", message, "write processes: auto, or start as many ranks"
    if world > 1 and not parallel:
        message = f"this run has {world} ranks and no parallel scheduler that uses them"
        return "processes", message, "add 'parallel: {type: ...}', or use one process"
    if launch.simulate and world == 1:
        message = "launch.simulate makes threads of the ranks, and this run has one rank"
        return "simulate", message, "remove it, or add 'parallel: {type: ...}'"
    if launch.simulate and given is not None:
        message = f"launch.simulate is set, and a launcher has started {given} processes"
        return "simulate", message, "choose one of the two"
    devices = launch.devices.count(",") + 1
    wanted = 1 if launch.simulate else world
    if given is None and devices > 1 and devices != wanted:
        message = f"launch.devices names {devices} devices, and this run uses {wanted}"
        return "devices", message, "name as many as there are processes"
    return None


def _number(name: str, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError:
        raise GenHubError("GH406", f"{name} is '{text}' in the environment, no number") from None
