"""What drivers are handed at run time: clock, context, communicator, run, sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from genhub.api.facts import Facts

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Generator, Tensor
    from torch.nn import Module

    from genhub.api.drivers import Kernel

__all__ = [
    "Artifact",
    "Attached",
    "Checkpoint",
    "Clock",
    "Communicator",
    "Context",
    "Installed",
    "ParallelPlan",
    "Pending",
    "Request",
    "Run",
    "Sample",
    "Section",
    "Shard",
    "Sink",
    "Step",
]


class Clock(Protocol):
    """Where the generation stands: one per rank, moved by the host, read by plugins.

    `t` is a 0-d tensor that is updated in place, so a compiled graph that reads it is not
    compiled anew at every step.
    """

    step: int  # 0-based denoising step
    steps: int  # steps of this generation
    t: Tensor
    branch: str | None  # guidance branch of the current denoiser call: cond, uncond, or None = both
    call: int  # n-th denoiser call of this step, from 0
    evaluation: int  # calls of `scheduler.step` so far: a step of a second-order method has two
    timesteps: Tensor | None  # 1-D, of all evaluations from the first on; None before the first


@dataclass(frozen=True)
class Step:
    """One denoising step that has just ended; what `genhub_step` hooks receive."""

    index: int
    steps: int
    seconds: float
    variant: str
    sample: int  # index of the batch's first sample
    done: int = 0  # steps of the whole run that are done
    total: int = 0  # and how many there will be, as far as is known


@dataclass(frozen=True)
class Shard:
    """What this rank holds of an axis of frames or tokens: [start, stop) of total."""

    axis: str
    start: int
    stop: int
    total: int


class Pending(Protocol):
    """A transfer under way."""

    def wait(self) -> Any:
        """Block until the transfer is done (bounded by `launch.timeout`) and give its result."""
        ...


class Communicator(Protocol):
    """The only way to talk between ranks: contiguous tensors, every wait bounded.

    A wait that ends without its peer raises `PeerLost(rank, where)`. `sent` counts bytes per kind
    of operation.
    """

    rank: int
    world: int
    device: Any
    sent: Counter[str]

    def exchange(
        self, sends: Mapping[int, Tensor], recvs: Mapping[int, Tensor], *, tag: int
    ) -> Pending:
        """Send and receive point to point, `{rank: tensor}`; receives fill their tensors."""
        ...

    def all_reduce(self, x: Tensor, op: Literal["sum", "max", "min"] = "sum") -> Pending:
        """Reduce `x` in place over all ranks."""
        ...

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """Give every rank's tensor, in order of rank."""
        ...

    def broadcast(self, x: Tensor, src: int) -> Pending:
        """Overwrite `x` with that of rank `src`."""
        ...

    def agree(self, ok: bool) -> bool:
        """Give the logical and of `ok` over all ranks."""
        ...

    def same(self, **facts: Any) -> None:
        """Raise, naming who differs, unless every rank passes equal facts."""
        ...

    def split(self, **axes: int) -> Mapping[str, Communicator]:
        """Arrange the ranks as a grid, for example `cfg=2, stage=4`; one communicator per axis."""
        ...


class Context(Protocol):
    """The one object handed to drivers at run time."""

    pipeline: Any
    denoisers: Mapping[str, Module]
    facts: Facts
    comm: Communicator
    clock: Clock
    shard: Shard | None
    offline: bool  # never ask the hub, use its local cache only

    def generator(self, *key: int | str) -> Generator:
        """Give a CPU generator that is a function of (seed of the run, *key) alone."""
        ...

    def kernel(self, op: str, **what: Any) -> Kernel:
        """Give the implementation of `op` that `kernels:` or the best available one selects.

        `what` is told to `Kernel.supports`, beside the denoiser's device and dtype.
        """
        ...


@dataclass(frozen=True)
class Sample:
    """One thing to generate: its number in the run, its seed, and what it shall show."""

    index: int
    seed: int
    prompt: str | None = None
    negative: str | None = None
    variant: str = "main"
    start: int | None = None  # frame from which a timed prompt holds


@dataclass(frozen=True)
class Request:
    """One batch to generate: its samples and the keyword arguments of the pipeline's call.

    `call` is complete (prompts, generators, steps, guidance, sizes, extra arguments): calling
    `pipeline(**request.call)` is what a run without a parallel scheduler does.
    """

    samples: tuple[Sample, ...]
    call: Mapping[str, Any]


