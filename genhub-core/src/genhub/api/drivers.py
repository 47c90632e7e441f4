"""The contracts of the driver kinds: mixers, schedulers, tasks, decoders, environments, kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from genhub.api.facts import Facts, Site, Where
from genhub.api.plugins import Plugin
from genhub.api.runtime import Artifact, Context, Installed, ParallelPlan, Request, Run, Sink

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    import gymnasium
    import numpy as np
    from torch import Generator, Tensor
    from torch.nn import Module

__all__ = [
    "AttentionMixer",
    "Availability",
    "Built",
    "Command",
    "Decoder",
    "Embeddings",
    "EnvironmentFactory",
    "Kernel",
    "KernelCase",
    "Metric",
    "ModelSource",
    "ParallelScheduler",
    "Signals",
    "Task",
]

Built = Mapping[Site, Any]  # what `build` returned, by site


class AttentionMixer(Plugin):
    """Change how chosen attention sites mix tokens."""

    default_where: ClassVar[Where] = Where()  # used when the YAML gives no `where`

    def accepts(self, site: Site, attn: Module) -> str | None:
        """Give None for a site this mixer can serve, else the reason; `attn` may be on meta."""
        return None

    def prepare(self, ctx: Context) -> AbstractContextManager[Any]:
        """Change the pipeline as a whole; leaving the context undoes it."""
        return nullcontext()

    def build(self, site: Site, attn: Module, ctx: Context) -> Any:
        """Give a diffusers attention processor, or a module that replaces `attn` at `site`.

        A processor has the signature `(attn, hidden_states, encoder_hidden_states=None,
        attention_mask=None, temb=None, *args, **kwargs)`. A module takes the same call as `attn`.
        `attn` itself must be left unchanged.
        """
        raise TypeError(f"{type(self).__name__} does not define build()")

    def macs(self, site: Site, attn: Module, built: Any) -> int | None:
        """Count the multiply-adds of one call for one sequence of the site, None: not known.

        Counted are matrix products, projections included. `attn` is what stood at the site and
        `built` what `build` made of it; both may be on meta.
        """
        return None

    def load(self, built: Built, ctx: Context) -> None:
        """Load weights for all sites at once: one checkpoint, all mismatches in one error."""

    def save(self, built: Built, folder: Path) -> None:
        """Write the weights of all sites; a mixer without weights writes nothing."""

    def before_call(self, ctx: Context) -> None:
        """Prepare one denoiser forward, outside compiled graphs: draws, buffers."""

    def decodes(self, ctx: Context) -> bool:
        """Say whether it decodes this pipeline's latents, where it owns `vae-decode`."""
        return True

    def decode(self, latents: Tensor, request: Request, sink: Sink, ctx: Context) -> None:
        """Make media of latents and write them to `sink`, piece by piece where they are long.

        In runs, a mixer that defines this and owns `vae-decode` (see `needs`) decodes in place of
        the pipeline, whose call ends where it hands `latents` to its autoencoder: they are what
        `pipeline.vae.decode` takes. Their rows are the request's samples; where a call makes more
        than one for each, the pipeline decodes. Only ranks that write call this.
        """
        raise TypeError(f"{type(self).__name__} does not define decode()")

    def reset(self) -> None:
        """Forget everything kept between calls; called before every generation."""

    def report(self, built: Built) -> list[dict[str, Any]]:
        """Give one row of facts per site, keyed by column, with `path` among them."""
        return [{"path": site.path} for site in built]

    def notes(self) -> Sequence[str]:
        """Say in a sentence each what `prepare` changed beside the sites; told in the report."""
        return ()


class ParallelScheduler(Plugin):
    """Spread a generation over ranks."""

    def plan(self, facts: Facts, denoisers: Mapping[str, Module], world: int) -> ParallelPlan:
        """Decide who computes what; deterministic; may trace denoisers on meta."""
        raise TypeError(f"{type(self).__name__} does not define plan()")

    def install(self, ctx: Context, plan: ParallelPlan) -> AbstractContextManager[Installed]:
        """Put the plan in place on this rank; leaving the context undoes it."""
        raise TypeError(f"{type(self).__name__} does not define install()")


