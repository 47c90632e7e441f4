"""The splits of the published experiments, found by architecture and never by a model's name.

Letters stand for modules: IN conv_in, OUT conv_norm_out and conv_out, M mid_block, D and U the
down and up blocks by number; inside a block r resnets, a attentions, us the upsampler and ds the
downsampler. A bar parts the components.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Graph
from genhub_asyncdiff.split import Split, given_split

__all__ = ["PUBLISHED", "Published", "published_split"]

_CROSS_THREE = ("CrossAttnDownBlock2D",) * 3
_CHANNELS = (320, 640, 1280, 1280)


@dataclass(frozen=True)
class Published:
    """A model of the experiments: how to recognise its architecture, and its splits by number."""

    name: str
    cls: str
    config: Mapping[str, Any]
    splits: Mapping[int, str]

    def matches(self, denoiser: Any) -> bool:
        """Say whether a denoiser has this architecture."""
        names = {cls.__name__ for cls in type(denoiser).__mro__}
        config = dict(denoiser.config)
        return self.cls in names and all(
            _plain(config.get(key)) == _plain(value) for key, value in self.config.items()
        )


PUBLISHED = (
    Published(
        "Stable Diffusion 1.5",
        "UNet2DConditionModel",
        {
            "block_out_channels": _CHANNELS,
            "down_block_types": (*_CROSS_THREE, "DownBlock2D"),
            "layers_per_block": 2,
            "cross_attention_dim": 768,
        },
        {
            2: "IN D0-3 M U0 U1.r0,a0,r1 | U1.a1,r2,a2,us U2 U3 OUT",
            3: "IN D0-3 | M U0 U1 U2.r0,a0,r1,a1,r2 | U2.a2,us U3 OUT",
            4: "IN D0 D1 | D2 D3 M U0 U1.r0,a0,r1 | U1.a1,r2,a2,us U2 | U3 OUT",
        },
    ),
    Published(
        "Stable Diffusion 2.1",
        "UNet2DConditionModel",
        {
            "block_out_channels": _CHANNELS,
            "down_block_types": (*_CROSS_THREE, "DownBlock2D"),
            "layers_per_block": 2,
            "cross_attention_dim": 1024,
        },
        {
            2: "IN D0-3 M U0 U1.r0,a0,r1,a1,r2 | U1.a2,us U2 U3 OUT",
            3: "IN D0-3 | M U0 U1 U2 | U3 OUT",
            4: "IN D0 D1 | D2 D3 M U0 U1 | U2 U3.r0 | U3.a0,r1,a1,r2,a2 OUT",
        },
    ),
    Published(
        "Stable Diffusion XL",
        "UNet2DConditionModel",
        {
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", *_CROSS_THREE[:2]),
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, 2, 10),
            "cross_attention_dim": 2048,
        },
        {
            2: "D2 M U0.r0,a0,r1,a1 | IN D0 D1 U0.r2,a2,us U1 U2 OUT",
            3: "D2 M U0.r0 | U0.a0,r1,a1,r2,a2,us | IN D0 D1 U1 U2 OUT",
            4: "D1.a0,r1,a1,ds D2 | M U0.r0,a0 | U0.r1,a1,r2,a2,us | IN D0 D1.r0 U1 U2 OUT",
        },
    ),
    Published(
        "Stable Video Diffusion",
        "UNetSpatioTemporalConditionModel",
        {"block_out_channels": _CHANNELS, "layers_per_block": 2, "cross_attention_dim": 1024},
        {
            2: "IN D0-3 M U0 U1 | U2 U3 OUT",
            3: "IN D0-2 | D3 M U0-2 | U3 OUT",
            4: "IN D0 D1.r0,a0 | D1.r1,a1,ds D2 D3 M U0 U1 | U2 U3.r0,a0 | U3.r1,a1,r2,a2 OUT",
        },
    ),
    Published(
        "AnimateDiff",
        "UNetMotionModel",
        {"block_out_channels": _CHANNELS, "layers_per_block": 2, "cross_attention_dim": 768},
        {2: "IN D0-3 M U0 U1 | U2 U3 OUT", 3: "IN D0-3 | M U0 U1 U2 | U3 OUT"},
    ),
    Published(
        "Stable Diffusion x4 upscaler",
        "UNet2DConditionModel",
        {
            "block_out_channels": (256, 512, 512, 1024),
            "down_block_types": ("DownBlock2D", *_CROSS_THREE),
            "layers_per_block": 2,
            "cross_attention_dim": 1024,
        },
        {
            # As published, but for U1.us: there U0.us stood in its place, inside U0.
            2: "IN D0-3 M U0 U1.a0,r0,a1,r1 | U1.a2,r2,us U2 U3 OUT",
            3: "IN D0-3 | M U0 U1 U2.r0,a0,a1 | U2.r1,a2,r2,us U3 OUT",
            4: "IN D0-2 | D3 M U0 U1 | U2 | U3 OUT",
        },
    ),
)
_SAMPLERS = {"us": "upsamplers.0", "ds": "downsamplers.0"}
_EQUAL_RUNS = "SD3Transformer2DModel"  # Stable Diffusion 3: blocks in n runs of one length


def published_split(denoiser: Any, graph: Graph, n: int) -> Split:
    """Give the published split of a denoiser into n components.

    Raises GenHubError (GH407) where none is published, naming the architectures that have some.
    """
    if any(cls.__name__ == _EQUAL_RUNS for cls in type(denoiser).__mro__):
        return given_split(graph, _equal_runs(graph, n), "published")
    model = next((model for model in PUBLISHED if model.matches(denoiser)), None)
    if model is None or n not in model.splits:
        raise _unpublished(denoiser, model, n)
    return given_split(graph, [[*_names(part)] for part in model.splits[n].split("|")], "published")


def _names(text: str) -> Iterator[str]:
    """Spell module names out."""
    for token in text.split():
        block, _, inside = token.partition(".")
        for path in _blocks(block):
            yield from (f"{path}.{_inner(letter)}" for letter in inside.split(",") if letter)
            if not inside:
                yield path


def _blocks(token: str) -> list[str]:
    fixed = {"IN": ["conv_in"], "OUT": ["conv_norm_out", "conv_out"], "M": ["mid_block"]}
    if token in fixed:
        return fixed[token]
    first, _, last = token[1:].partition("-")
    kind = {"D": "down_blocks", "U": "up_blocks"}[token[0]]
    return [f"{kind}.{i}" for i in range(int(first), int(last or first) + 1)]


def _inner(letters: str) -> str:
    if letters in _SAMPLERS:
        return _SAMPLERS[letters]
    kind = {"r": "resnets", "a": "attentions"}[letters[0]]
    return f"{kind}.{letters[1:]}"


def _equal_runs(graph: Graph, n: int) -> list[list[str]]:
    blocks = [unit.path for unit in graph.units if re.match(r"transformer_blocks\.\d+$", unit.path)]
    if n > len(blocks):
        raise GenHubError(
            "GH407",
            f"{n} components cannot be made of {len(blocks)} blocks",
            hint=f"set components to {len(blocks)} at most",
        )
    ends = [len(blocks) * i // n for i in range(n + 1)]
    runs = [blocks[a:b] for a, b in pairwise(ends)]
    runs[-1] += [unit.path for unit in graph.units if unit.path not in blocks]
    return runs


def _unpublished(denoiser: Any, model: Published | None, n: int) -> GenHubError:
    if model is not None:
        listed = ", ".join(map(str, model.splits))
        return GenHubError(
            "GH407",
            f"no split of {model.name} into {n} components is published, only into {listed}",
            hint="use split: auto",
        )
    config = dict(denoiser.config)
    keys = ("block_out_channels", "layers_per_block", "cross_attention_dim")
    seen = ", ".join(f"{key} {config[key]}" for key in keys if key in config)
    names = ", ".join([*(model.name for model in PUBLISHED), "Stable Diffusion 3"])
    return GenHubError(
        "GH407",
        f"no published split fits {type(denoiser).__name__} ({seen or 'unknown layout'}); there "
        f"are splits of {names}",
        hint="use split: auto, which cuts any denoiser",
    )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
