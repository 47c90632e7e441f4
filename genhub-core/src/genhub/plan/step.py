"""Probe a denoiser of an unknown class by one real step of its pipeline."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from genhub.plan.observe import Seen, attention_paths, watch
from genhub.plan.probe import Call
from genhub.plan.size import Asked

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["one_real_step"]


def one_real_step(
    pipeline: Any, denoisers: Mapping[str, Module], asked: Asked
) -> dict[str, tuple[dict[str, Seen], Call]]:
    """Run the pipeline for one step and give what its denoisers were called with.

    Denoisers that the step did not reach are absent. The pipeline's scheduler, its progress bar
    and the random state of the process are as before. Raises what the pipeline raises, unless it
    does so after the denoisers have been seen.
    """
    import torch

    calls: dict[str, Call] = {}
    seen: dict[str, Mapping[str, Seen]] = {}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(_quiet_copy(pipeline))
        for name, module in denoisers.items():
            handle = module.register_forward_pre_hook(_capture(name, calls), with_kwargs=True)
            stack.callback(handle.remove)
            seen[name] = stack.enter_context(watch(module, attention_paths(module)))
        try:
            with torch.no_grad():
                pipeline(**_arguments(pipeline, asked))
        except Exception:
            if not calls:
                raise
    return {name: (dict(seen[name]), call) for name, call in calls.items()}


def _arguments(pipeline: Any, asked: Asked) -> dict[str, Any]:
    import torch

    wanted = {
        "prompt": "",
        "num_inference_steps": 1,
        "guidance_scale": 1.0,  # no guidance: the batch is not doubled
        "height": asked.height,
        "width": asked.width,
        "num_frames": asked.frames,
        "audio_length_in_s": asked.seconds,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(0),
    }
    known = inspect.signature(pipeline.__call__).parameters
    return {key: value for key, value in wanted.items() if key in known and value is not None}


@contextmanager
def _quiet_copy(pipeline: Any) -> Iterator[None]:
    """Let the step use a copy of the scheduler and show no progress bar."""
    scheduler = getattr(pipeline, "scheduler", None)
    bar = vars(pipeline).get("_progress_bar_config")
    if scheduler is not None:
        pipeline.scheduler = copy.deepcopy(scheduler)
    if hasattr(pipeline, "set_progress_bar_config"):
        pipeline.set_progress_bar_config(disable=True)
    try:
        yield
    finally:
        if scheduler is not None:
            pipeline.scheduler = scheduler
        if bar is not None:
            pipeline._progress_bar_config = bar
        else:
            vars(pipeline).pop("_progress_bar_config", None)


def _capture(name: str, calls: dict[str, Call]) -> Any:
    def hook(_: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.setdefault(name, (_on_meta(args), _on_meta(kwargs)))

    return hook


def _on_meta(value: Any) -> Any:
    """Replace the tensors inside nested tuples, lists and dicts by meta tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="meta")
    if isinstance(value, dict):
        return {key: _on_meta(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_on_meta(inner) for inner in value)
    return value
