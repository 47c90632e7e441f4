"""The checks that every mixer inherits, on tiny models of every family."""

from __future__ import annotations

import genhub.testing


class TestLiteFocus(genhub.testing.AttentionMixerTests):
    plugin = "litefocus"
