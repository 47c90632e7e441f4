"""The contracts of architecture search: spaces and strategies."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from itertools import combinations, islice, product, repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from genhub.api.genotypes import (
    Cost,
    CountUnavailable,
    Decision,
    Evaluate,
    Genotype,
    SpaceDescription,
    Trial,
    Violation,
)
from genhub.api.graphs import GraphSpec
from genhub.api.plugins import Plugin
from genhub.api.runtime import Context, Run
from genhub.errors import GenHubError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

__all__ = ["SearchSpace", "SearchStrategy", "SuperNet"]

ENUMERABLE = 1 << 17  # points of a space that may be gone through one by one
TRIES = 10_000  # draws in a row that may fail
FARTHEST_REPAIR = 3  # decisions


class SuperNet(Protocol):
    """All networks of a space in one: every decision is a weighted sum over its choices."""

    def arch_parameters(self) -> dict[str, Parameter]:
        """Give the architecture parameters by name."""
        ...

    def weight_parameters(self) -> Iterator[Parameter]:
        """Give the ordinary weights."""
        ...

    def set_relaxation(
        self, mode: Literal["softmax", "gumbel", "fixed"], tau: float, logits: str
    ) -> None:
        """Choose how weights follow from parameters; `logits` is `prob` or `log_prob`."""
        ...

    def op_weights(self) -> dict[str, Tensor]:
        """Give the present weights of the choices, by decision."""
        ...

    def derive(self, **opts: Any) -> tuple[int, ...]:
        """Give the codes of the network that the parameters prefer."""
        ...

    def extract(self, g: Genotype) -> dict[str, Tensor]:
        """Give the weights that a derived network inherits."""
        ...

    def forward(self, *inputs: Tensor, choice: Genotype | None = None) -> Tensor:
        """Compute with all choices, or with those of one genotype."""
        ...


class SearchSpace(Plugin):
    """A finite space of architectures.

    An author defines `describe()`, constraints in `broken()` where there are any, `build()`, and
    `cost()` where it is known without a forward pass. Everything else has a default for products
    of categorical decisions, to be replaced where the space's structure allows something better.
    """

    name: ClassVar[str] = ""  # stands in genotype files; default: the name of the class
    version: ClassVar[int] = 1  # of the decisions and their choices
    # Subset of {"differentiable", "enumerable", "weight_inheritance"}.
    capabilities: ClassVar[frozenset[str]] = frozenset()
    figures: ClassVar[tuple[str, ...]] = ()  # what `evaluate` gives
    # Fields that list blocks of other drivers, by kind. A bare name in such a list is written out
    # as a block before the Config sees it; the word `none` stands for itself.
    blocks: ClassVar[Mapping[str, str]] = {}

    def open(self, run: Run) -> AbstractContextManager[Any]:
        """Get ready for a search: look at the model, read data. Entered before all else."""
        return nullcontext()

    def describe(self) -> SpaceDescription:
        """Give decisions, roles, constraints in words, and references."""
        raise TypeError(f"{type(self).__name__} does not define describe()")

    def broken(self, g: Genotype) -> Iterable[Violation]:
        """Give the constraints that `g`, whose codes are in range, breaks."""
        return ()

    def build(self, g: Genotype, role: str, *, ctx: Context | None = None, **dims: Any) -> Any:
        """Give the module of `role`, or a map of overrides of the run's config that make it."""
        raise TypeError(f"{type(self).__name__} does not define build()")

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        """Give the analytic cost of `role`."""
        raise TypeError(f"{type(self).__name__} does not define cost()")

    def supernet(self, role: str, **dims: Any) -> SuperNet:
        """Give the super-network of `role`; needs the capability `differentiable`."""
        raise TypeError(f"{type(self).__name__} is not differentiable")

    def evaluate(self, g: Genotype, budget: int, seed: int, run: Run) -> dict[str, float] | None:
        """Measure `g` in the space's own way, for example by training; gives `figures`.

        None leaves it to the host: it applies what `build` gives for each role to the run's
        config, makes the configured samples and computes the metrics.
        """
        return None

    def genotype(self, codes: Sequence[int], meta: Mapping[str, Any] | None = None) -> Genotype:
        """Make a genotype from one code per decision, in the order of `describe()`."""
        roles: dict[str, list[int]] = {}
        for decision, code in zip(self.describe().decisions, codes, strict=True):
            roles.setdefault(decision.role, []).append(int(code))
        return Genotype(
            space=self.name or type(self).__name__,
            space_version=self.version,
            roles={role: tuple(listed) for role, listed in roles.items()},
            meta=dict(meta or {}),
        )

    def codes(self, g: Genotype) -> tuple[int, ...]:
        """Give one code per decision, in the order of `describe()`."""
        parts = {role: iter(codes) for role, codes in g.roles.items()}
        return tuple(next(parts[d.role]) for d in self.describe().decisions)

    def validate(self, g: Genotype) -> list[Violation]:
        """List what is wrong with `g`: its shape, else its codes, else broken constraints."""
        return _misfits(self.describe(), g) or list(self.broken(g))

    def repair(self, g: Genotype, weights: Mapping[str, Sequence[float]] | None = None) -> Genotype:
        """Give the nearest valid genotype: fewest decisions changed, then highest `weights`.

        `weights` are probabilities of the choices by decision. Raises LookupError where none is
        valid within three decisions.
        """
        for distance in range(FARTHEST_REPAIR + 1):
            found = [near for near in self._at(g, distance) if not self.validate(near)]
            if found:
                return max(found, key=lambda near: self._likelihood(near, weights or {}))
        raise LookupError(f"no valid genotype is within {FARTHEST_REPAIR} decisions")

    def count(self, kind: Literal["raw", "valid", "distinct"] = "raw") -> int:
        """Count points exactly; raises CountUnavailable.

        `raw` are all combinations, `valid` those that keep the constraints, `distinct` the valid
        ones that build different networks.
        """
        raw = math.prod(len(d.choices) for d in self.describe().decisions)
        merges = _defines(self, "canonical") or _defines(self, "fingerprint")
        if kind == "raw" or not (self._is_constrained or (merges and kind == "distinct")):
            return raw
        if raw > ENUMERABLE:
            raise CountUnavailable(kind)
        if kind == "valid":
            return sum(1 for _ in self.points())
        return len({self.fingerprint(g) for g in self.points()})

    def points(self) -> Iterator[Genotype]:
        """Go through all valid genotypes in lexicographic order of their codes."""
        sizes = (range(len(d.choices)) for d in self.describe().decisions)
        for codes in product(*sizes):
            g = self.genotype(codes)
            if not self._is_constrained or not self.validate(g):
                yield g

    def sample(
        self, rng: np.random.Generator, n: int = 1, distinct: bool = False
    ) -> list[Genotype]:
        """Draw `n` valid genotypes, uniformly over the valid ones.

        `distinct` ones build different networks; there are fewer than `n` where the space has no
        more. Raises LookupError where no draw is valid.
        """
        decisions = self.describe().decisions
        sizes = [len(d.choices) for d in decisions]
        raw = math.prod(sizes)
        found: dict[Any, Genotype] = {}
        if distinct and raw <= ENUMERABLE:
            draws: Iterator[Sequence[int]] = (_digits(i, sizes) for i in rng.permutation(raw))
        else:
            draws = (rng.integers(sizes) if sizes else () for _ in repeat(None))
        misses = 0
        for codes in draws:
            if len(found) >= n or misses >= TRIES:
                break
            g = self.genotype(codes)
            fits = not self._is_constrained or not self.validate(g)
            key = self.fingerprint(g) if distinct and fits else len(found)
            misses = 0 if fits and key not in found else misses + 1
            if not misses:
                found[key] = g
        if n and not found:
            raise LookupError(f"none of {misses} draws is valid: override sample()")
        return list(found.values())

    def mutate(self, g: Genotype, rng: np.random.Generator, n_edges: int = 1) -> Genotype:
        """Change exactly `n_edges` decisions and give a valid genotype.

        Raises LookupError where none is found.
        """
        decisions, codes = self.describe().decisions, self.codes(g)
        free = [i for i, d in enumerate(decisions) if len(d.choices) > 1]
        for _ in range(TRIES if 0 < n_edges <= len(free) else 0):
            changed = list(codes)
            for i in rng.choice(free, size=n_edges, replace=False):
                step = 1 + int(rng.integers(len(decisions[i].choices) - 1))
                changed[i] = (codes[i] + step) % len(decisions[i].choices)
            mutant = self.genotype(changed)
            if not self._is_constrained or not self.validate(mutant):
                return mutant
        raise LookupError(f"no valid genotype is found that differs in {n_edges} decisions")

    def crossover(self, a: Genotype, b: Genotype, rng: np.random.Generator) -> Genotype:
        """Give a valid genotype that takes each group of decisions from one of two parents.

        A decision without a group is one by itself. Gives `a` where no mixture is valid.
        """
        decisions = self.describe().decisions
        groups = [(d.role, d.group or d.id) for d in decisions]
        names = list(dict.fromkeys(groups))
        for _ in range(TRIES if self._is_constrained else 1):
            takes = dict(zip(names, rng.integers(2, size=len(names)), strict=True))
            pairs = zip(self.codes(a), self.codes(b), groups, strict=True)
            child = self.genotype([y if takes[group] else x for x, y, group in pairs])
            if not self._is_constrained or not self.validate(child):
                return child
        return a

    def neighbours(self, g: Genotype) -> Iterator[Genotype]:
        """Give the valid genotypes one decision away."""
        for near in self._at(g, 1):
            if not self.validate(near):
                yield near

    def canonical(self, g: Genotype) -> Genotype:
        """Give the representative of all genotypes that build the same network."""
        return g

    def fingerprint(self, g: Genotype) -> str:
        """Hash what `g` builds: equal for all genotypes with the same canonical form."""
        named = self.encode(self.canonical(g))
        del named["meta"]
        text = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256(text.encode()).hexdigest()

    def encode(self, g: Genotype) -> dict[str, Any]:
        """Write `g` as JSON with names of choices, not codes."""
        roles: dict[str, dict[str, str]] = {}
        for decision, code in zip(self.describe().decisions, self.codes(g), strict=True):
            roles.setdefault(decision.role, {})[decision.id] = decision.choices[code]
        return {"space": g.space, "version": g.space_version, "roles": roles, "meta": g.meta}

    def decode(self, d: Mapping[str, Any]) -> Genotype:
        """Read what `encode` wrote; raises GenHubError (GH305) for what does not fit.

        Constraints are not looked at: `validate` tells of them, `repair` mends them.
        """
        own = self.name or type(self).__name__
        if d.get("space") != own:
            raise _unfit(f"it belongs to the space '{d.get('space')}', not to '{own}'")
        if d.get("version") != self.version:
            raise _unfit(f"it has version {d.get('version')} of '{own}', not {self.version}")
        roles: Any = d.get("roles")
        decisions = self.describe().decisions
        codes = [_code(roles, decision) for decision in decisions]
        known = {decision.id for decision in decisions}
        foreign = [i for named in roles.values() for i in named if i not in known]
        if foreign:
            raise _unfit(f"there is no decision '{foreign[0]}'")
        return self.genotype(codes, d.get("meta"))

    def graph(self, g: Genotype, role: str) -> GraphSpec:
        """Give a drawing of `role`: by default its decisions in a row."""
        named = self.encode(g)["roles"].get(role, {})
        nodes = {name: f"{name}\n{choice}" for name, choice in named.items()}
        chain = zip(nodes, islice(nodes, 1, None), strict=False)
        return GraphSpec(nodes, tuple((a, b, "") for a, b in chain), role)

    @property
    def _is_constrained(self) -> bool:
        return _defines(self, "broken") or _defines(self, "validate")

    def _at(self, g: Genotype, distance: int) -> Iterator[Genotype]:
        """Go through all genotypes, valid or not, that differ in `distance` decisions."""
        codes, decisions = self.codes(g), self.describe().decisions
        for places in combinations(range(len(codes)), distance):
            others = [
                [c for c in range(len(decisions[i].choices)) if c != codes[i]] for i in places
            ]
            for chosen in product(*others):
                changed = dict(zip(places, chosen, strict=True))
                yield self.genotype([changed.get(i, code) for i, code in enumerate(codes)])

    def _likelihood(self, g: Genotype, weights: Mapping[str, Sequence[float]]) -> float:
        decided = zip(self.describe().decisions, self.codes(g), strict=True)
        known = (weights[d.id][code] for d, code in decided if d.id in weights)
        return sum(math.log(weight) if weight > 0 else -math.inf for weight in known)


