"""Find the `where` that keeps two mixers off each other's sites."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from genhub.api import Range, Site, Where

__all__ = ["Wish", "how_to_part", "narrowed", "shown", "split"]

Wish = tuple[str, Where, Sequence[Site]]  # who, what it selects now, the sites it gets by that

_WORDS = ("axis", "kind", "stage", "component")
_NUMBERS = ("level", "channels", "index")


def how_to_part(one: Wish, other: Wish) -> str:
    """Write the change of one `where`, else of both, that makes the two disjoint."""
    for (label, where, sites), rival in ((other, one), (one, other)):
        change = narrowed(where, sites, rival[2])
        if change is not None:
            return f"for example, '{label}' with where: {shown(change)}"
    both = split(one, other)
    if both is not None:
        first, second = both
        return (
            f"for example, '{one[0]}' with where: {shown(first)} "
            f"and '{other[0]}' with where: {shown(second)}"
        )
    return f"no 'where' can part them: remove '{one[0]}' or '{other[0]}'"


def narrowed(where: Where, sites: Sequence[Site], taken: Sequence[Site]) -> Where | None:
    """Add one condition to `where` that avoids `taken` and keeps as many of `sites` as it can."""
    best: tuple[int, Where] | None = None
    for candidate in _conditions(where, sites):
        kept = [site for site in sites if candidate.why_not(site) is None]
        if kept and not set(kept) & set(taken) and (best is None or len(kept) > best[0]):
            best = (len(kept), candidate)
    if best is not None:
        return best[1]
    shared = [site.path for site in sites if site in set(taken)]
    if len(shared) <= 3 and len(shared) < len(sites):
        before = [where.not_name] if isinstance(where.not_name, str) else where.not_name or []
        return where.model_copy(update={"not_name": [*before, *shared]})
    return None


def split(one: Wish, other: Wish) -> tuple[Where, Where] | None:
    """Cut at a level, else at a place in the order of execution: one below, the other above."""
    for field in ("level", "index"):
        values = sorted({_value(s, field) for s in (*one[2], *other[2])} - {None, -1})
        for cut in values[:-1]:
            low = _within(one[1], field, None, cut)
            high = _within(other[1], field, cut + 1, None)
            if low is None or high is None:
                continue
            below = [s for s in one[2] if low.why_not(s) is None]
            above = [s for s in other[2] if high.why_not(s) is None]
            if below and above and not set(below) & set(above):
                return low, high
    return None


def shown(where: Where) -> str:
    """Write a `where` as YAML on one line."""
    fields = where.model_dump(exclude_none=True)
    return "{" + ", ".join(f"{key}: {_yaml(key, value)}" for key, value in fields.items()) + "}"


def _conditions(where: Where, sites: Iterable[Site]) -> Iterator[Where]:
    """Give `where` with one further condition, the most telling fields first."""
    listed = list(sites)
    for field in _WORDS:
        for value in dict.fromkeys(getattr(site, field) for site in listed):
            if getattr(where, field) is None:
                yield where.model_copy(update={field: value})
    for field in _NUMBERS:
        values = sorted({_value(site, field) for site in listed} - {None, -1})
        for value in values:
            for low, high in ((value, value), (value, None), (None, value)):
                candidate = _within(where, field, low, high)
                if candidate is not None:
                    yield candidate


def _within(where: Where, field: str, low: int | None, high: int | None) -> Where | None:
    """Confine one numeric field further; None where nothing would be left."""
    now = getattr(where, field)
    if isinstance(now, int):
        now = Range(min=now, max=now)
    if now is not None:
        low = max((v for v in (low, now.min) if v is not None), default=None)
        high = min((v for v in (high, now.max) if v is not None), default=None)
    if low is not None and high is not None and low > high:
        return None
    span: int | Range | None = low if low is not None and low == high else Range(min=low, max=high)
    return where.model_copy(update={field: span})


def _value(site: Site, field: str) -> Any:
    return getattr(site, field)


def _yaml(key: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{k}: {v}" for k, v in value.items())
        return "{" + inner + "}"
    if key in ("name", "not_name"):
        return json.dumps(value)  # a bare * would be an alias
    return str(value)
