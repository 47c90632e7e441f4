"""Judge pictures against captions without any network: measure what is there, then compare.

The background is read off the border, the colour by vote of the pixels, and the shape by drawing
all eight shapes with the area and centre of mass of what was found and comparing the masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genhub.shapes import render, scenes
from genhub.shapes.scenes import Scene

Array: TypeAlias = NDArray[np.float32]

SAME_COLOUR = 70.0  # largest distance in RGB to count as a colour; the palette is >= 108 apart
SAME_SHAPE = 0.72  # smallest overlap (intersection over union) to count as a shape
SAME_PLACE = 0.22  # largest distance from a place's nominal centre
RADIUS_SLACK = 1.4  # largest factor between a radius and the nominal one
PURE = 0.7  # smallest share of a thing's pixels that have its colour
LARGEST = 0.75  # largest radius of a thing; what fills the picture has no shape
LEAST_AREA = 16.0  # in pixels; less is nothing


@dataclass(frozen=True)
class Finding:
    """One thing as found: nearest colour, best shape, how well it fits, and its spot."""

    colour: str
    shape: str
    overlap: float
    pure: float
    spot: render.Spot


def _resampled(picture: Any) -> Array:
    """Bring any picture to [64, 64, 3] of values 0 to 255, averaging over areas."""
    pixels = np.asarray(picture)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a picture must be [H, W, 3], got shape {pixels.shape}")
    scale = 1.0 if pixels.dtype == np.uint8 else 255.0  # floats are from 0 to 1
    values = np.clip(np.nan_to_num(pixels.astype(np.float32) * np.float32(scale)), 0, 255)
    rows, columns = (_averaging(length) for length in pixels.shape[:2])
    if rows is not None:
        values = np.einsum("ih,hwc->iwc", rows, values)
    if columns is not None:
        values = np.einsum("jw,hwc->hjc", columns, values)
    return values


@lru_cache(maxsize=8)
def _averaging(length: int) -> Array | None:
    """Give the matrix [64, length] that averages `length` pixels to 64; None for 64."""
    if length == render.SIZE:
        return None
    edges = np.linspace(0, length, render.SIZE + 1)
    low = np.maximum(edges[:-1, None], np.arange(length))
    high = np.minimum(edges[1:, None], np.arange(1, length + 1))
    shared = np.clip(high - low, 0, None)
    return (shared / shared.sum(1, keepdims=True)).astype(np.float32)


def _palette(names: Sequence[str]) -> Array:
    return np.asarray([render.RGB[name] for name in names], np.float32)


def _background(pixels: Array) -> tuple[Array, str | None]:
    """Read the background's colour off the border; its name only if the border is of one piece."""
    sides = (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:])
    edge = np.concatenate([side.reshape(-1, 3) for side in sides])
    ground = np.median(edge, axis=0)
    away = np.linalg.norm(_palette(scenes.BACKGROUNDS) - ground, axis=1)
    even = np.mean(np.linalg.norm(edge - ground, axis=1) < SAME_COLOUR / 2)
    sure = away.min() < SAME_COLOUR / 2 and even > 0.9
    return ground, scenes.BACKGROUNDS[int(away.argmin())] if sure else None


@lru_cache(maxsize=16)
def _moments(shape: str) -> tuple[float, float, float]:
    """Give area and centre of mass (in units of the radius) of a shape of radius one."""
    size, radius = 256, 0.8
    mask = render.coverage(shape, render.Spot(0, 0, radius), size)
    x, y = _points(size)
    area = float(mask.sum())
    unit = (2 / size / radius) ** 2
    return (
        area * unit,
        float((mask * x).sum() / area / radius),
        float((mask * y).sum() / area / radius),
    )


@lru_cache(maxsize=4)
def _points(size: int) -> tuple[Array, Array]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def _fitted(mask: Array) -> tuple[str, float, render.Spot]:
    """Find the shape whose drawing, of the same area and centre of mass, overlaps most."""
    x, y = _points(render.SIZE)
    total = float(mask.sum())
    mean_x, mean_y = float((mask * x).sum()) / total, float((mask * y).sum()) / total
    best = ("", -1.0, render.Spot(0, 0, 1))
    for shape in scenes.SHAPES:
        area, shift_x, shift_y = _moments(shape)
        for factor in (0.95, 1.0, 1.05):
            radius = factor * (total / area) ** 0.5 * 2 / render.SIZE
            spot = render.Spot(mean_x - radius * shift_x, mean_y - radius * shift_y, radius)
            drawn = render.coverage(shape, spot)
            overlap = float(np.minimum(mask, drawn).sum() / np.maximum(mask, drawn).sum())
            if overlap > best[1]:
                best = (shape, overlap, spot)
    return best


