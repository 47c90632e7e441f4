"""Small spaces whose every point can be counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import Field

from genhub.api import (
    AttentionMixer,
    Cost,
    Decision,
    Genotype,
    PluginConfig,
    SearchSpace,
    SearchStrategy,
    SpaceDescription,
    Violation,
    Where,
)


class Plain(SearchSpace):
    """A plain product: 2 x 3 x 4 in role `a`, 3 in role `b`, told in turns."""

    name = "plain"
    summary = "a product"

    def describe(self) -> SpaceDescription:
        return SpaceDescription(
            (
                Decision(id="x", choices=("0", "1"), role="a", group="first"),
                Decision(id="w", choices=("p", "q", "r"), role="b"),
                Decision(id="y", choices=("0", "1", "2"), role="a", group="first"),
                Decision(id="z", choices=("s", "t", "u", "v"), role="a"),
            )
        )

    def build(self, g: Genotype, role: str, *, ctx: Any = None, **dims: Any) -> dict[str, Any]:
        return {}


class Constrained(Plain):
    """x and y must differ; z and w may be anything."""

    name = "constrained"

    def broken(self, g: Genotype) -> Iterable[Violation]:
        x, y, _ = g.roles["a"]
        if x == y:
            yield Violation("x and y are equal", ("x", "y"))


class Merging(Constrained):
    """All choices of z build the same network unless w is p."""

    name = "merging"

    def canonical(self, g: Genotype) -> Genotype:
        x, y, _ = g.roles["a"]
        if g.roles["b"] == (0,):
            return g
        return g.model_copy(update={"roles": {**g.roles, "a": (x, y, 0)}})


class Wide(SearchSpace):
    """Too large to be gone through: 6^12 points, no two neighbours equal."""

    name = "wide"

    def describe(self) -> SpaceDescription:
        choices = tuple("abcdef")
        return SpaceDescription(
            tuple(Decision(id=f"d{i}", choices=choices, role="r") for i in range(12))
        )

    def broken(self, g: Genotype) -> Iterable[Violation]:
        codes = g.roles["r"]
        equal = [i for i, (a, b) in enumerate(pairwise(codes)) if a == b]
        return [Violation(f"d{i} and d{i + 1} are equal") for i in equal]


class Costly(Plain):
    """Knows what its roles cost."""

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        return Cost(params=sum(g.roles[role]), macs=10 * sum(g.roles[role]))


class Scored(SearchSpace):
    """Six decisions of four choices with a score known in closed form: far from additive.

    Classes may be told to fall at their n-th evaluation, or to fail where the first code says so.
    """

    name = "scored"
    summary = "scores itself"
    figures = ("score", "wobble")
    capabilities = frozenset({"enumerable"})
    calls: ClassVar[list[tuple[int, ...]]] = []
    falls_at: ClassVar[int | None] = None
    fails: ClassVar[frozenset[int]] = frozenset()

    def describe(self) -> SpaceDescription:
        return SpaceDescription(
            tuple(Decision(id=f"d{i}", choices=tuple("abcd"), role="r") for i in range(6))
        )

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        return Cost(params=1, macs=sum(g.roles[role]))

    def evaluate(self, g: Genotype, budget: int, seed: int, run: Any) -> dict[str, float]:
        Scored.calls.append(self.codes(g))
        if len(Scored.calls) == Scored.falls_at:
            raise KeyboardInterrupt
        codes = self.codes(g)
        if codes[0] in Scored.fails:
            raise ValueError(f"<b>{codes[0]}</b> is no good")
        return {"score": sum(a * b - a for a, b in pairwise(codes)) / 7, "wobble": math.nan}


class Greedy(SearchStrategy):
    """Asks for what the toy spaces do not have."""

    requires = frozenset({"differentiable"})


class HalfConfig(PluginConfig):
    gain: float = Field(0.5, gt=0, le=1, description="factor of the attention's output")


class Half(AttentionMixer):
    """Scales attention, and says that it costs half as many multiply-adds as there are tokens."""

    Config = HalfConfig
    summary = "scales attention"
    default_where = Where(kind="self")

    def accepts(self, site: Any, attn: Any) -> str | None:
        return "is in the middle" if site.stage == "mid" else None

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        plain, gain = attn.processor, self.config.gain

        def half(attn: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
            return gain * plain(attn, hidden_states, *args, **kwargs)

        return half

    def macs(self, site: Any, attn: Any, built: Any) -> int | None:
        return None if site.tokens is None else site.tokens // 2
