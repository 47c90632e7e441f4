"""How ranks talk: one contract (`genhub.api.Communicator`), over processes, threads, or nobody.

What is exported here imports torch only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.comm.distributed import TorchComm
    from genhub.comm.guidance import GuidanceSplit
    from genhub.comm.solo import SoloComm
    from genhub.comm.threads import ThreadComm, in_threads

__all__ = ["GuidanceSplit", "SoloComm", "ThreadComm", "TorchComm", "in_threads"]

_HOMES = {
    "GuidanceSplit": "guidance",
    "SoloComm": "solo",
    "ThreadComm": "threads",
    "TorchComm": "distributed",
    "in_threads": "threads",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"genhub.comm.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'genhub.comm' has no attribute '{name}'")
