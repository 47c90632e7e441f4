"""Markers of pluggy hooks: `hookimpl` for plugins, `hookspec` for the host's specifications."""

from __future__ import annotations

import pluggy

__all__ = ["hookimpl", "hookspec"]

PROJECT = "genhub"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
