"""Keep only the weights that this rank computes with (shard_weights)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from genhub.api import Communicator
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.schedule import Form

__all__ = ["sharded"]


@contextmanager
def sharded(
    denoisers: Mapping[str, Module], cuttings: Mapping[str, Cutting], form: Form,
    comm: Communicator,
) -> Iterator[None]:  # fmt: skip
    """Let go of other components' weights while the context lasts.

    A denoiser's first parameter stays: diffusers asks it for the denoiser's device.

    At its end they come back from the ranks that own them, with the same values. Where ranks are
    threads, which share weights, they are the same objects. If the block raises, other ranks may
    be lost: what nobody in this process keeps is gone then, and the pipeline is to be loaded anew.
    """
    freed = []
    for name, cutting in cuttings.items():
        kept = next(denoisers[name].parameters())
        for path in cutting.parts:
            owner = cutting.owner[path]
            mine = owner == form.component(comm.rank)
            module = denoisers[name].get_submodule(path)
            freed.append((module, owner, {} if mine else _free(module, kept)))
    try:
        yield
    except BaseException:
        for _, _, refs in freed:
            _put_back(refs)
        raise
    shared = all(ref() is not None for _, _, refs in freed for ref in refs.values())
    shared = comm.agree(shared)
    for module, owner, refs in freed:
        for place, tensor in _tensors(module).items():
            inner, kind, key = place
            if shared:
                if place in refs:
                    getattr(inner, kind)[key] = refs[place]()
                continue
            whole = tensor.detach().contiguous()
            if place in refs:
                whole = torch.empty_like(tensor, device=comm.device)
            comm.broadcast(whole, src=owner).wait()
            if place in refs:
                getattr(inner, kind)[key] = _like(tensor, whole)


_Place = tuple[Module, str, str]  # a module, its dictionary, a name in it


def _tensors(module: Module) -> dict[_Place, Tensor]:
    return {
        (inner, kind, key): tensor
        for inner in module.modules()
        for kind in ("_parameters", "_buffers")
        for key, tensor in getattr(inner, kind).items()
        if tensor is not None
    }


def _put_back(refs: Mapping[_Place, Any]) -> None:
    """Put tensors that somebody in this process still keeps back into their places."""
    for (inner, kind, key), ref in refs.items():
        if (kept := ref()) is not None:
            getattr(inner, kind)[key] = kept


def _free(module: Module, kept: Tensor) -> dict[_Place, Any]:
    """Replace tensors by ones without memory; weak references tell whether others keep them."""
    refs = {}
    for (inner, kind, key), tensor in _tensors(module).items():
        if tensor is kept:
            continue
        refs[inner, kind, key] = weakref.ref(tensor)
        getattr(inner, kind)[key] = _like(tensor, torch.empty_like(tensor, device="meta"))
    return refs


def _like(tensor: Tensor, values: Tensor) -> Tensor:
    if isinstance(tensor, Parameter):
        return Parameter(values, requires_grad=tensor.requires_grad)
    return values
