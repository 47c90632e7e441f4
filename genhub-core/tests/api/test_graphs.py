"""Graphs of architectures: what is drawn is what was said, whatever the labels hold."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genhub.api import GraphSpec

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</text><script>alert("1")</script>&amp; #quot; \\" \\n [x] %% `$1`\x00\x0b'


def chain(*labels: str) -> GraphSpec:
    names = [f"node {i}" for i in range(len(labels))]
    edges = tuple((a, b, label) for a, b, label in zip(names, names[1:], labels, strict=False))
    return GraphSpec(dict(zip(names, labels, strict=True)), edges, title=labels[0])


@settings(max_examples=60, deadline=None, derandomize=True)
@example(NASTY)
@given(st.text(max_size=40))
def test_an_svg_is_well_formed_and_shows_every_label(label: str) -> None:
    root = ElementTree.fromstring(chain(label, "other").to_svg())
    assert {child.tag for child in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "title", "path", "rect", "text", "tspan")
    }
    shown = "".join(t.text or "" for t in root.iter(f"{SVG}tspan"))
    keep = re.sub("[^\x20-\x7e]", "", label)
    assert re.sub("[^\x20-\x7e]", "", shown) == keep + "other"


@settings(max_examples=60, deadline=None, derandomize=True)
@example(NASTY)
@given(st.text(max_size=40))
def test_no_label_breaks_out_of_its_quotes(label: str) -> None:
    graph = chain(label, "other")
    mermaid = graph.to_mermaid().splitlines()
    assert mermaid[0] == "flowchart TD"
    assert len(mermaid) == 4  # two nodes, one edge
    assert re.fullmatch(r'  n0\["[^"]*"\]', mermaid[1])
    assert "<" not in mermaid[1].replace("<br>", "")
    dot = graph.to_dot()
    quoted = r'"(?:[^"\\]|\\.)*"'
    node, edge = rf"  n\d \[label={quoted}\];", rf"  n0 -> n1(?: \[label={quoted}\])?;"
    whole = rf"digraph {quoted} \{{\n  node \[shape=box\];\n{node}\n{node}\n{edge}\n\}}\n"
    assert re.fullmatch(whole, dot, re.DOTALL)


def test_a_node_stands_below_all_that_lead_to_it() -> None:
    graph = GraphSpec(
        {"a": "a", "b": "b", "c": "c", "d": "d"},
        (("a", "b", ""), ("b", "c", ""), ("a", "c", "skip"), ("c", "a", "back"), ("a", "d", "")),
    )
    boxes = ElementTree.fromstring(graph.to_svg()).iter(f"{SVG}rect")
    a, b, c, d = (float(box.get("y", "0")) for box in boxes)
    assert a < b < c
    assert b == d


def test_an_edge_must_join_nodes() -> None:
    with pytest.raises(ValueError, match="'b', which is no node"):
        GraphSpec({"a": "a"}, (("a", "b", ""),))
