"""What the models say of a field: its keys, its bounds, its description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genhub.config.tree import Loc, Node, find

__all__ = ["bounds", "field_at", "keys_at"]

_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length")


def keys_at(model: type[BaseModel], root: Node, loc: Loc) -> dict[str, str]:
    """Give the keys that the block at `loc` may have, with their descriptions."""
    known: dict[str, str] = {}
    for each in _models_at(model, root, loc):
        known |= {i.alias or n: i.description or "" for n, i in each.model_fields.items()}
    return known


def field_at(model: type[BaseModel], root: Node, loc: Loc) -> FieldInfo | None:
    """Give the field that holds the value at `loc`, where the models have one of that name."""
    names = [step for step in loc if isinstance(step, str)]
    if not names:
        return None
    depth = max(i for i, step in enumerate(loc) if isinstance(step, str))
    for each in _models_at(model, root, loc[:depth]):
        if names[-1] in each.model_fields:
            return each.model_fields[names[-1]]
    return None


def bounds(info: FieldInfo | None) -> dict[str, Any]:
    """Give the limits that a field declares: ge, gt, le, lt, min_length, max_length."""
    found: dict[str, Any] = {}
    if info is not None:
        for item in [*info.metadata, *_metadata(info.annotation)]:
            for limit in _LIMITS:
                value = getattr(item, limit, None)
                if value is not None:
                    found.setdefault(limit, value)
    return found


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for item in annotation.__metadata__:
            yield from item.metadata if isinstance(item, FieldInfo) else [item]
    for part in get_args(annotation):
        yield from _metadata(part)


def _models_at(model: type[BaseModel], root: Node, loc: Loc) -> list[type[BaseModel]]:
    at = [model]
    for depth, step in enumerate(loc):
        if isinstance(step, int):
            continue
        fields = [m.model_fields[step] for m in at if step in m.model_fields]
        if not fields:
            return []  # a key of a free map
        at = [inner for info in fields for inner in _models_in(info.annotation)]
        block = find(root, loc[: depth + 1])
        if depth + 1 < len(loc) and isinstance(loc[depth + 1], int):
            block = find(root, loc[: depth + 2])
        chosen = block.map.get("type") if block is not None else None
        if chosen is not None:
            at = [inner for inner in at if _selects(inner, chosen.value)] or at
    return at


def _selects(model: type[BaseModel], name: Any) -> bool:
    info = model.model_fields.get("type")
    return info is not None and name in get_args(info.annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)
