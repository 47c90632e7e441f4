"""Figures for the page as inline SVG, in the page's own colours and type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

__all__ = ["lines_figure"]

# Distinct on light and on dark, and for the colour-blind (after Okabe and Ito).
COLOURS = ("#0b84d8", "#e69f00", "#009e73", "#cc5ba3", "#d55e00", "#7a68d8")
_INK = "#010203"  # stands for the page's text colour until the SVG is written
_FAINT = "#010204"

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
}


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    from_zero: bool = False,
) -> str:
    """Draw one line per series of (x, y) points and give the `<svg>` element."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # The salt makes a figure's ids equal in every writing, and unlike those of other figures.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"{x_label}/{y_label}"}):
        figure = Figure(figsize=(6.4, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for (name, points), colour in zip(series.items(), COLOURS * 9, strict=False):
            xs, ys = zip(*points, strict=True)
            mark = "o" if len(points) <= 60 else ""
            axes.plot(xs, ys, color=colour, label=_plain(name), lw=1.6, marker=mark, ms=2.5)
        axes.set_xlabel(x_label)
        axes.set_ylabel(_plain(y_label))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if from_zero:
            axes.set_ylim(bottom=0)
        if len(series) > 1:
            axes.legend(loc="best", ncols=min(4, len(series)))
        return _as_element(figure, f"{y_label} over {x_label}")


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return text.replace("$", r"\$")


def _as_element(figure: Any, title: str) -> str:
    buffer = StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )  # fmt: skip
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]+", "font-family: inherit", svg)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # a page holds several figures
    svg = svg.replace(_INK, "currentColor").replace(_FAINT, "var(--line)")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