class SearchStrategy(Plugin):
    """A way through a space.

    `requires` names capabilities of the space: a strategy that trains (`differentiable`) is given
    the run, not only an evaluator.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    def search(self, space: SearchSpace, evaluate: Evaluate, run: Run) -> Iterator[Trial]:
        """Yield trials as they finish.

        The sequence must follow from the run's seed and from the figures alone: a search that was
        cut short is repeated from the start, with the figures that are known already. `evaluate`
        gives no figures where it fails; what it costs to ask twice for the same genotype is
        nothing. What is driven at stands in `run.config.search.objective`.
        """
        raise TypeError(f"{type(self).__name__} does not define search()")


def _defines(space: SearchSpace, method: str) -> bool:
    return getattr(type(space), method) is not getattr(SearchSpace, method)


def _digits(number: int, sizes: Sequence[int]) -> list[int]:
    """Write a number with one digit per decision."""
    digits = []
    for size in sizes:
        number, digit = divmod(int(number), size)
        digits.append(digit)
    return digits


def _misfits(description: SpaceDescription, g: Genotype) -> list[Violation]:
    """Say where `g` has not one code in range for each decision."""
    wanted: dict[str, list[Decision]] = {}
    for decision in description.decisions:
        wanted.setdefault(decision.role, []).append(decision)
    if {role: len(codes) for role, codes in g.roles.items()} != {
        role: len(decisions) for role, decisions in wanted.items()
    }:
        sizes = ", ".join(f"{role} {len(decisions)}" for role, decisions in wanted.items())
        return [Violation(f"a genotype of this space has codes: {sizes or 'none'}")]
    return [
        Violation(f"{d.id} has code {code}; it may be 0 to {len(d.choices) - 1}: "
                  f"{', '.join(d.choices)}", (d.id,))
        for role, decisions in wanted.items()
        for d, code in zip(decisions, g.roles[role], strict=True)
        if not 0 <= code < len(d.choices)
    ]  # fmt: skip


def _code(roles: Any, decision: Decision) -> int:
    try:
        return decision.choices.index(roles[decision.role][decision.id])
    except (KeyError, TypeError):
        raise _unfit(f"it does not decide '{decision.id}' of '{decision.role}'") from None
    except ValueError:
        seen = roles[decision.role][decision.id]
        options = ", ".join(decision.choices)
        raise _unfit(f"'{decision.id}' is '{seen}'; it may be: {options}") from None


def _unfit(reason: str) -> GenHubError:
    return GenHubError("GH305", f"the genotype does not fit: {reason}")
