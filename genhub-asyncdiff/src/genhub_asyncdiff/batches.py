"""A denoiser call in two halves of its batch: the samples of a batch do not see each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from genhub_asyncdiff.engine import Arguments
from genhub_asyncdiff.slot import Output

__all__ = ["halves", "joined"]

_SHARED = ("txt_ids", "img_ids")  # positions that all samples of a batch have in common


def halves(arguments: Arguments, axes: str) -> tuple[Arguments, ...]:
    """Cut the batch of a call in two; an odd number of samples stays together.

    Tensors whose first dimension is the batch are cut, and with frames inside the sample those
    that have a row for every frame.
    """
    sample = arguments.sample
    batch = sample.shape[0]
    if batch % 2:
        return (arguments,)
    rows = {batch, batch * sample.shape[2]} if axes == "BCFHW" else {batch}

    def half(i: int) -> Arguments:
        def part(x: Any) -> Any:
            cut = isinstance(x, Tensor) and x.ndim > 0 and x.shape[0] in rows
            return x.chunk(2)[i] if cut else x

        args = tree_map(part, arguments.args)
        shared = {name: x for name, x in arguments.kwargs.items() if name in _SHARED}
        kwargs = tree_map(part, dict(arguments.kwargs)) | shared
        return replace(arguments, args=args, kwargs=kwargs)

    return half(0), half(1)


def joined(outputs: Sequence[Output], known: Mapping[int, Tensor] | None = None) -> Output:
    """Put outputs of halves together; `known` gives tensors of the whole, by place.

    What was one tensor in two places stays one.
    """
    first = outputs[0]
    new: dict[int, Any] = {}
    for i, leaf in enumerate(first.leaves):
        if isinstance(leaf, Tensor) and id(leaf) not in new:
            found = (known or {}).get(i)
            parts = [output.leaves[i] for output in outputs]
            new[id(leaf)] = torch.cat(parts) if found is None else found
    return Output(tuple(new.get(id(leaf), leaf) for leaf in first.leaves), first.spec)
