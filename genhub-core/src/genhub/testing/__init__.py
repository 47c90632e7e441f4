"""Checks that an author's plugin inherits: one pytest class per kind.

    class TestMine(genhub.testing.AttentionMixerTests):
        plugin = "mine"
        configs = [{}, {"rank": 8}]

`genhub check mine` runs the same classes from the command line. Importing this package imports
neither pytest nor torch; a class imports pytest, and torch comes with the checks that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.testing.communicators import CommunicatorTests
    from genhub.testing.decoders import DecoderTests
    from genhub.testing.entries import CommandTests, HookTests, MetricTests, ModelSourceTests
    from genhub.testing.environments import EnvironmentTests
    from genhub.testing.families import pipeline as tiny_pipeline
    from genhub.testing.kernels import KernelTests
    from genhub.testing.launches import on_processes, on_threads, solo
    from genhub.testing.mixers import AttentionMixerTests
    from genhub.testing.plugins import EntryTests, PluginTests
    from genhub.testing.schedulers import ParallelSchedulerTests
    from genhub.testing.spaces import SearchSpaceTests, SearchStrategyTests
    from genhub.testing.tasks import TaskTests

__all__ = [
    "AttentionMixerTests",
    "CommandTests",
    "CommunicatorTests",
    "DecoderTests",
    "EntryTests",
    "EnvironmentTests",
    "HookTests",
    "KernelTests",
    "MetricTests",
    "ModelSourceTests",
    "ParallelSchedulerTests",
    "PluginTests",
    "SearchSpaceTests",
    "SearchStrategyTests",
    "TaskTests",
    "on_processes",
    "on_threads",
    "solo",
    "tiny_pipeline",
]

_HOMES = {
    "AttentionMixerTests": "mixers",
    "CommandTests": "entries",
    "CommunicatorTests": "communicators",
    "DecoderTests": "decoders",
    "EntryTests": "plugins",
    "EnvironmentTests": "environments",
    "HookTests": "entries",
    "KernelTests": "kernels",
    "MetricTests": "entries",
    "ModelSourceTests": "entries",
    "ParallelSchedulerTests": "schedulers",
    "PluginTests": "plugins",
    "SearchSpaceTests": "spaces",
    "SearchStrategyTests": "spaces",
    "TaskTests": "tasks",
    "on_processes": "launches",
    "on_threads": "launches",
    "solo": "launches",
}


def __getattr__(name: str) -> Any:
    if name == "tiny_pipeline":
        from genhub.testing.families import pipeline

        return pipeline
    if name in _HOMES:
        return getattr(import_module(f"genhub.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'genhub.testing' has no attribute '{name}'")
