"""Overrides of single values: `attention.0.sparsity=0.3` from the command, a map from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genhub.config.files import task_as_block
from genhub.config.reader import read
from genhub.config.references import substitute
from genhub.config.scalars import BadScalar, resolve
from genhub.config.tree import Loc, Node, dotted, from_python, merge
from genhub.errors import GenHubError, Mark, Problem

__all__ = ["Override", "apply", "overrides", "within"]

FILE = "--set"  # what a mark names as its file
EXAMPLE = "write it as sampling.steps"


@dataclass(frozen=True)
class Override:
    """A path, the value to lay there, and where each was written."""

    path: tuple[str, ...]
    node: Node
    mark: Mark | None


def overrides(given: Mapping[str, Any] | Sequence[str], problems: list[Problem]) -> list[Override]:
    """Read overrides, `key=value` or a map from dotted paths to values; a map is merged in.

    Raises GenHubError (GH306) for an argument that is not one.
    """
    if isinstance(given, Mapping):
        read_in = [_from_item(key, value) for key, value in given.items()]
    elif isinstance(given, str):
        read_in = [_from_argument(given)]
    else:
        read_in = [_from_argument(argument) for argument in given]
    return [replace(each, node=substitute(each.node, problems)) for each in read_in]


def within(block: Node) -> list[Override]:
    """Give what a variant's block overrides; its keys may be dotted paths."""
    return [
        Override(tuple(key.split(".")), node, block.keys.get(key))
        for key, node in block.map.items()
    ]


def apply(root: Node, given: Sequence[Override]) -> Node:
    """Lay overrides over a tree, one after the other.

    Raises GenHubError (GH306) where a path leads through something that cannot hold it.
    """
    for override in given:
        root = task_as_block(_put(root, override.path, override, ()))
    return root


def _put(node: Node, path: tuple[str, ...], override: Override, done: Loc) -> Node:
    if not path:
        return merge(node, override.node)
    step, rest = path[0], path[1:]
    if isinstance(node.value, list):
        index = _index(node.value, step, override, done)
        entries = list(node.value)
        entries[index] = _put(entries[index], rest, override, (*done, index))
        return replace(node, value=entries)
    if node.value is not None and not isinstance(node.value, dict):
        raise _refused(override, f"{dotted(done)} is one value, there is no '{step}' in it")
    if step.isdigit() and step not in node.map:
        raise _refused(override, f"{dotted(done)} is not a list, it has no entry {step}")
    held = node.map.get(step)
    key = node.keys.get(step) if held is not None else override.mark
    empty = Node(None, override.mark)
    inner = _put(held if held is not None else empty, rest, override, (*done, step))
    whole = node if isinstance(node.value, dict) else Node({}, override.mark)
    return whole.with_(step, inner, key if rest else override.mark)


def _index(entries: list[Node], step: str, override: Override, done: Loc) -> int:
    if step.isdigit() and int(step) < len(entries):
        return int(step)
    have = f"entries 0 to {len(entries) - 1}" if entries else "no entries"
    raise _refused(override, f"{dotted(done)} has {have}, there is no '{step}'")


def _refused(override: Override, message: str) -> GenHubError:
    hint = "set the whole list or block at once, as a YAML value"
    return GenHubError("GH306", message, hint=hint, mark=override.mark)


def _from_item(key: Any, value: Any) -> Override:
    if not isinstance(key, str) or not key:
        raise GenHubError("GH306", f"the override {key!r} is no path", hint=EXAMPLE)
    shown = f"{key}={value!r}"
    shown = shown if len(shown) <= 300 else f"{key}=..."
    mark = Mark(FILE, 1, len(key) + 2, max(1, len(shown) - len(key) - 1), shown)
    steps = _steps(key, shown)
    return Override(steps, from_python(value, steps, mark), replace(mark, column=1, width=len(key)))


def _from_argument(argument: str) -> Override:
    shown = argument.replace("\n", " ")
    key, equals, rest = argument.partition("=")
    key, text = key.strip(), rest.strip()
    if not equals or not key:
        raise GenHubError(
            "GH306",
            f"'{argument}' is no override",
            hint=f"{EXAMPLE}=30",
            mark=Mark(FILE, 1, 1, max(1, len(argument)), shown),
        )
    column = len(argument) - len(rest.lstrip()) + 1
    mark = Mark(FILE, 1, column, max(1, len(text)), shown)
    steps = _steps(key, shown)
    return Override(steps, _value(text, mark), replace(mark, column=1, width=len(key)))


def _steps(key: str, shown: str) -> tuple[str, ...]:
    steps = tuple(key.split("."))
    mark = Mark(FILE, 1, 1, max(1, len(key)), shown)
    if not all(steps):
        raise GenHubError("GH306", f"'{key}' is no path: a name is missing", mark=mark)
    if steps[0] == "extends":
        raise GenHubError("GH306", "'extends' can only stand in a file", mark=mark)
    return steps


def _value(text: str, mark: Mark) -> Node:
    """Read a value: a scalar as in a file, or YAML where it opens a bracket or a quote."""
    if text[:1] in ("[", "{", '"', "'"):
        try:
            node, problems = read(text, FILE)
        except GenHubError as error:
            message = f"'{text}' is no value: {error.problems[0].message}"
            raise GenHubError("GH306", message, mark=mark) from None
        if problems:
            message = f"'{text}' is no value: {problems[0].message}"
            raise GenHubError("GH306", message, hint=problems[0].hint, mark=mark)
        return _moved(node, mark)
    try:
        return Node(resolve(text), mark, written=text, unquoted=True)
    except BadScalar as error:
        raise GenHubError("GH306", f"'{text}' is no value: {error}", mark=mark) from None


def _moved(node: Node, mark: Mark) -> Node:
    """Let every position point into the argument."""
    held: Any = node.value
    if isinstance(held, dict):
        held = {key: _moved(inner, mark) for key, inner in held.items()}
    elif isinstance(held, list):
        held = [_moved(inner, mark) for inner in held]

    def shifted(place: Mark | None) -> Mark | None:
        if place is None or place.line > 1:
            return mark
        return replace(place, column=place.column + mark.column - 1, text=mark.text)

    keys = {key: shifted(place) for key, place in node.keys.items()}
    return replace(node, value=held, mark=shifted(node.mark), keys=keys)
