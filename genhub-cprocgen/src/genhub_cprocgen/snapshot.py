"""A running environment laid open: its grid, its entities, its scalars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ENTITY", "DebugState", "debug_state"]

WHOLE = {
    *("type", "image_type", "image_theme", "render_z", "will_erase", "collides_with_entities"),
    *("is_reflected", "fire_time", "spawn_time", "life_time", "expire_time", "use_abs_coords"),
    *("smart_step", "avoids_collisions", "auto_erase"),
}
FIELDS = (
    *("x", "y", "vx", "vy", "rx", "ry", "type", "image_type", "image_theme", "render_z"),
    *("will_erase", "collides_with_entities", "collision_margin", "rotation", "vrot"),
    *("is_reflected", "fire_time", "spawn_time", "life_time", "expire_time", "use_abs_coords"),
    *("friction", "smart_step", "avoids_collisions", "auto_erase", "alpha", "health", "theta"),
    *("grow_rate", "alpha_decay", "climber_spawn_x"),
)
ENTITY = np.dtype([(name, np.int32 if name in WHOLE else np.float32) for name in FIELDS])


@dataclass(frozen=True)
class DebugState:
    """What `debug_state` gives.

    grid: int16 [H, W], row 0 at the bottom. entities: structured [n] in list order, the agent
    first; lengths in cells, angles in radians. spawners: the same, of what waits to enter.
    scalars: every other number of the game by name, and where its generator stands.
    """

    grid: np.ndarray
    entities: np.ndarray
    spawners: np.ndarray
    scalars: dict[str, float]


def debug_state(raw: dict[str, Any]) -> DebugState:
    """Give the engine's tables as structured arrays."""
    names = raw["entity_fields"]
    return DebugState(
        raw["grid"],
        _entities(raw["entities"], names),
        _entities(raw["spawners"], names),
        raw["scalars"],
    )


def _entities(table: np.ndarray, names: list[str]) -> np.ndarray:
    array = np.zeros(len(table), ENTITY)
    for column, name in enumerate(names if len(table) else ()):
        array[name] = table[:, column]
    return array
