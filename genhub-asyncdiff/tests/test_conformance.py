"""The checks that hold for every parallel scheduler."""

from __future__ import annotations

from genhub.testing import ParallelSchedulerTests


class TestAsyncDiff(ParallelSchedulerTests):
    plugin = "asyncdiff"
