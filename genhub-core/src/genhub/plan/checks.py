"""Hold what drivers need against the run: owners, ranks, modality, families, whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from genhub.api import ANY, Needs, Problem, Shard
from genhub.plan.claims import Claim
from genhub.plan.parts import Part

__all__ = ["check_needs", "check_sequence", "own_world"]

PRODUCT = {"image": "images", "audio": "audio", "video": "videos"}
UNBOUNDED = 10**9


def check_needs(
    parts: Sequence[Part],
    *,
    world: int | None = None,
    modality: str | None = None,
    family: str | None = None,
    model: str = "the model",
) -> list[Problem]:
    """Find what parts cannot share or cannot get; a fact given as None is not known yet.

    GH404 two owners of one resource, GH406 an impossible number of ranks, GH407 another modality
    or family.
    """
    needs = [(part, part.driver.needs()) for part in parts]
    problems = [p for one, other in combinations(needs, 2) for p in _owners(one, other)]
    for part, need in needs:
        if world is not None:
            problems += _ranks(part, need, world)
        problems += _serves(part, need, modality, family, model)
    return problems


def own_world(parts: Sequence[Part], world: int | None) -> int:
    """Give the ranks that parts use of `world` (None: as few as can be): one without scheduler."""
    scheduler = next((part for part in parts if part.kind == "parallel"), None)
    if scheduler is None:
        return 1
    return max(1, int(scheduler.driver.needs().world[0])) if world is None else world


def check_sequence(
    claims: Sequence[Claim], scheduler: Part | None, shard: Shard | None
) -> list[Problem]:
    """Find mixers that must see all tokens at sites of which a rank sees a part (GH405).

    Frames are spread over ranks: spatial sites still see their whole frame.
    """
    if scheduler is None or shard is None or shard.stop - shard.start == shard.total:
        return []
    problems = []
    for claim in claims:
        cut = [s for s in claim.sites if shard.axis != "frames" or s.axis == "temporal"]
        if claim.part.driver.needs().sequence == "whole" and cut:
            problems.append(
                Problem(
                    "GH405",
                    f"'{claim.label}' needs the whole sequence, '{scheduler.label}' gives each "
                    f"rank {shard.stop - shard.start} of {shard.total} {shard.axis}",
                    hint="use where.axis=spatial"
                    if shard.axis == "frames"
                    else f"leave out '{claim.label}' or '{scheduler.label}'",
                    mark=claim.part.mark,
                )
            )
    return problems


def _owners(one: tuple[Part, Needs], other: tuple[Part, Needs]) -> list[Problem]:
    both = sorted(one[1].owns & other[1].owns)
    if not both:
        return []
    return [
        Problem(
            "GH404",
            f"'{one[0].label}' and '{other[0].label}' both own {', '.join(both)}",
            hint=_way_out(one, other),
            mark=other[0].mark,
        )
    ]


def _way_out(one: tuple[Part, Needs], other: tuple[Part, Needs]) -> str:
    ways = [f"'{need.disown}' in the block of '{part.label}'" for part, need in (other, one)
            if need.disown]  # fmt: skip
    return f"write {' or '.join(ways)}" if ways else "use one of them at a time"


def _ranks(part: Part, need: Needs, world: int) -> list[Problem]:
    low, high = need.world
    if low <= world <= high:
        return []
    if low == high:
        wanted = f"{low}"
    elif high >= UNBOUNDED:
        wanted = f"at least {low}"
    else:
        wanted = f"{low}..{high}"
    noun = "process" if wanted == "1" else "processes"
    fix = f"add 'launch: {{processes: {low if world < low else high}}}'"
    if world < low:
        fix += "; with 'launch: {simulate: true}' they are threads of one process"
    elif high == 1 and part.kind not in ("attention", "parallel"):
        fix = "leave out 'parallel:'"
    return [
        Problem(
            "GH406",
            f"'{part.label}' needs {wanted} {noun}, {world} available",
            hint=fix,
            mark=part.mark,
        )
    ]


def _serves(
    part: Part, need: Needs, modality: str | None, family: str | None, model: str
) -> list[Problem]:
    if modality is not None and need.modalities != ANY and modality not in need.modalities:
        served = " and ".join(PRODUCT[m] for m in sorted(need.modalities))
        said = f"'{part.label}' serves {served}; '{model}' makes {PRODUCT[modality]}"
        hint = f"model.modality overrides this where '{model}' is misjudged"
        return [Problem("GH407", said, hint=hint, mark=part.mark)]
    if family is not None and need.families != ANY and family not in need.families:
        served = ", ".join(sorted(need.families))
        said = f"'{part.label}' serves models of family {served}; '{model}' is of family {family}"
        return [Problem("GH407", said, mark=part.mark)]
    return []
