"""Make one request with the drivers that are attached, watched step by step."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genhub.api import Request, Sink
from genhub.config import Loaded
from genhub.execution.attaching import writes
from genhub.execution.handover import up_to_decoding
from genhub.execution.load import LoadedModel
from genhub.execution.phases import Phases
from genhub.execution.requests import Caller
from genhub.execution.sinks import NoSink, made_of
from genhub.execution.watch import (
    NonFinite,
    Watch,
    first_non_finite,
    non_finite_error,
    rewinder,
)

__all__ = ["Active", "call", "make", "warm_up"]

log = logging.getLogger("genhub")


@dataclass
class Active:
    """The variant whose drivers are attached now."""

    name: str
    loaded: Loaded
    model: LoadedModel
    attached: Any
    caller: Caller | None = None

    def calls(self) -> Caller:
        """Give what turns samples into calls of the pipeline; raises what is wrong with them."""
        if self.caller is None:
            self.caller = Caller(
                self.loaded.config, self.model.pipeline, self.attached.context.facts,
                self.model.source.model, self.loaded.mark,
            )  # fmt: skip
        return self.caller


def warm_up(active: Active, request: Request, phases: Phases) -> bool:
    """Let first calls cost what they cost before times of variants are compared.

    Gives False where nothing can be said of two steps: a parallel scheduler is there, or the
    pipeline counts no steps.
    """
    if active.attached.installed is not None or "num_inference_steps" not in request.call:
        return False
    rewind = rewinder(request)
    with phases.measure("warm-up"):
        active.model.pipeline(**{**request.call, "num_inference_steps": 2})
    rewind()
    return True


def make(
    active: Active, request: Request, sink: Sink, phases: Phases, told: Callable[[Any], None]
) -> Sequence[Any]:
    """Make one batch and give the media that are still to be written to `sink`.

    `told` is called with a StepEnd after every step. Raises GH604 where latents are not finite,
    unless `output.allow_nan`.
    """
    watch = Watch(told, not active.loaded.config.output.allow_nan)
    rewind = rewinder(request)
    wall, cpu = time.perf_counter(), time.process_time()
    phases.current = "steps"
    try:
        with active.attached.listening(watch):
            made = call(active, request, sink)
    except NonFinite as stray:
        _explain_stray(stray, active, request, rewind)
    if watch.strays is not None:
        log.warning("%s; the samples are kept, as output.allow_nan says", watch.strays)
    phases.add("steps", watch.wall - wall, watch.cpu - cpu)
    phases.add("decode", time.perf_counter() - watch.wall, time.process_time() - watch.cpu)
    return made


def call(active: Active, request: Request, sink: Sink) -> Sequence[Any]:
    """Generate, unwatched, and give the pictures that are still to be written to `sink`."""
    installed = active.attached.installed
    if installed is not None and installed.generate is not None:
        installed.generate(request, sink)
        return ()
    decoder = active.attached.decoder
    if decoder is None:
        result = active.model.pipeline(**{**request.call, **_undecoded(active)})
    else:
        latents, result = up_to_decoding(active.model.pipeline, request)
        if latents is not None:
            if not _is_idle(active):
                decoder.decode(latents, request, sink, active.attached.context)
            active.model.pipeline.maybe_free_model_hooks()  # the end of a call, where it offloads
            return ()
    if any(getattr(result, "nsfw_content_detected", None) or ()):
        log.warning("the model's safety checker has blackened pictures")
    return made_of(result, active.attached.context.facts.modality)


def _undecoded(active: Active) -> dict[str, str]:
    """Ask for latents on a rank that writes nothing: decoding them would only cost it time."""
    known = inspect.signature(active.model.pipeline.__call__).parameters
    return {"output_type": "latent"} if _is_idle(active) and "output_type" in known else {}


def _is_idle(active: Active) -> bool:
    return not writes(active.attached.installed, active.attached.context.comm)


def _explain_stray(
    stray: NonFinite, active: Active, request: Request, rewind: Callable[[], None]
) -> None:
    def again() -> None:
        rewind()
        call(active, request, NoSink())

    alone = active.attached.context.comm.world == 1  # other ranks would not compute along
    path = first_non_finite(active.attached.context.denoisers, again) if alone else ""
    raise non_finite_error(stray, request, active.attached, path) from None
