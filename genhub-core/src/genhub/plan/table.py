"""Write attention sites and what holds them as an aligned table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genhub.api import Site
from genhub.streams import aligned

if TYPE_CHECKING:
    from genhub.plan.claims import Claim

__all__ = ["sites_table", "skipped_lines"]

_HEADER = ("#", "site", "attends", "level", "tokens", "width", "heads", "held by")
_RIGHT = {0, 3, 4, 5, 6}  # numbers of its columns of numbers


def sites_table(
    sites: Iterable[Site],
    holders: Mapping[str, str],
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Give one line per site; `holders` and `extra` facts are keyed by the site's path."""
    columns = list(dict.fromkeys(key for row in (extra or {}).values() for key in row))
    rows: list[Sequence[object]] = []
    for site in sites:
        facts = (extra or {}).get(site.path, {})
        rows.append(
            (
                "-" if site.index < 0 else site.index,
                site.path,
                f"{site.kind} {site.axis}",
                "" if site.level is None else site.level,
                _tokens(site),
                site.channels,
                site.heads,
                holders.get(site.path, ""),
                *(facts.get(column, "") for column in columns),
            )
        )
    return aligned([(*_HEADER, *columns), *rows], _RIGHT)


def skipped_lines(claims: Sequence[Claim]) -> list[str]:
    """Say for every mixer how many sites it leaves alone, and why."""
    return [
        f"{claim.label}: {len(claim.sites)} sites"
        + (f"; skipped: {claim.reasons()}" if claim.skipped else "")
        for claim in claims
    ]


def _tokens(site: Site) -> str:
    counts = (site.tokens, site.context_tokens)  # queries, and keys from elsewhere
    return " x ".join(str(count) for count in counts if count is not None)
