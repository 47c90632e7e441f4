"""A run in this very process: of one rank, or of several that are threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from contextvars import copy_context

from genhub.comm import ThreadComm
from genhub.errors import GenHubError, PeerLost
from genhub.execution.conduct import conclude, work
from genhub.execution.folder import RunFolder
from genhub.execution.load import choose_device
from genhub.execution.log import keep_log, without_noise
from genhub.execution.models import Models, Replicas
from genhub.execution.order import Order, folder_for, hooks_for
from genhub.execution.process import ProcessRun
from genhub.execution.result import RunResult, result_of
from genhub.execution.target import Target
from genhub.launch.blame import of_rank

__all__ = ["run_alone", "run_simulated"]


def run_alone(order: Order, target: Target) -> RunResult:
    """Run as the only rank."""
    hooks = hooks_for(order, target.loaded)
    files = folder_for(order, target)
    models = Models(order.registries, order.pipeline)
    with closing(files):
        under_way = ProcessRun(target.loaded, files, hooks, order.registries, models)
        with keep_log(files.logs, under_way.problem, under_way.redact):
            error = conclude(under_way, files, work(under_way, files, target))
    if error is not None:
        raise error
    return result_of(files.path, files.manifest)


def run_simulated(order: Order, target: Target, world: int) -> RunResult:
    """Run `world` ranks as threads, each on a replica of the pipeline that shares its tensors."""
    launch = target.loaded.config.launch
    given = order.pipeline
    device = choose_device(launch.devices) if given is None else given.device
    comms = ThreadComm.group(world, device, launch.timeout)
    hooks = [hooks_for(order, target.loaded, rank == 0) for rank in range(world)]
    files = folder_for(order, target)
    shared = Models(order.registries, order.pipeline)
    lock = threading.Lock()
    runs = [
        ProcessRun(
            target.loaded,
            files if comm.rank == 0 else files.seen_by(comm.rank),
            hooks[comm.rank],
            order.registries,
            Replicas(shared, lock),
            comm,
        )
        for comm in comms
    ]
    with closing(files), keep_log(files.logs, runs[0].problem, runs[0].redact):
        with without_noise():  # for all ranks, as it changes what belongs to the process
            error = _together(runs, target, comms, files)
        error = conclude(runs[0], files, error)
    if error is not None:
        raise error
    return result_of(files.path, files.manifest)


def _together(
    runs: Sequence[ProcessRun], target: Target, comms: Sequence[ThreadComm], files: RunFolder
) -> GenHubError | None:
    """Let all ranks work, the first in this thread, and give the error that ended them."""
    ends: list[tuple[int, GenHubError]] = []

    def carry(rank: int) -> None:
        error = work(runs[rank], files if rank == 0 else files.seen_by(rank), target)
        if error is not None:
            ends.append((rank, error))
            comms[rank].abort()

    others = [
        threading.Thread(
            target=copy_context().run, args=(carry, rank), name=f"rank {rank}", daemon=True
        )
        for rank in range(1, len(runs))
    ]
    for thread in others:
        thread.start()
    carry(0)
    enough = time.monotonic() + target.loaded.config.launch.timeout
    for thread in others:
        thread.join(max(0.0, enough - time.monotonic()))  # a lost one may never come back
    causes = [end for end in ends if not isinstance(end[1], PeerLost)]
    rank, error = next(iter(causes or ends), (0, None))
    return None if error is None else of_rank(rank, error)
