"""Read one YAML text into a tree with positions, refusing what a config has no need of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from genhub.config.scalars import BadScalar, resolve
from genhub.config.tree import MOST_DEPTH, Node
from genhub.errors import GenHubError, Mark, Problem

__all__ = ["MOST_BYTES", "read"]

MOST_BYTES = 1 << 20
LONGEST_SHOWN = 300  # characters of a line that is still shown under a message

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML 1.1 counts as the end of a line
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML 1.1, 5.1
)
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_QUOTE = "put quotes around a text that has a special character"
_COLON = (
    "check the indentation here and in the line above; put quotes around a text with ': ' in it"
)
_ALIGN = "start all entries of one block in the same column"
# What the scanner says (as libyaml or PyYAML words it), what a user is told, and the remedy.
_EXPLAINED = (
    ("mapping values are not allowed", "a ': ' stands where no key can be", _COLON),
    ("cannot start any token", "a value cannot start with this character", _QUOTE),
    ("simple keys? .*not allowed", "a key stands where no key can be", "check the indentation"),
    ("could not find expected ':'", "this line is not 'key: value'", "write 'key: value'"),
    (
        "did not find expected key|expected <block",
        "the indentation or a quote is wrong here",
        _ALIGN,
    ),
    ("did not find expected '-'", "this entry does not line up with its list", _ALIGN),
    ("block sequence entries", "a '-' stands where no list can begin", "put it on its own line"),
    ("unexpected end of stream", "a quote is opened here and never closed", "close the quote"),
    ("expected ',' or", "a bracket is opened here and not closed properly", "close the bracket"),
    ("escape|hexa?decimal", "a backslash sequence is not known", "use 'single quotes'"),
    ("expected (the )?node content", "a value is missing here", "check brackets and commas"),
    ("alphabetic or numeric", "a value cannot start with '&' or '*'", _QUOTE),
    ("tag", "a value cannot start with '!'", _QUOTE),
    ("directive|expected a? ?digit", "a line cannot start with '%'", _QUOTE),
    (
        "expected (a )?comment or",
        "only a comment can follow '|' or '>'",
        "begin the text in the next line",
    ),
    ("document start>", "the config ends before this line", "check the brackets before it"),
)


def read(
    text: str, file: str, folder: str = ".", *, loader: Any = None
) -> tuple[Node, list[Problem]]:
    """Give the tree of `text` and what is wrong with it short of being unreadable.

    Raises GenHubError (GH101, GH103-GH105, GH107) where there is no tree to speak of.
    """
    return _Reading(text, file, folder, loader or _LOADER).document()


@dataclass
class _Reading:
    text: str
    file: str
    folder: str
    loader: Any
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = _BREAK.split(self.text)

    def document(self) -> tuple[Node, list[Problem]]:
        if len(self.text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
            raise GenHubError(
                "GH104", f"{self.file} is larger than {MOST_BYTES} bytes, too big for a config"
            )
        odd = _UNPRINTABLE.search(self.text)
        if odd is not None:
            before = _BREAK.split(self.text[: odd.start()])
            raise GenHubError(
                "GH101",
                f"the character U+{ord(odd.group()):04X} cannot stand in YAML",
                hint='delete it, or write it as an escape such as "\\x07" in double quotes',
                mark=self._at(len(before) - 1, len(before[-1])),
            )
        try:
            return self._document(iter(yaml.parse(self.text, Loader=self.loader)))
        except yaml.YAMLError as error:
            raise self._unreadable(error) from None
        except (ValueError, OverflowError):  # without libyaml, numbers that Python cannot hold
            raise self._out_of_range() from None

    def _document(self, events: Iterator[Any]) -> tuple[Node, list[Problem]]:
        root = None
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if root is not None:
                raise GenHubError(
                    "GH104",
                    "a second document begins here, a config has only one",
                    hint="delete this '---' and what follows, or make it a file of its own",
                    mark=self._mark(event),
                )
            root = self._node(next(events), events, 1)
        if root is None:
            raise GenHubError(
                "GH107",
                f"{self.file} is empty",
                hint="the shortest config is 'genhub: 1'",
                mark=Mark(self.file, 1, 1),
            )
        return root, self.problems

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(mark, f"the alias '*{event.anchor}'", "write the value out")
            return Node(None, mark)
        if event.anchor is not None:
            self._refuse(mark, f"the anchor '&{event.anchor}'", "write the value where it is used")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(mark, f"the tag '{tag}'", "write the value without a tag")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark)
        if depth > MOST_DEPTH:
            raise GenHubError(
                "GH104", f"the config is nested more than {MOST_DEPTH} levels deep", mark=mark
            )
        if isinstance(event, yaml.SequenceStartEvent):
            entries = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                entries.append(self._node(event, events, depth + 1))
            return Node(entries, mark, folder=self.folder)
        return self._map(mark, events, depth)

    def _map(self, mark: Mark, events: Iterator[Any], depth: int) -> Node:
        held: dict[str, Node] = {}
        keys: dict[str, Mark | None] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name = self._node(event, events, depth + 1)
            node = self._node(next(events), events, depth + 1)
            key, place = name.value, self._mark(event)
            if key == "<<" and name.unquoted:
                self._refuse(place, "the merge key '<<'", "write the keys out, or use 'extends:'")
            elif not isinstance(key, str):
                self._bad_key(name, place)
            elif key in held:
                first = keys[key]
                self._add(
                    "GH102",
                    f"the key '{key}' is given twice, first in line {first.line if first else '?'}",
                    place,
                    "keep one of the two",
                )
            else:
                held[key], keys[key] = node, place
        return Node(held, mark, keys, folder=self.folder)

    def _scalar(self, event: Any, mark: Mark) -> Node:
        text, unquoted = event.value, event.style is None or event.style == ""
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise GenHubError("GH101", "a text holds half of a surrogate pair", mark=mark)
        value = text
        if unquoted and event.tag is None:
            try:
                value = resolve(text)
            except BadScalar as error:
                self._add("GH109", str(error), mark)
        return Node(value, mark, written=text, unquoted=unquoted, folder=self.folder)

    def _bad_key(self, name: Node, place: Mark) -> None:
        if any(problem.mark == place for problem in self.problems):
            return
        if isinstance(name.value, dict | list):
            what, fix = "a map or a list", "write a name before the ':'"
        else:
            shown = name.written or "nothing"
            what, fix = f"{shown}, not text", f'put quotes around it: "{name.written}"'
        self._add("GH109", f"this key is {what}", place, fix)

    def _refuse(self, mark: Mark, what: str, fix: str) -> None:
        self._add("GH103", f"{what} is not allowed in a config", mark, fix)

    def _add(self, code: str, message: str, mark: Mark, hint: str = "") -> None:
        self.problems.append(Problem(code, message, hint, mark))

    def _mark(self, event: Any) -> Mark:
        start, end = event.start_mark, event.end_mark
        one_line = start.line == end.line and isinstance(event, yaml.ScalarEvent)
        return self._at(start.line, start.column, end.column - start.column if one_line else 1)

    def _at(self, line: int, column: int, width: int = 1) -> Mark:
        if line >= len(self.lines) or (line == len(self.lines) - 1 and not self.lines[line]):
            line = max(i for i, text in enumerate(self.lines) if text or i == 0)
            column = len(self.lines[line])
        shown = self.lines[line].replace("\t", " ")
        shown = shown if len(shown) <= LONGEST_SHOWN else ""
        return Mark(self.file, line + 1, column + 1, max(1, width), shown)

    def _out_of_range(self) -> GenHubError:
        escape = _NO_CHARACTER.search(self.text)
        before = _BREAK.split(self.text[: escape.start()] if escape else "")
        return GenHubError(
            "GH101",
            "an escape stands for no character" if escape else "a number is too large for YAML",
            mark=self._at(len(before) - 1, len(before[-1]), 10 if escape else 1),
        )

    def _unreadable(self, error: yaml.YAMLError) -> GenHubError:
        problem = getattr(error, "problem", None) or str(error)
        place = getattr(error, "problem_mark", None)
        opened = getattr(error, "context_mark", None)
        if place is None:
            return GenHubError("GH101", f"{self.file} is not valid YAML: {problem}")
        line = self.lines[place.line] if place.line < len(self.lines) else ""
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            return GenHubError(
                "GH105",
                "a tab indents this line, YAML allows only spaces",
                hint="use spaces instead of tabs",
                mark=self._at(place.line, indent.index("\t")),
            )
        for pattern, message, hint in _EXPLAINED:
            if re.search(pattern, problem):
                if opened is not None and re.search("opened here|this line", message):
                    place = opened
                return GenHubError(
                    "GH101", message, hint=hint, mark=self._at(place.line, place.column)
                )
        return GenHubError(
            "GH101",
            f"this is not valid YAML: {problem}",
            mark=self._at(place.line, place.column),
        )
