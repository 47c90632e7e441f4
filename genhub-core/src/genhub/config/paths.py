"""Make the paths of a config absolute, so that what repeats a run need not stand where it stood."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import BaseModel

from genhub.config.model import Input, Model
from genhub.config.tree import Loc, Node, find, planted

__all__ = ["anchored"]

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


def _paths(root: Node, loc: Loc, cls: type[BaseModel]) -> Iterator[Loc]:
    for name, field in cls.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("format") == FORMAT:
            node = find(root, (*loc, name))
            if node is not None and isinstance(node.value, list):
                yield from ((*loc, name, index) for index in range(len(node.value)))
            else:
                yield (*loc, name)
