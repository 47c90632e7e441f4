from __future__ import annotations

import re
from dataclasses import replace

import drivers
import pytest
import tiny
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub.api import Facts, GenHubError, Latent, Site, Where
from genhub.config import load
from genhub.plan import attach, facts_of, make_plan
from genhub.plan.claims import claims_of
from genhub.plan.parts import parts_from_blocks
from genhub.plan.plan import plan_parts

STAGES = ("down", "mid", "up")


def a_site(index, kind, axis, stage, level):
    return Site(
        path=f"unet.{stage}_blocks.{index}.attn{1 if kind == 'self' else 2}",
        component="unet",
        kind=kind,
        axis=axis,
        stage=stage,
        index=index,
        channels=32 << level,
        heads=4,
        head_dim=8 << level,
        tokens=4096 >> 2 * level,
        context_tokens=77 if kind == "cross" else None,
        level=level,
    )


site_lists = st.lists(
    st.tuples(
        st.sampled_from(("self", "cross")),
        st.sampled_from(("spatial", "temporal")),
        st.sampled_from(STAGES),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=20,
).map(lambda rows: tuple(a_site(index, *row) for index, row in enumerate(rows)))

spans = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda pair: {"min": min(pair), "max": max(pair)}
)
wheres = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(("self", "cross")),
        "axis": st.sampled_from(("spatial", "temporal")),
        "stage": st.sampled_from(STAGES),
        "level": st.one_of(st.integers(0, 3), spans),
    },
)


def claims(blocks, sites):
    facts = Facts("image", "unet2d", Latent("BCHW", (1, 4, 64, 64), 8), sites)
    mixers = [drivers.Wanting() for _ in blocks]
    parts = parts_from_blocks(mixers)
    parts = [
        replace(part, where=Where(**block), label=label)
        for part, block, label in zip(parts, blocks, "abcdef", strict=False)
    ]
    return claims_of(parts, facts, lambda site: None)


def matching(block, sites):
    return [site.path for site in sites if Where(**block).why_not(site) is None]


def suggested(hint):
    """Read the `where`s of a GH401 hint back, by label."""
    found = re.findall(r"'(\w)' with where: (\{.*?\})(?= and '|$)", hint)
    return {label: yaml.safe_load(text) for label, text in found}


@given(site_lists, wheres, wheres)
@settings(max_examples=150, deadline=None)
def test_claims_are_disjoint_or_refused_with_a_where_that_parts_them(sites, one, other):
    wanted = set(matching(one, sites)), set(matching(other, sites))
    try:
        found = claims([one, other], sites)
    except GenHubError as error:
        codes = {problem.code for problem in error.problems}
        assert codes == {"GH402"} if not all(wanted) else codes == {"GH401"}
        if codes == {"GH401"}:
            narrowed = suggested(error.problems[0].hint)
            if not narrowed:
                assert wanted[0] == wanted[1] and len(wanted[0]) == 1
                return
            first, second = claims([narrowed.get("a", one), narrowed.get("b", other)], sites)
            assert set(first.sites) and set(second.sites)
            assert {s.path for s in first.sites} <= wanted[0]
            assert {s.path for s in second.sites} <= wanted[1]
            assert not set(first.sites) & set(second.sites)
        return
    assert not set(found[0].sites) & set(found[1].sites)
    assert tuple({site.path for site in claim.sites} for claim in found) == wanted
    for claim in found:
        assert len(claim.sites) + len(claim.skipped) == len(sites)


@given(site_lists, st.permutations(STAGES))
@settings(max_examples=50, deadline=None)
def test_the_order_of_disjoint_mixers_changes_nothing(sites, stages):
    present = [stage for stage in STAGES if any(site.stage == stage for site in sites)]
    facts = Facts("image", "unet2d", Latent("BCHW", (1, 4, 64, 64), 8), sites)

    def planned(order):
        blocks = [
            replace(part, where=Where(stage=stage), label=stage)
            for stage in order
            for part in parts_from_blocks([drivers.Wanting()])
        ]
        found = claims_of(blocks, facts, lambda site: None)
        return {claim.label: claim.sites for claim in found}

    assert planned(present) == planned([stage for stage in stages if stage in present])


def test_the_digest_ignores_order_and_sees_settings(registries):
    unet = tiny.sd()
    facts = facts_of(unet)
    blocks = [
        {"type": "gain", "where": {"kind": "self", "stage": "up"}},
        {"type": "mean", "where": {"kind": "self", "stage": "down"}},
    ]

    def digest(*chosen, **more):
        return plan_parts(
            parts_from_blocks(chosen, registries=registries), facts, unet, **more
        ).digest

    assert digest(*blocks) == digest(*reversed(blocks))
    assert digest(*blocks) != digest({**blocks[0], "gain": 3.0}, blocks[1])
    assert digest(*blocks) != digest({**blocks[0], "where": {"stage": "mid"}}, blocks[1])
    assert digest(*blocks) != digest(*blocks, world=2)


def refused(registries, *blocks, model=None):
    with pytest.raises(GenHubError) as caught:
        attach(model or tiny.sd(), blocks, registries=registries)
    return caught.value


