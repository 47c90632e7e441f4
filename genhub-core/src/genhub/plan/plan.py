"""The plan of an attachment: all that is decided before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from genhub.api import Facts, GenHubError, ParallelPlan, Shard
from genhub.plan.backend import check_backend
from genhub.plan.checks import check_needs, check_sequence
from genhub.plan.claims import Claim, claims_of
from genhub.plan.facts import denoisers_of
from genhub.plan.observe import core_of
from genhub.plan.parts import Part, calling, parts_from_config
from genhub.plan.table import sites_table, skipped_lines

if TYPE_CHECKING:
    from genhub.config import Loaded

__all__ = ["Plan", "make_plan", "plan_parts"]


@dataclass(frozen=True)
class Plan:
    """Which driver holds what; equal on every rank, so ranks compare `digest`."""

    facts: Facts
    claims: tuple[Claim, ...]
    scheduler: Part | None = None
    parallel: ParallelPlan | None = None
    world: int = 1
    backend: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Give all drivers, mixers first."""
        mixers = tuple(claim.part for claim in self.claims)
        return mixers if self.scheduler is None else (*mixers, self.scheduler)

    @property
    def skipped(self) -> Mapping[str, Sequence[Any]]:
        """Give, for every mixer, the sites that it leaves alone and why."""
        return {claim.label: claim.skipped for claim in self.claims}

    @property
    def order(self) -> tuple[str, ...]:
        """Name the steps of installation: mixers, then attention backend, then parallelism."""
        steps = [f"{claim.label} on {len(claim.sites)} sites" for claim in self.claims]
        if self.backend is not None:
            steps.append(f"attention backend {self.backend}")
        if self.scheduler is not None:
            steps.append(f"{self.scheduler.label} on {self.world} ranks")
        return tuple(steps)

    @property
    def digest(self) -> str:
        """Hash what every rank must agree on; the order of disjoint mixers does not matter."""
        content = {
            "sites": [asdict(site) for site in self.facts.sites],
            "claims": sorted(
                [claim.part.canonical, *(site.path for site in claim.sites)]
                for claim in self.claims
            ),
            "scheduler": None if self.scheduler is None else self.scheduler.canonical,
            "timeline": None if self.parallel is None else self.parallel.timeline(),
            "world": self.world,
            "backend": self.backend,
        }
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def shard(self, rank: int) -> Shard | None:
        """Give what a rank holds of frames or tokens; None where it sees all of them."""
        give = getattr(self.parallel, "shard", None)  # a plan may leave it out
        return None if give is None else give(rank)

    def render(self) -> str:
        """Write the plan as `genhub plan` shows it: sites and takers, what is skipped, order."""
        takers = {site.path: claim.label for claim in self.claims for site in claim.sites}
        lines = [*facts_lines(self.facts), "", *sites_table(self.facts.sites, takers)]
        lines += skipped_lines(self.claims)
        if self.order:
            lines += ["", "order: " + " -> ".join(self.order)]
        if self.parallel is not None:
            lines += ["", self.parallel.timeline()]
        return "\n".join(lines)


def facts_lines(facts: Facts) -> list[str]:
    """Say in two lines at most what the sites belong to and how they were found."""
    shape = "x".join(str(n) for n in facts.latent.shape) or "unknown"
    found = f"{facts.family} ({facts.modality}), latent {facts.latent.axes} {shape}"
    lines = [f"{found}, {len(facts.sites)} attention sites, probed by {facts.probed_by}"]
    return [*lines, f"note: {facts.note}"] if facts.note else lines


def make_plan(loaded: Loaded, facts: Facts, pipeline: Any, *, world: int = 1) -> Plan:
    """Plan what a config attaches to a pipeline; changes nothing.

    Raises GenHubError with every conflict that is found: GH401 to GH408.
    """
    model = loaded.config.model
    return plan_parts(
        parts_from_config(loaded),
        facts,
        pipeline,
        world=world,
        backend=model.attention_backend,
        model=model.source,
    )


def plan_parts(
    parts: Sequence[Part],
    facts: Facts,
    pipeline: Any,
    *,
    world: int = 1,
    backend: str | None = None,
    model: str = "",
) -> Plan:
    """Plan ready drivers; `model` is what messages call the model."""
    cores = {name: core_of(module) for name, module in denoisers_of(pipeline).items()}
    name = model or type(pipeline).__name__
    problems = check_needs(
        parts, world=world, modality=facts.modality, family=facts.family, model=name
    )
    if problems:
        raise GenHubError.several(problems)
    mixers = [part for part in parts if part.kind == "attention"]
    claims = claims_of(
        mixers,
        facts,
        lambda site: cores[site.component].get_submodule(site.module_path),
        type(pipeline).__name__,
    )
    scheduler = next((part for part in parts if part.kind == "parallel"), None)
    if backend is not None:
        check_backend(backend, cores, {site.path for claim in claims for site in claim.sites})
    parallel = None
    if scheduler is not None:
        with calling(scheduler, "plan"):
            parallel = scheduler.driver.plan(facts, cores, world)
    plan = Plan(facts, claims, scheduler, parallel, world, backend)
    problems = check_sequence(claims, scheduler, plan.shard(0))
    if problems:
        raise GenHubError.several(problems)
    return plan
