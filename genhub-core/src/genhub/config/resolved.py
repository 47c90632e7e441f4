"""Write a config as YAML that reads back as the same config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from genhub.config.model import RunConfig
from genhub.config.references import escape
from genhub.config.scalars import BadScalar, resolve
from genhub.config.tree import Loc, from_python, plain

__all__ = ["as_written", "redact", "to_yaml"]

_TAGS = {str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}


def to_yaml(config: RunConfig) -> str:
    """Write a config in full: every field, `type` first in a block, `${env:NAME}` as it was.

    Loading the text gives an equal config, and writing that gives the same text. Blocks that the
    task does not read are left out.
    """
    fields = config.model_dump(mode="json", exclude=set(config._unread))
    return _dump(_ordered(_spelled(fields, config._spellings)))


def as_written(source: Mapping[str, Any]) -> str:
    """Write a map that came from Python as the file it stands for, references untouched."""
    return _dump(plain(from_python(source)))


def redact(config: RunConfig, text: str) -> str:
    """Put `${env:NAME}` in place of every value that the config took from the environment."""
    fields = config.model_dump(mode="json")
    for loc, spelling in config._spellings.items():
        value = _at(fields, loc)
        if isinstance(value, str) and value:
            text = text.replace(value, spelling)
    return text


class _Quoted(str):
    """A text that must not be read as anything else."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer with the scalar rules of our reader, block style, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return f"tag:yaml.org,2002:{_meaning(value)}"
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def _meaning(text: str) -> str:
    try:
        return "merge" if text == "<<" else _TAGS[type(resolve(text))]
    except BadScalar:
        return "int"  # so that a text of this form is put in quotes


def _quoted(dumper: _Dumper, text: _Quoted) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')


_Dumper.add_representer(_Quoted, _quoted)


def _dump(data: Any) -> str:
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 30,
        default_flow_style=False,
    )  # fmt: skip


def _at(fields: Any, loc: Loc) -> Any:
    for step in loc:
        try:
            fields = fields[step]
        except (KeyError, IndexError, TypeError):
            return None
    return fields


def _spelled(fields: Any, spellings: Mapping[Loc, str], loc: Loc = ()) -> Any:
    """Put references back, and protect texts that only look like one."""
    if loc in spellings and not isinstance(fields, dict | list):
        return _Quoted(spellings[loc]) if isinstance(fields, str) else spellings[loc]
    if isinstance(fields, dict):
        return {key: _spelled(held, spellings, (*loc, key)) for key, held in fields.items()}
    if isinstance(fields, list):
        return [_spelled(held, spellings, (*loc, i)) for i, held in enumerate(fields)]
    return escape(fields) if isinstance(fields, str) else fields


def _ordered(fields: Any) -> Any:
    """Let the name of a block's driver come first."""
    if isinstance(fields, dict):
        if "type" in fields:
            fields = {"type": fields["type"], **fields}
        return {key: _ordered(held) for key, held in fields.items()}
    return [_ordered(held) for held in fields] if isinstance(fields, list) else fields
