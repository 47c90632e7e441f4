"""Graphs of architectures, drawn without external programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

__all__ = ["GraphSpec"]

# Sizes of the SVG in pixels.
_CHARACTER, _LINE, _PAD, _GAP, _RISE = 7.2, 15, 10, 24, 34
# Characters that XML cannot hold.
_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class GraphSpec:
    """A directed graph: labels by node, and edges `(from, to, label)`.

    Labels may hold any text; a line break in one is drawn as such.
    """

    nodes: Mapping[str, str]
    edges: tuple[tuple[str, str, str], ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        for edge in self.edges:
            for end in edge[:2]:
                if end not in self.nodes:
                    raise ValueError(f"an edge ends at '{end}', which is no node")

    def to_mermaid(self) -> str:
        """Write a Mermaid flowchart."""
        short = self._short()
        lines = ["flowchart TD"]
        lines += [f'  {short[node]}["{_mermaid(label)}"]' for node, label in self.nodes.items()]
        for source, target, label in self.edges:
            note = f'|"{_mermaid(label)}"|' if label else ""
            lines.append(f"  {short[source]} -->{note} {short[target]}")
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """Write the graph in the language of Graphviz."""
        short = self._short()
        lines = [f"digraph {_quoted(self.title)} {{", "  node [shape=box];"]
        lines += [
            f"  {short[node]} [label={_quoted(label)}];" for node, label in self.nodes.items()
        ]
        for source, target, label in self.edges:
            note = f" [label={_quoted(label)}]" if label else ""
            lines.append(f"  {short[source]} -> {short[target]}{note};")
        return "\n".join([*lines, "}"]) + "\n"

    def to_svg(self) -> str:
        """Draw the graph from top to bottom: a node stands below all that lead to it."""
        boxes, width, height = self._layout()
        title = _xml(self.title or "graph")
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">',
            f"<title>{title}</title>",
            *(self._edge(boxes, edge) for edge in self.edges),
            *(_box(boxes[node], label) for node, label in self.nodes.items()),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _short(self) -> dict[str, str]:
        return {node: f"n{i}" for i, node in enumerate(self.nodes)}

    def _layers(self) -> list[list[str]]:
        """Sort nodes by their longest way from a source; edges that lead back do not count."""
        order = {node: i for i, node in enumerate(self.nodes)}
        depth = dict.fromkeys(self.nodes, 0)
        forward = [e for e in self.edges if order[e[0]] < order[e[1]]]
        for source, target, _ in sorted(forward, key=lambda edge: order[edge[0]]):
            depth[target] = max(depth[target], depth[source] + 1)
        layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
        for node in self.nodes:
            layers[depth[node]].append(node)
        return layers

    def _layout(self) -> tuple[dict[str, _Box], float, float]:
        rows = []
        for layer in self._layers():
            sizes = [_size(self.nodes[node]) for node in layer]
            wide = sum(w for w, _ in sizes) + _GAP * (len(sizes) + 1)
            rows.append((layer, sizes, wide, max((h for _, h in sizes), default=0)))
        width = max(wide for _, _, wide, _ in rows)
        boxes, y = {}, float(_GAP)
        for layer, sizes, wide, high in rows:
            x = (width - wide) / 2 + _GAP
            for node, (w, h) in zip(layer, sizes, strict=True):
                boxes[node] = _Box(x, y, w, h)
                x += w + _GAP
            y += high + _RISE
        return boxes, width, y - _RISE + _GAP

    def _edge(self, boxes: Mapping[str, _Box], edge: tuple[str, str, str]) -> str:
        source, target, label = boxes[edge[0]], boxes[edge[1]], edge[2]
        x1, y1 = source.x + source.width / 2, source.y + source.height
        x2, y2 = target.x + target.width / 2, target.y
        line = (
            f'<path d="M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f} m-3 -6 l3 6 l3 -6" '
            'fill="none" stroke="currentColor"/>'
        )
        if not label:
            return line
        x, y = (x1 + x2) / 2 + 4, (y1 + y2) / 2
        return f'{line}<text x="{x:.1f}" y="{y:.1f}" fill="currentColor">{_xml(label)}</text>'


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def _size(label: str) -> tuple[float, float]:
    lines = label.split("\n")
    return max(map(len, lines)) * _CHARACTER + 2 * _PAD, len(lines) * _LINE + _PAD


def _box(box: _Box, label: str) -> str:
    middle = box.x + box.width / 2
    rows: Iterable[str] = (
        f'<tspan x="{middle:.1f}" dy="{_LINE}">{_xml(line)}</tspan>' for line in label.split("\n")
    )
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="4" fill="none" stroke="currentColor"/>'
        f'<text y="{box.y:.1f}" text-anchor="middle" fill="currentColor">{"".join(rows)}</text>'
    )


def _xml(text: str) -> str:
    return escape(_UNSAYABLE.sub("\ufffd", text))


def _mermaid(text: str) -> str:
    """Write a label for quotes: Mermaid reads `#NUMBER;` as a character."""
    kept = (c if c.isalnum() or c in " _-.,:/()+=" else f"#{ord(c)};" for c in text)
    return "".join("<br>" if c == "#10;" else c for c in kept)


def _quoted(text: str) -> str:
    """Write a label for Graphviz, which knows escapes of its own after a backslash."""
    text = _UNSAYABLE.sub("\ufffd", text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'
