"""The one table of example calls: what each family of denoisers is called with, as meta tensors.

The shapes follow from the model's config and the size of the run. Pipelines of diffusers pass
sample and timestep positionally to UNets and everything by keyword to transformers; so do these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor, dtype

__all__ = ["FAMILIES", "Call", "Family", "Size", "family_of"]

Call = tuple[tuple[Any, ...], dict[str, Any]]
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """What one denoiser call works on: cells and frames of the latent, tokens of text."""

    rows: int
    cols: int
    frames: int
    text: int


@dataclass(frozen=True)
class Family:
    """One row of the table: how models of one architecture are called."""

    name: str
    modality: Literal["image", "audio", "video"]
    axes: Literal["BCHW", "BCTF", "BCFHW", "BFCHW"]
    shape: Callable[[Config, Size], tuple[int, ...]]  # of the latent, batch 1
    call: Callable[[Config, Size, Meta], Call]
    text: int = 77  # tokens of the prompt where the pipeline's tokenizer does not tell
    sample_size: int | tuple[int, int] = 64  # cells of the latent where the config does not tell
    frames: int = 16  # of the video where neither config nor pipeline tells
    temporal: int = 1  # frames of the video per frame of the latent where no pipeline tells
    patch: int = 0  # latent cells per token along one side; 0 for UNets, whose levels differ

    def example(self, config: Config, size: Size, kind: dtype) -> Call:
        """Give `(args, kwargs)` of one denoiser call, batch 1, as meta tensors of dtype `kind`."""
        return self.call(config, size, Meta(kind))


class Meta:
    """Make tensors that have a shape and a dtype and no memory."""

    def __init__(self, kind: dtype) -> None:
        self.kind = kind

    def __call__(self, *shape: int) -> Tensor:
        """Make activations."""
        import torch

        return torch.empty(shape, dtype=self.kind, device="meta")

    def whole(self, *shape: int) -> Tensor:
        """Make whole numbers: timesteps, labels, masks."""
        import torch

        return torch.empty(shape, dtype=torch.int64, device="meta")


def family_of(denoiser: Any) -> Family | None:
    """Find the family of a denoiser by its class; None for a class that the table lacks."""
    names = [cls.__name__ for cls in type(denoiser).__mro__]
    # First-generation AudioLDM has no class of its own: its UNet concatenates a class embedding.
    if "UNet2DConditionModel" in names and denoiser.config.get("class_embeddings_concat"):
        return _AUDIOLDM
    return next((FAMILIES[name] for name in names if name in FAMILIES), None)


def _unet2d(config: Config, size: Size, meta: Meta) -> Call:
    sample = meta(1, config["in_channels"], size.rows, size.cols)
    kwargs: dict[str, Any] = {"encoder_hidden_states": meta(1, size.text, _text_width(config))}
    labels = _class_labels(config, meta)
    if labels is not None:
        kwargs["class_labels"] = labels
    return (sample, meta.whole()), kwargs | _added_conditions(config, meta) | {"return_dict": False}


def _audioldm(config: Config, size: Size, meta: Meta) -> Call:
    args, kwargs = _unet2d(config, size, meta)
    return args, kwargs | {"encoder_hidden_states": None}


def _audioldm2(config: Config, size: Size, meta: Meta) -> Call:
    """Pass generated embeddings to the first two attentions of a layer, the prompt to the rest."""
    widths = _first(config["cross_attention_dim"])
    layer = widths if isinstance(widths, tuple | list) else (widths,)
    generated = next((w for w in layer[:2] if w is not None), None)
    prompt = next((w for w in layer[2:] if w is not None), None)
    kwargs: dict[str, Any] = {"return_dict": False}
    if generated is not None:
        kwargs["encoder_hidden_states"] = meta(1, _GENERATED_TOKENS, generated)
    if prompt is not None:
        kwargs["encoder_hidden_states_1"] = meta(1, size.text, prompt)
        kwargs["encoder_attention_mask_1"] = meta.whole(1, size.text)
    labels = _class_labels(config, meta)
    if labels is not None:
        kwargs["class_labels"] = labels
    return (meta(1, config["in_channels"], size.rows, size.cols), meta.whole()), kwargs


def _unet3d(config: Config, size: Size, meta: Meta) -> Call:
    sample = meta(1, config["in_channels"], size.frames, size.rows, size.cols)
    text = meta(1, size.text, _text_width(config))
    return (sample, meta.whole()), {"encoder_hidden_states": text, "return_dict": False}


def _motion(config: Config, size: Size, meta: Meta) -> Call:
    """Repeat the prompt for every frame, as the pipelines do."""
    (sample, timestep), kwargs = _unet3d(config, size, meta)
    kwargs["encoder_hidden_states"] = meta(size.frames, size.text, _text_width(config))
    return (sample, timestep), kwargs | _added_conditions(config, meta)


def _svd(config: Config, size: Size, meta: Meta) -> Call:
    sample = meta(1, size.frames, config["in_channels"], size.rows, size.cols)
    ids = config["projection_class_embeddings_input_dim"] // config["addition_time_embed_dim"]
    return (sample, meta.whole()), {
        "encoder_hidden_states": meta(1, 1, _first(config["cross_attention_dim"])),
        "added_time_ids": meta(1, ids),
        "return_dict": False,
    }


def _sd3(config: Config, size: Size, meta: Meta) -> Call:
    return (), {
        "hidden_states": meta(1, config["in_channels"], size.rows, size.cols),
        "timestep": meta(1),
        "encoder_hidden_states": meta(1, size.text, config["joint_attention_dim"]),
        "pooled_projections": meta(1, config["pooled_projection_dim"]),
        "return_dict": False,
    }


def _flux(config: Config, size: Size, meta: Meta) -> Call:
    """Pack 2x2 cells of the latent into one token."""
    tokens = (size.rows // 2) * (size.cols // 2)
    return (), {
        "hidden_states": meta(1, tokens, config["in_channels"]),
        "timestep": meta(1),
        "guidance": meta(1) if config["guidance_embeds"] else None,
        "pooled_projections": meta(1, config["pooled_projection_dim"]),
        "encoder_hidden_states": meta(1, size.text, config["joint_attention_dim"]),
        "txt_ids": meta(size.text, 3),
        "img_ids": meta(tokens, 3),
        "return_dict": False,
    }


def _wan(config: Config, size: Size, meta: Meta) -> Call:
    """Add the picture that the image-to-video models see, as tokens of CLIP."""
    picture = config.get("image_dim")
    return (), {
        "hidden_states": meta(1, config["in_channels"], size.frames, size.rows, size.cols),
        "timestep": meta(1),
        "encoder_hidden_states": meta(1, size.text, config["text_dim"]),
        **({"encoder_hidden_states_image": meta(1, _CLIP_TOKENS, picture)} if picture else {}),
        "attention_kwargs": None,
        "return_dict": False,
    }


def _qwenimage(config: Config, size: Size, meta: Meta) -> Call:
    """Pack 2x2 cells of the latent into one token; a prompt alone in its batch needs no mask."""
    rows, cols = size.rows // 2, size.cols // 2
    return (), {
        "hidden_states": meta(1, rows * cols, config["in_channels"]),
        "timestep": meta(1),
        "guidance": meta(1) if config["guidance_embeds"] else None,
        "encoder_hidden_states_mask": None,
        "encoder_hidden_states": meta(1, size.text, config["joint_attention_dim"]),
        "img_shapes": [[(1, rows, cols)]],
        "attention_kwargs": {},
        "return_dict": False,
    }


def _text_width(config: Config) -> int:
    if config.get("encoder_hid_dim_type") == "text_proj":
        return int(config["encoder_hid_dim"])
    return int(_first(config["cross_attention_dim"]))


def _class_labels(config: Config, meta: Meta) -> Tensor | None:
    kind = config.get("class_embed_type")
    if kind in ("projection", "simple_projection"):
        return meta(1, config["projection_class_embeddings_input_dim"])
    if kind == "identity":
        return meta(1, config.get("time_embedding_dim") or 4 * config["block_out_channels"][0])
    if kind == "timestep" or config.get("num_class_embeds") is not None:
        return meta.whole(1)
    return None


def _added_conditions(config: Config, meta: Meta) -> dict[str, Any]:
    """Give SDXL's pooled text and time ids; `addition_embed_type: text` needs no argument."""
    if config.get("addition_embed_type") != "text_time":
        return {}
    joint, each = config["projection_class_embeddings_input_dim"], config["addition_time_embed_dim"]
    ids = min(6, (joint - 1) // each)
    return {
        "added_cond_kwargs": {
            "text_embeds": meta(1, joint - ids * each),
            "time_ids": meta(1, ids),
        }
    }


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) else value


