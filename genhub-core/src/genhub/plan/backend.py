"""Set an attention backend of diffusers where it takes effect, and refuse it where it would not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from genhub.api import GenHubError
from genhub.plan.observe import attention_paths, core_of

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["check_backend", "set_backend", "unset_sites"]

ATTRIBUTE = "_attention_backend"  # what processors that dispatch attention are asked for
ADVICE = (
    "remove model.attention_backend; torch chooses a fused kernel by itself, and "
    "torch.nn.attention.sdpa_kernel around the call forces one"
)
_UNSET = object()  # the processor has only its class's default


def check_backend(name: str, denoisers: Mapping[str, Module], claimed: Collection[str]) -> None:
    """Refuse a backend that some attention module would ignore.

    `claimed` holds the paths of sites that mixers take: what they hold decides there. Raises GH305
    for a name that diffusers does not know and GH408 where setting it would change nothing.
    """
    _require_known(name)
    for component, denoiser in denoisers.items():
        processors = _processors(component, denoiser, claimed)
        deaf = [path for path, processor in processors if not hasattr(processor, ATTRIBUTE)]
        kind = type(core_of(denoiser)).__name__
        if deaf and len(deaf) == len(processors):
            raise GenHubError(
                "GH408", f"attention_backend '{name}' has no effect on {kind}", hint=ADVICE
            )
        if deaf:
            raise GenHubError(
                "GH408",
                f"attention_backend '{name}' has no effect on {len(deaf)} of {len(processors)} "
                f"attention modules of {kind} (first: {deaf[0]})",
                hint=ADVICE,
            )


def set_backend(name: str, denoisers: Mapping[str, Module]) -> Callable[[], None]:
    """Set the backend on every processor that dispatches, and give what undoes it.

    Raises GH505 where a library or device that the backend needs is absent.
    """
    from diffusers.models import attention_dispatch

    backends: Any = attention_dispatch._AttentionBackendRegistry
    before = []
    for component, denoiser in denoisers.items():
        for _, processor in _processors(component, denoiser, ()):
            before.append((processor, vars(processor).get(ATTRIBUTE, _UNSET)))
    active, _ = backends.get_active_backend()

    def undo() -> None:
        for processor, value in before:
            vars(processor).pop(ATTRIBUTE, None)
            if value is not _UNSET:
                setattr(processor, ATTRIBUTE, value)

    try:
        for denoiser in denoisers.values():
            core_of(denoiser).set_attention_backend(name)
    except (RuntimeError, ImportError, ValueError) as error:
        undo()
        raise GenHubError(
            "GH505",
            f"attention_backend '{name}' cannot be used here: {error}",
            hint="remove model.attention_backend, or install what it needs",
        ) from error
    finally:
        backends.set_active_backend(active)  # it would switch every other model of the process
    return undo


def unset_sites(name: str, denoisers: Mapping[str, Module], claimed: Collection[str]) -> list[str]:
    """List the attention modules outside mixers' sites on which the backend is not in effect."""
    return [
        path
        for component, denoiser in denoisers.items()
        for path, processor in _processors(component, denoiser, claimed)
        if getattr(getattr(processor, ATTRIBUTE, None), "value", None) != name.lower()
    ]


def _processors(
    component: str, denoiser: Module, claimed: Collection[str]
) -> list[tuple[str, Any]]:
    core = core_of(denoiser)
    paths = ((path, f"{component}.{path}") for path in attention_paths(core))
    return [
        (full, core.get_submodule(path).processor) for path, full in paths if full not in claimed
    ]


def _require_known(name: str) -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName

    known = [backend.value for backend in AttentionBackendName]
    if name.lower() not in known:
        close = get_close_matches(name.lower(), known, n=1)
        raise GenHubError(
            "GH305",
            f"model.attention_backend '{name}' is unknown to diffusers",
            hint=f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}",
        )
