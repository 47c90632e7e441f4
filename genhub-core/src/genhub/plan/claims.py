"""Decide which mixer takes which site, and refuse plans in which two want the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from genhub.api import Facts, GenHubError, Problem, Site, Where
from genhub.plan.disjoint import how_to_part
from genhub.plan.parts import Part, calling

__all__ = ["Claim", "Skip", "claims_of"]


@dataclass(frozen=True)
class Skip:
    """A site that a mixer leaves alone: filtered by `where`, or refused by the mixer itself."""

    site: Site
    reason: str
    refused: bool


@dataclass(frozen=True)
class Claim:
    """The sites that one mixer takes, and those it does not take and why."""

    part: Part
    where: Where  # what it selects in this model
    sites: tuple[Site, ...]
    skipped: tuple[Skip, ...]

    @property
    def label(self) -> str:
        """Give the mixer's name in messages."""
        return self.part.label

    def reasons(self) -> str:
        """Count what was skipped per reason: `22 refused (...), 10 filtered by where.axis=...`."""
        counts = Counter((skip.refused, skip.reason) for skip in self.skipped)
        listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(
            f"{count} refused ({reason})" if refused else f"{count} filtered by {reason}"
            for (refused, reason), count in listed
        )


def claims_of(
    mixers: Sequence[Part], facts: Facts, attn_of: Callable[[Site], Any], model: str = "the model"
) -> tuple[Claim, ...]:
    """Give every mixer the sites it selects and accepts; `model` names the class in messages.

    Raises GenHubError with all that is wrong: GH402 a mixer selects nothing, GH403 it refuses a
    site that the user's own `where` selects, GH401 two mixers select the same site.
    """
    claims = tuple(_claim(part, facts, attn_of) for part in mixers)
    problems = [problem for claim in claims for problem in _alone(claim, facts, model)]
    problems += [p for pair in combinations(claims, 2) for p in _together(*pair, facts)]
    if problems:
        raise GenHubError.several(problems)
    return claims


def _claim(part: Part, facts: Facts, attn_of: Callable[[Site], Any]) -> Claim:
    taken, skipped = [], []
    where = part.selects.among(facts.sites)
    for site in facts.sites:
        filtered = where.why_not(site)
        if filtered is not None:
            skipped.append(Skip(site, filtered, refused=False))
            continue
        with calling(part, "accepts"):
            refusal = part.driver.accepts(site, attn_of(site))
        if refusal is None:
            taken.append(site)
        else:
            skipped.append(Skip(site, refusal, refused=True))
    return Claim(part, where, tuple(taken), tuple(skipped))


def _alone(claim: Claim, facts: Facts, model: str) -> list[Problem]:
    refused = [skip for skip in claim.skipped if skip.refused]
    if claim.part.where is not None and refused:
        first = refused[0]
        return [
            Problem(
                "GH403",
                f"'{claim.label}' cannot serve {len(refused)} of the sites that its where selects "
                f"(first: {first.site.path}): {first.reason}",
                hint="narrow its where, or leave where out: then such sites are skipped",
                mark=claim.part.mark,
            )
        ]
    if claim.sites:
        return []
    total = len(facts.sites)
    found = (
        f"none of the {total} sites of {model}: {claim.reasons()}"
        if total
        else f"no site: {model} has none"
    )
    return [
        Problem(
            "GH402",
            f"'{claim.label}' selects {found}",
            hint="`genhub plan` lists the sites of a model",
            mark=claim.part.mark,
        )
    ]


def _together(one: Claim, other: Claim, facts: Facts) -> list[Problem]:
    shared = [site for site in one.sites if site in set(other.sites)]
    if not shared:
        return []
    return [
        Problem(
            "GH401",
            f"'{one.label}' and '{other.label}' both select {len(shared)} of "
            f"{len(facts.sites)} attention sites (first: {shared[0].path}); "
            "narrow one with 'where'",
            hint=how_to_part(
                (one.label, one.where, one.sites),
                (other.label, other.where, other.sites),
            ),
            mark=other.part.mark,
        )
    ]
