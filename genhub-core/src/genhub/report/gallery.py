"""The pictures of a run, arranged: by prompt, and every variant beside its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from genhub.report.media import (
    SHOWN,
    SHOWN_BESIDE,
    Difference,
    Picture,
    difference_scale,
    embed,
    embed_difference,
    measure,
)

__all__ = ["Gallery", "gallery_of"]

ROOM = 6_000_000  # characters of pictures in one page


@dataclass(frozen=True)
class Shot:
    """One picture of a sample, with what it differs in from the reference."""

    variant: str
    path: str
    picture: Picture
    difference: Difference | None = None
    painted: Picture | None = None


@dataclass(frozen=True)
class Card:
    """One sample: its pictures in all variants."""

    index: int
    seed: int
    shots: Sequence[Shot]


@dataclass(frozen=True)
class Gallery:
    """Cards grouped by prompt; `left_out` samples had no room."""

    groups: Sequence[tuple[str, Sequence[Card]]]
    variants: Sequence[str]
    reference: str
    brightest: int = 255
    left_out: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)  # of the variants


def gallery_of(folder: Path, manifest: Mapping[str, Any]) -> Gallery:
    """Arrange as many samples as there is room for; all others stay in the run folder."""
    by_sample: dict[int, dict[str, Mapping[str, Any]]] = {}
    for entry in manifest.get("artifacts", []):
        if entry["kind"] == "image" and (folder / entry["path"]).is_file():
            sample = entry["sample"]
            by_sample.setdefault(sample["index"], {})[sample["variant"]] = entry
    variants = list(dict.fromkeys(v for shots in by_sample.values() for v in shots))
    reference = "baseline" if "baseline" in variants else "main"
    variants.sort(key=lambda v: (v != reference, v != "main"))
    differences = {
        (index, variant): found
        for index, shots in by_sample.items()
        for variant, entry in shots.items()
        if variant != reference and reference in shots
        and (found := measure(folder / shots[reference]["path"], folder / entry["path"]))
    }  # fmt: skip
    brightest = difference_scale(list(differences.values()))
    side = SHOWN if len(variants) == 1 else SHOWN_BESIDE
    cards: list[tuple[str, Card]] = []
    room = ROOM
    for index, entries in sorted(by_sample.items()):
        shots = []
        for variant in (v for v in variants if v in entries):
            path = entries[variant]["path"]
            difference = differences.get((index, variant))
            painted = embed_difference(difference, brightest, side) if difference else None
            shot = Shot(variant, path, embed(folder / path, side), difference, painted)
            room -= len(shot.picture.uri) + (len(painted.uri) if painted else 0)
            shots.append(shot)
        if room < 0 and cards:
            break
        sample = next(iter(entries.values()))["sample"]
        cards.append((sample["prompt"] or "", Card(index, sample["seed"], shots)))
    groups = [
        (prompt, [card for _, card in group]) for prompt, group in groupby(cards, lambda c: c[0])
    ]
    labels = {variant: label_of(variant, manifest) for variant in variants}
    return Gallery(groups, variants, reference, brightest, len(by_sample) - len(cards), labels)


def label_of(variant: str, manifest: Mapping[str, Any]) -> str:
    """Name a variant with the drivers that it attaches."""
    held = manifest.get("variants", {}).get(variant, {}).get("sites_held", {})
    names = ", ".join(held)
    return f"{variant} ({names})" if names and names != variant else variant