class Sink(Protocol):
    """Where generated media go, piece by piece: a picture at once, audio and video in chunks."""

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Take a piece of the `sample`-th sample of the request: PIL image or array."""
        ...

    def close(self) -> Sequence[Artifact]:
        """Finish the files and give their artifacts."""
        ...


@dataclass(frozen=True)
class Artifact:
    """One file that a run made, with what it shows."""

    path: str  # relative to the run folder
    kind: Literal["image", "audio", "video", "text", "data"]
    sample: Sample
    sha256: str
    seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)  # width, height, ...


@dataclass(frozen=True)
class Section:
    """One part of the report, added by a `genhub_report` hook; all text is escaped.

    `pictures` may be sound (.wav) and video (.mp4, .webp) too. `series` are drawn by the host:
    points (x, y) by name, joined to lines or not, with the labels of both axes. `y_range` is the
    least that the second axis spans, so that small differences look small.
    """

    title: str
    text: str = ""
    table: tuple[Sequence[str], Sequence[Sequence[Any]]] | None = None  # header, rows
    pictures: tuple[tuple[str, str], ...] = ()  # (path in the run folder, caption)
    order: int = 50
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    axes: tuple[str, str] = ("", "")
    joined: bool = True
    y_range: tuple[float, float] | None = None


class ParallelPlan(Protocol):
    """Who computes what: known before anything runs."""

    def timeline(self) -> str:
        """Draw ranks over time in plain characters."""
        ...

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        """Give the bytes that all ranks send for `samples` in a generation of `steps` steps."""
        ...

    def speedup(self) -> float:
        """Give the predicted ratio of serial to parallel latency."""
        ...

    def shard(self, rank: int) -> Shard | None:
        """Give what a rank holds of frames or tokens, None where it sees all of them."""
        ...


class Installed(Protocol):
    """A parallel scheduler in place on this rank.

    `generate` is None where the pipeline's own call is used; otherwise it makes the whole request
    and writes what this rank has to the sink.
    """

    output_ranks: tuple[int, ...]
    generate: Callable[[Request, Sink], None] | None


class Attached(Protocol):
    """A pipeline with drivers in place; leaving the `with` block detaches them."""

    pipeline: Any
    context: Context

    def report(self) -> str:
        """Give a table of sites and what holds each, with everything that was skipped and why."""
        ...

    def detach(self) -> None:
        """Restore the pipeline exactly: identical objects, bit-identical outputs."""
        ...

    def save(self, folder: str | Path) -> None:
        """Write the weights that attached drivers own."""
        ...

    def stats(self) -> dict[str, Any]:
        """Give figures of the drivers and of the communicator."""
        ...

    def notes(self) -> list[str]:
        """Give what mixers note, and what `tell` was told."""
        ...

    def tell(self, text: str) -> None:
        """Add a note, which a run puts into its manifest and its report."""
        ...

    def enter(self, manager: AbstractContextManager[Any]) -> Any:
        """Enter a context that ends when the drivers are detached."""
        ...

    def driver(self, name: str) -> Any:
        """Give the attached driver of that entry name; KeyError names those there are."""
        ...

    def __enter__(self) -> Attached: ...
    def __exit__(self, *exc: object) -> None: ...


class Checkpoint(Protocol):
    """Training state on disk, replaced atomically: a killed run finds the last whole one."""

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write tensors (safetensors) and state (JSON) of `step`."""
        ...

    def load(self) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
        """Give the last saved `(step, tensors, state)`, or None."""
        ...


@runtime_checkable
class Run(Protocol):
    """A run under way, as a task sees it in every rank."""

    config: Any  # genhub.config.RunConfig
    comm: Communicator
    folder: Path

    def pipeline(
        self, variant: str | None = None, *, set: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[Attached]:
        """Load the model, attach the drivers of `variant` (None: the config's own) and yield.

        `baseline` is the variant without attention mixers and parallel scheduler. `set` overrides
        values for this time, `{"sampling.steps": 4}`; a loaded model is used again where it can be.
        """
        ...

    def requests(self, variant: str | None = None) -> Iterable[Request]:
        """Give the batches that `input` and `sampling` ask for, seeded per sample."""
        ...

    def generate(self, request: Request) -> Iterable[Artifact]:
        """Make one batch with the attached pipeline: progress, `Installed.generate`, sinks."""
        ...

    def sink(self, request: Request, kind: str) -> Sink:
        """Open a sink for the media of one request, with or without a pipeline."""
        ...

    def keep(self, artifacts: Sequence[Artifact]) -> None:
        """List files that the task has made without a pipeline, as a sink's `close` gives them."""
        ...

    def measure(
        self, artifacts: Sequence[Artifact], baseline: Sequence[Artifact] = ()
    ) -> dict[str, float]:
        """Compute the config's `metrics` for artifacts of the variant attached, and log them."""
        ...

    def log(self, **metrics: float) -> None:
        """Append one line of figures to metrics.jsonl and to the run's summary."""
        ...

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell how far a long task is."""
        ...

    def checkpoint(self) -> Checkpoint:
        """Give the run's training state on disk."""
        ...

    def accelerator(self, **kwargs: Any) -> Accelerator:
        """Give the `accelerate.Accelerator` that training tasks run on."""
        ...
