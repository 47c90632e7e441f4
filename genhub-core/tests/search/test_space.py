"""What every space has for nothing, held against enumeration."""

from __future__ import annotations

from collections import Counter
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toyspaces import Constrained, Merging, Plain, Wide

from genhub.api import CountUnavailable, GenHubError, Genotype, SearchSpace

SPACES = [Plain(), Constrained(), Merging(), Wide()]
SEEDS = st.integers(0, 2**32 - 1)
checked = settings(max_examples=60, deadline=None, derandomize=True)
each_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


def drawn(space: SearchSpace, seed: int, n: int = 1) -> list[Genotype]:
    return space.sample(np.random.default_rng(seed), n)


def distance(space: SearchSpace, a: Genotype, b: Genotype) -> int:
    return sum(x != y for x, y in zip(space.codes(a), space.codes(b), strict=True))


@pytest.mark.parametrize(
    ("space", "counts"),
    [
        (Plain(), (72, 72, 72)),
        (Constrained(), (72, 48, 48)),  # 4 of 6 pairs x, y differ
        (Merging(), (72, 48, 4 * (4 + 1 + 1))),
    ],
    ids=["plain", "constrained", "merging"],
)
def test_counts_are_those_of_an_enumeration(space: Any, counts: tuple[int, int, int]) -> None:
    assert tuple(space.count(kind) for kind in ("raw", "valid", "distinct")) == counts
    points = list(space.points())
    assert len(points) == len({g.model_dump_json() for g in points}) == counts[1]
    assert len({space.fingerprint(g) for g in points}) == counts[2]


def test_a_space_too_large_to_enumerate_says_that_it_cannot_count() -> None:
    assert Wide().count() == 6**12
    with pytest.raises(CountUnavailable, match="valid"):
        Wide().count("valid")


@each_space
@checked
@given(seed=SEEDS)
def test_samples_are_valid_and_follow_from_the_seed(space: SearchSpace, seed: int) -> None:
    found = drawn(space, seed, 5)
    assert [space.validate(g) for g in found] == [[]] * 5
    assert found == drawn(space, seed, 5)


@pytest.mark.parametrize("space", [Plain(), Constrained()], ids=lambda space: space.name)
@pytest.mark.parametrize("distinct", [False, True])
def test_samples_are_uniform_over_valid_points(space: SearchSpace, distinct: bool) -> None:
    rng, cells = np.random.default_rng(5), space.count("valid")
    if distinct:  # the first of a distinct sample is as likely to be any point
        found = [space.sample(rng, 1, distinct=True)[0] for _ in range(60 * cells)]
    else:
        found = space.sample(rng, 60 * cells)
    counts = Counter(space.codes(g) for g in found)
    assert len(counts) == cells
    chi = sum((count - 60) ** 2 / 60 for count in counts.values())
    freedom = cells - 1
    assert abs(chi - freedom) < 4 * (2 * freedom) ** 0.5  # mean and deviation of chi square


def test_distinct_samples_build_different_networks_and_end_with_the_space() -> None:
    space = Merging()
    found = space.sample(np.random.default_rng(0), 1000, distinct=True)
    assert len(found) == 24
    assert len({space.fingerprint(g) for g in found}) == 24
    some = Wide().sample(np.random.default_rng(0), 50, distinct=True)
    assert len({Wide().fingerprint(g) for g in some}) == 50


def test_a_space_without_valid_points_says_so() -> None:
    class Empty(Plain):
        def validate(self, g: Genotype) -> list[Any]:
            return ["never"]

    with pytest.raises(LookupError, match="none of 10000 draws is valid"):
        drawn(Empty(), 0)


@each_space
@checked
@given(seed=SEEDS, n=st.integers(1, 3))
def test_a_mutation_changes_exactly_n_decisions(space: SearchSpace, seed: int, n: int) -> None:
    (parent,) = drawn(space, seed)
    mutant = space.mutate(parent, np.random.default_rng(seed), n)
    assert distance(space, parent, mutant) == n
    assert space.validate(mutant) == []


def test_a_mutation_that_cannot_be_says_so() -> None:
    (g,) = drawn(Plain(), 0)
    for n in (0, 5):
        with pytest.raises(LookupError, match=f"differs in {n} decisions"):
            Plain().mutate(g, np.random.default_rng(0), n)


