"""The object that drivers are handed: pipeline, facts, clock, ranks, random draws, kernels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch

from genhub.api import Communicator, Facts, Kernel, Shard
from genhub.plan.clock import Clock
from genhub.plan.kernels import Kernels

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["Context", "stateless_generator"]


@dataclass(frozen=True, eq=False)
class Context:
    """What `genhub.api.Context` promises, for one attachment on one rank."""

    pipeline: Any
    denoisers: Mapping[str, Module]
    facts: Facts
    comm: Communicator
    clock: Clock
    shard: Shard | None
    seed: int
    kernels: Kernels
    offline: bool = False

    def generator(self, *key: int | str) -> torch.Generator:
        """Give a CPU generator that is a function of (seed of the run, *key) alone."""
        return stateless_generator(self.seed, *key)

    def kernel(self, op: str, **what: Any) -> Kernel:
        """Give the kernel of `op` for the first denoiser's device and dtype, and for `what`."""
        parameter = next(next(iter(self.denoisers.values())).parameters())
        known = {"device": parameter.device.type, "dtype": parameter.dtype}
        return self.kernels.choose(op, **(known | what))

    def __deepcopy__(self, memo: dict[int, Any]) -> Context:
        # A copied processor goes on reading this run; copying would duplicate the pipeline.
        return self


def stateless_generator(seed: int, *key: int | str) -> torch.Generator:
    """Seed a fresh CPU generator by a hash: equal arguments draw equally, in any order of calls."""
    canonical = json.dumps([seed, *(k if isinstance(k, str) else int(k) for k in key)])
    digest = sha256(canonical.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
