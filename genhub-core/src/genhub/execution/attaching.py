"""Plan a variant's drivers for a loaded model, and put them on it, on one rank of a run."""

from __future__ import annotations

from typing import Any, cast

from genhub.comm import SoloComm
from genhub.config import Loaded
from genhub.execution.load import LoadedModel
from genhub.execution.models import facts_at
from genhub.execution.requests import samples_of
from genhub.plan import Part, Plan, install, make_plan
from genhub.plan.parts import calling
from genhub.registry import Registries

__all__ = ["install_plan", "parallel_json", "plan_for", "writes"]


def plan_for(loaded: Loaded, model: LoadedModel, world: int) -> Any:
    """Plan a variant for all ranks, or for one where it has no parallel scheduler."""
    own = 1 if loaded.config.parallel is None else world
    return make_plan(loaded, facts_at(loaded.config, model), model.pipeline, world=own)


def install_plan(
    loaded: Loaded, model: LoadedModel, plan: Any, comm: Any, registries: Registries
) -> Any:
    """Put a variant's drivers in place; those of a plan for one rank talk to nobody."""
    return install(
        plan,
        model.pipeline,
        comm=SoloComm(model.device) if plan.scheduler is None else comm,
        seed=loaded.config.seed,
        kernels=loaded.config.kernels,
        registries=registries,
        offline=loaded.config.model.offline,
    )


def writes(installed: Any, comm: Any) -> bool:
    """Say whether this rank writes: each that a scheduler's own loop names, else the first one."""
    if installed is None or comm.world == 1:
        return True
    own_loop = installed.generate is not None
    return comm.rank in installed.output_ranks[: None if own_loop else 1]


def parallel_json(plan: Plan, config: Any) -> dict[str, Any]:
    """Give what the manifest says of a plan for several ranks; `bytes` are for all samples."""
    scheduler, made = cast(Part, plan.scheduler), cast(Any, plan.parallel)
    with calling(scheduler, "plan"):
        sent = made.bytes(config.sampling.steps, len(samples_of(config)))
        return {"timeline": made.timeline(), "bytes": sent, "speedup": made.speedup()}
