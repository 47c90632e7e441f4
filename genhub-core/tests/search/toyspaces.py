"""Small spaces whose every point can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from genhub.api import Cost, Decision, Genotype, SearchSpace, SpaceDescription, Violation


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
        pairs = zip(codes, codes[1:], strict=False)
        return [Violation(f"d{i} and d{i + 1} are equal") for i, (a, b) in enumerate(pairs) if a == b]


class Costly(Plain):
    """Knows what its roles cost."""

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        return Cost(params=sum(g.roles[role]), macs=10 * sum(g.roles[role]))
