"""One pipeline per rank where ranks are threads: modules of its own, tensors in common."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch.nn import Module

from genhub.errors import GenHubError

__all__ = ["replica"]


def replica(pipeline: Any) -> Any:
    """Copy a pipeline, or a bare module, so that a thread of its own may call and change it.

    Every module is distinct and every parameter and buffer shared: memory does not grow, and what
    changes a weight in place changes it for all. The scheduler is copied, and so are tokenizers,
    which remember how they pad and cut; the rest are the same objects. Drivers attached to the
    original do not act in the copy: make replicas first, then attach to each.

    Raises GenHubError (GH407) where a module is offloaded: its hooks move weights that the copies
    would share.
    """
    modules = {"": pipeline} if isinstance(pipeline, Module) else _modules(pipeline)
    shared: dict[int, Any] = {}
    for name, module in modules.items():
        if any(hasattr(inner, "_hf_hook") for inner in module.modules()):
            raise GenHubError(
                "GH407",
                f"{name or type(module).__name__} is offloaded, so ranks cannot share its weights",
                hint="leave out model.offload where ranks are threads",
            )
        shared |= {id(t): t for t in (*module.parameters(), *module.buffers())}
    if isinstance(pipeline, Module):
        return copy.deepcopy(pipeline, shared)
    twin = copy.copy(pipeline)
    own = {**modules, **_tokenizers(pipeline), "scheduler": getattr(pipeline, "scheduler", None)}
    vars(twin).update({name: copy.deepcopy(part, shared) for name, part in own.items()})
    return twin


def _modules(pipeline: Any) -> Mapping[str, Module]:
    return {name: part for name, part in vars(pipeline).items() if isinstance(part, Module)}


def _tokenizers(pipeline: Any) -> Mapping[str, Any]:
    return {name: part for name, part in vars(pipeline).items() if hasattr(part, "batch_decode")}
