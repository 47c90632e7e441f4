"""The attention layer of LinFusion, with the parameter names of the published checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from genhub_linfusion.attention import linear_attention
from genhub_linfusion.processor import (
    SOFTMAX_PROCESSORS,
    LinFusionAttnProcessor,
    perturbed_parts,
)

__all__ = ["LinFusionAttention", "ineligible"]

logger = logging.getLogger(__name__)

# Arguments of a pipeline call that reach every layer but concern cross-attention alone.
_FOR_OTHERS = frozenset({"ip_adapter_masks", "ip_hidden_states"})


class LinFusionAttention(Attention):
    """Self-attention with linear cost: Y = to_out(LinearAttention(Q, K, V)).

    Q = to_q(X + f_q(X)), K = to_k(X + f_k(X)), V = to_v(X), where f is Linear, LayerNorm,
    LeakyReLU, Linear with `mid_dim` channels inside: None means as many as the layer has, -1 makes
    f the identity, so that the projections see 2X. Input and output are `[B, N, channels]`.

    A subclass of diffusers' `Attention`, so that LoRA, IP-Adapter, perturbed-attention guidance and
    offloading find what they look for. Its processor is a marker: softmax attention over weights
    made for linear attention would be silently wrong, so none can be set. With `strict`, a
    processor that is not known to be harmless raises instead of being ignored with a warning.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        mid_dim: int | None = None,
        *,
        dropout: float = 0.0,
        eps: float = 1e-4,
        kernel: Callable[..., Tensor] = linear_attention,
        strict: bool = False,
    ) -> None:
        if heads < 1 or channels % heads:
            raise ValueError(
                f"{channels} channels cannot be split into {heads} heads: the number of heads must "
                f"divide the channels."
            )
        if mid_dim is not None and mid_dim != -1 and mid_dim < 1:
            raise ValueError(
                f"projection_mid_dim is {mid_dim}: it must be positive, -1 for the identity, or "
                f"None for the layer's own width."
            )
        super().__init__(
            query_dim=channels,
            heads=heads,
            dim_head=channels // heads,
            dropout=dropout,
            bias=False,
            processor=LinFusionAttnProcessor(),
        )
        self.mid_dim = mid_dim
        self.attention_eps = eps
        self.kernel = kernel
        self.strict = strict
        self.to_q_ = _feature_network(channels, mid_dim)
        self.to_k_ = _feature_network(channels, mid_dim)

    @classmethod
    def from_attention(
        cls,
        attn: Attention,
        mid_dim: int | None = None,
        *,
        init: Literal["copy", "random", "empty"] = "copy",
        kernel: Callable[..., Tensor] = linear_attention,
        strict: bool = False,
    ) -> LinFusionAttention:
        """Build the linear layer that can stand in for `attn`, which is left as it is.

        `init="copy"` takes over q, k, v and out so that Q and K start as those of the original;
        "random" draws new weights; "empty" leaves them on the meta device, for a checkpoint to be
        assigned. Device, dtype, training mode and `requires_grad` follow the original. Raises
        ValueError where `ineligible` gives a reason.
        """
        if init not in ("copy", "random", "empty"):
            raise ValueError(f"init is {init!r}: choose one of copy, random, empty.")
        if (reason := ineligible(attn)) is not None:
            raise ValueError(f"this layer cannot become linear attention: {reason}.")
        weight = attn.to_q.weight
        with torch.device("meta" if init == "empty" else weight.device):
            layer = cls(
                attn.query_dim,
                attn.heads,
                mid_dim,
                dropout=attn.dropout,
                kernel=kernel,
                strict=strict,
            )
        layer.to(weight.dtype)
        if init == "copy":
            layer._copy_projections(attn)
        return layer.requires_grad_(weight.requires_grad).train(attn.training)

    @torch.no_grad()
    def _copy_projections(self, attn: Attention) -> None:
        self.to_v.load_state_dict(attn.to_v.state_dict())
        self.to_out[0].load_state_dict(attn.to_out[0].state_dict())
        for ours, theirs, network in (
            (self.to_q, attn.to_q, self.to_q_),
            (self.to_k, attn.to_k, self.to_k_),
        ):
            ours.load_state_dict(theirs.state_dict())
            if isinstance(network, nn.Sequential):
                for parameter in network[3].parameters():
                    parameter.zero_()
            else:
                ours.weight.mul_(0.5)  # the projection sees 2X: halving is exact

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **cross_attention_kwargs: Any,
    ) -> Tensor:
        """Attend over tokens `[B, N, channels]`, or from them to `encoder_hidden_states`.

        `attention_mask` must be a key-padding mask: boolean `[B, N_k]` (True takes part) or
        additive `[B, 1, N_k]`; raises ValueError for any other.
        """
        unknown = cross_attention_kwargs.keys() - _FOR_OTHERS
        if unknown:
            logger.warning("linear attention ignores the arguments %s", sorted(unknown))
        parts = perturbed_parts(self.processor)
        if parts == 1:
            return self._project_out(
                self._attend(hidden_states, encoder_hidden_states, attention_mask)
            )
        if encoder_hidden_states is not None:
            raise ValueError("perturbed-attention guidance applies to self-attention only.")
        plain = hidden_states.shape[0] // parts * (parts - 1)
        mask = None if attention_mask is None else attention_mask[:plain]
        attended = self._attend(hidden_states[:plain], None, mask)
        return self._project_out(torch.cat([attended, self.to_v(hidden_states[plain:])]))

    def _attend(self, x: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        if x.ndim != 3 or x.shape[-1] != self.query_dim:
            raise ValueError(
                f"hidden_states has shape {tuple(x.shape)}: expected [batch, tokens, "
                f"{self.query_dim}]."
            )
        context = x if context is None else context
        q = self.to_q(x + self.to_q_(x))
        k = self.to_k(context + self.to_k_(context))
        v = self.to_v(context)
        q, k, v = (t.unflatten(-1, (self.heads, -1)) for t in (q, k, v))  # [B, N, H, d]
        return self.kernel(q, k, v, eps=self.attention_eps, mask=mask, layout="bnhd").flatten(2)

    def _project_out(self, x: Tensor) -> Tensor:
        return self.to_out[1](self.to_out[0](x))

    def set_processor(self, processor: Any) -> None:
        """Accept what changes nothing; the layer stays linear whatever is set.

        The marker and the processors of perturbed-attention guidance are kept. A softmax processor
        means "plain attention" and brings the marker back. Anything else is ignored with a warning,
        or raises ValueError when the layer is `strict`.
        """
        if type(processor) is LinFusionAttnProcessor or perturbed_parts(processor) > 1:
            self.processor = processor
        elif isinstance(processor, SOFTMAX_PROCESSORS):
            logger.info("a linear attention layer keeps its kernel and ignores %s", processor)
            self.processor = LinFusionAttnProcessor()
        else:
            message = (
                f"{type(processor).__name__} cannot run on a linear attention layer: detach "
                f"LinFusion before setting it, or leave this layer out of it"
            )
            if self.strict:
                raise ValueError(f"{message}.")
            logger.warning("%s; it is ignored here", message)

    def set_attention_slice(self, slice_size: int | None) -> None:
        """Do nothing: no attention matrix exists that could be sliced."""

    def set_use_memory_efficient_attention_xformers(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: memory is linear already."""

    def set_use_npu_flash_attention(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: flash attention computes softmax."""

    def set_use_xla_flash_attention(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: flash attention computes softmax."""

    def fuse_projections(self, fuse: bool = True) -> None:
        """Do nothing: q, k and v are projections of three different inputs."""


def ineligible(attn: nn.Module) -> str | None:
    """Say why an attention layer cannot become linear, or None if it can; meta devices will do."""
    if not isinstance(attn, Attention):
        return f"it is a {type(attn).__name__}, not diffusers' Attention"
    if isinstance(attn, LinFusionAttention):
        return "it is linear attention already"
    if attn.is_cross_attention:
        return "it is cross-attention"
    if attn.added_kv_proj_dim is not None or attn.only_cross_attention:
        return "it has added key and value projections"
    if attn.group_norm is not None or attn.spatial_norm is not None:
        return "it normalises its input"
    if attn.norm_q is not None or attn.norm_k is not None:
        return "it normalises queries and keys"
    if attn.residual_connection or attn.rescale_output_factor != 1:
        return "it adds a residual or rescales its output"
    if not attn.query_dim == attn.inner_dim == attn.inner_kv_dim == attn.out_dim:
        return f"its width changes inside, from {attn.query_dim} to {attn.inner_dim} channels"
    projections = {name: getattr(attn, name) for name in ("to_q", "to_k", "to_v")}
    projections["to_out.0"] = attn.to_out[0]
    for name, projection in projections.items():
        if type(projection) is not nn.Linear:
            return (
                f"{name} is a {type(projection).__name__}, not a plain Linear; fuse or unload "
                f"adapters first"
            )
        if (projection.bias is None) != (name != "to_out.0"):
            return f"{name} has {'a' if name != 'to_out.0' else 'no'} bias"
    return None


def _feature_network(channels: int, mid_dim: int | None) -> nn.Sequential | nn.Identity:
    if mid_dim == -1:
        return nn.Identity()
    width = channels if mid_dim is None else mid_dim
    return nn.Sequential(
        nn.Linear(channels, width),
        nn.LayerNorm(width),
        nn.LeakyReLU(0.01),
        nn.Linear(width, channels),
    )
