"""What entry points name: the mixer, the task and the kernels; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from genhub.api import (
    AttentionMixer,
    Built,
    Context,
    GenHubError,
    Kernel,
    KernelCase,
    Needs,
    PluginConfig,
    Run,
    Site,
    Task,
    Where,
)

if TYPE_CHECKING:
    from torch import nn

    from genhub_linfusion.layer import LinFusionAttention
    from genhub_linfusion.weights import Checkpoint

PAPER = "LinFusion: 1 GPU, 1 Minute, 16K Image (arXiv 2409.02097)"


class LinFusionConfig(PluginConfig):
    """Block `attention: - type: linfusion`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"checkpoint": None}, {"checkpoint": None, "projection_mid_dim": "c/16"}]
        }
    )

    checkpoint: str | None = Field(
        "auto",
        description="auto: the shipped or cached weights made for this architecture; a folder or "
        "hub id; null: start from the model's own projections, for training",
        json_schema_extra={"format": "path"},
    )
    revision: str | None = Field(None, description="hub revision of the checkpoint")
    projection_mid_dim: Annotated[int, Field(ge=-1)] | Literal["c/16"] | None = Field(
        None,
        description="hidden width of the query and key MLPs where checkpoint is null: null for the "
        "layer's width, -1 for no MLP",
    )
    eps: float = Field(1e-4, gt=0, description="added to the denominator; published weights: 1e-4")

    @field_validator("projection_mid_dim")
    @classmethod
    def _has_a_width(cls, value: int | str | None) -> int | str | None:
        if value == 0:
            raise ValueError("0 is no width: write a positive one, -1 for no MLP, or null")
        return value


