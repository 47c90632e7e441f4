"""The processor a LinFusion layer shows to diffusers: a marker without state."""

from __future__ import annotations

from typing import Any, NoReturn

from diffusers.models.attention_processor import (
    CROSS_ATTENTION_PROCESSORS,
    AttnProcessor2_0,
    AttnProcessorNPU,
    FusedAttnProcessor2_0,
    PAGCFGIdentitySelfAttnProcessor2_0,
    PAGIdentitySelfAttnProcessor2_0,
    XLAFlashAttnProcessor2_0,
)

__all__ = ["SOFTMAX_PROCESSORS", "LinFusionAttnProcessor", "perturbed_parts"]

# Processors that only say how to compute softmax attention with the layer's own weights.
SOFTMAX_PROCESSORS = (
    *CROSS_ATTENTION_PROCESSORS,
    FusedAttnProcessor2_0,
    AttnProcessorNPU,
    XLAFlashAttnProcessor2_0,
)

# Perturbed-attention guidance stacks the batch; its last part skips attention.
_PARTS = {PAGIdentitySelfAttnProcessor2_0: 2, PAGCFGIdentitySelfAttnProcessor2_0: 3}


class LinFusionAttnProcessor:
    """Mark a layer as linear attention in `unet.attn_processors`.

    It holds nothing and computes nothing: weights and computation belong to `LinFusionAttention`,
    because diffusers recreates and overwrites processors at will.
    """

    # `unet.set_default_attn_processor()` and IP-Adapter loading look at a processor's `__class__`,
    # and the former stops at one it does not know. Whatever they set, the layer stays linear.
    @property
    def __class__(self) -> type:
        return AttnProcessor2_0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return LinFusionAttnProcessor, ()

    def __call__(self, attn: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: the layer computes itself; raises TypeError."""
        raise TypeError(
            "LinFusionAttnProcessor is a marker and cannot compute attention: call the "
            "LinFusionAttention layer itself."
        )


def perturbed_parts(processor: object) -> int:
    """Return into how many parts perturbed-attention guidance splits the batch; 1 without it."""
    return _PARTS.get(type(processor), 1)