def _picture(config: Config, size: Size) -> tuple[int, ...]:
    return (1, config["in_channels"], size.rows, size.cols)


def _frames_inside(config: Config, size: Size) -> tuple[int, ...]:
    return (1, config["in_channels"], size.frames, size.rows, size.cols)


def _frames_refined(config: Config, size: Size) -> tuple[int, ...]:
    """Leave out what stands beside the latent: the first frame of image-to-video models."""
    return (1, config["out_channels"] or config["in_channels"], size.frames, size.rows, size.cols)


def _frames_first(config: Config, size: Size) -> tuple[int, ...]:
    return (1, size.frames, config["out_channels"], size.rows, size.cols)


def _unpacked(config: Config, size: Size) -> tuple[int, ...]:
    return (1, config["in_channels"] // 4, size.rows, size.cols)


_GENERATED_TOKENS = 8  # AudioLDM2's language model continues the prompt by so many embeddings

_CLIP_TOKENS = 257  # patches of 14 x 14 pixels in 224 x 224, and one for the whole

_AUDIOLDM = Family("audioldm", "audio", "BCTF", _picture, _audioldm)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "UNet2DConditionModel": Family("unet2d", "image", "BCHW", _picture, _unet2d),
        "UNet3DConditionModel": Family("unet3d", "video", "BCFHW", _frames_inside, _unet3d),
        "UNetMotionModel": Family("motion", "video", "BCFHW", _frames_inside, _motion),
        "UNetSpatioTemporalConditionModel": Family(
            "svd", "video", "BFCHW", _frames_first, _svd, text=1, sample_size=96
        ),
        "AudioLDM2UNet2DConditionModel": Family("audioldm2", "audio", "BCTF", _picture, _audioldm2),
        "SD3Transformer2DModel": Family(
            "sd3", "image", "BCHW", _picture, _sd3, text=77 + 256, sample_size=128, patch=2
        ),
        "FluxTransformer2DModel": Family(
            "flux", "image", "BCHW", _unpacked, _flux, text=512, sample_size=128, patch=2
        ),
        "WanTransformer3DModel": Family(
            "wan", "video", "BCFHW", _frames_refined, _wan,
            text=512, sample_size=(60, 104), frames=81, temporal=4, patch=2,
        ),
        "QwenImageTransformer2DModel": Family(
            "qwenimage", "image", "BCHW", _unpacked, _qwenimage,
            text=512, sample_size=128, patch=2,
        ),
    }
)  # fmt: skip