def test_gh401_names_both_the_count_and_a_where(registries):
    error = refused(registries, {"type": "gain"}, {"type": "mean", "where": {"kind": "self"}})

    assert str(error) == (
        "error[GH401] 'gain' and 'mean' both select 4 of 8 attention sites (first: "
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1); narrow one with 'where'\n"
        "  for example, 'gain' with where: {kind: self, level: {max: 0}} "
        "and 'mean' with where: {kind: self, level: {min: 1}}"
    )


def test_gh401_narrows_one_where_one_is_enough(registries):
    error = refused(registries, {"type": "gain", "where": {"stage": "up"}}, {"type": "mean"})

    assert error.problems[0].hint == (
        "for example, 'mean' with where: {kind: self, axis: spatial, index: {max: 2}}"
    )


def test_gh402_counts_reasons(registries):
    class Choosy(drivers.Gain):
        def accepts(self, site, attn):
            return "it is too small" if site.tokens < 5000 else None

    error = refused(registries, Choosy(drivers.GainConfig()))

    assert str(error).startswith(
        "error[GH402] 'choosy' selects none of the 8 sites of UNet2DConditionModel: "
        "4 filtered by where.kind=self, 4 refused (it is too small)"
    )


def test_gh403_is_for_a_where_that_the_user_gave(registries):
    model = tiny.unet3d()
    error = refused(registries, {"type": "gain", "where": {"kind": "self"}}, model=model)

    assert str(error).startswith(
        "error[GH403] 'gain' cannot serve 10 of the sites that its where selects (first: "
        "unet.transformer_in.transformer_blocks.0.attn1): it is temporal"
    )
    with attach(model, [{"type": "gain"}], registries=registries) as attached:
        claim = attached.plan.claims[0]
        assert len(claim.sites) == 4
        assert "10 refused (it is temporal)" in attached.report()


def test_all_conflicts_are_told_at_once(registries):
    error = refused(
        registries,
        {"type": "gain", "where": {"kind": "self", "stage": "down"}},
        {"type": "mean", "where": {"kind": "self", "stage": "down"}},
        {"type": "watch", "where": {"level": 7}},
    )

    assert [problem.code for problem in error.problems] == ["GH402", "GH401"]
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("block", "code", "text"),
    [
        ({"type": "gian"}, "GH201", "no attention mixer is called 'gian'"),
        ({"type": "gain", "gain": 11}, "GH302", "attention.0.gain is 11"),
        (
            {"type": "gain", "gain": "much"},
            "GH303",
            "attention.0.gain must be a number, but is 'much'",
        ),
        ({"type": "gain", "gian": 1}, "GH301", "did you mean 'gain'?"),
        ({"type": "gain", "where": {"kin": "self"}}, "GH301", "attention.0.where has no key 'kin'"),
        ({"gain": 1.0}, "GH304", "attention.0 does not say which attention mixer it is"),
        (7, "GH303", "attention.0 must be a block with a 'type', found 7"),
    ],
)
def test_wrong_blocks_are_explained(block, code, text, registries):
    error = refused(registries, block)

    assert error.code == code and text in str(error)


def test_conflicts_of_a_config_point_at_its_lines(registries, tmp_path):
    registries.get("tasks").add("idle", drivers.Idle)
    path = tmp_path / "c.yaml"
    path.write_text(
        "genhub: 1\ntask: idle\nattention:\n"
        "- type: gain\n- type: mean\n  where: {kind: self}\n- type: watch\n  where: {level: 9}\n"
    )
    loaded = load(path, registries=registries)
    unet = tiny.sd()

    with pytest.raises(GenHubError) as caught:
        make_plan(loaded, facts_of(unet), unet)

    assert [(p.code, p.mark.line) for p in caught.value.problems] == [("GH402", 7), ("GH401", 5)]
    assert "c.yaml:5:3" in str(caught.value)


def test_a_config_gives_its_mixers_their_where(registries):
    registries.get("tasks").add("idle", drivers.Idle)
    block = {"type": "gain", "gain": 4.0, "where": {"stage": "mid", "kind": "self"}}
    loaded = load({"genhub": 1, "task": "idle", "attention": [block]}, registries=registries)
    pipeline = tiny.stable_diffusion()

    plan = make_plan(loaded, facts_of(pipeline), pipeline)

    assert [site.stage for site in plan.claims[0].sites] == ["mid"]
    assert plan.parts[0].driver.config.gain == 4.0
    assert plan.skipped["gain"][0].reason == "where.stage=mid"


def test_a_plan_renders_without_changing_the_model(registries):
    unet = tiny.sd()
    processors = dict(unet.attn_processors)
    parts = parts_from_blocks([{"type": "gain"}], {"type": "own-loop"}, registries)

    text = plan_parts(parts, facts_of(unet), unet).render()

    assert unet.attn_processors == processors
    assert "gain: 4 sites; skipped: 4 filtered by where.kind=self" in text
    assert "order: gain on 4 sites -> own-loop on 1 ranks" in text
    assert text.endswith("rank 0: ###")
