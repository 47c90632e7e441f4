"""Registries with toy rooms, and what a rollout in them leaves in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import toyrooms

from genhub.registry import Registries

Roll = Callable[..., Any]


@cache
def with_rooms() -> Registries:
    """Give registries with toy rooms, read once."""
    found = Registries()
    found.get("environments").add("rooms", toyrooms.RoomsFactory, origin="toy-dist")
    return found


def episodes_of(result: Any) -> list[dict[str, Any]]:
    """Read the lines of episodes.jsonl."""
    text = (result.folder / "episodes.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def told_of(result: Any) -> dict[str, Any]:
    """Give what the manifest says of the rollout."""
    manifest = json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))
    return dict(manifest["rollout"])
