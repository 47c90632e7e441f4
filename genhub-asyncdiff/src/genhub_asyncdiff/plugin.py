"""What the entry point names: the parallel scheduler and its block; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from genhub.api import Context, Facts, GenHubError, Needs, ParallelScheduler, PluginConfig
from genhub_asyncdiff.schedule import Form

if TYPE_CHECKING:
    from torch.nn import Module

    from genhub_asyncdiff.plan import AsyncPlan

__all__ = ["PAPER", "AsyncDiff", "AsyncDiffConfig"]

PAPER = "AsyncDiff: Parallelizing Diffusion Models by Asynchronous Denoising (NeurIPS 2024)"

Names = list[list[str]]


class AsyncDiffConfig(PluginConfig):
    """Block `parallel: type: asyncdiff`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"components": 2},
                {"components": 2, "stride": 2, "warmup": 5},
                {"components": 3, "stride": 2, "stride_mode": "reuse", "warmup": 9},
            ]
        }
    )

    components: int = Field(2, ge=1, le=8, description="pieces that the denoiser is cut into")
    stride: int = Field(
        1,
        ge=1,
        le=4,
        description="denoiser calls that one parallel round serves; 3 and 4 are experimental",
    )
    stride_mode: Literal["two_eval", "reuse", "reuse_next"] = Field(
        "two_eval",
        description="what the calls of a round get: an evaluation each (needs stride - 1 ranks "
        "more), the first call's for all, or the last call's for all",
    )
    anchor: Literal["warmup", "odd"] = Field(
        "warmup",
        description="calls that begin rounds: those after warm-up, or the odd ones as published",
    )
    warmup: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="full calls before the first round; auto: 1 at stride 1, else 3"
    )
    warmup_mode: Literal["replicate", "pipeline", "cfg"] = Field(
        "replicate",
        description="who computes a full call: every rank (bit-exact), each rank its own piece in "
        "turn, or ranks in pairs one half of the batch each",
    )
    time_shift: bool = Field(
        False, description="compute rounds at the time before theirs, which denoises more strongly"
    )
    split: Literal["auto", "published"] | Names = Field(
        "auto", description="how the denoiser is cut; lists of module names, one per component"
    )
    split_metric: Literal["flops", "time"] = Field(
        "flops", description="what auto balances: multiply-adds, or times measured on rank 0"
    )
    wrap: Literal["auto", True, False] = Field(
        "auto", description="may the last component own the first blocks, too"
    )
    cfg_parallel: Literal["auto", True, False] = Field(
        "auto",
        description="split guidance over twice the ranks, exactly; auto: where there are so many",
    )
    shard_weights: bool = Field(
        False, description="keep only this rank's weights; needs warmup_mode pipeline"
    )
    refresh_every: int = Field(
        0, ge=0, description="a full call after so many rounds; 0: none after warm-up"
    )
    refresh_threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="a full call when what travels has changed by more than this share of itself",
    )
    extrapolate: float = Field(
        0.0, ge=0, le=1, description="share of the last change that readers add (experimental)"
    )
    comm_dtype: Literal["same", "float16", "bfloat16", "float8_e4m3fn"] = Field(
        "same", description="number format on the way between ranks"
    )
    overlap: bool = Field(
        True, description="let transfers run while the denoiser computes; false: wait for each"
    )

    @model_validator(mode="after")
    def _consistent(self) -> AsyncDiffConfig:
        if self.shard_weights and self.warmup_mode != "pipeline":
            raise ValueError(
                f"shard_weights needs warmup_mode: pipeline, not {self.warmup_mode}: other modes "
                "compute full calls on every rank"
            )
        if self.anchor == "odd" and self.stride != 2:
            raise ValueError(f"anchor: odd is published for stride 2 only, not {self.stride}")
        if isinstance(self.split, list) and len(self.split) != self.components:
            raise ValueError(
                f"split has {len(self.split)} lists of modules for {self.components} components"
            )
        if self.split != "auto" and self.split_metric == "time":
            raise ValueError(
                "split_metric: time balances split: auto; a given split stays as it is"
            )
        if self.warmup_mode == "cfg" and self.form.world == 1:
            raise ValueError("warmup_mode: cfg needs two ranks or more; this block uses one")
        return self

    @property
    def form(self) -> Form:
        """Give what the schedule depends on."""
        auto = 1 if self.stride == 1 else 3
        return Form(
            self.components,
            self.stride,
            self.stride_mode,
            self.anchor,
            auto if self.warmup == "auto" else self.warmup,
            self.time_shift,
            self.refresh_every,
        )


class AsyncDiff(ParallelScheduler):
    """Cut the denoiser into pieces that run at once, each on what the others gave a call before."""

    Config = AsyncDiffConfig
    summary = "pieces of the denoiser on several ranks, each a call behind the others"
    paper = PAPER

    def needs(self) -> Needs:
        """Need components + stride - 1 ranks, twice as many with cfg_parallel."""
        one, cfg = self.config.form.world, self.config.cfg_parallel
        low = 2 * one if cfg is True else one
        return Needs(
            world=(low, one if cfg is False else 2 * one), owns=frozenset({"denoiser-forward"})
        )

    def plan(self, facts: Facts, denoisers: Mapping[str, Module], world: int) -> AsyncPlan:
        """Cut every denoiser; raises GH408 where guidance is to be split and is built in."""
        from genhub_asyncdiff.plan import make_plan

        one = self.config.form.world
        if world not in (one, 2 * one):
            raise GenHubError(
                "GH406",
                f"asyncdiff with components={self.config.components}, stride={self.config.stride} "
                f"uses {one} ranks, or {2 * one} with guidance split; this run has {world}",
                hint=f"set launch.processes to {one} or {2 * one}",
            )
        return make_plan(self.config, facts, denoisers, guidance_split=world == 2 * one)

    @contextmanager
    def install(self, ctx: Context, plan: Any) -> Iterator[Any]:
        """Put hooks on the denoisers while the context lasts."""
        from genhub_asyncdiff.install import installed

        with installed(self.config, ctx, plan) as inside:
            yield inside
