"""One rank of a run whose ranks are processes, whoever has started them."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from genhub.comm import TorchComm
from genhub.config import redact, to_yaml
from genhub.errors import GenHubError
from genhub.execution.artifacts import artifact_json
from genhub.execution.conduct import conclude, work
from genhub.execution.faults import explain
from genhub.execution.folder import RunFolder, read_manifest, replace_file
from genhub.execution.load import choose_device
from genhub.execution.log import keep_log
from genhub.execution.machine import LIBRARIES
from genhub.execution.models import Models
from genhub.execution.order import Order, folder_for, hooks_for
from genhub.execution.process import ProcessRun
from genhub.execution.result import RunResult, result_of
from genhub.execution.target import Target
from genhub.launch.blame import Blame
from genhub.launch.worker import KEPT
from genhub.launch.world import Place, world_of

__all__ = ["run_rank"]

MEETING = timedelta(seconds=120)  # for all ranks to start, as no config has been read by then


def run_rank(order: Order, place: Place, folder: Path | None = None) -> RunResult:
    """Meet the other ranks and run as one of them; `folder` is the run's where it exists.

    The store is opened before the config is read, so that each error is told by one rank.
    """
    try:
        store = next(iter(rendezvous("env://", place.rank, place.world, timeout=MEETING)))[0]
    except (RuntimeError, ValueError) as error:
        raise GenHubError(
            "GH607",
            f"rank {place.rank} of {place.world} cannot meet the others: {error}",
            hint="the launcher sets MASTER_ADDR and MASTER_PORT; genhub run needs no launcher",
        ) from error
    blame = Blame(store, place.rank)
    try:
        return _run(order, place, folder, store, blame)
    except (Exception, KeyboardInterrupt) as error:
        told = blame.first(explain(error, during="the start of a rank"))
        raise told from told.__cause__


def _run(order: Order, place: Place, folder: Path | None, store: Any, blame: Blame) -> RunResult:
    target = order.target()
    world_of(target.loaded, place)
    given = order.pipeline
    launch = target.loaded.config.launch
    device = choose_device(launch.devices, place.local) if given is None else given.device
    comm = _connect(target, place, store, device)
    files = _files(order, target, folder, comm)
    hooks = hooks_for(order, target.loaded, place.rank == 0)
    models = Models(order.registries, order.pipeline, place.local)
    under_way = ProcessRun(target.loaded, files, hooks, order.registries, models, comm)
    with keep_log(files.logs, under_way.problem, under_way.redact):
        with _ended_by_signal() as signals:
            error = work(under_way, files, target)
        with _undisturbed():
            if error is not None:
                if signals[:1] == [signal.SIGTERM]:
                    error = GenHubError(
                        "GH607",
                        "the run was ended from outside: another rank is gone, or their launcher",
                        hint="genhub run with its folder goes on from what is kept",
                    )
                error = blame.first(error)
            if place.rank == 0:
                error = conclude(under_way, files, error)
                files.close()
            elif error is not None:  # rank 0 may not have heard of the last ones
                kept = [artifact_json(artifact) for artifact in under_way.summary.artifacts]
                replace_file(files.logs / KEPT, json.dumps(kept).encode())
    if error is not None:
        raise error
    dist.destroy_process_group()
    return result_of(files.path, {"status": "done", **files.manifest, **under_way.state()})


def _connect(target: Target, place: Place, store: Any, device: Any) -> TorchComm:
    """Join the group of all ranks; raises GH609 where they are not of one config and version."""
    timeout = target.loaded.config.launch.timeout
    own = dist.PrefixStore("genhub", store)
    dist.init_process_group(
        "gloo" if device.type == "cpu" else "nccl",
        store=own,
        rank=place.rank,
        world_size=place.world,
        timeout=timedelta(seconds=timeout),
    )
    comm = TorchComm(device, timeout, own)
    config = sha256(to_yaml(target.loaded.config).encode()).hexdigest()
    used = {driver.entry.dist for driver in target.loaded.drivers}
    comm.same(config=config, **_versions({"genhub-core", *LIBRARIES, *used}))
    return comm


def _files(order: Order, target: Target, folder: Path | None, comm: TorchComm) -> RunFolder:
    """Give this rank its view of the run folder; rank 0 makes it where nobody has."""
    files, hide = None, partial(redact, target.loaded.config)
    if comm.rank == 0 and folder is not None:
        files = RunFolder(folder, read_manifest(folder), hide)
    elif comm.rank == 0:
        files = folder_for(order, target)
    path, kept = comm.gather_objects(None if files is None else [str(files.path), files.kept])[0]
    if files is not None:
        return files
    manifest = {} if kept is None else {"artifacts": kept}
    return RunFolder(Path(path), manifest, hide).seen_by(comm.rank)


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@contextmanager
def _ended_by_signal() -> Iterator[list[int]]:
    """End the work at Ctrl-C, and at SIGTERM, which the launcher sends when another rank is gone.

    Rank 0 has the manifest and the report to finish, and what it saves meanwhile is not disturbed
    by the signals that follow the first. Gives a list that is filled with them.
    """
    signals: list[int] = []

    def end(number: int, frame: object) -> None:
        signals.append(number)
        if len(signals) == 1:
            raise KeyboardInterrupt

    with _handling(end, signal.SIGTERM, signal.SIGINT):
        yield signals


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Finish what is short and has to be whole; the launcher kills those who take too long."""
    with _handling(signal.SIG_IGN, signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def _handling(handler: Any, *numbers: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # the program that calls genhub.run there handles its signals itself
        return
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
