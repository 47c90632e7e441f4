"""What attention costs, from shapes alone: parameters and multiply-adds per site and in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from genhub.api import Built, Cost, Facts, Site
from genhub.plan.swap import is_processor

if TYPE_CHECKING:
    from torch.nn import Module

    from genhub.plan.claims import Claim
    from genhub.plan.plan import Plan

__all__ = ["cost_lines", "costs_in_words", "costs_of", "softmax_macs", "total_of"]

Costs = Mapping[str, Cost | None]  # by path of the site; None = not known

_WAN_TEXT = 512  # last tokens of the context that diffusers takes for the text of Wan


def softmax_macs(site: Site, attn: Any) -> int | None:
    """Count the multiply-adds of softmax attention: one call for one sequence of the site.

    Counted are matrix products: projections of queries, keys, values and output, Q K^T, and its
    product with V. None where the probe has not seen the site's tokens.
    """
    if site.tokens is None:
        return None
    own, context = site.tokens, site.context_tokens or 0
    added = _size(attn, "add_k_proj") > 0  # text has projections of its own, beside the picture's
    both = _size(attn, "add_q_proj") > 0  # and asks, too
    queries = own + context * both
    keys = own + context if added else context or own
    first, second = (own, context) if added else (keys, 0)  # keys of to_k and of add_k_proj
    if added and type(attn).__name__ == "WanAttention":  # a picture before the text, none of own
        keys, first, second = context, _WAN_TEXT, context - _WAN_TEXT
    rows = {
        "to_q": own,
        **dict.fromkeys(("to_k", "to_v"), first),
        "to_out": own,
        **dict.fromkeys(("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"), second),
    }
    projections = sum(count * _size(attn, name) for name, count in rows.items())
    return projections + 2 * queries * keys * site.heads * site.head_dim


def costs_of(
    facts: Facts,
    modules: Mapping[str, Module],
    claims: Sequence[Claim] = (),
    built: Mapping[str, Built] | None = None,
) -> dict[str, Cost | None]:
    """Give what each site costs in one denoiser call for one sample.

    `modules` are the attention modules as they were before mixers took their sites, by path;
    `built` is what mixers made of them, by label. A mixer that does not tell is not known.
    """
    taken = {site.path: claim for claim in claims for site in claim.sites}
    costs: dict[str, Cost | None] = {}
    for site in facts.sites:
        attn, claim = modules[site.path], taken.get(site.path)
        if claim is None:
            params, macs = _params(attn), softmax_macs(site, attn)
        else:
            made = (built or {})[claim.label][site]
            params = _params(made) + (_params(attn) if is_processor(made) else 0)
            macs = claim.part.driver.macs(site, attn, made)
        times = _sequences(site, facts)
        costs[site.path] = None if macs is None or times is None else Cost(params, macs * times)
    return costs


def total_of(costs: Costs) -> Cost:
    """Add up what is known."""
    return sum((cost for cost in costs.values() if cost is not None), Cost(0, 0))


def costs_in_words(plan: Plan, pipeline: Any, config: Any, registries: Any) -> list[str]:
    """Say what attention costs in a plan; mixers are attached for a moment."""
    from genhub.plan.attachment import install

    with install(
        replace(plan, scheduler=None, parallel=None), pipeline, seed=config.seed,
        kernels=config.kernels, registries=registries, offline=config.model.offline,
    ) as attached:  # fmt: skip
        return cost_lines(attached.costs_before(), attached.costs())


def cost_lines(before: Costs, after: Costs) -> list[str]:
    """Say what attention costs, and what it costs where mixers hold their sites."""
    plain, mixed = total_of(before), total_of(after)
    unknown = [path for path, cost in before.items() if cost is None]
    silent = [path for path, cost in after.items() if cost is None and path not in unknown]
    lines = [f"attention: {_large(plain.flops)}FLOP per denoiser call and sample as the model is"]
    if unknown:
        lines[0] += f", {len(unknown)} of {len(before)} sites not counted"
    if silent:
        told = f"not known, as the mixers of {len(silent)} sites do not tell what they cost"
        lines.append(f"  with the mixers in place: {told}")
    elif before != after:
        lines.append(f"  with the mixers in place: {_large(mixed.flops)}FLOP")
    return lines


def _size(attn: Any, name: str) -> int:
    """Count the weights of a projection; the output's stands first in a list."""
    layer = getattr(attn, name, None)
    if name == "to_out" and layer is not None:
        layer = layer[0] if hasattr(layer, "__getitem__") else layer
    weight = getattr(layer, "weight", None)
    return 0 if weight is None else int(weight.numel())


def _sequences(site: Site, facts: Facts) -> int | None:
    """Count the sequences of one sample that a call mixes: frames, or cells of a picture."""
    axes, shape = facts.latent.axes, facts.latent.shape
    if "F" not in axes or axes == "BCTF" or site.axis == "joint":
        return 1
    if site.axis == "spatial":
        return shape[axes.index("F")]
    if site.level is None:
        return None
    rows, cols = (shape[axes.index(axis)] >> site.level for axis in "HW")
    return rows * cols


def _params(thing: Any) -> int:
    parameters = getattr(thing, "parameters", None)
    return sum(int(p.numel()) for p in parameters()) if callable(parameters) else 0


def _large(value: float) -> str:
    """Write a large number with a prefix: `3.21 G`."""
    for prefix in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.3g} {prefix}"
        value /= 1000
    return f"{value:.3g} T"