@each_space
@checked
@given(seed=SEEDS)
def test_a_child_takes_every_group_from_one_parent(space: SearchSpace, seed: int) -> None:
    a, b = drawn(space, seed, 2)
    child = space.crossover(a, b, np.random.default_rng(seed))
    assert space.validate(child) == []
    groups: dict[Any, list[tuple[int, int, int]]] = {}
    codes = zip(space.codes(a), space.codes(b), space.codes(child), strict=True)
    for decision, three in zip(space.describe().decisions, codes, strict=True):
        groups.setdefault(decision.group or decision.id, []).append(three)
    for threes in groups.values():
        assert all(c == x for x, _, c in threes) or all(c == y for _, y, c in threes)


def test_both_parents_have_a_part_in_some_children() -> None:
    space = Plain()
    a, b = space.genotype((0, 0, 0, 0)), space.genotype((1, 1, 1, 1))
    rng = np.random.default_rng(0)
    children = {space.codes(space.crossover(a, b, rng)) for _ in range(100)}
    assert len(children) == 2**3  # w, z, and the group of x and y


@each_space
@checked
@given(seed=SEEDS)
def test_neighbours_are_all_valid_points_at_distance_one(space: SearchSpace, seed: int) -> None:
    (g,) = drawn(space, seed)
    found = list(space.neighbours(g))
    assert all(distance(space, g, n) == 1 and not space.validate(n) for n in found)
    assert len({space.codes(n) for n in found}) == len(found)
    if space.name != "wide":
        near = [p for p in space.points() if distance(space, g, p) == 1]
        assert {space.codes(n) for n in found} == {space.codes(n) for n in near}


@each_space
@checked
@given(seed=SEEDS, note=st.text(max_size=5))
def test_a_genotype_survives_being_written_with_names(
    space: SearchSpace, seed: int, note: str
) -> None:
    (g,) = drawn(space, seed)
    g = space.genotype(space.codes(g), {"note": note})
    written = space.encode(g)
    assert space.decode(written) == g
    named = dict(next(iter(written["roles"].values())))
    assert all(isinstance(choice, str) for choice in named.values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"space": "other"}, "belongs to the space 'other'"),
        ({"version": 2}, "version 2 of 'plain', not 1"),
        ({"roles": {}}, "does not decide 'x' of 'a'"),
        ({"roles": None}, "does not decide 'x' of 'a'"),
        ({"roles": {"a": {"x": "7", "y": "0", "z": "s"}, "b": {"w": "p"}}}, "may be: 0, 1"),
        (
            {"roles": {"a": {"x": "0", "y": "0", "z": "s", "k": "0"}, "b": {"w": "p"}}},
            "no decision 'k'",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_told_of(change: dict[str, Any], told: str) -> None:
    space = Plain()
    written = space.encode(space.genotype((0, 0, 0, 0)))
    with pytest.raises(GenHubError, match=told) as caught:
        space.decode({**written, **change})
    assert caught.value.code == "GH305"


@checked
@given(seed=SEEDS)
def test_fingerprints_follow_from_what_is_built(seed: int) -> None:
    space = Merging()
    a, b = drawn(space, seed, 2)
    same = space.canonical(a) == space.canonical(b)
    assert (space.fingerprint(a) == space.fingerprint(b)) == same
    assert space.fingerprint(a) == space.fingerprint(space.canonical(a))
    noted = a.model_copy(update={"meta": {"generation": 3}})
    assert space.fingerprint(noted) == space.fingerprint(a)
    assert len(space.fingerprint(a)) == 64


def test_wrong_shapes_and_codes_are_named() -> None:
    space = Plain()
    (few,) = space.validate(Genotype(space="plain", space_version=1, roles={"a": (0, 0, 0)}))
    assert few.message == "a genotype of this space has codes: a 3, b 1"
    high = Genotype(space="plain", space_version=1, roles={"a": (0, 3, 0), "b": (0,)})
    (wrong,) = space.validate(high)
    assert wrong.message == "y has code 3; it may be 0 to 2: 0, 1, 2"
    assert wrong.decisions == ("y",)


def test_repair_gives_the_nearest_valid_genotype_and_heeds_weights() -> None:
    space = Constrained()
    broken = space.genotype((1, 0, 1, 0))
    mended = space.repair(broken)
    assert space.validate(mended) == []
    assert distance(space, broken, mended) == 1
    likely = space.repair(broken, {"x": (0.1, 0.9), "y": (0.1, 0.2, 0.7)})
    assert space.codes(likely) == (1, 0, 2, 0)
    assert space.repair(mended) == mended


def test_a_graph_of_a_role_shows_its_decisions_in_order() -> None:
    space = Plain()
    graph = space.graph(space.genotype((1, 2, 0, 3)), "a")
    assert list(graph.nodes.values()) == ["x\n1", "y\n0", "z\nv"]
    assert [edge[:2] for edge in graph.edges] == [("x", "y"), ("y", "z")]
    ElementTree.fromstring(graph.to_svg())
