"""The host's own plugins, held to the checks that every author's are held to."""

from __future__ import annotations

import genhub.testing


class TestCfgParallel(genhub.testing.ParallelSchedulerTests):
    plugin = "cfg-parallel"


class TestGenerate(genhub.testing.TaskTests):
    plugin = "generate"


class TestRandom(genhub.testing.SearchStrategyTests):
    plugin = "random"


class TestEvolution(genhub.testing.SearchStrategyTests):
    plugin = "evolution"


class TestShapes(genhub.testing.ModelSourceTests):
    plugin = "shapes"


class TestCaptionAccuracy(genhub.testing.MetricTests):
    plugin = "caption-accuracy"


class TestReport(genhub.testing.HookTests):
    plugin = "report"
