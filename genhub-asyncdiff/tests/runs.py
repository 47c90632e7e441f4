"""Run a pipeline under a schedule: all devices in one process, or ranks that are threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

import genhub
from genhub.api import GenHubError
from genhub.comm import ThreadComm, in_threads
from genhub.comm.replica import replica
from genhub_asyncdiff.hooks import hooked
from genhub_asyncdiff.install import hooks_of, options_of
from genhub_asyncdiff.plan import cores, make_plan
from genhub_asyncdiff.plugin import AsyncDiffConfig
from genhub_asyncdiff.virtual import VirtualEngine


@contextmanager
def virtual(pipeline: Any, config: AsyncDiffConfig, order: Any = None):
    """Attach all devices of a schedule to one pipeline; yields the engine."""
    with genhub.attach(pipeline) as attached:
        ctx = attached.context
        plan = make_plan(config, ctx.facts, cores(ctx), guidance_split=False)
        engine = VirtualEngine(ctx, config.form, plan.cuttings, options_of(config), order)
        with hooked(hooks_of(engine, ctx)):
            yield engine


def on_rank(
    comm: Any, pipeline: Any, config: AsyncDiffConfig, call: Callable[[Any], Any], **extra: Any
) -> SimpleNamespace:
    """Attach this rank's part and run `call(pipeline)`."""
    block = {"type": "asyncdiff", **config.model_dump(mode="json", exclude_unset=True)}
    with torch.no_grad(), genhub.attach(pipeline, parallel=block, comm=comm, **extra) as attached:
        return SimpleNamespace(
            result=call(pipeline),
            outputs=attached.installed.output_ranks,
            sent=sum(comm.sent.values()),
            plan=attached.plan.parallel,
            engine=attached.installed.engine,
            stats=attached.stats(),
        )


def in_ranks(
    pipeline: Any, config: AsyncDiffConfig, call: Callable[[Any], Any], world: int | None = None
) -> list[SimpleNamespace]:
    """Run `call(pipeline)` on every rank, as threads; raises what a rank raised."""
    comms = ThreadComm.group(world or config.form.world, timeout=60)
    pipelines = [replica(pipeline) for _ in comms]
    made = in_threads(comms, lambda comm: on_rank(comm, pipelines[comm.rank], config, call))
    for one in sorted(made, key=lambda x: isinstance(x, GenHubError) and x.code == "GH607"):
        if isinstance(one, BaseException):
            raise one
    return made
