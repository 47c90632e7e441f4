"""Public names for authors of plugins; imports neither torch nor numpy.

A plugin imports `genhub`, `genhub.api`, `genhub.testing` and `genhub.shapes`, and nothing else of
the host. What is listed in `__all__` follows semantic versions, and so do three names that bring
more along when they are asked for: `GuidanceSplit`; `stateless_generator`, by which
`Context.generator` draws; and `Registries`, to which a program may add drivers of its own before it
calls `genhub.run(..., registries=...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genhub.api.drivers import (
    AttentionMixer,
    Availability,
    Built,
    Command,
    Decoder,
    Embeddings,
    EnvironmentFactory,
    Kernel,
    KernelCase,
    Metric,
    ModelSource,
    ParallelScheduler,
    Signals,
    Task,
)
from genhub.api.facts import ANY, Facts, Latent, Needs, Range, Site, Where
from genhub.api.genotypes import (
    COSTS,
    Cost,
    CountUnavailable,
    Decision,
    Evaluate,
    Genotype,
    SpaceDescription,
    Trial,
    Violation,
)
from genhub.api.graphs import GraphSpec
from genhub.api.markers import hookimpl, hookspec
from genhub.api.pareto import crowding, dominates, fronts, point_of
from genhub.api.plugins import CONTRACT, Plugin, PluginConfig
from genhub.api.runtime import (
    Artifact,
    Attached,
    Checkpoint,
    Clock,
    Communicator,
    Context,
    Installed,
    ParallelPlan,
    Pending,
    Request,
    Run,
    Sample,
    Section,
    Shard,
    Sink,
    Step,
)
from genhub.api.search import SearchSpace, SearchStrategy, SuperNet
from genhub.errors import GenHubError, PeerLost, PlanRejected, Problem

if TYPE_CHECKING:
    from genhub.comm.guidance import GuidanceSplit as GuidanceSplit
    from genhub.plan.context import stateless_generator as stateless_generator
    from genhub.registry import Registries as Registries

__all__ = [
    "ANY",
    "CONTRACT",
    "COSTS",
    "Artifact",
    "Attached",
    "AttentionMixer",
    "Availability",
    "Built",
    "Checkpoint",
    "Clock",
    "Command",
    "Communicator",
    "Context",
    "Cost",
    "CountUnavailable",
    "Decision",
    "Decoder",
    "Embeddings",
    "EnvironmentFactory",
    "Evaluate",
    "Facts",
    "GenHubError",
    "Genotype",
    "GraphSpec",
    "Installed",
    "Kernel",
    "KernelCase",
    "Latent",
    "Metric",
    "ModelSource",
    "Needs",
    "ParallelPlan",
    "ParallelScheduler",
    "PeerLost",
    "Pending",
    "PlanRejected",
    "Plugin",
    "PluginConfig",
    "Problem",
    "Range",
    "Request",
    "Run",
    "Sample",
    "SearchSpace",
    "SearchStrategy",
    "Section",
    "Shard",
    "Signals",
    "Sink",
    "Site",
    "SpaceDescription",
    "Step",
    "SuperNet",
    "Task",
    "Trial",
    "Violation",
    "Where",
    "crowding",
    "dominates",
    "fronts",
    "hookimpl",
    "hookspec",
    "point_of",
]


def __getattr__(name: str) -> Any:
    if name == "GuidanceSplit":
        from genhub.comm.guidance import GuidanceSplit

        return GuidanceSplit
    if name == "Registries":
        from genhub.registry import Registries

        return Registries
    if name == "stateless_generator":
        from genhub.plan.context import stateless_generator

        return stateless_generator
    raise AttributeError(f"module 'genhub.api' has no attribute '{name}'")
