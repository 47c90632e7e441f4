"""A config as a tree of values that know where they were written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from genhub.config.scalars import Scalar
from genhub.errors import GenHubError, Mark

__all__ = [
    "MOST_DEPTH",
    "Loc",
    "Node",
    "child",
    "dotted",
    "find",
    "from_python",
    "merge",
    "plain",
    "planted",
]

MOST_DEPTH = 32

Loc = tuple[str | int, ...]  # a path of keys and indices


@dataclass(frozen=True, slots=True)
class Node:
    """One value; a map holds Nodes by key, a list holds Nodes."""

    value: dict[str, Node] | list[Node] | Scalar
    mark: Mark | None = None
    keys: Mapping[str, Mark | None] = field(default_factory=dict)  # where a map's keys stand
    written: str = ""  # a scalar as it was written, without quotes
    unquoted: bool = False
    folder: str = "."  # what relative file names in it are relative to
    spelling: str | None = None  # with ${env:NAME} still in place, where the value came from it

    @property
    def map(self) -> dict[str, Node]:
        """Give what a map holds; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def without(self, *names: str) -> Node:
        """Give the map without these keys."""
        return replace(self, value={k: v for k, v in self.map.items() if k not in names})

    def with_(self, name: str, node: Node, key: Mark | None = None) -> Node:
        """Give the map with one key set, last where it is new."""
        return replace(self, value={**self.map, name: node}, keys={**self.keys, name: key})


def plain(node: Node) -> Any:
    """Give the values alone."""
    if isinstance(node.value, dict):
        return {key: plain(held) for key, held in node.value.items()}
    if isinstance(node.value, list):
        return [plain(held) for held in node.value]
    return node.value


def child(node: Node, step: str | int) -> Node | None:
    """Give what a map holds under a key, or a list at an index."""
    if isinstance(node.value, dict):
        return node.value.get(step) if isinstance(step, str) else None
    if isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step]
    return None


def find(node: Node, loc: Loc) -> Node | None:
    """Give the node at `loc`, or None."""
    at: Node | None = node
    for step in loc:
        at = child(at, step) if at is not None else None
    return at


def planted(node: Node, loc: Loc, new: Node) -> Node:
    """Give the tree with `new` in place of the node at `loc`."""
    if not loc:
        return new
    step, rest = loc[0], loc[1:]
    if isinstance(node.value, list) and isinstance(step, int):
        entries = list(node.value)
        entries[step] = planted(entries[step], rest, new)
        return replace(node, value=entries)
    name = str(step)
    return node.with_(name, planted(node.map[name], rest, new), node.keys.get(name))


def dotted(loc: Loc) -> str:
    """Write a path as `--set` takes it; `the config` for the whole."""
    return ".".join(str(step) for step in loc) or "the config"


def merge(base: Node, over: Node) -> Node:
    """Lay one tree over another: maps key by key, anything else is replaced.

    A block that selects another driver replaces the whole block, since the fields of the one mean
    nothing to the other.
    """
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    types = [block["type"].value for block in (base.value, over.value) if "type" in block]
    if len(types) == 2 and types[0] != types[1]:
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return replace(over, value=merged, keys={**base.keys, **over.keys})


def from_python(value: Any, loc: Loc = (), mark: Mark | None = None) -> Node:
    """Turn Python data into a tree; models become maps, tuples lists, paths text.

    Raises GenHubError (GH303, GH109, GH104) for what no YAML file could say.
    """
    if len(loc) > MOST_DEPTH:
        raise GenHubError(
            "GH104", f"the config is nested more than {MOST_DEPTH} levels deep", mark=mark
        )
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Mapping):
        held = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise GenHubError(
                    "GH109", f"a key of {dotted(loc)} is {key!r}: keys are text", mark=mark
                )
            held[key] = from_python(item, (*loc, key), mark)
        return Node(held, mark, dict.fromkeys(held, mark))
    if isinstance(value, list | tuple):
        return Node([from_python(item, (*loc, i), mark) for i, item in enumerate(value)], mark)
    if not _sayable(value):
        raise GenHubError(
            "GH303",
            f"{dotted(loc)} is a {type(value).__name__}, which no config can hold",
            hint="give text, a number, true or false, None, a list or a map",
            mark=mark,
        )
    return Node(value, mark, written=value if isinstance(value, str) else str(value))


def _sayable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 10**100
    return value is None or isinstance(value, bool | float)
