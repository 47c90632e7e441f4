"""Begin a run where it belongs: in this process, in several of its own, or as one rank of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from genhub.config import Loaded
from genhub.errors import GenHubError
from genhub.execution.load import choose_device, load, locate, require_libraries
from genhub.execution.log import without_noise
from genhub.execution.order import Order
from genhub.execution.result import RunResult
from genhub.launch.world import place_here, start_lines, world_of
from genhub.registry import Registries, default

__all__ = ["RunResult", "begin", "plan_text", "run"]


def run(
    config: str | PathLike[str] | Mapping[str, Any],
    *,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    pipeline: Any = None,
    quiet: bool = True,
    output: str | PathLike[str] | None = None,
    registries: Registries | None = None,
) -> RunResult:
    """Run a config: a YAML file, a map, an earlier run's folder, or a picture that a run made.

    `set` overrides values, `{"sampling.steps": 30}`. `pipeline` is a diffusers pipeline to use in
    place of the one that `model` names; it is given back as it was. `output` is where the run
    folder is made, in place of `output.dir`.

    A run of several ranks starts processes of its own and imports no torch here, unless
    `launch.simulate` makes threads of them. In a process that torchrun or the like has started,
    it is one of the ranks; all of them return the same.

    Raises GenHubError; what existed by then is kept, and manifest.json tells how the run ended.
    """
    return begin(Order(config, set or (), pipeline, quiet, output, registries or default()))


def begin(order: Order) -> RunResult:
    """Do what `run` does, for arguments that may have been read already."""
    place = place_here()
    if place is not None and place.world > 1:
        from genhub.launch.rank import run_rank

        return run_rank(order, place)
    target = order.target()
    world = world_of(target.loaded, place)
    if world == 1 or target.loaded.config.launch.simulate:
        from genhub.launch.here import run_alone, run_simulated

        return run_alone(order, target) if world == 1 else run_simulated(order, target, world)
    if order.pipeline is not None:
        raise GenHubError(
            "GH406",
            f"a pipeline given in Python cannot be handed to {world} processes",
            hint="make threads of the ranks, launch: {simulate: true}, or start your program with "
            "torchrun, so that each rank loads the pipeline itself",
            mark=target.loaded.mark(("launch",)),
        )
    from genhub.launch.parent import launch

    return launch(order, target, world)


def plan_text(loaded: Loaded, registries: Registries | None = None) -> str:
    """Load the model of a config and give the plan as text; nothing is generated.

    Mixers are attached for a moment: what they cost depends on their weights.
    """
    from genhub.execution.models import facts_at
    from genhub.plan import make_plan
    from genhub.plan.cost import costs_in_words

    registries = registries or default()
    config = loaded.config
    world = world_of(loaded)
    require_libraries()
    source = locate(config.model, registries)
    with without_noise():
        model = load(config.model, source, choose_device(config.launch.devices))
        facts = facts_at(config, model)
        own = world if config.parallel is not None else 1
        plan = make_plan(loaded, facts, model.pipeline, world=own)
        text = "\n".join(
            [plan.render(), "", *costs_in_words(plan, model.pipeline, config, registries)]
        )
        return "\n".join([text, "", *start_lines(loaded, world)]) if world > 1 else text
