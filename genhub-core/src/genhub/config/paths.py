"""Make the paths of a config absolute, so that what repeats a run need not stand where it stood."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import BaseModel

from genhub.config.model import Input, Model
from genhub.config.tree import Loc, Node, child, find, planted

__all__ = ["anchored", "anchored_overrides"]

FORMAT = "path"


def anchored(root: Node, drivers: Sequence[tuple[Loc, type[BaseModel]]]) -> Node:
    """Give the tree with the paths of all blocks absolute.

    A path is a text in a field with `json_schema_extra={"format": "path"}` that exists below the
    folder of the file it was written in. Such a field may hold a hub id or a word as well: what
    does not exist is left as it is.
    """
    blocks: list[tuple[Loc, type[BaseModel]]] = [
        *drivers,
        (("model",), Model),
        (("input",), Input),
    ]
    for loc, cls in blocks:
        for place in _paths(root, loc, cls):
            node = find(root, place)
            if node is None or node.spelling is not None or not isinstance(node.value, str):
                continue
            path = os.path.abspath(os.path.join(node.folder, os.path.expanduser(node.value)))
            if node.value and not os.path.isabs(node.value) and os.path.exists(path):
                root = planted(root, place, replace(node, value=path))
    return root


def anchored_overrides(block: Node, tree: Node) -> Node:
    """Give a variant's overrides with paths absolute as they are in its anchored tree."""
    for key, node in block.map.items():
        at: Node | None = tree
        for step in key.split("."):
            listed = at is not None and isinstance(at.value, list) and step.isdigit()
            at = child(at, int(step) if listed else step) if at is not None else None
        block = block.with_(key, _as_in(node, at), block.keys.get(key))
    return block


def _as_in(node: Node, at: Node | None) -> Node:
    if at is None:
        return node
    if isinstance(node.value, dict):
        held = {key: _as_in(inner, child(at, key)) for key, inner in node.value.items()}
        return replace(node, value=held)
    if isinstance(node.value, list):
        return replace(node, value=[_as_in(v, child(at, i)) for i, v in enumerate(node.value)])
    path = at.value if isinstance(node.value, str) and at.mark == node.mark else None
    return replace(node, value=path) if isinstance(path, str) and os.path.isabs(path) else node


def _paths(root: Node, loc: Loc, cls: type[BaseModel]) -> Iterator[Loc]:
    for name, field in cls.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("format") == FORMAT:
            node = find(root, (*loc, name))
            if node is not None and isinstance(node.value, list):
                yield from ((*loc, name, index) for index in range(len(node.value)))
            else:
                yield (*loc, name)
