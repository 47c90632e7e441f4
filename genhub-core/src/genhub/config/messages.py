"""Say in plain words, and at the right place, what pydantic found wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from pydantic import BaseModel

from genhub.config.fields import bounds, field_at, keys_at
from genhub.config.tree import Loc, Node, child, dotted, find
from genhub.errors import Mark, Problem

__all__ = ["explain", "of_wrong_type", "place", "shown"]

MOST_EXPLAINED = 1000  # errors of one config; nobody reads as many

# Error types that mean "another type of value": what was expected.
_EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "bytes_type": "text",
    "date_type": "a date",
    "dataclass_type": "a map of keys",
    "dict_type": "a map of keys",
    "float_parsing": "a number",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a map of keys",
    "model_attributes_type": "a map of keys",
    "model_type": "a map of keys",
    "none_required": "left out",
    "path_type": "a path",
    "set_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}
_CHOICE = ("literal_error", "enum")
_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_LENGTH = ("string_too_short", "string_too_long", "too_short", "too_long")
_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True)
class _Error:
    """One error of pydantic, its location cleaned of names of union members."""

    loc: Loc
    type: str
    detail: dict[str, Any]
    of_union: bool


def explain(errors: Iterable[Any], root: Node, model: type[BaseModel]) -> list[Problem]:
    """Turn the errors of one validation into problems, one per place, up to a sensible number."""
    grouped: dict[Loc, list[_Error]] = {}
    for detail in islice(errors, MOST_EXPLAINED):
        error = _cleaned(detail, root, model)
        grouped.setdefault(error.loc, []).append(error)
    problems = []
    blocks = {loc[:end] for loc in grouped for end in range(len(loc))}
    for loc, found in grouped.items():
        kept = [e for e in found if not (e.type in (*_EXPECTED, *_CHOICE) and e.of_union)]
        if not kept and loc not in blocks:
            kept = found
        if kept:
            problems.append(_Sentence(loc, kept, root, model).problem())
    return problems


def of_wrong_type(errors: Iterable[Any], root: Node, model: type[BaseModel]) -> Iterator[Loc]:
    """Go through the places of single values that have another type than their field."""
    for detail in errors:
        error = _cleaned(detail, root, model)
        if error.type in _EXPECTED:
            yield error.loc


def place(root: Node, loc: Loc, *, key: bool = False) -> Mark | None:
    """Give where the value at `loc` (or its key) stands, else the nearest block around it."""
    for end in range(len(loc), 0, -1):
        parent, last = find(root, loc[: end - 1]), loc[end - 1]
        held = child(parent, last) if parent is not None else None
        if parent is not None and held is not None:
            by_key = parent.keys.get(last) if isinstance(last, str) else None
            block = isinstance(held.value, dict | list) or (held.value is None and not held.written)
            return (by_key if key or block else None) or held.mark
        key = True
    return root.mark


def shown(node: Node | None, value: Any = None) -> str:
    """Write a value for a message: as its author wrote it, cut to a readable length."""
    if node is not None:
        if node.spelling is not None:
            return f"'{node.spelling}'"
        value = node.value
        if not isinstance(value, str | dict | list) and node.written:
            return node.written
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"'{text}'" if isinstance(value, str) else text


class _Sentence:
    """The message about one place."""

    def __init__(
        self, loc: Loc, errors: Sequence[_Error], root: Node, model: type[BaseModel]
    ) -> None:
        self.loc, self.errors, self.root, self.model = loc, errors, root, model
        self.node = find(root, loc)
        self.path = dotted(loc)
        self.info = field_at(model, root, loc)
        self.seen = shown(self.node, errors[0].detail.get("input"))
        self.about = self.info.description or "" if self.info is not None else ""

    def problem(self) -> Problem:
        kinds = [error.type for error in self.errors]
        if kinds[0] == "extra_forbidden":
            return self._unknown_key()
        if kinds[0] == "missing":
            return self._missing()
        if any(kind in _EXPECTED for kind in kinds):
            return self._wrong_type()
        if kinds[0] in _CHOICE:
            return self._no_choice()
        if kinds[0] in _RANGE:
            return self._told("GH302", f"{self.path} is {self.seen}; it must be {self._range()}")
        if kinds[0] in _LENGTH:
            return self._told("GH302", self._length())
        return self._other()

    def _told(self, code: str, message: str, hint: str = "") -> Problem:
        return Problem(code, message, hint or self._described(), place(self.root, self.loc))

    def _described(self) -> str:
        named = self.loc and isinstance(self.loc[-1], str)
        return f"{self.loc[-1]}: {self.about}" if named and self.about else ""

    def _unknown_key(self) -> Problem:
        name, parent = str(self.loc[-1]), self.loc[:-1]
        known = [key for key in keys_at(self.model, self.root, parent) if key != name]
        if not parent:
            known.append("extends")
        inside = [key for key in known if name in keys_at(self.model, self.root, (*parent, key))]
        close = [f"{key}.{name}" for key in inside] or get_close_matches(name, known, n=1)
        if close:
            hint = f"did you mean '{close[0]}'?"
        else:
            hint = f"known keys: {', '.join(known)}" if known else "it takes no keys"
        message = f"{dotted(parent)} has no key '{name}'"
        return Problem("GH301", message, hint, place(self.root, self.loc, key=True))

    def _missing(self) -> Problem:
        name, parent = str(self.loc[-1]), self.loc[:-1]
        if isinstance(self.loc[-1], int):  # of a tuple
            message = f"{dotted(parent)} has too few entries: entry {name} is missing"
            return self._told("GH304", message)
        about = keys_at(self.model, self.root, parent).get(name)
        message = f"{dotted(parent)} needs the key '{name}'"
        if self.loc == ("genhub",):
            about = "write 'genhub: 1' in the first line"
            return Problem("GH304", message, about, self.root.mark)
        hint = f"{name}: {about}" if about else ""
        return Problem("GH304", message, hint, place(self.root, parent))

    def _wrong_type(self) -> Problem:
        expected = []
        for error in self.errors:
            if error.type in _EXPECTED:
                expected.append(_EXPECTED[error.type])
            elif error.type in _CHOICE:
                expected.append(str(error.detail["ctx"]["expected"]))
        wanted = " or ".join(dict.fromkeys(expected))
        found = f"found {self.seen}" if self.seen in ("a map", "a list") else f"but is {self.seen}"
        message = f"{self.path} must be {wanted}, {found}"
        return self._told("GH303", message, _remedy(self.node, wanted))

    def _no_choice(self) -> Problem:
        expected = str(self.errors[0].detail["ctx"]["expected"])
        choices = re.findall(r"'([^']*)'", expected)
        value = self.node.value if self.node is not None else None
        close = get_close_matches(str(value), choices, n=1)
        hint = f"did you mean '{close[0]}'?" if close else ""
        return self._told("GH305", f"{self.path} is {self.seen}; it must be {expected}", hint)

    def _range(self) -> str:
        context = self.errors[0].detail.get("ctx", {})
        limits = context if isinstance(self.loc[-1], int) else bounds(self.info) | context
        if "ge" in limits and "le" in limits:
            return f"{_number(limits['ge'])} to {_number(limits['le'])}"
        words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
        return " and ".join(f"{words[k]} {_number(limits[k])}" for k in words if k in limits)

    def _length(self) -> str:
        kind, context = self.errors[0].type, self.errors[0].detail["ctx"]
        least, most = context.get("min_length"), context.get("max_length")
        units = ("character", "characters") if kind.startswith("string") else ("entry", "entries")
        held = self.node.value if self.node is not None else None
        size = len(held) if isinstance(held, str | list | dict) else context.get("actual_length")
        wanted = f"at least {least}" if least is not None else f"at most {most}"
        if not size:
            return f"{self.path} is empty"
        return f"{self.path} has {size} {units[size != 1]}; it must have {wanted}"

    def _other(self) -> Problem:
        error = self.errors[0]
        if error.type in ("value_error", "assertion_error"):
            cause = str(error.detail.get("ctx", {}).get("error") or error.detail["msg"])
            seen = "" if self.seen in ("a map", "a list") else f" is {self.seen}"
            return self._told("GH305", f"{self.path}{seen}: {_hidden(cause, self.node)}")
        if error.type == "string_pattern_mismatch":
            return self._told("GH305", f"{self.path} is {self.seen}, which has the wrong form")
        rule = error.detail["msg"].replace("Input should", "it should").strip()
        rule = _hidden(rule[:1].lower() + rule[1:], self.node)
        return self._told("GH305", f"{self.path} is {self.seen}: {rule}")


def _cleaned(detail: Any, root: Node, model: type[BaseModel]) -> _Error:
    """Leave out what pydantic adds to a location: tags and names of union members."""
    steps = list(detail["loc"])
    loc: Loc = ()
    at, of_union = root, False
    while steps:
        step = steps.pop(0)
        inner = child(at, step)
        if inner is not None:
            at, loc, of_union = inner, (*loc, step), False
            chosen = at.map.get("type")
            if _is_block(loc) and chosen is not None and steps[1:] and steps[0] == chosen.value:
                del steps[0]
        elif not steps and (detail["type"] == "missing" or step in keys_at(model, root, loc)):
            return _Error((*loc, step), detail["type"], dict(detail), False)
        else:
            of_union = True
    return _Error(loc, detail["type"], dict(detail), of_union)


def _is_block(loc: Loc) -> bool:
    """Say whether a driver's block stands here: pydantic puts its tag next in the location."""
    return len(loc) == 1 or loc[:-1] == ("attention",) or (len(loc) < 4 and loc[0] == "search")


