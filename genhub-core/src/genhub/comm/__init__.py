"""How ranks talk: one contract (`genhub.api.Communicator`), over processes, threads, or nobody."""

from __future__ import annotations

from genhub.comm.distributed import TorchComm
from genhub.comm.guidance import GuidanceSplit
from genhub.comm.solo import SoloComm
from genhub.comm.threads import ThreadComm, in_threads

__all__ = ["GuidanceSplit", "SoloComm", "ThreadComm", "TorchComm", "in_threads"]
