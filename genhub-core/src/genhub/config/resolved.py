"""Write a config as YAML that reads back as the same config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from genhub.config.model import RunConfig
from genhub.config.references import escape
from genhub.config.scalars import BadScalar, resolve
from genhub.config.tree import Loc, from_python, plain

__all__ = ["as_written", "redact", "to_map", "to_yaml"]

SHORTEST_SECRET = 4

_TAGS = {str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}


def to_yaml(config: RunConfig) -> str:
    """Write a config in full: every field, `type` first in a block, `${env:NAME}` as it was.

    Loading the text gives an equal config, and writing that gives the same text. Blocks that the
    task does not read are left out.
    """
    return _dump(to_map(config))


def to_map(config: RunConfig) -> dict[str, Any]:
    """Give what `to_yaml` writes as a map, which `load` takes too."""
    left_out = set(config._unread)
    fields = config.model_dump(mode="json", exclude=left_out)
    fields = _mended(fields, config.model_dump(exclude=left_out))
    ordered: dict[str, Any] = _ordered(_spelled(fields, config._spellings))
    return ordered


def as_written(source: Mapping[str, Any]) -> str:
    """Write a map that came from Python as the file it stands for, references untouched."""
    return _dump(plain(from_python(source)))


def redact(config: RunConfig, text: str) -> str:
    """Put `${env:NAME}` in place of the texts that the config took from the environment.

    Values of fewer than 4 characters are left: they occur in words by chance.
    """
    found = {v: spelling for spelling, v in config._spellings.values() if isinstance(v, str)}
    for value in sorted(found, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, found[value])
    return text


class _Quoted(str):
    """A text that must not be read as anything else."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """PyYAML's writer with the scalar rules of our reader, block style, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return f"tag:yaml.org,2002:{_meaning(value)}"
        return super().resolve(kind, value, implicit)


def _meaning(text: str) -> str:
    try:
        return "merge" if text == "<<" else _TAGS[type(resolve(text))]
    except BadScalar:
        return "int"  # so that a text of this form is put in quotes


def _quoted(dumper: _Dumper, text: _Quoted) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Write line breaks as escapes: PyYAML's other styles lose some of those that YAML knows."""
    broken = any(char in text for char in "\n\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if broken else None)


_Dumper.add_representer(_Quoted, _quoted)
_Dumper.add_representer(str, _text)


def _dump(data: Any) -> str:
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 30,
        default_flow_style=False,
    )  # fmt: skip
    return text


def _mended(fields: Any, values: Any) -> Any:
    """Mend what JSON cannot say: sets get an order that never changes, .inf stays a number."""
    if isinstance(values, float):
        return values
    if isinstance(values, set | frozenset):
        return sorted(fields, key=repr)
    if isinstance(values, dict) and isinstance(fields, dict):
        inner = zip(fields.items(), values.values(), strict=True)
        return {key: _mended(field, value) for (key, field), value in inner}
    if isinstance(values, list | tuple) and isinstance(fields, list):
        return [_mended(*pair) for pair in zip(fields, values, strict=True)]
    return fields


def _spelled(fields: Any, spellings: Mapping[Loc, tuple[str, Any]], loc: Loc = ()) -> Any:
    """Put references back, and protect texts that only look like one."""
    if isinstance(fields, dict):
        return {key: _spelled(held, spellings, (*loc, key)) for key, held in fields.items()}
    if isinstance(fields, list):
        return [_spelled(held, spellings, (*loc, i)) for i, held in enumerate(fields)]
    if loc in spellings:
        spelling, value = spellings[loc]
        if isinstance(loc[-1], str) or value == fields:  # entries of a set may have moved
            return _Quoted(spelling) if isinstance(fields, str) else spelling
    if not isinstance(fields, str):
        return fields
    for spelling, value in spellings.values():
        if value == fields:
            return _Quoted(spelling)
    return escape(fields)


def _ordered(fields: Any) -> Any:
    """Let the name of a block's driver come first."""
    if isinstance(fields, dict):
        if "type" in fields:
            fields = {"type": fields["type"], **fields}
        return {key: _ordered(held) for key, held in fields.items()}
    return [_ordered(held) for held in fields] if isinstance(fields, list) else fields
