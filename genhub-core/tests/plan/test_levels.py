"""The words of `where.level`, and the kind that a `where` leaves to its mixer."""

from __future__ import annotations

import drivers
import pytest
import tiny
from test_claims import a_site

from genhub.api import GenHubError, Range, Site, Where
from genhub.plan import attach

SITES = (
    a_site(0, "cross", "spatial", "down", 0),
    a_site(1, "self", "spatial", "down", 1),
    a_site(2, "self", "spatial", "mid", 2),
    a_site(3, "self", "spatial", "up", 1),
)


def indices(where: Where, sites: tuple[Site, ...] = SITES) -> list[int]:
    chosen = where.among(sites)
    return [site.index for site in sites if chosen.why_not(site) is None]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (Where(level="first"), [0]),
        (Where(level="first", kind="self"), [1, 3]),
        (Where(level="first", stage="mid"), [2]),
        (Where(level="first", kind="self", stage="up"), [3]),
        (Where(level="first", stage="blocks"), []),
        (Where(level="all"), [0, 1, 2, 3]),
        (Where(level="all", kind="self"), [1, 2, 3]),
    ],
)
def test_first_is_the_finest_level_for_which_the_rest_holds(where, wanted):
    assert indices(where) == wanted


def test_a_model_without_levels_has_one():
    sites = tuple(Site(**{**vars(site), "level": None}) for site in SITES)
    assert indices(Where(level="first", kind="self"), sites) == [1, 2, 3]


@pytest.mark.parametrize("level", [None, 1, Range(min=1)])
def test_numbers_stay_as_they_are(level):
    where = Where(level=level)
    assert where.among(SITES) is where


def test_first_says_nothing_of_one_site_alone():
    with pytest.raises(ValueError, match=r"resolve it with among\(sites\)"):
        Where(level="first").why_not(SITES[0])
    assert Where(level="all").why_not(SITES[0]) is None


@pytest.mark.parametrize(("level", "sites"), [("first", 3), ("all", 4), (1, 1)])
def test_a_config_may_say_the_words(level, sites, registries):
    block = {"type": "mean", "where": {"kind": "self", "level": level}}
    with attach(tiny.sd(), [block], registries=registries) as attached:
        assert len(attached.plan.claims[0].sites) == sites
        if level == "first":
            assert "filtered by where.level=0" in attached.report()


def test_hints_part_two_mixers_by_the_level_that_first_means(registries):
    blocks = [
        {"type": "mean", "where": {"kind": "self", "stage": "down", "level": "all"}},
        {"type": "gain", "where": {"kind": "self", "level": "first"}},
    ]
    with pytest.raises(GenHubError) as caught:
        attach(tiny.sd(), blocks, registries=registries)
    assert caught.value.code == "GH401"
    assert "'gain' with where: {kind: self, stage: up, level: 0}" in str(caught.value)


def test_a_where_without_kind_or_name_selects_the_kind_that_the_mixer_serves(registries):
    with attach(
        tiny.sd(), [{"type": "gain", "where": {"level": "all"}}], registries=registries
    ) as a:
        assert {site.kind for site in a.plan.claims[0].sites} == {"self"}
    named = {"type": "gain", "where": {"name": "*.attn2"}}
    with attach(tiny.sd(), [named], registries=registries) as attached:
        assert {site.kind for site in attached.plan.claims[0].sites} == {"cross"}


def test_the_report_tells_what_a_mixer_notes(registries):
    class Telling(drivers.Gain):
        def notes(self):
            return ["turned two screws"]

    with attach(tiny.sd(), [Telling(drivers.GainConfig())], registries=registries) as attached:
        assert "telling: turned two screws" in attached.report()
