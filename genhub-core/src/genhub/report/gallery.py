"""The media of a run, arranged: by prompt, and every variant beside its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from genhub.report.films import Film, embed_film
from genhub.report.media import (
    MOST_COMPARED,
    SHOWN,
    SHOWN_BESIDE,
    Difference,
    Picture,
    Room,
    difference_scale,
    embed,
    embed_difference,
    measure,
)
from genhub.report.sounds import Sound, embed_sound

__all__ = [
    "Gallery",
    "Shot",
    "arranged",
    "count_media",
    "gallery_of",
    "is_inside",
    "label_of",
    "shot_of",
]

MOST_SAMPLES = 400  # of one kind in one page
KINDS = {".wav": "audio", ".mp4": "video", ".webp": "video"}


@dataclass(frozen=True)
class Shot:
    """One file of a sample, with what it differs in from the reference.

    `media` is None for what cannot be shown: it has a link only.
    """

    id: str  # of its element in the page
    kind: str
    path: str
    media: Picture | Sound | Film | None
    variant: str = ""
    difference: Difference | None = None
    painted: Picture | None = None


@dataclass(frozen=True)
class Card:
    """One sample: its files in all variants."""

    index: int
    seed: int
    shots: Sequence[Shot]


@dataclass(frozen=True)
class Gallery:
    """Cards of one kind grouped by prompt; `left_out` samples are in the run folder only."""

    kind: str
    groups: Sequence[tuple[str, Sequence[Card]]]
    variants: Sequence[str]
    reference: str
    brightest: int = 255
    left_out: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)  # of the variants


def count_media(folder: Path, manifest: Mapping[str, Any]) -> int:
    """Count the pieces that want room in the page: files, their differences, pictures of hooks."""
    count = 0
    for kind in ("image", "audio", "video"):
        samples = _by_sample(folder, manifest, kind)
        for shots in list(samples.values())[:MOST_SAMPLES]:
            count += len(shots) * (2 if kind == "image" and len(shots) > 1 else 1)
    return count + sum(len(s["pictures"]) for s in manifest.get("sections", []))


def gallery_of(folder: Path, manifest: Mapping[str, Any], kind: str, room: Room) -> Gallery | None:
    """Arrange the samples of one kind; None where there are none."""
    by_sample = _by_sample(folder, manifest, kind)
    variants = list(dict.fromkeys(v for shots in by_sample.values() for v in shots))
    reference = "baseline" if "baseline" in variants else "main"
    variants.sort(key=lambda v: (v != reference, v != "main"))
    labels = {variant: label_of(variant, manifest) for variant in variants}
    return arranged(folder, by_sample, kind, room, labels) if by_sample else None


def arranged(
    folder: Path,
    by_sample: Mapping[int, Mapping[str, Mapping[str, Any]]],
    kind: str,
    room: Room,
    labels: Mapping[str, str],
) -> Gallery:
    """Lay samples out side by side in the order of `labels`; the first is what all differ from.

    `by_sample` holds entries as a manifest has them, with paths that lead on from `folder`.
    """
    chosen = dict(sorted(by_sample.items())[:MOST_SAMPLES])
    variants, reference = list(labels), next(iter(labels))
    differences = dict(_differences(folder, chosen, reference)) if kind == "image" else {}
    brightest = difference_scale(list(differences.values()))
    side = SHOWN if len(variants) == 1 else SHOWN_BESIDE
    cards: list[tuple[str, Card]] = []
    for index, entries in chosen.items():
        shots = []
        for number, variant in ((n, v) for n, v in enumerate(variants) if v in entries):
            entry = entries[variant]
            media = _embedded(folder, entry["path"], kind, entry.get("info") or {}, side, room)
            difference = differences.get((index, variant))
            painted = embed_difference(difference, brightest, side, room) if difference else None
            id = f"{kind}-{index}-{number}"
            shots.append(Shot(id, kind, entry["path"], media, variant, difference, painted))
        sample = next(iter(entries.values()))["sample"]
        cards.append((sample.get("prompt") or "", Card(index, sample["seed"], shots)))
    groups = [(prompt, [card for _, card in of]) for prompt, of in groupby(cards, lambda c: c[0])]
    left_out = len(by_sample) - len(cards)
    return Gallery(kind, groups, variants, reference, brightest, left_out, labels)


def shot_of(folder: Path, path: str, id: str, room: Room) -> Shot | None:
    """Bring one file of the run folder into the page; None where it is not there."""
    if not is_inside(folder, path):
        return None
    kind = KINDS.get(Path(path).suffix.lower(), "image")
    return Shot(id, kind, path, _embedded(folder, path, kind, {}, SHOWN, room))


def label_of(variant: str, manifest: Mapping[str, Any]) -> str:
    """Name a variant with the drivers that it attaches."""
    held = manifest.get("variants", {}).get(variant, {}).get("sites_held", {})
    names = ", ".join(held)
    return f"{variant} ({names})" if names and names != variant else variant


def _by_sample(
    folder: Path, manifest: Mapping[str, Any], kind: str
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """Give the artifacts that are there, by sample and variant."""
    found: dict[int, dict[str, Mapping[str, Any]]] = {}
    for entry in manifest.get("artifacts", []):
        if entry["kind"] == kind and is_inside(folder, entry["path"]):
            sample = entry["sample"]
            found.setdefault(sample["index"], {})[sample["variant"]] = entry
    return found


def _differences(
    folder: Path, chosen: Mapping[int, Mapping[str, Any]], reference: str
) -> Iterator[tuple[tuple[int, str], Difference]]:
    left = MOST_COMPARED
    for index, entries in chosen.items():
        for variant in entries:
            if variant == reference or reference not in entries:
                continue
            paths = [folder / entries[v]["path"] for v in (reference, variant)]
            if found := measure(*paths, structure=left > 0):
                left -= found.deviation.size
                yield (index, variant), found


def _embedded(
    folder: Path, path: str, kind: str, about: Mapping[str, Any], side: int, room: Room
) -> Picture | Sound | Film | None:
    if kind == "audio":
        return embed_sound(folder / path, room)
    if kind == "video":
        return embed_film(folder / path, about, room)
    return embed(folder / path, side, room)


def is_inside(folder: Path, path: str) -> bool:
    """Say whether a path of the manifest is a file of its folder: the page shows no other."""
    try:
        return (folder / path).is_file() and (folder / path).resolve().is_relative_to(
            folder.resolve()
        )
    except (OSError, ValueError):  # too long a name, a NUL in it
        return False
