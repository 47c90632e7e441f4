"""Figures for the page as inline SVG, in the page's own colours and type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import Any

__all__ = ["COLOURS", "bars_figure", "lines_figure"]

# Distinct on light and on dark, and for the colour-blind (after Okabe and Ito).
COLOURS = ("#0b84d8", "#c47f00", "#009e73", "#cc5ba3", "#d55e00", "#7a68d8")
MOST_POINTS = 500  # of one line
MOST_LETTERS = 40  # of a label
LINE_LETTERS = 90  # that stand beside each other in a legend
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
    joined: bool = True,
    y_range: Sequence[float] | None = None,
    salt: str = "",
) -> str:
    """Draw (x, y) points, joined to one line per series, and give the `<svg>` element.

    `y_range` is the least that the y axis spans. `salt` tells figures of the same names in one
    page apart.
    """
    from matplotlib.ticker import MaxNLocator

    with _canvas(f"{salt}/{x_label}/{y_label}/{list(series)}", 2.5) as (figure, axes):
        for (name, points), colour in zip(series.items(), COLOURS * 9, strict=False):
            xs, ys = zip(*points[:: -(-len(points) // MOST_POINTS)], strict=True)
            mark = "o" if len(xs) <= 60 or not joined else ""
            style = {"lw": 1.6, "ms": 2.5} if joined else {"lw": 0, "ms": 4}
            axes.plot(xs, ys, color=colour, label=_plain(name), marker=mark, **style)
        axes.set_xlabel(_plain(x_label))
        axes.set_ylabel(_plain(y_label))
        if joined:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if from_zero:
            axes.set_ylim(bottom=0)
        if y_range is not None:
            low, high = axes.get_ylim()
            axes.set_ylim(min(low, y_range[0]), max(high, y_range[1]))
        if len(series) > 1:
            axes.legend(loc="best", ncols=_columns(series))
        return _as_element(figure, f"{y_label} over {x_label}")


def bars_figure(
    rows: Mapping[str, Sequence[tuple[str, float, float]]], x_label: str, title: str
) -> str:
    """Draw rows of (name, begin, length) bars, equal names in equal colours."""
    names = list(dict.fromkeys(name for bars in rows.values() for name, _, _ in bars))
    with _canvas(f"{title}/{list(rows)}", 0.9 + 0.28 * len(rows)) as (figure, axes):
        for place, bars in enumerate(rows.values()):
            for name, begin, length in bars:
                colour = COLOURS[names.index(name) % len(COLOURS)]
                axes.barh(place, length, left=begin, height=0.62, color=colour)
        axes.set_yticks(range(len(rows)), [_plain(row) for row in rows])
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.set_xlabel(_plain(x_label))
        axes.legend(
            handles=[_swatch(n, COLOURS[i % len(COLOURS)]) for i, n in enumerate(names)],
            loc="lower left", bbox_to_anchor=(0, 1), ncols=_columns(names),
        )  # fmt: skip
        return _as_element(figure, title)


@contextmanager
def _canvas(salt: str, height: float) -> Iterator[tuple[Any, Any]]:
    import matplotlib
    from matplotlib.figure import Figure

    # The salt makes a figure's ids equal in every writing, and unlike those of other figures.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": ascii(salt)}):
        figure = Figure(figsize=(6.4, height), layout="constrained")
        yield figure, figure.add_subplot()


def _columns(names: Iterable[str]) -> int:
    """Give how many names fit beside each other in a legend."""
    return max(1, LINE_LETTERS // (6 + max(min(MOST_LETTERS, len(name)) for name in names)))


def _swatch(name: str, colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=_plain(name))


def _printable(text: str) -> str:
    """Leave out what XML must not hold, and what nobody reads to the end."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_LETTERS])


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return _printable(text).replace("$", r"\$")


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
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # known to HTML
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # a page holds several figures
    svg = svg.replace(_INK, "currentColor").replace(_FAINT, "var(--line)")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(_printable(title))}"', 1)
