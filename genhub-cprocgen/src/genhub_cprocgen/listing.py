"""The table of parameters for a terminal."""

from __future__ import annotations

from collections.abc import Container, Sequence

from genhub_cprocgen.contexts import Parameter

__all__ = ["aligned", "parameter_rows"]


def parameter_rows(parameters: Sequence[Parameter], mode: str) -> list[str]:
    """Give a line per parameter: name, type, default in the mode, range, meaning."""
    several = len({p.game for p in parameters}) > 1
    rows = [[*(["game"] if several else []), "parameter", "type", mode, "range", "meaning"]]
    for p in parameters:
        default = "-" if p.default[mode] is None else _plain(p.default[mode])
        lies = "" if p.min is None or p.max is None else f"{p.min:g}..{p.max:g}"
        lies += ", odd" if p.odd else ""
        rows.append([*([p.game] if several else []), p.name, p.type, default, lies, p.meaning])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Pad columns to equal width; those whose numbers are in `right` stand at its right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
