"""Figures and durations as a person would write them."""

from __future__ import annotations

__all__ = ["NOTHING", "count_of", "number", "seconds", "short", "size"]

NOTHING = "-"


def number(value: float | None) -> str:
    """Write a figure with four digits."""
    return NOTHING if value is None else f"{value:.4g}"


def seconds(value: float) -> str:
    """Write a duration."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def size(value: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def short(text: object, most: int = 500) -> str:
    """Cut a text that is too long to be read here, and say how long it is."""
    whole = str(text)
    if len(whole) <= most:
        return whole
    return f"{whole[:most].rstrip()} … ({len(whole):,} characters)"


def count_of(count: int, one: str) -> str:
    """Write a count with its noun."""
    return f"{count} {one}{'' if count == 1 else 's'}"