def _remedy(node: Node | None, wanted: str) -> str:
    """Give the edit that most likely mends a value of the wrong type."""
    if node is None:
        return ""
    value, written = node.value, node.written
    if wanted.startswith("a list") and isinstance(value, dict):
        return "put a '-' before each entry"
    if wanted == "a list" and not isinstance(value, dict) and written:
        return f"write [{written}]"
    if "a map" in wanted and isinstance(value, list):
        return "take the '-' away: this is one block, not a list"
    if "text" in wanted and isinstance(value, bool | int | float) and node.spelling is None:
        return f'put quotes around it: "{written}"'
    if not isinstance(value, str) or node.spelling is not None:
        return ""
    if wanted == "true or false" and value.lower() in _BOOLEANS:
        return f"write {_BOOLEANS[value.lower()]}"
    bare = value.replace("_", "").replace(",", "")
    if "number" in wanted and re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", bare, re.IGNORECASE):
        return f"write {bare}, without quotes" if bare == value else f"write {bare}"
    return ""


def _hidden(text: str, node: Node | None) -> str:
    """Put `${env:NAME}` back where a validator's words repeat its value."""
    if node is None:
        return text
    if isinstance(node.value, dict | list):
        held = node.value.values() if isinstance(node.value, dict) else node.value
        for inner in held:
            text = _hidden(text, inner)
    elif node.spelling is not None and str(node.value):
        text = text.replace(str(node.value), node.spelling)
    return text


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
