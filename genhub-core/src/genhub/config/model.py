"""The host's own part of a run's config: every field that does not belong to a driver."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

__all__ = ["Block", "Input", "Launch", "Model", "Output", "Prompt", "RunConfig", "Sampling"]

# `where` and `type` are added to drivers' blocks by genhub.config.union.


class Block(BaseModel):
    """A block of the YAML: frozen, and an unknown key is an error."""

    # Built when it is first used: most often as a part of the class that a file is validated with.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)


class Model(Block):
    """The pretrained pipeline."""

    source: str = Field(
        "tiny:shapes",
        min_length=1,
        description="tiny:NAME for a model that ships with a package, a folder, or a hub id",
        json_schema_extra={"format": "path"},
    )
    revision: str | None = Field(None, description="hub revision; 40 hex digits are reproducible")
    pipeline: str = Field("auto", description="diffusers class name, or auto")
    modality: Literal["auto", "image", "audio", "video"] = Field(
        "auto", description="what it makes, where the class does not tell"
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="auto: fp32 on a CPU, bf16 on a GPU that has it, else fp16"
    )
    variant: str | None = Field(None, description="file variant of the weights, such as fp16")
    scheduler: str | None = Field(None, description="diffusers scheduler class to swap in")
    scheduler_args: dict[str, Any] = Field(
        default_factory=dict, description="fields of the scheduler's config to change"
    )
    attention_backend: str | None = Field(
        None, description="diffusers attention backend, for models that dispatch attention"
    )
    offline: bool = Field(False, description="never ask the hub, use its local cache only")


class Prompt(Block):
    """A prompt with the frame from which it holds."""

    text: str = Field(description="the prompt")
    start: int = Field(0, ge=0, description="first frame it describes")


class Input(Block):
    """What the run starts from."""

    prompts: list[Annotated[str | Prompt, Field(union_mode="left_to_right")]] | str = Field(
        default_factory=list, description="list of prompts, or a .txt file with one per line"
    )
    negative: str | None = Field(None, description="what the pictures shall not show")
    images: list[str] = Field(
        default_factory=list,
        description="picture files to start from",
        json_schema_extra={"format": "path"},
    )
    signals: str | dict[str, Any] | None = Field(None, description="signals for a decoder")
    subject: str | None = Field(None, description="whose signals they are")


class Sampling(Block):
    """How the model is sampled."""

    steps: int = Field(20, ge=1, le=1000, description="denoising steps")
    guidance: float = Field(7.5, ge=0, le=1000, description="guidance scale; 1 and below: none")
    height: int | None = Field(None, ge=8, le=65536, description="pixels")
    width: int | None = Field(None, ge=8, le=65536, description="pixels")
    frames: int | None = Field(None, ge=1, description="frames of a video")
    seconds: float | None = Field(None, gt=0, description="length of audio")
    samples: int = Field(1, ge=1, description="samples per prompt")
    batch: int = Field(1, ge=1, le=64, description="samples per call of the pipeline")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the pipeline's call"
    )


class Launch(Block):
    """Where the run computes."""

    devices: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$", description="auto, cpu, cuda, cuda:0,1"
    )
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="ranks of the run; auto: as few as the parallel scheduler needs"
    )
    simulate: bool = Field(False, description="ranks are threads of one process, on one device")
    timeout: float = Field(120.0, gt=0, description="seconds that one rank waits for another")


class Output(Block):
    """What is written, and where."""

    dir: str = Field("runs", min_length=1, description="folder that run folders are made in")
    images: Literal["png"] = Field("png", description="format of pictures")
    audio: Literal["wav"] = Field("wav", description="format of sound")
    video: Literal["auto", "mp4", "webp"] = Field(
        "auto", description="format of video; auto: mp4 where PyAV is installed, else webp"
    )
    fps: float | None = Field(
        None, gt=0, le=240, description="frames per second of video; default: the model's, else 8"
    )
    embed_config: bool = Field(True, description="write config and seed into each artifact")
    report: bool = Field(True, description="write report.html")
    allow_nan: bool = Field(False, description="keep samples whose latents are not finite")


class RunConfig(Block):
    """One run, fully defaulted.

    `genhub.config.union` derives the class that a file is validated with: there `task`,
    `attention`, `parallel`, `decoder`, `environment` and `search` have the types of the drivers
    that the file names.
    """

    genhub: Literal[1] = Field(description="version of this format")
    name: str | None = Field(None, description="name of the run; default: the file's name")
    task: Any = Field(description="what to do: a task's name, or a block with its type")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="sample i is drawn with seed + i")
    model: Model = Field(default_factory=Model, description="the pretrained pipeline")
    attention: list[Any] = Field(default_factory=list, description="attention mixers, in order")
    parallel: Any = Field(None, description="parallel scheduler")
    decoder: Any = Field(None, description="decoder of signals")
    environment: Any = Field(None, description="environments")
    search: Any = Field(None, description="search space and strategy")
    kernels: dict[str, str] = Field(
        default_factory=dict, description="implementation per operation, auto for the rest"
    )
    input: Input = Field(default_factory=Input, description="what the run starts from")
    sampling: Sampling = Field(default_factory=Sampling, description="how the model is sampled")
    launch: Launch = Field(default_factory=Launch, description="where the run computes")
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="named sets of overrides of this config"
    )
    compare: list[str] = Field(
        default_factory=list, description="baseline and names of variants to run beside this"
    )
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="paths and values: each combination becomes a variant and is compared",
    )
    time: bool = Field(False, description="time what is compared, in turns, after it was made")
    metrics: list[str] = Field(default_factory=list, description="figures to compute")
    output: Output = Field(default_factory=Output, description="what is written, and where")
    hooks: list[str] = Field(default_factory=list, description="further hook plugins")
    strict: bool = Field(
        default_factory=lambda: bool(os.environ.get("CI")),
        description="a failing hook of a plugin ends the run; true where CI is set",
    )

    # Kept for resolved.yaml: where `${env:NAME}` was written, how and with which value, and the
    # blocks that the task does not read.
    _spellings: dict[tuple[str | int, ...], tuple[str, Any]] = PrivateAttr(default_factory=dict)
    _unread: frozenset[str] = PrivateAttr(default=frozenset())
