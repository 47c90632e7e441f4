"""What does not go together with asyncdiff, and what is worth a warning."""

from __future__ import annotations

import logging

from torch.nn import Module

from genhub.api import GenHubError
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.schedule import Form

__all__ = ["check_denoiser", "check_loaded", "warn_of_call", "warn_of_cutting"]

log = logging.getLogger("genhub")

_FEW_CALLS = 10
_UNBALANCED = 1.25  # times the share that all would have
_RIVALS = ("fbc", "faster_cache", "mag_cache", "sea_cache", "taylorseer", "_parallel")  # in names


def check_loaded(name: str, denoiser: Module) -> None:
    """Raise GH407 where weights come and go."""
    if any(p.device.type == "meta" for p in denoiser.parameters()):
        raise GenHubError(
            "GH407",
            f"the weights of {name} are not on its device: they are loaded layer by layer",
            hint="leave out sequential offload: a rank computes its part with its own weights",
        )


def check_denoiser(name: str, denoiser: Module, cutting: Cutting) -> None:
    """Raise GH411 where other hooks decide which blocks run."""
    modules = {path.rsplit(".", depth)[0] for path in cutting.parts for depth in range(4)}
    for path in sorted({"", *modules}):
        hooks = getattr(getattr(denoiser.get_submodule(path), "_diffusers_hook", None), "hooks", {})
        rival = next((hook for hook in hooks if any(word in hook for word in _RIVALS)), None)
        if rival is not None:
            raise GenHubError(
                "GH411",
                f"'{rival}' on {'.'.join(filter(None, (name, path)))} and 'genhub-asyncdiff' both "
                "decide which blocks run",
                hint="call disable_cache() first, or leave asyncdiff out",
            )


def warn_of_cutting(form: Form, name: str, cutting: Cutting) -> None:
    """Warn of components that wait for one another, and of rounds that begin with a repetition."""
    dearest = max(cutting.shares)
    if dearest > _UNBALANCED / form.components:
        log.warning(
            "%s is cut unevenly: one component has %.0f %% of the work, so %d are at most %.2f "
            "times as fast; split: auto balances them",
            name, 100 * dearest, form.components, 1 / dearest,
        )  # fmt: skip
    if form.anchor == "odd" and form.stride == 2 and form.warmup % 2 == 0:
        log.warning(
            "with anchor: odd and warm-up %d, call %d repeats the noise prediction of call %d; "
            "anchor: warmup, or an odd warm-up, does not", form.warmup, form.warmup,
            form.warmup - 1,
        )  # fmt: skip


def warn_of_call(form: Form, total: int) -> None:
    """Warn where a generation is too short for neighbouring calls to be alike."""
    if form.world == 1:
        return
    if form.warmup >= total:
        log.warning(
            "asyncdiff computes nothing in parallel: all %d calls are warm-up (warmup: %d)",
            total, form.warmup,
        )  # fmt: skip
    elif total < _FEW_CALLS:
        log.warning(
            "%d calls are few: neighbouring ones are hardly alike, and ranks read of each other "
            "what is %d old; pictures may suffer, and cfg-parallel changes none",
            total, form.stride,
        )  # fmt: skip
