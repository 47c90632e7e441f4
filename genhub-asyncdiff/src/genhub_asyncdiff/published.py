"""Splits of the published experiments, by architecture and number of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Graph
from genhub_asyncdiff.split import Split, given_split

__all__ = ["PUBLISHED", "Cuts", "Published", "published_split"]


@dataclass(frozen=True)
class Cuts:
    """Where components begin: the first module of each but the one that the input enters.

    With `wrap` what lies ahead of the first of them belongs to the last component. Modules that
    are `moved` belong to the component given, wherever they lie.
    """

    starts: tuple[str, ...]
    wrap: bool = False
    moved: Mapping[str, int] = field(default_factory=dict)

    def split(self, graph: Graph) -> Split:
        """Cut a denoiser that has modules of these names."""
        order = [unit.path for unit in graph.units]
        at = [
            next(i for i, path in enumerate(order) if _within(path, start)) for start in self.starts
        ]
        lists: list[list[str]] = [[] for _ in range(len(at) + (not self.wrap))]
        for i, path in enumerate(order):
            component = sum(start <= i for start in at) - self.wrap  # -1 is the last one
            moved = (to for module, to in self.moved.items() if _within(path, module))
            lists[next(moved, component)].append(path)
        return given_split(graph, lists, "published")


@dataclass(frozen=True)
class Published:
    """An architecture, told by its class and by entries of its config, and its cuts by number.

    Without cuts its blocks, as many as the config's `num_layers`, are cut into equal runs.
    """

    name: str
    cls: str
    config: Mapping[str, Any]
    cuts: Mapping[int, Cuts] = field(default_factory=dict)

    def describes(self, denoiser: Any) -> bool:
        """Tell whether a denoiser has this architecture, whoever trained it."""
        return type(denoiser).__name__ == self.cls and all(
            _plain(denoiser.config.get(key)) == value for key, value in self.config.items()
        )

    def all_cuts(self, denoiser: Any) -> Mapping[int, Cuts]:
        """Give the cuts of a denoiser of this architecture."""
        if self.cuts:
            return self.cuts
        blocks = int(denoiser.config["num_layers"])
        return {
            n: Cuts(tuple(f"transformer_blocks.{i * blocks // n}" for i in range(1, n)))
            for n in range(2, blocks + 1)
        }


def published_split(denoiser: Any, graph: Graph, n: int) -> Split:
    """Give the split into `n` components that was published for a denoiser's architecture.

    Source: AsyncDiff (NeurIPS 2024). The x4 upscaler's split into 2 had `up_blocks.0.upsamplers.0`
    where `up_blocks.1.upsamplers.0` must be meant; here it has the latter.

    Raises GenHubError (GH407) where none was published.
    """
    known = next((one for one in PUBLISHED if one.describes(denoiser)), None)
    if known is None:
        raise GenHubError(
            "GH407",
            f"no split was published for {_seen(denoiser)}; there are those of "
            f"{', '.join(one.name for one in PUBLISHED)}",
            hint="use split: auto",
        )
    cuts = known.all_cuts(denoiser)
    if n not in cuts:
        raise GenHubError(
            "GH407",
            f"the published splits of {known.name} have {min(cuts)} to {max(cuts)} components, "
            f"not {n}",
            hint="use split: auto, or another number of components",
        )
    return cuts[n].split(graph)


def _within(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.")


def _plain(value: Any) -> Any:
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


_TELLING = ("block_out_channels", "down_block_types", "layers_per_block", "cross_attention_dim")


def _seen(denoiser: Any) -> str:
    told = [f"{key} {_plain(denoiser.config[key])}" for key in _TELLING if key in denoiser.config]
    return " with ".join([type(denoiser).__name__, *([", ".join(told)] if told else [])])


_UNET = "UNet2DConditionModel"
_FOUR_LEVELS = {
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "transformer_layers_per_block": 1,
}

PUBLISHED = (
    Published(
        "Stable Diffusion 1",
        _UNET,
        _FOUR_LEVELS | {"cross_attention_dim": 768},
        {
            2: Cuts(("up_blocks.1.attentions.1",)),
            3: Cuts(("mid_block", "up_blocks.2.attentions.2")),
            4: Cuts(("down_blocks.2", "up_blocks.1.attentions.1", "up_blocks.3")),
        },
    ),
    Published(
        "Stable Diffusion 2",
        _UNET,
        _FOUR_LEVELS | {"cross_attention_dim": 1024},
        {
            2: Cuts(("up_blocks.1.attentions.2",)),
            3: Cuts(("mid_block", "up_blocks.3")),
            4: Cuts(("down_blocks.2", "up_blocks.2", "up_blocks.3.attentions.0")),
        },
    ),
    Published(
        "Stable Diffusion XL",
        _UNET,
        {
            "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
            "up_block_types": [*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
            "block_out_channels": [320, 640, 1280],
            "layers_per_block": 2,
            "transformer_layers_per_block": [1, 2, 10],
            "cross_attention_dim": 2048,
        },
        {
            2: Cuts(("down_blocks.2", "up_blocks.0.resnets.2"), wrap=True),
            3: Cuts(("down_blocks.2", "up_blocks.0.attentions.0", "up_blocks.1"), wrap=True),
            4: Cuts(
                (
                    *("down_blocks.1.attentions.0", "mid_block"),
                    *("up_blocks.0.resnets.1", "up_blocks.1"),
                ),
                wrap=True,
            ),
        },
    ),
    Published(
        "Stable Video Diffusion",
        "UNetSpatioTemporalConditionModel",
        {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2},
        {
            2: Cuts(("up_blocks.2",)),
            3: Cuts(("down_blocks.3", "up_blocks.3")),
            4: Cuts(("down_blocks.1.resnets.1", "up_blocks.2", "up_blocks.3.resnets.1")),
        },
    ),
    Published(
        "AnimateDiff on Stable Diffusion 1",
        "UNetMotionModel",
        {
            "block_out_channels": [320, 640, 1280, 1280],
            "layers_per_block": 2,
            "cross_attention_dim": 768,
        },
        {2: Cuts(("up_blocks.2",)), 3: Cuts(("mid_block", "up_blocks.3"))},
    ),
    Published(
        "the x4 upscaler",
        _UNET,
        {
            "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
            "up_block_types": [*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"],
            "block_out_channels": [256, 512, 512, 1024],
            "layers_per_block": 2,
            "cross_attention_dim": 1024,
        },
        {
            2: Cuts(("up_blocks.1.resnets.2",)),
            3: Cuts(("mid_block", "up_blocks.2.resnets.1"), moved={"up_blocks.2.attentions.1": 1}),
            4: Cuts(("down_blocks.3", "up_blocks.2", "up_blocks.3")),
        },
    ),
    Published("Stable Diffusion 3", "SD3Transformer2DModel", {}),
)
