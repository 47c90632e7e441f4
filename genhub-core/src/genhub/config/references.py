"""`${env:NAME}` and `${here}` in values: two references, and no language beyond them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace

from genhub.config.scalars import BadScalar, Scalar, resolve
from genhub.config.tree import Node
from genhub.errors import Problem

__all__ = ["escape", "retyped", "substitute"]

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")  # `$${` stands for the two characters
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


def escape(text: str) -> str:
    """Write a text so that `substitute` gives it back unchanged."""
    return text.replace("${", "$${")


def substitute(node: Node, problems: list[Problem]) -> Node:
    """Replace references in all texts of a tree.

    An unquoted `${env:NAME}` that stands alone is read as a plain scalar, so it may be a number;
    anywhere else the result is text. `retyped` turns the one into the other where a field asks.
    """
    if isinstance(node.value, dict):
        return replace(node, value={k: substitute(v, problems) for k, v in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[substitute(held, problems) for held in node.value])
    if not isinstance(node.value, str) or "${" not in node.value:
        return node
    return _replaced(node, node.value, problems)


def _replaced(node: Node, text: str, problems: list[Problem]) -> Node:
    value = spelling = ""
    end = 0
    secret = False
    for match in _REFERENCE.finditer(text):
        between, end = text[end : match.start()], match.end()
        found, spelled = _look_up(match, node, problems)
        value, spelling = value + between + found, spelling + between + spelled
        secret |= spelled.startswith("${env:")
    value, spelling = value + text[end:], spelling + text[end:]
    if not secret:
        return replace(node, value=value)
    read = replace(node, value=value, written=value, spelling=spelling)
    return retyped(read) if node.unquoted else read


def retyped(node: Node) -> Node:
    """Read a lone `${env:NAME}` as a number instead of text, or as text instead of a number."""
    if node.spelling is None or _ENV.fullmatch(node.spelling[2:-1]) is None:
        return node
    typed: Scalar = node.written
    if isinstance(node.value, str):
        with suppress(BadScalar):  # 007 in a variable is text, whoever set it cannot quote it
            typed = resolve(node.written)
    return replace(node, value=typed)


def _look_up(match: re.Match[str], node: Node, problems: list[Problem]) -> tuple[str, str]:
    """Give what a reference stands for, and how resolved.yaml spells it."""
    whole, name = match.group(), match.group(1)
    if whole == "$${":
        return "${", "$${"
    if name == "here":
        here = os.path.abspath(node.folder)
        return here, escape(here)
    variable = _ENV.fullmatch(name or "")
    if variable is None:
        problems.append(
            Problem(
                "GH110",
                f"'{whole}' is not known: there are ${{env:NAME}} and ${{here}}",
                "write $${ for the characters ${ themselves",
                node.mark,
            )
        )
        return "", ""
    found = os.environ.get(variable.group(1))
    if found is None:
        problems.append(
            Problem(
                "GH110",
                f"the environment variable {variable.group(1)} is not set",
                f"set it: export {variable.group(1)}=...",
                node.mark,
            )
        )
        return "", ""
    return found, whole