class Task(Plugin):
    """What a run does.

    `reads` names the top-level blocks it uses. A block that is given and not read is an error
    (GH410); `decoder`, `environment` and `search` are required by a task that reads them (GH409).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"model"})

    def run(self, run: Run) -> None:
        """Do the work; called in every rank."""
        raise TypeError(f"{type(self).__name__} does not define run()")


@dataclass(frozen=True)
class Signals:
    """Measured signals: `values` [B, V], who they come from, and what is known of each row."""

    values: np.ndarray
    subject: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Embeddings:
    """Named tensors [B, T, D] and the space each lives in, with an optional spread."""

    values: Mapping[str, Tensor]
    space: Mapping[str, str]
    std: Mapping[str, Tensor] | None = None


class Decoder(Plugin):
    """Turn signals into what a pipeline can be conditioned on."""

    def read(self, source: str | Mapping[str, Any]) -> Iterator[Signals]:
        """Read signals from a path or a map of paths."""
        raise TypeError(f"{type(self).__name__} does not define read()")

    def decode(self, signals: Signals) -> Embeddings:
        """Predict embeddings from signals."""
        raise TypeError(f"{type(self).__name__} does not define decode()")

    def condition(self, embeddings: Embeddings, ctx: Context) -> dict[str, Any]:
        """Give keyword arguments of the pipeline's call; raise where widths differ."""
        raise TypeError(f"{type(self).__name__} does not define condition()")


class EnvironmentFactory(Plugin):
    """Make vectorised environments.

    Where they have them, the task `rollout` uses three members beside gymnasium's:
    `get_context(i)`, the context of the level that environment i plays, as a mapping; `games`, the
    name of each environment's game; `action_names`, those of a discrete action space.
    """

    def make(self, num_envs: int, seed: int, threads: int) -> gymnasium.vector.VectorEnv:
        """Make `num_envs` environments; observations do not depend on `threads`."""
        raise TypeError(f"{type(self).__name__} does not define make()")


@dataclass(frozen=True)
class Availability:
    """Whether something works here, and why not where it does not."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class KernelCase:
    """Inputs on which the implementations of an operation must agree.

    `build(generator)` draws them on the CPU, from this generator alone, and gives `(tensors,
    attrs)` of a call. `tolerance` is the largest difference to the reference, of results and of
    gradients, as a share of the reference's largest entry. `asks` is what a driver would tell
    `supports` of such a call, beside device and dtype.
    """

    name: str
    build: Callable[[Generator], tuple[tuple[Any, ...], dict[str, Any]]]
    tolerance: float = 1e-5
    asks: Mapping[str, Any] = field(default_factory=dict)


class Kernel:
    """One implementation of an operation; entry name `op.impl`.

    Of one operation exactly one kernel is the `reference`, in plain torch. Its `cases` are the grid
    of shapes and dtypes on which the others are held against it, by `genhub.testing.KernelTests`
    and by `genhub doctor --verify`.
    """

    differentiable: ClassVar[bool] = True
    priority: ClassVar[int] = 0
    reference: ClassVar[bool] = False

    def available(self) -> Availability:
        """Say whether this machine can run it; never raises."""
        return Availability(True)

    def supports(self, **what: Any) -> str | None:
        """Give None where shapes, dtypes and device are served, else the reason; never raises."""
        return None

    def cases(self) -> Iterable[KernelCase]:
        """Give the cases that the reference of an operation declares; others need none."""
        return ()

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute: a tensor or a tuple of tensors; what is passed in stays as it is."""
        raise TypeError(f"{type(self).__name__} does not define __call__()")


class ModelSource:
    """A model that ships with a package: `source: tiny:<entry name>`."""

    modality: ClassVar[Literal["image", "audio", "video"]] = "image"
    license: ClassVar[str] = "CC0-1.0"
    summary: ClassVar[str] = ""

    def load(self, dtype: Any, device: Any) -> Any:
        """Give a ready pipeline."""
        raise TypeError(f"{type(self).__name__} does not define load()")

    def request(self, input: Any, sampling: Any) -> dict[str, Any]:
        """Translate what is special to this model into keyword arguments of its call."""
        return {}


class Metric:
    """Figures about the artifacts of one variant.

    `needs` names what must be there: `captions` (prompts that `check_caption` lets pass),
    `baseline` (artifacts of the baseline, paired by sample), `pictures` or `sounds` (the run makes
    nothing else).
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    goal: ClassVar[Literal["max", "min"]] = "max"
    summary: ClassVar[str] = ""

    def __call__(
        self, run: Run, artifacts: Sequence[Artifact], baseline: Iterable[Artifact] = ()
    ) -> dict[str, float]:
        """Give named figures; the first is the one that a search maximises or minimises."""
        raise TypeError(f"{type(self).__name__} does not define __call__()")

    def check_caption(self, caption: str) -> None:
        """Raise ValueError for a caption that it cannot judge; asked where it needs `captions`."""
        return None


class Command:
    """A sub-command of `genhub` that a package brings along."""

    summary: ClassVar[str] = ""

    def arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: Namespace) -> int:
        """Do it and give the exit status."""
        raise TypeError(f"{type(self).__name__} does not define run()")
