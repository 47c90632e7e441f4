"""A run as one rank sees it: what a task loads, attaches, generates and takes notes with."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genhub.api import Artifact, Checkpoint, Request, Sink, Step
from genhub.comm import SoloComm
from genhub.config import Loaded, redact
from genhub.execution.artifacts import artifact_json
from genhub.execution.attaching import install_plan, parallel_json, plan_for, writes
from genhub.execution.checkpoint import FileCheckpoint
from genhub.execution.earlier import METRICS, take_up
from genhub.execution.embed import payloads_of
from genhub.execution.folder import RunFolder, made_sense_of
from genhub.execution.generation import Active, make, warm_up
from genhub.execution.kept import Kept, KeptSink
from genhub.execution.load import LoadedModel, choose_device
from genhub.execution.log import without_noise
from genhub.execution.machine import about_model, about_plugins
from genhub.execution.models import Models, Replicas
from genhub.execution.phases import Phases, StepTimes
from genhub.execution.requests import samples_of, steps_of, warn_of_cut_prompts
from genhub.execution.result import artifact_of
from genhub.execution.sinks import NoSink, open_sink
from genhub.execution.summary import Summary, finite
from genhub.execution.timing import Turn, WarmUp, take_turns, time_batch
from genhub.hooks import Hooks
from genhub.launch.alone import alone, together
from genhub.metrics.measure import figures_of
from genhub.registry import Registries

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["ProcessRun"]

NOTE_EVERY = 1.0  # seconds

log = logging.getLogger("genhub")


class ProcessRun:
    """Implements `genhub.api.Run` for one rank.

    Beside the contract, hooks may read `summary`, `phases` and `manifest`.
    """

    def __init__(
        self,
        loaded: Loaded,
        files: RunFolder,
        hooks: Hooks,
        registries: Registries,
        models: Models | Replicas,
        comm: Any = None,
    ) -> None:
        self.config: Any = loaded.config
        self.comm: Any = comm or SoloComm("cpu")
        self.folder: Path = files.path
        self.summary = Summary()
        self.phases = Phases()
        self.hooks = hooks
        self.registries = registries
        self.loaded = loaded
        self._files = files
        self.models = models
        self._kept = Kept(files.path, files.kept)
        self._active: Active | None = None
        self._steps_done = self._steps_total = 0
        self._noted = 0.0
        self.tells = True  # hooks of steps and artifacts
        self._last_progress = time.perf_counter()
        if self.comm.rank == 0:
            with made_sense_of(files.path):
                take_up(files, self.summary, self.phases)
            for text in (*registries.take_remarks(), *hooks.problems):
                self.problem(text)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Give what manifest.json holds."""
        return self._files.manifest

    @property
    def is_given(self) -> bool:
        """Say whether the pipeline came from Python, so that the config alone cannot repeat it."""
        return self.models.given is not None

    @property
    def drivers(self) -> tuple[Any, ...]:
        """Give the drivers of the config and of every variant that is compared, each once."""
        found = list(self.loaded.drivers)
        for name in self.config.compare:
            found += self.loaded.variant(name).drivers
        return tuple({(d.kind, d.name): d for d in found}.values())

    @cached_property
    def _steps_of(self) -> dict[str, int]:
        names = ("main", *self.config.compare)
        return {name: steps_of(self.loaded.variant(name).config) for name in names}

    def redact(self, text: str) -> str:
        """Put `${env:NAME}` in place of every value that the config took from the environment."""
        return redact(self.config, text)

    def problem(self, text: str) -> None:
        """Note something the user should know; it is told once."""
        text = self.redact(text)
        if text not in self.summary.problems:
            self.summary.problems.append(text)

    @contextmanager
    def pipeline(
        self, variant: str | None = None, *, set: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        """Load the model, attach the drivers of `variant` (None or main: the config's own).

        `set` overrides values of the variant's config; the model stays loaded where they leave
        `model` as it is.
        """
        if self._active is not None:
            raise RuntimeError("run.pipeline() is entered while another variant is attached")
        name = variant or "main"
        loaded = self.loaded if name == "main" else self.loaded.variant(name)
        loaded = loaded.overridden(set) if set else loaded
        with ExitStack() as stack:
            stack.enter_context(without_noise())
            with self.phases.measure("load"):
                lent = self.models.lent(loaded.config)
                (model, fresh), _ = together(self.comm, lambda: stack.enter_context(lent))
            if fresh:
                self._note_model(model)
            with self.phases.measure("attach"):
                if fresh:
                    self._try_others(name, model)
                attached = stack.enter_context(self._attach(loaded, model))
            self._active = Active(name, loaded, model, attached)
            stack.callback(self._leave)
            about: dict[str, Any] = {"sites": [asdict(site) for site in attached.plan.facts.sites]}
            if attached.plan.parallel is not None and "parallel" not in self.manifest:
                about["parallel"] = parallel_json(attached.plan, loaded.config)
            self.note(**about)
            yield attached

    def time_variants(self) -> None:
        """Time what is compared in turns, and note what was found."""
        names = ("main", *self.config.compare)
        configs = {name: self.loaded.variant(name).config for name in names}
        with self.phases.measure("timing"):
            self.summary.timing = take_turns(configs, self._turn, self.progress)
        self.note()

    def _turn(self, variant: str, warm: WarmUp) -> Turn:
        """Attach a variant once more, of which nobody is told, and time one batch."""
        loaded = self.loaded.variant(variant)
        together = loaded.config.parallel is not None

        def taken() -> Turn:
            with ExitStack() as stack:
                stack.enter_context(without_noise())
                model, _ = stack.enter_context(self.models.lent(loaded.config))
                plan = plan_for(loaded, model, self.comm.world)
                attached = stack.enter_context(self._install(loaded, model, plan))
                return time_batch(Active(variant, loaded, model, attached), warm)

        turn: Turn = taken() if together else alone(self.comm, taken)
        return turn

    def requests(self, variant: str | None = None) -> Iterator[Request]:
        """Give the batches of the variant whose pipeline is entered, seeded per sample."""
        active = self._entered()
        if (variant or "main") != active.name:
            raise RuntimeError(f"run.requests('{variant}') is called inside '{active.name}'")
        caller = active.calls()
        samples = samples_of(active.loaded.config, active.name)
        warn_of_cut_prompts(active.model.pipeline, samples, self.redact)
        later = self._steps_of.keys() - {active.name, *self.summary.steps}
        left = steps_of(active.loaded.config) + sum(self._steps_of[name] for name in later)
        self._steps_total = self._steps_done + left
        return caller.batches(samples)

    def generate(self, request: Request) -> tuple[Artifact, ...]:
        """Make one batch with the attached pipeline and give its artifacts.

        Raises GH604 where latents are not finite, unless `output.allow_nan`.
        """
        active = self._entered()
        if self.comm.world == 1:
            return self._save(*self._make(active, request))

        def saved(made: Any) -> list[dict[str, Any]]:
            return [artifact_json(artifact) for artifact in self._save(*made)]

        if active.attached.plan.scheduler is None:  # for one rank: exactly what a run of one makes
            kept = alone(self.comm, lambda: saved(self._make(active, request)))
            return tuple(map(artifact_of, kept))
        made = self._make(active, request)
        _, by_rank = together(self.comm, lambda: saved(made), list)
        own, *others = [tuple(map(artifact_of, rank)) for rank in by_rank]
        for artifacts in others:  # rank 0 keeps what others wrote
            self._keep(artifacts, 0.0)
        return sum(others, own)

    def _make(self, active: Active, request: Request) -> tuple[Sink, Sequence[Any], float]:
        """Make one batch; give what is still to be written, where, and the seconds it took."""
        payloads = payloads_of(active.loaded.config, request.samples, self.is_given)
        kept = self._kept.of(request, payloads)
        first, whole = self.comm.rank == 0, len(kept) == len(request.samples)
        if self._kept.any and active.attached.context.comm.agree(whole):
            self._steps_done += active.loaded.config.sampling.steps
            return KeptSink(NoSink(), request, payloads, kept, tells=first), (), 0.0
        inner: Sink = NoSink()
        if writes(active.attached.installed, self.comm):
            inner = self.sink(request, active.attached.context.facts.modality)
        sink = KeptSink(inner, request, payloads, kept, tells=first)
        if self.config.compare and active.name not in self.summary.steps:
            warm_up(active, request, self.phases)
        times = self.summary.steps.setdefault(active.name, StepTimes())
        begun = time.perf_counter()
        try:
            made = make(active, request, sink, self.phases, partial(self._told, request, times))
        except BaseException:
            # What a scheduler's own loop has written so far; without its recipe it is made anew.
            with suppress(Exception):
                self._keep(inner.close(), 0.0)
            raise
        return sink, made, time.perf_counter() - begun

    def _save(self, sink: Sink, made: Sequence[Any], seconds: float) -> tuple[Artifact, ...]:
        with self.phases.measure("save"):
            try:
                for index, picture in enumerate(made):
                    sink.write(picture, index)
            finally:  # what stands on the disk when a batch is cut short belongs to the run
                artifacts = self._keep(sink.close(), seconds)
        return artifacts

    def sink(self, request: Request, kind: str) -> Sink:
        """Open a sink for the media of one request; raises GH305 and GH505 as `open_sink` does."""
        config, pipeline, embed = self.config, None, None
        if self._active is not None:
            config, pipeline = self._active.loaded.config, self._active.model.pipeline
        if config.output.embed_config:
            embed = payloads_of(config, request.samples, self.is_given)
        return open_sink(kind, self.folder, request, embed, config.output, pipeline)

    def keep(self, artifacts: Sequence[Artifact]) -> None:
        """List files that the task has made without a pipeline, and tell hooks of them."""
        for artifact in artifacts:
            self._kept.forget(artifact.path)
        self._keep(artifacts, 0.0)

    def measure(
        self, artifacts: Sequence[Artifact], baseline: Sequence[Artifact] = ()
    ) -> dict[str, float]:
        """Compute the config's `metrics` for artifacts of the variant attached, and log them."""
        figures: dict[str, float] = alone(self.comm, lambda: self._figures(artifacts, baseline))
        if figures:
            self.log(**figures)
        return figures

    def _figures(
        self, artifacts: Sequence[Artifact], baseline: Sequence[Artifact]
    ) -> dict[str, float]:
        figures: dict[str, float] = {}
        config = self.config if self._active is None else self._active.loaded.config
        with self.phases.measure("metrics"):
            for name in config.metrics:
                registry = self.registries.get("metrics")
                figures |= figures_of(registry, name, self, artifacts, baseline)
        return figures

    def log(self, **metrics: float) -> None:
        """Append one line of figures to metrics.jsonl and to the summary of the variant."""
        variant = "main" if self._active is None else self._active.name
        self.log_for(variant, metrics)

    def log_for(self, variant: str, metrics: Mapping[str, float]) -> None:
        """Append figures of a variant, whichever is attached."""
        line = {key: finite(value) for key, value in metrics.items()}
        self._files.append(METRICS, json.dumps({"variant": variant, **line}))
        self.summary.metrics.setdefault(variant, {}).update(line)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell `genhub_step` listeners how far a long task is."""
        now = time.perf_counter()
        seconds, self._last_progress = now - self._last_progress, now
        self.hooks.call(
            "genhub_step", step=Step(done - 1, total, seconds, note or "main", 0, done, total)
        )

    def checkpoint(self) -> Checkpoint:
        """Give the run's training state on disk."""
        return FileCheckpoint(self.folder, writes=self.comm.rank == 0)

    def accelerator(self, **kwargs: Any) -> Accelerator:
        """Give an `accelerate.Accelerator` on the device that `launch.devices` asks for."""
        from accelerate import Accelerator

        kwargs.setdefault("cpu", choose_device(self.config.launch.devices).type == "cpu")
        return Accelerator(**kwargs)

    def note(self, **changes: Any) -> None:
        """Bring the manifest up to date."""
        self._files.note(**self.state(), **changes)
        self._noted = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Give what the manifest says of the work so far."""
        return {"phases": self.phases.to_json(), **self.summary.to_json(self._kept.unseen())}

    def _entered(self) -> Active:
        if self._active is None:
            raise RuntimeError("this needs a model: enter run.pipeline() first")
        return self._active

    def _attach(self, loaded: Loaded, model: LoadedModel) -> Any:
        plan = plan_for(loaded, model, self.comm.world)
        self.comm.same(plan=plan.digest)
        self.hooks.call("genhub_plan", plan=plan)
        attached = self._install(loaded, model, plan)
        try:
            self.hooks.call(
                "genhub_attached", pipeline=model.pipeline, plan=plan, attached=attached
            )
        except BaseException:
            attached.detach()
            raise
        return attached

    def _install(self, loaded: Loaded, model: LoadedModel, plan: Any) -> Any:
        return install_plan(loaded, model, plan, self.comm, self.registries)

    def _try_others(self, name: str, model: LoadedModel) -> None:
        """Attach the variants still to come for a moment: what cannot work ends the run now."""
        mine = self.loaded.variant(name).config.model
        for other in ("main", *self.config.compare):
            loaded = self.loaded.variant(other)
            if other != name and loaded.config.model == mine:
                plan = plan_for(loaded, model, self.comm.world)
                self._install(loaded, model, plan).detach()

    def _note_model(self, model: LoadedModel) -> None:
        if self.comm.world == 1:
            self.comm = SoloComm(model.device)
        self.note(
            model={**about_model(model.source, model.pipeline), "dtype": model.dtype},
            device=str(model.device),
            plugins=about_plugins(self.drivers),
        )

    def _leave(self) -> None:
        """Keep what the drivers of a variant count, before they are detached."""
        active, self._active = self._entered(), None
        plan = active.attached.plan
        self.summary.stats[active.name] = {
            **active.attached.stats(),
            "notes": active.attached.notes(),
            "plan_sha256": plan.digest,
            "sites_held": {c.label: [s.path for s in c.sites] for c in plan.claims},
        }

    def _told(self, request: Request, times: StepTimes, end: Any) -> None:
        times.add(end.index, end.seconds)
        self._steps_done += 1
        self._steps_total = max(self._steps_total, self._steps_done)
        if self.tells and self.hooks.listens("genhub_step"):
            first, done = request.samples[0], (self._steps_done, self._steps_total)
            step = Step(end.index, end.steps, end.seconds, first.variant, first.index, *done)
            self.hooks.call("genhub_step", step=step)

    def _keep(self, made: Sequence[Artifact], seconds: float) -> tuple[Artifact, ...]:
        share = seconds / max(1, len(made))
        kept = tuple(
            Artifact(a.path, a.kind, a.sample, a.sha256, a.seconds or share, a.info) for a in made
        )
        self.summary.artifacts += kept
        if time.monotonic() > self._noted + NOTE_EVERY:  # the manifest grows with every artifact
            self.note()
        news = (a for a in kept if a.path not in self._kept.told)
        for artifact in news if self.tells else ():
            self.hooks.call("genhub_artifact", artifact=artifact, run=self)
        return kept