def _found(pixels: Array, ground: Array, region: tuple[slice, slice]) -> Finding | None:
    """Measure the one thing inside a region of the picture; None when there is nothing."""
    away = np.linalg.norm(pixels[:, :, None] - _palette(scenes.COLOURS), axis=-1)  # [64, 64, 8]
    inside = np.zeros(pixels.shape[:2], bool)
    inside[region] = True
    object_like = inside & (np.linalg.norm(pixels - ground, axis=-1) > SAME_COLOUR / 2)
    if object_like.sum() < LEAST_AREA:
        return None
    votes = ((away < SAME_COLOUR) & object_like[..., None]).sum((0, 1))
    colour = int(votes.argmax())
    if votes[colour] < LEAST_AREA:  # a smear of none of the colours
        return None
    own = object_like & (away[..., colour] < SAME_COLOUR)
    way = np.median(pixels[own], axis=0) - ground
    share = np.clip((pixels - ground) @ way / max(float(way @ way), 1.0), 0, 1)
    strange = np.linalg.norm(pixels - ground - share[..., None] * way, axis=-1) > SAME_COLOUR
    mask = np.where(strange, 1, np.clip((share - 0.1) / 0.8, 0, 1)) * inside
    if mask.sum() < LEAST_AREA:
        return None
    body = mask > 0.7
    pure = float((body & own).sum() / max(1, body.sum()))
    shape, overlap, spot = _fitted(mask.astype(np.float32))
    return Finding(scenes.COLOURS[colour], shape, overlap, pure, spot)


def _colour_right(found: Finding | None, colour: str) -> bool:
    return found is not None and found.colour == colour and found.pure >= PURE


def _shape_right(found: Finding | None, shape: str) -> bool:
    if found is None or found.spot.radius > LARGEST:
        return False
    return found.shape == shape and found.overlap >= SAME_SHAPE


def _place_and_size(spot: render.Spot) -> tuple[str | None, str | None]:
    """Name the nearest place, and the nearest size there; None where nothing is near."""
    there = np.array([spot.x, spot.y])
    away = {
        place: float(np.linalg.norm(there - render.OFFSET * np.array(direction)))
        for place, direction in render.DIRECTION.items()
    }
    place = min(away, key=lambda name: away[name])
    ratios = {
        size: abs(float(np.log(spot.radius / render.nominal(place, size).radius)))
        for size in scenes.SIZES
    }
    size = min(ratios, key=lambda name: ratios[name])
    near, fits = away[place] <= SAME_PLACE, ratios[size] <= np.log(RADIUS_SLACK)
    return (place if near else None), (size if fits else None)


def _judge_single(pixels: Array, ground: Array, scene: Scene) -> dict[str, bool]:
    (thing,) = scene.things
    found = _found(pixels, ground, (slice(None), slice(None)))
    place, size = _place_and_size(found.spot) if found is not None else (None, None)
    return {
        "colour": _colour_right(found, thing.colour),
        "size": size == thing.size,
        "position": place == thing.place,
        "shape": _shape_right(found, thing.shape),
    }


def _halves(pixels: Array, ground: Array, relation: str) -> list[Finding | None]:
    """Measure the two things of a pair, each in its half: top and bottom, or left and right."""
    middle, every = render.SIZE // 2, slice(None)
    halves = (slice(None, middle), slice(middle, None))
    return [
        _found(pixels, ground, (half, every) if relation == "above" else (every, half))
        for half in halves
    ]


def _judge_pair(pixels: Array, ground: Array, scene: Scene) -> dict[str, bool]:
    """Find the relation that the picture shows, then who is who by colour and shape."""
    seen = {relation: _halves(pixels, ground, relation) for relation in scenes.RELATIONS}
    relation = max(seen, key=lambda name: min(f.overlap if f else 0.0 for f in seen[name]))

    def compared(found: Sequence[Finding | None]) -> tuple[list[bool], list[bool]]:
        both = list(zip(found, scene.things, strict=True))
        return (
            [_colour_right(one, thing.colour) for one, thing in both],
            [_shape_right(one, thing.shape) for one, thing in both],
        )

    as_said, swapped = compared(seen[relation]), compared(seen[relation][::-1])
    in_order = 2 * sum(as_said[0]) + sum(as_said[1]) >= 2 * sum(swapped[0]) + sum(swapped[1])
    colours, shapes = as_said if in_order else swapped
    return {
        "colours": all(colours),
        "shapes": all(shapes),
        "relation": relation == scene.relation and in_order and None not in seen[relation],
    }


def judge(picture: Any, caption: str) -> dict[str, bool]:
    """Say what about a picture is as its caption says; "joint" is everything together.

    `picture` is [H, W, 3] of any size (uint8, floats from 0 to 1, or a PIL image). Keys for one
    thing: background, colour, size, position, shape, joint; for two: background, colours, shapes,
    relation, joint. Raises ValueError for a caption that `scenes.parse` does not know.
    """
    scene = scenes.parse(caption)
    pixels = _resampled(picture)
    ground, name = _background(pixels)
    verdict = {"background": name == scene.background}
    rest = _judge_single if scene.relation is None else _judge_pair
    verdict |= rest(pixels, ground, scene)
    return verdict | {"joint": all(verdict.values())}


def caption_accuracy(pictures: Sequence[Any], captions: Sequence[str]) -> dict[str, float]:
    """Give the share of pictures that are right, per attribute and jointly.

    Figures of captions with two things carry the prefix "pair ". Raises ValueError when there is
    not one caption per picture, or none at all.
    """
    if len(pictures) != len(captions) or not captions:
        raise ValueError(
            f"caption_accuracy needs one caption per picture and at least one; "
            f"got {len(pictures)} pictures and {len(captions)} captions"
        )
    tally: dict[str, list[bool]] = {}
    for picture, caption in zip(pictures, captions, strict=True):
        verdict = judge(picture, caption)
        prefix = "pair " if "relation" in verdict else ""
        for name, right in verdict.items():
            tally.setdefault(prefix + name, []).append(bool(right))
    return {name: float(np.mean(rights)) for name, rights in tally.items()}
