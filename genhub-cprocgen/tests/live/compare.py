"""Hold the benchmark library's environments against ours, and print two states side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from reference import Standing
from reference_state import ENTITY, ReferenceState

from genhub_cprocgen.snapshot import DebugState

__all__ = ["Difference", "Frames", "compare", "report"]

# Of the step here, of the episode there; and what only a centred game uses.
OWN_MEANING = {"done", "reward", "level_complete", "visibility"}
JUMPER = 40  # pixels of its compass and shadow that may differ; in other games none
CONTEXT = 6  # entities around the first that differs


@dataclass
class Frames:
    """How many frames were compared, and how far they were off within the allowance."""

    compared: int = 0
    unequal: int = 0
    worst: int = 0


@dataclass
class Difference:
    """What differs first, in which environment, and both states."""

    what: str
    env: int
    reference: ReferenceState
    ours: DebugState


def compare(
    env: Any,
    standing: Standing,
    observation: np.ndarray,
    reward: np.ndarray,
    info: dict[str, Any],
    frames: Frames,
) -> Difference | None:
    """Give the first difference after a step, in the order in which one causes the next."""
    for i in range(env.num_envs):
        reference, ours = standing.state(i), env.debug_state(i)
        given = {"reward": reward, **info}
        frame = standing.frames[i], observation[i]
        for what in _differences(standing, given, i, reference, ours, frame, frames):
            return Difference(f"environment {i}: {what}", i, reference, ours)
    return None


def _differences(
    standing: Standing,
    given: dict[str, Any],
    i: int,
    reference: ReferenceState,
    ours: DebugState,
    frame: tuple[np.ndarray, np.ndarray],
    frames: Frames,
) -> Iterator[str]:
    for name in ("first", "level_seed", "prev_level_seed", "prev_level_complete", "reward"):
        wanted, found = getattr(standing, name)[i], given[name][i]
        if wanted != found:
            yield f"{name} is {wanted} in the benchmark, {found} here"
    yield from _scalars(reference, ours)
    if reference.grid.shape != ours.grid.shape or (reference.grid != ours.grid).any():
        yield "the grids differ"
    for name in ("entities", "spawners"):
        yield from _entities(name, getattr(reference, name), getattr(ours, name))
    yield from _frame(reference, *frame, frames)


def _scalars(reference: ReferenceState, ours: DebugState) -> Iterator[str]:
    # Where the generator stands comes first: a draw too many is the cause of all that follows.
    shared = [n for n in ours.scalars if n in reference.scalars and n not in OWN_MEANING]
    for name in sorted(shared, key=lambda n: n != "generator_position"):
        wanted, found = reference.scalars[name], ours.scalars[name]
        if wanted != found:
            yield f"{name} is {wanted} in the benchmark, {found} here"


def _entities(name: str, wanted: np.ndarray, found: np.ndarray) -> Iterator[str]:
    if len(wanted) != len(found):
        yield f"{name}: {len(wanted)} in the benchmark, {len(found)} here"
    elif wanted.tobytes() != found.astype(ENTITY).tobytes():
        for k in _unequal(wanted, found):
            fields = [n for n in ENTITY.names or () if wanted[n][k] != found[n][k]]
            said = ", ".join(f"{n} {wanted[n][k]!s} and {found[n][k]!s}" for n in fields)
            yield f"{name}[{k}] of type {wanted['type'][k]}: {said}"


def _unequal(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    least = min(len(wanted), len(found))
    columns = [wanted[n][:least] != found[n][:least] for n in ENTITY.names or ()]
    return np.flatnonzero(np.any(columns, axis=0)) if least else np.zeros(0, int)


def _frame(
    reference: ReferenceState, wanted: np.ndarray, found: np.ndarray, frames: Frames
) -> Iterator[str]:
    frames.compared += 1
    if wanted.tobytes() == found.tobytes():
        return
    unequal = (wanted != found).any(axis=-1)
    pixels = int(unequal.sum())
    if pixels > _allowance(reference):
        y, x = np.argwhere(unequal)[0]
        yield (
            f"{pixels} pixels differ, the first at row {y}, column {x}: "
            f"{wanted[y, x].tolist()} in the benchmark, {found[y, x].tolist()} here"
        )
    frames.unequal += 1
    frames.worst = max(frames.worst, pixels)


def _allowance(reference: ReferenceState) -> int:
    return JUMPER if reference.game == "jumper" else 0


def report(found: Difference) -> str:
    """Print both states side by side: all scalars, the entities that differ, the grids."""
    reference, ours = found.reference, found.ours
    lines = [f"{'':28} {'benchmark':>24} {'here':>24}"]
    for name in sorted({*reference.scalars, *ours.scalars}):
        left, right = reference.scalars.get(name, ""), ours.scalars.get(name, "")
        if not isinstance(left, list):
            mark = "*" if name in reference.scalars and left != right and right != "" else " "
            lines.append(f"{mark}{name:27} {left!s:>24} {right!s:>24}")
    lines += _entity_rows(reference.entities, ours.entities)
    lines += ["grids, the top row first; * marks rows that differ"]
    for j in reversed(range(max(len(reference.grid), len(ours.grid)))):
        left, right = (_cells(grid, j) for grid in (reference.grid, ours.grid))
        lines.append(f"{'*' if left != right else ' '}{j:3} {left} | {right}")
    return "\n".join(lines)


def _cells(grid: np.ndarray, j: int) -> str:
    return " ".join(f"{cell:3}" for cell in grid[j]) if j < len(grid) else ""


def _entity_rows(wanted: np.ndarray, found: np.ndarray) -> list[str]:
    unequal = _unequal(wanted, found)
    first = int(unequal[0]) if len(unequal) else min(len(wanted), len(found))
    lines = [f"entities: {len(wanted)} in the benchmark, {len(found)} here; around number {first}"]
    for k in range(max(0, first - CONTEXT), first + CONTEXT + 1):
        for whose, entities in (("benchmark", wanted), ("here", found)):
            if k < len(entities):
                said = " ".join(f"{n}={entities[n][k]!s}" for n in ENTITY.names or ())
                lines.append(f"{'*' if k in unequal else ' '}{k:4} {whose:9} {said}")
    return lines
