"""The kernels as the host sees them, over the grid that the reference declares."""

from __future__ import annotations

from genhub.testing import KernelTests


class TestFocusAttention(KernelTests):
    op = "focus_attention"
