"""Costs of attention from shapes alone, held against what torch counts while it runs."""

from __future__ import annotations

from typing import Any

import drivers
import pytest
import tiny
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import genhub
from genhub.api import AttentionMixer, Cost, Where
from genhub.plan.cost import cost_lines, total_of


def counted(denoiser: Any, call: Any) -> dict[str, int]:
    """Count multiply-adds per module of one call on meta."""
    args, kwargs = call
    counter = FlopCounterMode(display=False, depth=None)
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        denoiser.to("meta")(*args, **kwargs)
    counts = counter.get_flop_counts()
    return {name.partition(".")[2]: sum(ops.values()) // 2 for name, ops in counts.items()}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_softmax_attention_costs_what_torch_counts(family: str) -> None:
    denoiser = tiny.FAMILIES[family]()
    with genhub.attach(denoiser) as attached:
        facts, costs = attached.plan.facts, attached.costs()
    (component,) = {site.component for site in facts.sites}
    real = counted(denoiser, facts.example_call(component))
    seen = {site.path: site for site in facts.sites if site.index >= 0}
    assert seen
    told = {path: cost.macs for path, cost in costs.items() if cost is not None}
    assert told == {path: real[site.module_path] for path, site in seen.items()}
    for path, site in seen.items():
        attn = denoiser.get_submodule(site.module_path)
        assert costs[path].params == sum(p.numel() for p in attn.parameters())


class Free(AttentionMixer):
    """Costs nothing, and replaces the module."""

    default_where = Where(kind="self")

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        class Nothing(torch.nn.Module):
            def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
                return hidden_states

        return Nothing()

    def macs(self, site: Any, attn: Any, built: Any) -> int:
        return 0


def test_mixers_tell_what_their_sites_cost_and_the_rest_stays() -> None:
    with genhub.attach(tiny.sd(), attention=[Free()]) as attached:
        before, after = attached.costs_before(), attached.costs()
    assert before.keys() == after.keys()
    for path, cost in after.items():
        assert cost == (Cost(0, 0) if path.endswith("attn1") else before[path])
    share = total_of(after).macs / total_of(before).macs
    assert 0 < share < 1
    first, second = cost_lines(before, after)
    assert first.startswith("attention: ") and "FLOP per denoiser call" in first
    assert "with the mixers in place" in second
    assert len(cost_lines(before, before)) == 1


def test_a_mixer_that_does_not_tell_makes_the_whole_unknown() -> None:
    with genhub.attach(tiny.sd(), attention=[drivers.Gain()]) as attached:
        before, after = attached.costs_before(), attached.costs()
    unknown = [path for path, cost in after.items() if cost is None]
    assert unknown == [site.path for site in attached.plan.claims[0].sites]
    first, second = cost_lines(before, after)
    assert first == cost_lines(before, before)[0]
    assert second == (
        f"  with the mixers in place: not known, as the mixers of {len(unknown)} sites do not tell "
        "what they cost"
    )
    assert f"{len(unknown)} of {len(after)} sites not counted" in cost_lines(after, after)[0]
