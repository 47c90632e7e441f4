"""What benchmarks compare with: published operation orders, written plainly from their papers.

Not references: `genhub_linfusion.reference` is written to be exact and readable, these are written
to do the same work, in the same order, as the code that people run today.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import elu

__all__ = ["linfusion"]


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
