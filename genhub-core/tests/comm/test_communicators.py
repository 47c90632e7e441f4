from __future__ import annotations

from genhub.testing.communicators import CommunicatorTests
from genhub.testing.launches import on_processes, on_threads, solo


class TestSolo(CommunicatorTests):
    worlds = (1,)
    launch = staticmethod(solo)


class TestThreads(CommunicatorTests):
    worlds = (1, 2, 4)
    launch = staticmethod(on_threads)


class TestProcesses(CommunicatorTests):
    worlds = (2, 4)
    launch = staticmethod(on_processes)
