"""Which model a variant computes with: loaded once and used again, or lent by the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any

from genhub.api import Facts
from genhub.comm.replica import replica
from genhub.execution.load import LoadedModel, Source, choose_device, load, locate, swap_scheduler
from genhub.plan import facts_of
from genhub.registry import Registries

__all__ = ["GIVEN", "Models", "Replicas", "facts_at"]

GIVEN = "a pipeline given in Python"


class Models:
    """The models of one run, one in memory at a time; `given` is the caller's pipeline."""

    def __init__(self, registries: Registries, given: Any = None, local: int = 0) -> None:
        self.given = given
        self._local = local  # which of this machine's ranks computes
        self._registries = registries
        self._kept: tuple[Any, LoadedModel] | None = None  # config it was loaded by, and it
        self._known: dict[Any, Facts] = {}  # of the caller's pipeline

    @contextmanager
    def lent(self, config: Any) -> Iterator[tuple[LoadedModel, bool]]:
        """Give the model of a config, and whether it is another than the time before."""
        if self.given is not None:
            with self._borrowed(config.model) as model:
                yield model, True
            return
        if self._kept is not None and self._kept[0] == config.model:
            yield self._kept[1], False
            return
        self._kept = None  # two large models at once would not fit
        source = locate(config.model, self._registries)
        device = choose_device(config.launch.devices, self._local)
        self._kept = config.model, load(config.model, source, device)
        yield self._kept[1], True

    @contextmanager
    def _borrowed(self, wanted: Any) -> Iterator[LoadedModel]:
        """Use the caller's pipeline; it gets its scheduler and its progress bar back."""
        pipeline = self.given
        bar = getattr(pipeline, "_progress_bar_config", {})
        scheduler = pipeline.scheduler
        try:
            pipeline.set_progress_bar_config(disable=True)
            swap_scheduler(pipeline, wanted.scheduler, wanted.scheduler_args)
            dtype = str(pipeline.dtype).removeprefix("torch.")
            yield LoadedModel(pipeline, Source(GIVEN), pipeline.device, dtype, self._known)
        finally:
            pipeline.scheduler = scheduler
            pipeline._progress_bar_config = bar


class Replicas:
    """The models of one rank that is a thread: replicas of those that all ranks share.

    Nothing is ever attached to the shared ones, so a replica is as fresh as they were loaded.
    """

    def __init__(self, shared: Models, lock: Lock) -> None:
        self.given = shared.given
        self._shared = shared
        self._lock = lock
        self._kept: tuple[Any, LoadedModel] | None = None

    @contextmanager
    def lent(self, config: Any) -> Iterator[tuple[LoadedModel, bool]]:
        """Give this rank's replica of a config's model, and whether it is a new one."""
        fresh = self._kept is None or self._kept[0] != config.model
        if fresh:
            self._kept = None
            with self._lock, self._shared.lent(config) as (model, _):
                pipeline = replica(model.pipeline)
                self._kept = (config.model, replace(model, pipeline=pipeline, known={}))
        assert self._kept is not None
        yield self._kept[1], fresh


def facts_at(config: Any, model: LoadedModel) -> Facts:
    """Find out, once, what is known of a model at the sizes of a config."""
    sizes = {k: getattr(config.sampling, k) for k in ("height", "width", "frames", "seconds")}
    modality = config.model.modality
    shipped = model.source.model
    if shipped is not None:
        special = shipped.request(config.input, config.sampling)
        sizes |= {key: value for key, value in special.items() if key in sizes}
        modality = shipped.modality if modality == "auto" else modality
    asked = (*sorted(sizes.items()), modality)
    if asked not in model.known:
        model.known[asked] = facts_of(model.pipeline, **sizes, modality=modality)
    return model.known[asked]
