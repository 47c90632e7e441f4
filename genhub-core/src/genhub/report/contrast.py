"""What several maps of the same shape differ in, and nothing of what they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["MISSING", "contrast"]

MISSING = "-"

Row = tuple[str, list[str]]


def contrast(values: Sequence[Any], path: str = "") -> Iterator[Row]:
    """Give a row per field that is not equal in all: its dotted path and what each holds.

    Goes on into maps, and into lists of one length. Blocks of other types, such as two attention
    mixers, stand whole: the fields of one mean nothing to the other. A field that is missing shows
    as a dash.
    """
    if all(value == values[0] for value in values):
        return
    if all(isinstance(value, Mapping) for value in values) and _same_type(values):
        for key in dict.fromkeys(key for value in values for key in value):
            yield from contrast([value.get(key, _Missing) for value in values], _joined(path, key))
    elif all(isinstance(value, list) for value in values) and len({len(v) for v in values}) == 1:
        for index in range(len(values[0])):
            yield from contrast([value[index] for value in values], _joined(path, str(index)))
    else:
        yield path, [_shown(value) for value in values]


class _Missing:
    """Stands for a field that is not there."""


def _same_type(values: Sequence[Mapping[str, Any]]) -> bool:
    return len({repr(value.get("type")) for value in values}) == 1


def _joined(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _shown(value: Any) -> str:
    """Write a value on one line, much as YAML does in braces."""
    if value is _Missing:
        return MISSING
    if isinstance(value, Mapping):
        fields = ", ".join(f"{key}: {_shown(held)}" for key, held in value.items())
        return f"{{{fields}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
