"""Begin a run, let its task work, and end it truthfully whatever happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.api import Artifact, GenHubError
from genhub.config import Loaded, redact, to_yaml
from genhub.execution.checks import check
from genhub.execution.conduct import REPORT, conclude, work
from genhub.execution.folder import RunFolder
from genhub.execution.load import choose_device, load, locate, require_libraries
from genhub.execution.log import keep_log, without_noise
from genhub.execution.models import facts_at
from genhub.execution.process import ProcessRun
from genhub.execution.target import Target, find_target
from genhub.hooks import Hooks
from genhub.registry import Registries, default

__all__ = ["RunResult", "plan_text", "run"]

PROGRESS = "genhub-core:progress"


@dataclass(frozen=True)
class RunResult:
    """What a run made: `metrics` by variant, `report` where one was written."""

    folder: Path
    status: str
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    report: Path | None = None
    problems: tuple[str, ...] = ()


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

    Raises GenHubError; what existed by then is kept, and manifest.json tells how the run ended.
    """
    registries = registries or default()
    target = find_target(config, set or (), registries)
    if target.needs_pipeline and pipeline is None:
        raise GenHubError(
            "GH608",
            f"{target.repeats} was made with a pipeline given in Python",
            hint="give the same pipeline again: genhub.run(..., pipeline=pipe)",
        )
    check(target.loaded, pipeline, registries)
    hooks = _hooks(target.loaded, registries, quiet)
    resolved = to_yaml(target.loaded.config)
    files = _files(target, output, resolved)
    under_way = ProcessRun(target.loaded, files, hooks, registries, pipeline)
    with keep_log(files.path, under_way.problem, under_way.redact):
        error = work(under_way, files, target, resolved)
        error = conclude(under_way, files, error)
    if error is not None:
        raise error
    return _result(under_way)


def plan_text(loaded: Loaded, registries: Registries | None = None) -> str:
    """Load the model of a config and give the plan as text; nothing is generated.

    Mixers are attached for a moment: what they cost depends on their weights.
    """
    from genhub.plan import make_plan
    from genhub.plan.cost import costs_in_words

    registries = registries or default()
    config = loaded.config
    require_libraries()
    source = locate(config.model, registries)
    with without_noise():
        model = load(config.model, source, choose_device(config.launch.devices))
        facts = facts_at(config, model)
        plan = make_plan(loaded, facts, model.pipeline)
        costs = costs_in_words(plan, model.pipeline, config, registries)
        return "\n".join([plan.render(), "", *costs])


def _hooks(loaded: Loaded, registries: Registries, quiet: bool) -> Hooks:
    used = {driver.entry.dist for driver in loaded.drivers}
    strict = loaded.config.strict or bool(os.environ.get("CI"))
    hooks = Hooks(loaded.config.hooks, used, registries, strict)
    if quiet:
        hooks.mute(PROGRESS)
    else:
        sys.stderr.write("loading libraries and model ...\n")
        sys.stderr.flush()
    return hooks


def _files(target: Target, output: str | PathLike[str] | None, resolved: str) -> RunFolder:
    config = target.loaded.config
    hide = partial(redact, config)
    if target.unfinished is not None:
        return RunFolder.reopen(target.unfinished, hide)
    parent = Path(output if output is not None else config.output.dir).expanduser()
    digest = sha256(resolved.encode()).hexdigest()
    return RunFolder.create(parent, config.name or "run", digest, hide)


def _result(under_way: ProcessRun) -> RunResult:
    report = under_way.folder / REPORT
    summary = under_way.summary
    return RunResult(
        under_way.folder,
        str(under_way.manifest["status"]),
        summary.metrics,
        tuple(summary.artifacts),
        report if report.is_file() else None,
        tuple(summary.problems),
    )
