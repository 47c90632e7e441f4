"""Repairs of published pipelines, each undone by what it gives: language model, CLAP, heads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["repair_pipeline", "repaired"]

log = logging.getLogger("genhub")

Repair = tuple[str, Callable[[], None]]  # what was done, and what undoes it

# Widths of the UNet that the AudioLDM2 authors trained with heads of 32 channels.
_AUDIOLDM2_WIDTHS = (128, 256, 384, 640)
_AUDIOLDM2_HEAD = 32
_AS_TRAINED = f"have heads of {_AUDIOLDM2_HEAD} channels, as trained"


def repair_pipeline(pipe: Any, *, repair_heads: bool = False) -> list[str]:
    """Repair a diffusers audio pipeline in place and say what was done; a second call does nothing.

    AudioLDM2 repositories name GPT2Model as language model, with which current transformers cannot
    generate: it is put inside a GPT2LMHeadModel, which gives the same embeddings. MusicLDM reads
    CLAP's features as transformers 4 gave them: they are given so. With `repair_heads`, AudioLDM2
    UNets of the published widths compute with heads of 32 channels, as their authors did; what a
    seed gives then changes. Sources: diffusers issue 12630; the published AudioLDM2 model.
    """
    return [told for told, _ in _repairs(pipe, repair_heads)]


@contextmanager
def repaired(pipe: Any, *, heads: bool = False) -> Iterator[list[str]]:
    """Repair a pipeline while the context lasts, and log and give what was done."""
    done = _repairs(pipe, heads)
    for told, _ in done:
        log.info("repaired %s: %s", type(pipe).__name__, told)
    if heads and not any(told.endswith(_AS_TRAINED) for told, _ in done):
        log.warning(
            "litefocus.repair_heads has nothing to repair: %s has no AudioLDM2 UNet of the "
            "published widths %s whose heads are of other than %d channels", type(pipe).__name__,
            list(_AUDIOLDM2_WIDTHS), _AUDIOLDM2_HEAD,
        )  # fmt: skip
    try:
        yield [told for told, _ in done]
    finally:
        for _, undo in reversed(done):
            undo()


def _repairs(pipe: Any, heads: bool) -> list[Repair]:
    made = [_language_model(pipe), _text_features(pipe)]
    if heads:
        made.append(_heads(pipe))
    return [repair for repair in made if repair is not None]


def _language_model(pipe: Any) -> Repair | None:
    before: Any = getattr(pipe, "language_model", None)
    if type(before).__name__ != "GPT2Model":
        return None
    if hasattr(before, "_update_model_kwargs_for_generation"):
        return None
    from transformers import GPT2LMHeadModel

    with torch.device("meta"):
        made = GPT2LMHeadModel(before.config)
    made.transformer = before
    made.lm_head.weight = before.wte.weight
    made.train(before.training)
    pipe.language_model = made

    def undo() -> None:
        pipe.language_model = before

    return "language_model is a GPT2LMHeadModel around its GPT2Model, which cannot generate", undo


class _PooledFeatures:
    """CLAP's `get_text_features` as a tensor; a copied model has a copy that calls the copy."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        features = type(self.encoder).get_text_features(self.encoder, *args, **kwargs)
        return getattr(features, "pooler_output", features)


def _text_features(pipe: Any) -> Repair | None:
    import transformers

    encoder: Any = getattr(pipe, "text_encoder", None)
    if type(pipe).__name__ != "MusicLDMPipeline" or not hasattr(encoder, "get_text_features"):
        return None
    if int(transformers.__version__.split(".")[0]) < 5 or "get_text_features" in vars(encoder):
        return None
    encoder.get_text_features = _PooledFeatures(encoder)

    def undo() -> None:
        del encoder.get_text_features

    return "text_encoder.get_text_features gives a tensor again, which the pipeline reads", undo


def _heads(pipe: Any) -> Repair | None:
    from diffusers.models.attention_processor import Attention

    unet = getattr(pipe, "unet", pipe)
    unet = getattr(unet, "_orig_mod", unet)
    if type(unet).__name__ != "AudioLDM2UNet2DConditionModel":
        return None
    if tuple(unet.config.block_out_channels) != _AUDIOLDM2_WIDTHS:
        return None
    wrong = [
        module for module in unet.modules()
        if isinstance(module, Attention) and module.inner_dim != module.heads * _AUDIOLDM2_HEAD
    ]  # fmt: skip
    if not wrong:
        return None
    before = [(attn, attn.heads, attn.scale) for attn in wrong]
    for attn in wrong:
        attn.heads, attn.scale = attn.inner_dim // _AUDIOLDM2_HEAD, _AUDIOLDM2_HEAD**-0.5

    def undo() -> None:
        for attn, heads, scale in before:
            attn.heads, attn.scale = heads, scale

    return f"{len(wrong)} attention modules {_AS_TRAINED}", undo
