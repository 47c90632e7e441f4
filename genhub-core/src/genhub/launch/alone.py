"""Work of which nobody knows how long it takes: ranks wait for one another while they live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["alone", "together"]

BEATS = 3  # signs of life in the time after which a rank that gives none is lost


def together(
    comm: Any, work: Callable[[], Any], tell: Callable[[Any], Any] = lambda own: None
) -> tuple[Any, list[Any]]:
    """Do `work` on every rank; give this one's result, and by rank what `tell` makes of each.

    That must be plain JSON. The work may take any time, far more than `launch.timeout`, and must
    not use `comm`: each rank gives signs of life meanwhile, so those that are done wait for as long
    as the others live, and no longer. Raises what `work` raises, and PeerLost on the other ranks.
    """
    if comm.world == 1:
        own = work()
        return own, [tell(own)]
    beat = _Beat(comm)
    try:
        own = work()
    finally:
        beat.stop()
    if beat.error is not None:
        raise beat.error
    mine = {"done": True, "told": tell(own)}
    by_rank = comm.gather_objects(mine)
    while not all(rank["done"] for rank in by_rank):
        by_rank = comm.gather_objects(mine)
    return own, [rank["told"] for rank in by_rank]


def alone(comm: Any, work: Callable[[], Any]) -> Any:
    """Let rank 0 do `work`, as `together` does, and give its result on every rank."""
    own = work if comm.rank == 0 else lambda: None
    return together(comm, own, lambda result: result)[1][0]


class _Beat:
    """Tells the other ranks, in a thread, that this one is alive; `error` is what ended that."""

    def __init__(self, comm: Any) -> None:
        self.error: BaseException | None = None
        self._comm = comm
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; a sign that is under way is waited for, as the next word comes after it."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(self._comm.timeout / BEATS):
                self._comm.gather_objects({"done": False})
        except BaseException as error:
            self.error = error
