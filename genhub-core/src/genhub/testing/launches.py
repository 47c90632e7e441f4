"""Run one function on every rank of a small world: as threads here, or as processes over gloo."""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from genhub.comm import SoloComm, ThreadComm, TorchComm, in_threads

__all__ = ["Gone", "on_processes", "on_threads", "solo"]

_PATIENCE = 120.0  # seconds until a process that does not end is killed


class Gone(Exception):
    """A process that ended without a result; carries its exit status."""


def solo(world: int, function: Callable[..., Any], *args: Any, timeout: float = 60.0) -> list[Any]:
    """Run `function(comm, *args)` on the only rank; its exception takes its result's place."""
    try:
        return [function(SoloComm(), *args)]
    except Exception as error:
        return [error]


def on_threads(
    world: int, function: Callable[..., Any], *args: Any, timeout: float = 60.0
) -> list[Any]:
    """Run `function(comm, *args)` once per rank, in threads; exceptions are among the results."""
    comms = ThreadComm.group(world, "cpu", timeout)
    return in_threads(comms, lambda comm: function(comm, *args))


def on_processes(
    world: int, function: Callable[..., Any], *args: Any, timeout: float = 60.0
) -> list[Any]:
    """Run `function(comm, *args)` once per rank, in processes that talk over gloo.

    `function`, its arguments and its results must be picklable. A rank that raises has its
    exception in the place of its result, one that dies has `Gone`.
    """
    context = multiprocessing.get_context("forkserver")
    # The server imports once what every process needs.
    context.set_forkserver_preload(["genhub.comm.distributed", function.__module__])
    with tempfile.TemporaryDirectory() as folder:
        ranks = []
        for rank in range(world):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run_rank,
                args=(rank, world, str(Path(folder) / "store"), timeout, theirs, function, args),
                daemon=True,
            )
            process.start()
            theirs.close()
            ranks.append((process, ours))
        return [_outcome(process, ours) for process, ours in ranks]


def _outcome(process: Any, connection: Connection) -> Any:
    try:
        ended = connection.poll(_PATIENCE)
        result = pickle.loads(connection.recv_bytes()) if ended else Gone("it did not end")
    except EOFError:
        process.join()
        result = Gone(f"it ended with status {process.exitcode}")
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
    return result


def _run_rank(
    rank: int,
    world: int,
    store: str,
    timeout: float,
    connection: Connection,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    met = dist.FileStore(store, world)
    dist.init_process_group(
        "gloo",
        store=met,
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=_PATIENCE),
    )
    met.set(f"ready {rank}", "")  # nobody leaves while others still connect
    met.wait([f"ready {peer}" for peer in range(world)])
    try:
        result = function(TorchComm("cpu", timeout, met), *args)
    except BaseException as error:
        result = error
    connection.send_bytes(pickle.dumps(result))  # tensors by value: this process ends
