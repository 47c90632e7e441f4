"""The JSON Schema (draft 2020-12) of configs, for editors and other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from genhub.config.names import SLOTS, Used
from genhub.config.union import block_class, run_class, union_of
from genhub.errors import GenHubError
from genhub.kinds import noun
from genhub.registry import Registries

__all__ = ["json_schema"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(registries: Registries, kind: str | None = None) -> dict[str, Any]:
    """Give the schema of whole configs, or of one kind's blocks or names.

    Loads every driver that is installed; those that are broken or disabled are left out.
    """
    if kind is None:
        return {"$schema": DRAFT, **_whole(registries)}
    if kind not in {*SLOTS.values(), "search_strategies"}:
        schema = _names(registries, kind)
    else:
        used = [u for k in (kind, "search_strategies") for u in _usable(registries, k, kind)]
        block = union_of(_classes(used, kind))
        schema = {"not": {}} if block is None else TypeAdapter(block).json_schema()
    return {"$schema": DRAFT, **schema}


def _whole(registries: Registries) -> dict[str, Any]:
    kinds = [(slot, kind) for slot, kind in SLOTS.items()]
    used = [u for slot, kind in kinds for u in _usable(registries, kind, slot)]
    used += _usable(registries, "search_strategies", "search")
    schema = run_class(used).model_json_schema()
    fields: dict[str, Any] = schema["properties"]
    about = "a file, or several, whose fields this one has unless it gives them itself"
    fields["extends"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": about,
    }
    names = _names(registries, "tasks")
    block = {k: v for k, v in fields["task"].items() if k not in ("description", "title")}
    fields["task"] = {
        "anyOf": [names, block],
        "default": "generate",
        "description": fields["task"].get("description", ""),
    }
    schema["required"] = [name for name in schema["required"] if name != "task"]
    for field, kind in (("metrics", "metrics"), ("hooks", "hooks")):
        fields[field]["items"] = _names(registries, kind)
    fields["sweep"]["properties"] = {
        path: {"type": "array", "minItems": 1, "items": {"$ref": target}}
        for path, target in _sweepable(schema)
    }
    return schema


def _sweepable(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the paths that an editor offers under `sweep`; others, such as attention.0.rank, may be
    written too."""
    for name in ("seed", "attention", "parallel"):
        yield name, f"#/properties/{name}"
    for block in ("model", "input", "sampling"):
        target = f"#/$defs/{block.capitalize()}/properties"
        for name in schema["$defs"][block.capitalize()]["properties"]:
            yield f"{block}.{name}", f"{target}/{name}"


def _usable(registries: Registries, kind: str, slot: str) -> Iterator[Used]:
    registry = registries.get(kind)
    for name in registry.names():
        try:
            cls, entry = registry.load(name), registry.find(name)
            if kind != "search_spaces":
                block_class(kind, name, cls).model_json_schema()
        except (GenHubError, PydanticInvalidForJsonSchema):  # a field that JSON cannot describe
            continue
        yield Used(kind, name, cls, entry, (slot,))


def _classes(used: Iterable[Used], kind: str) -> Iterator[type[BaseModel]]:
    listed = list(used)
    inner = tuple(
        block_class(u.kind, u.name, u.cls) for u in listed if u.kind == "search_strategies"
    )
    for each in listed:
        if each.kind == kind:
            strategies = inner if kind == "search_spaces" else ()
            yield block_class(kind, each.name, each.cls, strategies)


def _names(registries: Registries, kind: str) -> dict[str, Any]:
    """Describe a name: installed ones are offered, `dist:name` and `_` for `-` are valid too."""
    known = registries.get(kind).names()
    free = {"type": "string", "minLength": 1}
    about = f"name of a {noun(kind)}"
    return {"anyOf": [{"enum": known}, free], "description": about} if known else free
