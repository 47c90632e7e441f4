"""What benchmarks compare with: published operation orders, written plainly from their papers.

Not references: `genhub_linfusion.reference` is written to be exact and readable, these are written
to do the same work, in the same order, as the code that people run today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import elu
from torch.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["ASYNCDIFF", "asyncdiff", "linfusion", "litefocus"]

# Two components, as published with AsyncDiff.
ASYNCDIFF = {
    "Stable Diffusion 1.5": (
        (
            *("conv_in", *(f"down_blocks.{i}" for i in range(4)), "mid_block", "up_blocks.0"),
            *("up_blocks.1.resnets.0", "up_blocks.1.attentions.0", "up_blocks.1.resnets.1"),
        ),
        (
            *("up_blocks.1.attentions.1", "up_blocks.1.resnets.2", "up_blocks.1.attentions.2"),
            *("up_blocks.1.upsamplers.0", "up_blocks.2", "up_blocks.3"),
            *("conv_norm_out", "conv_out"),
        ),
    ),
    "Stable Diffusion XL": (
        (
            *("down_blocks.2", "mid_block", "up_blocks.0.resnets.0", "up_blocks.0.attentions.0"),
            *("up_blocks.0.resnets.1", "up_blocks.0.attentions.1"),
        ),
        (
            *("conv_in", "down_blocks.0", "down_blocks.1", "up_blocks.0.resnets.2"),
            *("up_blocks.0.attentions.2", "up_blocks.0.upsamplers.0", "up_blocks.1"),
            *("up_blocks.2", "conv_norm_out", "conv_out"),
        ),
    ),
}


def linfusion(q: Tensor, k: Tensor, v: Tensor, eps: float = 1e-4) -> Tensor:
    """Compute LinFusion attention of q, k, v `[B, N, H, d]` with whole tensors, step by step.

    Heads are moved before the tokens and back, as attention layers of diffusers do; each line is
    a pass over memory the size of the sequence.
    """
    batch, tokens, heads, dim = q.shape

    def split(x: Tensor) -> Tensor:
        return x.permute(0, 2, 1, 3).reshape(batch * heads, tokens, dim)

    q, k, v = split(q), split(k), split(v)
    q = elu(q) + 1
    k = elu(k) + 1
    z = q @ k.mean(dim=-2, keepdim=True).transpose(-2, -1) + eps
    scale = tokens**-0.5
    state = (k.transpose(-2, -1) * scale) @ (v * scale)
    out = q @ state / z
    return out.reshape(batch, heads, tokens, dim).permute(0, 2, 1, 3).contiguous()


def litefocus(q: Tensor, k: Tensor, v: Tensor, indices: Tensor, freq_bins: int) -> Tensor:
    """Compute LiteFocus attention of q, k, v `[B, H, N, d]` with all of its scores in memory.

    Scores of the own row `[B, H, N, T]` and of the shared tokens `[B, H, N, K]` are made, scaled,
    concatenated, brought to weights by one softmax, and taken apart again.
    """
    batch, heads, tokens, dim = q.shape
    frames = tokens // freq_bins

    def split(x: Tensor) -> Tensor:
        return x.view(batch, heads, frames, freq_bins, x.shape[-1]).transpose(2, 3)

    def join(x: Tensor) -> Tensor:
        return x.transpose(2, 3).reshape(batch, heads, tokens, x.shape[-1])

    same = join(split(q) @ split(k).transpose(-2, -1)) * dim**-0.5
    cross = q @ k[:, :, indices].transpose(-2, -1) * dim**-0.5
    weights = torch.cat([same, cross], dim=-1).softmax(dim=-1)
    same, cross = weights[..., :frames], weights[..., frames:]
    return join(split(same) @ split(v)) + cross @ v[:, :, indices]


@contextmanager
def asyncdiff(
    denoiser: Module, components: Sequence[Sequence[str]], warmup: int = 1
) -> Iterator[None]:
    """Run one generation by AsyncDiff at stride 1 with the published exchange.

    Rank c of the default process group computes component c. After every parallel call each
    module's whole output is broadcast to all ranks, one blocking broadcast after the other; two
    more pass the sample and the noise prediction.
    """
    run = _Broadcasting(components, warmup)
    forwards = [(denoiser, run.denoiser), *((denoiser.get_submodule(p), run.module)
                                            for p in run.owner)]  # fmt: skip
    for path, (module, replaced) in zip(["", *run.owner], forwards, strict=True):
        module.forward = _bound(replaced, path, module.forward)
    try:
        yield
    finally:
        for module, _ in forwards:
            del module.forward


def _bound(replaced: Any, path: str, forward: Any) -> Any:
    return lambda *args, **kwargs: replaced(path, forward, args, kwargs)


class _Broadcasting:
    """Counts calls and keeps the last output of every module."""

    def __init__(self, components: Sequence[Sequence[str]], warmup: int) -> None:
        self.owner = {path: c for c, paths in enumerate(components) for path in paths}
        self.tail = len(components) - 1
        self.warmup = warmup
        self.call = -1
        self.kept: dict[str, tuple[list[Tensor], Any]] = {}

    def denoiser(self, path: str, forward: Any, args: Any, kwargs: Any) -> Any:
        self.call += 1
        if self.call < self.warmup:
            return forward(*args, **kwargs)
        sample = args[0].clone()
        dist.broadcast(sample, 0)
        (eps,) = forward(sample, *args[1:], **kwargs)
        for module, owner in self.owner.items():
            self._share(module, owner)
        eps = eps.contiguous()
        dist.broadcast(eps, self.tail)
        return (eps,)

    def module(self, path: str, forward: Any, args: Any, kwargs: Any) -> Any:
        if self.call < self.warmup or self.owner[path] == dist.get_rank():
            made = forward(*args, **kwargs)
            self.kept[path] = tree_flatten(made)
            return made
        return tree_unflatten(*self.kept[path])

    def _share(self, path: str, owner: int) -> None:
        leaves, spec = self.kept[path]
        flat = torch.cat([leaf.flatten() for leaf in leaves])
        dist.broadcast(flat, owner)
        if owner != dist.get_rank():
            parts = flat.split([leaf.numel() for leaf in leaves])
            leaves = [part.view(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
            self.kept[path] = leaves, spec