class LinFusion(AttentionMixer):
    """Replace self-attention of diffusion UNets by generalised linear attention."""

    Config = LinFusionConfig
    summary = "linear-complexity self-attention for diffusion UNets"
    paper = PAPER
    default_where = Where(kind="self", axis="spatial", name="*.attn1")

    def __init__(self, config: LinFusionConfig | None = None) -> None:
        super().__init__(config)
        self.checkpoint: Checkpoint | None = None
        self.layers: dict[str, LinFusionAttention] = {}  # by path inside the denoiser

    def needs(self) -> Needs:
        """Ask for a model with a UNet over pictures, those of sound included, or over video."""
        return Needs(families=frozenset({"unet2d", "motion"}), sequence="whole")

    def accepts(self, site: Site, attn: nn.Module) -> str | None:
        """Take plain self-attention over the tokens of one picture."""
        from genhub_linfusion.layer import ineligible

        if site.kind != "self":
            return "is cross-attention"
        if site.axis != "spatial":
            return f"mixes {site.axis} tokens"
        return ineligible(attn)

    @contextmanager
    def prepare(self, ctx: Context) -> Iterator[None]:
        """Find the checkpoint before layers are built: it says how wide their MLPs are."""
        from genhub_linfusion import checkpoints

        unet = ctx.denoisers["unet"]
        self.checkpoint = checkpoints.find(
            self.config.checkpoint, self.config.revision, unet, offline=ctx.offline
        )
        try:
            yield
        finally:
            self.checkpoint = None
            self.layers = {}

    def build(self, site: Site, attn: nn.Module, ctx: Context) -> LinFusionAttention:
        """Make the layer that takes the place of `attn`, starting from its projections."""
        import torch

        from genhub_linfusion.layer import LinFusionAttention

        # What is drawn here is a function of the run's seed, and the global generator stays put.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(ctx.generator("linfusion", site.path).initial_seed())
            layer = LinFusionAttention.from_attention(
                attn, self._mid_dim(site), kernel=ctx.kernel("linear_attention")
            )
        layer.attention_eps = self.config.eps
        self.layers[site.module_path] = layer
        return layer

    def macs(self, site: Site, attn: nn.Module, built: LinFusionAttention) -> int | None:
        """Count four projections, two MLPs, the state of the keys, and its use by the queries."""
        if site.tokens is None:
            return None
        width = site.channels
        middle = {None: width, -1: 0}.get(built.mid_dim, built.mid_dim)
        per_token = 4 * width * width + 4 * width * middle + 2 * width * site.head_dim + width
        return site.tokens * per_token

    def load(self, built: Built, ctx: Context) -> None:
        """Fill all layers from the checkpoint; every mismatch stands in one error."""
        from genhub_linfusion.weights import CheckpointError

        if self.checkpoint is None:
            return
        try:
            # `where` may have chosen fewer sites than the checkpoint has layers.
            self.checkpoint.load_into(self.layers, subset=True)
        except CheckpointError as error:
            raise GenHubError("GH305", str(error), hint="see attention.checkpoint") from error

    def save(self, built: Built, folder: Path) -> None:
        """Write the published layout: config.json and one safetensors file."""
        from genhub_linfusion import weights

        weights.save(self.layers, folder)

    def report(self, built: Built) -> list[dict[str, Any]]:
        """Say what each layer is made of."""
        return [
            {
                "path": site.path,
                "width": site.channels,
                "heads": site.heads,
                "mid": layer.mid_dim,
                "parameters": sum(p.numel() for p in layer.parameters()),
                "weights": "own projections"
                if self.checkpoint is None
                else str(self.checkpoint.folder),
            }
            for site, layer in built.items()
        ]

    def _mid_dim(self, site: Site) -> int | None:
        if self.checkpoint is not None:
            return self.checkpoint.mid_dim(site.module_path)
        if self.config.projection_mid_dim == "c/16":
            return max(1, site.channels // 16)
        return self.config.projection_mid_dim


class DistillConfig(PluginConfig):
    """Block `task: {type: distill}`."""

    data: str = Field(
        "shapes",
        description="shapes (procedural), or a folder of pictures with captions (a.txt)",
        json_schema_extra={"format": "path"},
    )
    resolution: int | None = Field(None, ge=8, description="pixels; default: the model's own")
    steps: int = Field(100_000, ge=1, description="optimiser steps")
    batch: int = Field(6, ge=1, description="pictures per rank and step")
    lr: float = Field(1e-4, gt=0, description="learning rate of AdamW")
    lr_schedule: Literal["constant", "cosine"] = Field("constant", description="after the warm-up")
    lr_warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    beta2: float = Field(0.999, gt=0, lt=1, description="second-moment decay of AdamW")
    warmup_kd_steps: int = Field(
        0, ge=0, description="first steps that learn from the target alone (against divergence)"
    )
    caption_dropout: float = Field(
        0.0, ge=0, le=1, description="share of captions replaced by the empty one"
    )
    max_bad_steps: int = Field(10, ge=0, description="non-finite steps in a row that are skipped")
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    log_every: int = Field(20, ge=1, description="steps between lines of metrics.jsonl")


class Distill(Task):
    """Train a linear-attention student of the run's model."""

    Config = DistillConfig
    summary = "distil linear attention from a softmax teacher"
    paper = PAPER
    reads: ClassVar[frozenset[str]] = frozenset({"model", "attention"})

    def run(self, run: Run) -> None:
        """Train and write `linfusion/` into the run folder."""
        if not any(block.type == "linfusion" for block in run.config.attention):
            raise GenHubError(
                "GH409",
                "task 'distill' trains the layers of the mixer 'linfusion', which is not attached",
                hint="add:  attention: [{type: linfusion, checkpoint: null}]",
            )
        from genhub_linfusion.distill import distill

        distill(run, self.config)


class ReferenceKernel(Kernel):
    """The equation, term by term."""

    reference = True

    def cases(self) -> Iterable[KernelCase]:
        """Give sizes from one token to the 4096 of a large latent, in four dtypes."""
        from genhub_linfusion.kernels.cases import cases

        return cases()

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `linear_attention(q, k, v, ...)`."""
        from genhub_linfusion.attention import linear_attention

        return linear_attention(*tensors, backend="reference", **attrs)


class BlockedKernel(Kernel):
    """Blocks of tokens that stay in the processor's cache."""

    priority = 10

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `linear_attention(q, k, v, ...)`."""
        from genhub_linfusion.attention import linear_attention

        return linear_attention(*tensors, backend="torch", **attrs)
