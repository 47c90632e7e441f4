"""The reader: YAML 1.2 scalars, and a place for every key and value."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub.config.reader import read
from genhub.config.scalars import resolve
from genhub.config.tree import Node, plain
from genhub.errors import GenHubError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-4", 1e-4),
        ("1.", 1.0),
        (".5", 0.5),
        ("6.02e23", 6.02e23),
        ("-.inf", -math.inf),
        ("12:30:00", "12:30:00"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("nUll", "nUll"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_text() -> None:
    root, problems = read("a: '12'\nb: \"true\"\nc: |\n  3\n", "f")
    assert plain(root) == {"a": "12", "b": "true", "c": "3\n"}
    assert problems == []


def test_a_word_that_old_yaml_takes_for_a_boolean_is_a_key() -> None:
    assert plain(read("no: 1\non: 2\ny: 3\n", "f")[0]) == {"no": 1, "on": 2, "y": 3}


def test_tabs_inside_a_line_are_harmless() -> None:
    assert plain(read("a:\t1\t# one\n", "f")[0]) == {"a": 1}


def test_aliases_are_not_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30)]
    _, problems = read("\n".join(lines), "f")
    assert {problem.code for problem in problems} == {"GH103"}


def test_places_count_characters_from_one() -> None:
    root, _ = read("é: {😀: x}\n", "f")
    inner = root.map["é"]
    assert inner.keys["😀"] is not None
    assert (inner.keys["😀"].line, inner.keys["😀"].column) == (1, 5)
    mark = inner.map["😀"].mark
    assert mark is not None
    assert (mark.line, mark.column, mark.width, mark.text) == (1, 8, 1, "é: {😀: x}")


KEYS = st.text(alphabet="abcdefgh", min_size=1, max_size=5)
WORDS = st.text(alphabet="klmnop", min_size=1, max_size=8)
TREES = st.recursive(
    st.one_of(WORDS, st.integers(-999, 999)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.dictionaries(KEYS, inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)


def leaves(node: Node) -> list[Node]:
    if isinstance(node.value, dict):
        return [leaf for held in node.value.values() for leaf in leaves(held)]
    if isinstance(node.value, list):
        return [leaf for held in node.value for leaf in leaves(held)]
    return [node]


def keys_of(node: Node) -> list[tuple[str, Any]]:
    found = [(key, node.keys[key]) for key in node.map]
    inner = node.value.values() if isinstance(node.value, dict) else node.value
    for held in inner if isinstance(inner, list) or isinstance(node.value, dict) else ():
        found += keys_of(held)
    return found


@settings(max_examples=150, deadline=None)
@given(
    tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=5),
    flow=st.booleans(),
    blank=st.lists(st.integers(0, 40), max_size=4),
    break_=st.sampled_from(["\n", "\r\n"]),
)
def test_every_place_points_at_what_stands_there(
    tree: dict[str, Any], flow: bool, blank: list[int], break_: str
) -> None:
    lines = yaml.safe_dump(tree, default_flow_style=flow, sort_keys=False).splitlines()
    for at in blank:  # comments and blank lines move everything below them
        lines.insert(min(at, len(lines)), "" if at % 2 else "   # ça: {não")
    text = break_.join(lines) + break_
    root, problems = read(text, "f")
    assert problems == []
    assert plain(root) == tree
    shown = text.split(break_)
    for leaf in leaves(root):
        assert leaf.mark is not None
        start = leaf.mark.column - 1
        assert shown[leaf.mark.line - 1][start : start + leaf.mark.width].strip("'\"") == str(
            leaf.value
        )
    for key, mark in keys_of(root):
        assert shown[mark.line - 1][mark.column - 1 :].lstrip("'\"").startswith(key)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2", "a: 'b", "a: @x", "\ta: 1", "a: b: c", "a\nb: 1", 'a: "\\q"', "a: 1\n b: 2",
        "- a\nb: 1", "{a: 1", "a: *x\nb: &y 1", '"\\ud800": 1', '"\\Uffffffff": 1', "%YAML 9\n-",
        "a: 1\n---\nb: 2", "[" * 99, "a: 1\n  - b", "? a\n: b\n? c", "a: |\n\tx", "a: >x\n b",
    ],
)  # fmt: skip
def test_both_parsers_of_pyyaml_give_a_tree_or_one_error(loader: Any, text: str) -> None:
    try:
        root, _ = read(text, "f", loader=loader)
    except GenHubError as error:
        assert error.code in ("GH101", "GH104", "GH105")
        assert all(problem.mark is not None for problem in error.problems)
    else:
        assert isinstance(root, Node)
