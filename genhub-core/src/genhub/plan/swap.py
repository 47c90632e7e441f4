"""Put one processor or module on one site, and restore exactly what was there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Module

from genhub.api import GenHubError, Site
from genhub.plan.parts import Part

__all__ = ["check_replaceable", "is_processor", "place", "put"]

# Marks of accelerate's and diffusers' own hooks: offloading, device maps, layer-wise casting.
_HOOKS = ("_hf_hook", "_diffusers_hook")


def is_processor(thing: Any) -> bool:
    """Tell a diffusers processor, which is called with `attn` first, from a module."""
    if not callable(thing):
        return False
    call = thing.forward if isinstance(thing, Module) else thing
    return list(inspect.signature(call).parameters)[:1] == ["attn"]


def check_replaceable(part: Part, site: Site, denoiser: Module, thing: Any) -> None:
    """Refuse to replace a module whose hooks would be lost with it (GH403)."""
    if not isinstance(thing, Module):
        raise GenHubError(
            "GH606",
            f"'{part.label}' built {type(thing).__name__} for {site.path}, which is neither a "
            "module nor an attention processor (a callable whose first argument is `attn`)",
            hint="this is a fault of the plugin",
            mark=part.mark,
        )
    path = site.module_path
    inside = [module for _, module in denoiser.get_submodule(path).named_modules()]
    while "." in path:
        path = path.rpartition(".")[0]
        inside.append(denoiser.get_submodule(path))
    # Hooks on the denoiser as a whole (model offloading) move whatever is inside it.
    for module in inside:
        for mark in _HOOKS:
            if hasattr(module, mark):
                raise GenHubError(
                    "GH403",
                    f"'{part.label}' replaces {site.path}, but {type(module).__name__} there "
                    f"carries hooks ({mark}) of offloading or casting that the new module would "
                    "not have",
                    hint="attach the mixer before enabling offloading, device maps or casting",
                    mark=part.mark,
                )


def place(thing: Any, attn: Module, denoiser: Module) -> Any:
    """Move what was built to where the site is: its device, and its dtype where that is a float."""
    if not isinstance(thing, Module):
        return thing
    like = next(attn.parameters(), None)
    like = next(denoiser.parameters()) if like is None or not like.is_floating_point() else like
    thing.train(attn.training)
    return thing.to(device=like.device, dtype=like.dtype)


def put(site: Site, denoiser: Module, thing: Any) -> Callable[[], None]:
    """Install a processor or a module at a site and give what undoes it."""
    attn: Any = denoiser.get_submodule(site.module_path)
    if is_processor(thing):
        before = attn.processor
        attn.set_processor(thing)
        return lambda: attn.set_processor(before)
    parent_path, _, name = site.module_path.rpartition(".")
    parent = denoiser.get_submodule(parent_path)
    home = _where(denoiser)
    setattr(parent, name, thing)

    def undo() -> None:
        now = _where(denoiser)
        if now != home:  # the pipeline was moved; what was set aside did not move along
            attn.to(**{key: value for key, value in now.items() if home[key] != value})
        setattr(parent, name, attn)

    return undo


def _where(denoiser: Module) -> dict[str, Any]:
    like: torch.Tensor = next(p for p in denoiser.parameters() if p.is_floating_point())
    return {"device": like.device, "dtype": like.dtype}
