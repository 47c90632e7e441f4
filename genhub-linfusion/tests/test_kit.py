"""The checks that every mixer and task of a package inherits."""

from __future__ import annotations

import genhub.testing


class TestLinFusion(genhub.testing.AttentionMixerTests):
    plugin = "linfusion"


class TestDistill(genhub.testing.TaskTests):
    plugin = "distill"
    configs = ({"steps": 4, "batch": 1, "checkpoint_every": 2, "log_every": 1},)
    run_config = {  # noqa: RUF012
        "model": {"source": "tiny:shapes"},
        "attention": [{"type": "linfusion", "checkpoint": None}],
    }
