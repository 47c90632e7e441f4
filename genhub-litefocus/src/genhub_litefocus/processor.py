"""The attention processor of one site: diffusers' own steps around the sparse operator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models import attention_processor as own
from torch import Tensor, nn

from genhub.api import GenHubError
from genhub_litefocus.grid import Settings, count_drawn, keys_on_average, keys_per_query
from genhub_litefocus.kernels.drivers import RowsKernel

if TYPE_CHECKING:
    from genhub.api import Kernel, Site

__all__ = ["FocusProcessor", "ineligible"]

log = logging.getLogger("genhub")

# Their arithmetic is that of softmax attention, so a sparse form can stand in for it.
_PLAIN = (
    own.AttnProcessor,
    own.AttnProcessor2_0,
    own.FusedAttnProcessor2_0,
    own.SlicedAttnProcessor,
    own.XFormersAttnProcessor,
)


def ineligible(attn: nn.Module) -> str | None:
    """Give None for a module whose attention can be made sparse, else the reason."""
    missing = [
        name for name in ("to_q", "to_k", "to_v", "to_out", "heads") if not hasattr(attn, name)
    ]
    if missing or not hasattr(attn, "set_processor"):
        return f"{type(attn).__name__} is no attention of diffusers with processors"
    if type(attn.processor) not in (*_PLAIN, FocusProcessor):
        return f"its processor {type(attn.processor).__name__} does more than attention"
    if getattr(attn, "added_kv_proj_dim", None) is not None:
        return "has projections for added keys"
    return None


class FocusProcessor:
    """Softmax over the own frequency row and shared tokens, in place of all tokens.

    Whether it is `active`, `frames`, `freq_bins` and `indices` are set before every call of the
    denoiser, outside compiled graphs; `indices` is written in place while its size stays.
    """

    def __init__(
        self, attn: Any, path: str, level: int, settings: Settings, kernel: Kernel
    ) -> None:
        self.path = path
        self.level = level
        self.settings = settings
        self.original = attn.processor
        self.head_dim = attn.inner_dim // attn.heads
        self.chosen = kernel
        self.kernel = kernel
        self.differentiable: Kernel = kernel if kernel.differentiable else RowsKernel()
        self.active = False
        self.share = 1.0  # of the steps in which it is active, for reports and costs
        self.frames = 0
        self.freq_bins = 0
        self.indices: Tensor | None = None
        self.calls = 0
        self.warned = False

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Attend; cross-attention, masked and inactive calls are the original processor's."""
        masked = attention_mask is not None
        if not self.active or encoder_hidden_states is not None or masked:
            if masked and self.active and encoder_hidden_states is None:
                self._tell_of_mask()
            return self.original(
                attn, hidden_states, encoder_hidden_states, attention_mask, temb, *args, **kwargs
            )
        residual = hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        picture = hidden_states.shape if hidden_states.ndim == 4 else None
        if picture is not None:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        hidden_states = self._attend(attn, hidden_states)
        hidden_states = attn.to_out[1](attn.to_out[0](hidden_states))
        if picture is not None:
            hidden_states = hidden_states.transpose(-1, -2).reshape(picture)
        if attn.residual_connection:
            hidden_states = hidden_states + residual
        return hidden_states / attn.rescale_output_factor

    def _attend(self, attn: Any, x: Tensor) -> Tensor:
        if x.shape[1] != self.frames * self.freq_bins:
            raise self._misfit(x.shape[1])
        q, k, v = (
            project(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        q = q if attn.norm_q is None else attn.norm_q(q)
        k = k if attn.norm_k is None else attn.norm_k(k)
        trained = torch.is_grad_enabled() and (
            q.requires_grad or k.requires_grad or v.requires_grad
        )
        kernel = self.differentiable if trained else self.kernel
        settings = self.settings
        out = kernel(
            q, k, v, self.indices, freq_bins=self.freq_bins, scale=attn.scale,
            same_frequency=settings.same_frequency, duplicates=settings.duplicates,
            layout=settings.layout, time_window=settings.time_window,
        )  # fmt: skip
        return out.transpose(1, 2).flatten(2).to(q.dtype)

    def _misfit(self, tokens: int) -> GenHubError:
        return GenHubError(
            "GH302",
            f"{self.path} (level {self.level}) has {tokens} tokens, not {self.frames} frames x "
            f"{self.freq_bins} frequency bins",
            hint=f"are layout ({self.settings.layout}) and freq_bins right for this model?",
        )

    def _tell_of_mask(self) -> None:
        if torch.compiler.is_compiling() or self.warned:
            return
        self.warned = True
        log.warning(
            "litefocus leaves masked self-attention as it is: %s was called with an attention "
            "mask, so all tokens were attended to", self.path,
        )  # fmt: skip

    def facts(self, site: Site) -> dict[str, Any]:
        """Give the columns of the report, for the last call or for the planned size."""
        settings = self.settings
        grid = self.frames, self.freq_bins
        if not self.frames and site.grid is not None:
            grid = settings.oriented(*site.grid)
        tokens, aside = grid[0] * grid[1], self.share == 0
        keys = tokens if aside else round(keys_per_query(settings, *grid))
        average = keys_on_average(settings, *grid, self.share)
        return {
            "T": grid[0],
            "F": grid[1],
            "K": 0 if aside else count_drawn(settings, tokens),
            "kernel": type(self.kernel).__name__.removesuffix("Kernel").lower(),
            "calls": self.calls,
            "keys": keys,
            "of full": "steps aside" if aside else f"{average / tokens:.3f}" if tokens else "",
        }
