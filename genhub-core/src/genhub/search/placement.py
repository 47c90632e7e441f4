"""The search space `mixer-placement`: which attention sites a mixer takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field, field_validator

from genhub.api import (
    COSTS,
    Context,
    Cost,
    Decision,
    GenHubError,
    Genotype,
    PluginConfig,
    SearchSpace,
    SpaceDescription,
    Where,
)

__all__ = ["MixerPlacement"]

ROLE = "denoiser"
NONE = "none"


class PlacementConfig(PluginConfig):
    """Block `search: {type: mixer-placement}`."""

    choices: list[str | dict[str, Any]] = Field(
        min_length=2, description="none (keep), names of mixers, and blocks like attention's"
    )
    within: Where | None = Field(None, description="which attention sites are decided; all")

    @field_validator("choices")
    @classmethod
    def _differ(cls, choices: list[Any]) -> list[Any]:
        repeated = [c for i, c in enumerate(choices) if c != NONE and c in choices[:i]]
        if repeated:
            raise ValueError(f"'{getattr(repeated[0], 'type', repeated[0])}' stands there twice")
        return choices


class MixerPlacement(SearchSpace):
    """One decision for each attention site that a mixer can serve: keep it, or which mixer.

    A site offers the mixers whose own `where` selects it and that accept it; sites that the run's
    `attention` holds already are left alone. Costs are those of all attention sites in one
    denoiser call for one sample.
    """

    Config = PlacementConfig
    summary = "which attention sites of the model a mixer takes"
    name: ClassVar[str] = "mixer-placement"
    capabilities: ClassVar[frozenset[str]] = frozenset({"enumerable"})
    blocks: ClassVar[Mapping[str, str]] = {"choices": "attention_mixers"}

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._decisions: tuple[Decision, ...] = ()
        self._costs: dict[tuple[str, str], Cost | None] = {}  # by site and choice
        self._fixed = Cost(0, 0)  # of sites that are not decided
        self._kept: list[Any] = []  # the run's own mixers

    @contextmanager
    def open(self, run: Any) -> Iterator[None]:
        """Load the model and find out which sites there are, and what they cost."""
        self._kept = list(run.config.attention)
        with run.pipeline() as attached:
            self.look_at(attached, run.registries, run.config.kernels)
        if any(objective.metric in COSTS for objective in run.config.search.objective):
            for place in self._costs:
                self._known(*place)
        yield

    def look_at(
        self, attached: Any, registries: Any = None, kernels: Mapping[str, str] | None = None
    ) -> None:
        """Take decisions and costs from a pipeline with `attached` mixers; it stays as it is.

        Every choice is attached for a moment to all sites that it can serve: what cannot work ends
        the search before it begins. Raises GH402 where there is nothing to decide.
        """
        from genhub.plan import install
        from genhub.plan.plan import plan_parts

        facts, pipeline, comm = attached.plan.facts, attached.pipeline, attached.context.comm
        held = {site.path for claim in attached.plan.claims for site in claim.sites}
        within = (self.config.within or Where()).among(facts.sites)
        free = [s for s in facts.sites if s.path not in held and within.why_not(s) is None]
        costs = attached.costs()
        offers: dict[str, list[str]] = {site.path: [] for site in free}
        if NONE in self._labels:
            for path, offered in offers.items():
                offered.append(NONE)
                self._costs[path, NONE] = costs[path]
        for label, part in self._parts(registries).items():
            sites = self._served(part, free, attached)
            if not sites:
                continue
            plan = plan_parts([_at(part, sites)], facts, pipeline)
            with install(
                plan, pipeline, comm=comm, kernels=kernels, registries=registries,
                offline=attached.context.offline,
            ) as on:  # fmt: skip
                with_it = on.costs()
            for path in sites:
                offers[path].append(label)
                self._costs[path, label] = with_it[path]
        decided = {path for path, offered in offers.items() if set(offered) - {NONE}}
        if not decided:
            raise GenHubError(
                "GH402",
                f"none of the {len(facts.sites)} attention sites can be decided: no mixer of "
                "search.choices serves one that search.within selects",
                hint="`genhub plan` lists the sites of a model",
            )
        self._decisions = tuple(
            Decision(id=s.path, choices=tuple(offers[s.path]), role=ROLE, group=_block_of(s.path))
            for s in free
            if s.path in decided
        )
        rest = (cost for path, cost in costs.items() if path not in decided)
        self._fixed = sum((cost for cost in rest if cost is not None), Cost(0, 0))

    def describe(self) -> SpaceDescription:
        """Give one decision per site, in order of execution."""
        if not self._decisions:
            raise RuntimeError("the space knows no model yet: enter open(run), or call look_at()")
        return SpaceDescription(self._decisions)

    def build(
        self, g: Genotype, role: str, *, ctx: Context | None = None, **dims: Any
    ) -> dict[str, Any]:
        """Give `attention` of a config: the run's own mixers, then one block per choice."""
        placed: dict[str, list[str]] = {}
        for path, label in self._placed(g):
            placed.setdefault(label, []).append(path)
        chosen = [
            {**_fields(block), "where": {"name": placed[label]}}
            for label, block in self._labels.items()
            if label != NONE and label in placed
        ]
        return {"attention": [*(_fields(block) for block in self._kept), *chosen]}

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        """Add up all attention sites; raises GH414 where a mixer does not tell what it costs."""
        return sum((self._known(*place) for place in self._placed(g)), self._fixed)

    def _known(self, path: str, label: str) -> Cost:
        cost = self._costs[path, label]
        if cost is None:
            raise GenHubError(
                "GH414",
                f"'{label}' does not say what it costs at {path}",
                hint="take costs out of search.objective, or the mixer out of search.choices",
            )
        return cost

    def _placed(self, g: Genotype) -> Iterator[tuple[str, str]]:
        for decision, code in zip(self._decisions, self.codes(g), strict=True):
            yield decision.id, decision.choices[code]

    @property
    def _labels(self) -> dict[str, Any]:
        """Give the choices by label: a mixer's name, numbered where it stands there repeatedly."""
        names = [c if c == NONE else c.type for c in self.config.choices]
        total, met = Counter(names), Counter[str]()
        labelled = {}
        for name, choice in zip(names, self.config.choices, strict=True):
            alone = name == NONE or total[name] == 1
            labelled[name if alone else f"{name}[{met[name]}]"] = choice
            met[name] += 1
        return labelled

    def _parts(self, registries: Any) -> dict[str, Any]:
        from genhub.plan import Part
        from genhub.registry import default

        registry = (registries or default()).get("attention_mixers")
        return {
            label: Part(
                "attention", block.type, registry.load(block.type)(block), block.where, label=label
            )
            for label, block in self._labels.items()
            if label != NONE
        }

    def _served(self, part: Any, free: list[Any], attached: Any) -> list[str]:
        from genhub.plan.parts import calling

        served = []
        where = part.selects.among(attached.context.facts.sites)
        for site in free:
            if where.why_not(site) is None:
                attn = attached.context.denoisers[site.component].get_submodule(site.module_path)
                with calling(part, "accepts"):
                    refusal = part.driver.accepts(site, attn)
                if refusal is None:
                    served.append(site.path)
        return served


def _at(part: Any, sites: list[str]) -> Any:
    from dataclasses import replace

    return replace(part, where=Where(name=sites))


def _fields(block: Any) -> dict[str, Any]:
    fields: dict[str, Any] = block.model_dump(mode="json")
    return fields


def _block_of(path: str) -> str:
    """Give the block of the denoiser: `unet.down_blocks.0`, `unet.mid_block`."""
    steps = path.split(".")
    return ".".join(steps[: 3 if len(steps) > 2 and steps[2].isdigit() else 2])
