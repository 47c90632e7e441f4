"""Draw scenes: signed distances of eight shapes, anti-aliased, half a millisecond a picture.

Coordinates run from -1 to 1, x to the right and y downwards. A signed distance is negative inside;
coverage is a ramp of one pixel across the edge, so edges are crisp and free of stairs.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genhub.shapes.scenes import Scene, Thing

Field: TypeAlias = NDArray[np.float32]  # [H, W]

SIZE = 64  # pixels on a side of the native picture

RGB: dict[str, tuple[int, int, int]] = {
    "red": (225, 30, 35),
    "orange": (255, 135, 0),
    "yellow": (255, 225, 20),
    "green": (30, 165, 60),
    "cyan": (0, 205, 225),
    "blue": (30, 75, 220),
    "purple": (140, 35, 185),
    "pink": (255, 130, 195),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
}

OFFSET = 0.45  # of a single thing from the centre
PAIR_OFFSET = 0.48
RADIUS = {"small": 0.27, "large": 0.42}
PAIR_RADIUS = 0.36
CENTER_SCALE = 1.3  # there is more room in the centre
JITTER_PLACE = 0.05
JITTER_RADIUS = 0.08

DIRECTION = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "top": (0.0, -1.0),
    "bottom": (0.0, 1.0),
    "center": (0.0, 0.0),
}
ORDER = {"above": ("top", "bottom"), "left of": ("left", "right")}


class Spot(NamedTuple):
    """Where a thing stands and how large it is, before or after jitter."""

    x: float
    y: float
    radius: float


def _polygon(x: Field, y: Field, corners: list[tuple[float, float]]) -> Field:
    """Signed distance to a simple polygon: nearest edge, sign by crossing number."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        dx, dy = px - along * ex, py - along * ey
        np.minimum(nearest, dx * dx + dy * dy, out=nearest)
        if ay != by:
            crosses = (y >= min(ay, by)) & (y < max(ay, by)) & (px < py * (ex / ey))
            inside ^= crosses
    distance = np.sqrt(nearest)
    return np.where(inside, -distance, distance)


def _star_corners(outer: float, inner: float) -> list[tuple[float, float]]:
    corners = []
    for i in range(10):
        angle, radius = math.pi * i / 5, (outer, inner)[i % 2]
        corners.append((radius * math.sin(angle), -radius * math.cos(angle)))
    return corners


_ARM = 0.31  # half the width of an arm of the cross
_CORNERS: dict[str, list[tuple[float, float]]] = {
    "triangle": [(0.0, -0.92), (1.0, 0.82), (-1.0, 0.82)],
    "star": _star_corners(1.05, 0.44),
    "diamond": [(0.0, -1.05), (0.64, 0.0), (0.0, 1.05), (-0.64, 0.0)],
    "cross": [
        (-_ARM, -1.0), (_ARM, -1.0), (_ARM, -_ARM), (1.0, -_ARM), (1.0, _ARM), (_ARM, _ARM),
        (_ARM, 1.0), (-_ARM, 1.0), (-_ARM, _ARM), (-1.0, _ARM), (-1.0, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip


def distance(shape: str, x: Field, y: Field) -> Field:
    """Give the signed distance to a shape of radius one at the origin, at points x, y."""
    if shape == "circle":
        return np.hypot(x, y) - np.float32(0.95)
    if shape == "ring":  # a third of the radius wide, with a clear hole
        return np.abs(np.hypot(x, y) - np.float32(0.8)) - np.float32(0.2)
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.82)
    if shape == "moon":  # a disc without a disc, opening to the right
        full = np.hypot(x - 0.2, y) - 1.0
        bite = np.hypot(x - 0.75, y) - 0.86
        return np.maximum(full, -bite)
    return _polygon(x, y, _CORNERS[shape])


@lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Field, Field]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def coverage(shape: str, spot: Spot, size: int = SIZE) -> Field:
    """Give the share of each pixel that the shape covers, 0 to 1, as [size, size]."""
    x, y = _grid(size)
    radius = np.float32(spot.radius)
    there = distance(shape, (x - np.float32(spot.x)) / radius, (y - np.float32(spot.y)) / radius)
    return np.clip(0.5 - there * (radius * size / 2), 0, 1)


def nominal(place: str, size: str) -> Spot:
    """Give the spot of a single thing without jitter."""
    dx, dy = DIRECTION[place]
    scale = CENTER_SCALE if place == "center" else 1.0
    return Spot(dx * OFFSET, dy * OFFSET, RADIUS[size] * scale)


def spots(scene: Scene) -> list[Spot]:
    """Give the spots of the scene's things without jitter."""
    if scene.relation is None:
        return [nominal(thing.place or "center", thing.size or "large") for thing in scene.things]
    ways = [DIRECTION[side] for side in ORDER[scene.relation]]
    return [Spot(dx * PAIR_OFFSET, dy * PAIR_OFFSET, PAIR_RADIUS) for dx, dy in ways]


def _jittered(spot: Spot, rng: np.random.Generator) -> Spot:
    dx, dy, scale = rng.uniform(-1, 1, 3)
    return Spot(
        spot.x + JITTER_PLACE * dx,
        spot.y + JITTER_PLACE * dy,
        spot.radius * (1 + JITTER_RADIUS * scale),
    )


def paint(canvas: Field, thing: Thing, spot: Spot) -> None:
    """Lay one thing over a canvas [H, W, 3] of values 0 to 255, in place."""
    alpha = coverage(thing.shape, spot, canvas.shape[0])[..., None]
    canvas += alpha * (np.asarray(RGB[thing.colour], np.float32) - canvas)


def render(
    scene: Scene, size: int = SIZE, rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """Draw the scene as [size, size, 3]; with `rng`, place and radius are jittered a little."""
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = RGB[scene.background]
    for thing, spot in zip(scene.things, spots(scene), strict=True):
        paint(canvas, thing, spot if rng is None else _jittered(spot, rng))
    return np.rint(canvas).astype(np.uint8)
