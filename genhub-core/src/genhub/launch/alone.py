"""Work that one rank does while the others wait for it, and what ranks tell one another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["alone"]

BEATS = 3  # signs of life in the time after which a rank that gives none is lost


def alone(comm: Any, work: Callable[[], Any]) -> Any:
    """Let rank 0 do `work` and give its result, which must be plain JSON, on every rank.

    The work may take any time, far more than `launch.timeout`: rank 0 gives signs of life
    meanwhile, so the others wait for as long as it lives, and no longer. Raises PeerLost where it
    does not, and on rank 0 what `work` raises.
    """
    if comm.world == 1:
        return work()
    if comm.rank != 0:
        while not (told := comm.gather_objects(None)[0])["done"]:
            pass
        return told["result"]
    beat = _Beat(comm)
    try:
        result = work()
    finally:
        beat.stop()
    if beat.error is not None:
        raise beat.error
    comm.gather_objects({"done": True, "result": result})
    return result


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
