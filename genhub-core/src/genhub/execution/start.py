"""Begin a run, let its task work, and end it truthfully whatever happens."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.api import Artifact, GenHubError
from genhub.config import Loaded, redact, to_yaml
from genhub.execution.faults import explain
from genhub.execution.folder import RunFolder
from genhub.execution.load import choose_device, load, locate, require_libraries
from genhub.execution.log import keep_log, without_noise, write_traceback
from genhub.execution.machine import about_machine, about_repository
from genhub.execution.models import facts_at
from genhub.execution.phases import peak_memory
from genhub.execution.process import ProcessRun
from genhub.execution.requests import samples_of
from genhub.execution.target import RESOLVED, Target, find_target
from genhub.hooks import Hooks
from genhub.registry import Registries, default
from genhub.search.objectives import metrics_of

__all__ = ["RunResult", "plan_text", "run"]

log = logging.getLogger("genhub")

PROGRESS = "genhub-core:progress"
REPORT = "report.html"
STATUS = {"GH603": "interrupted"}  # of a run that an error ended; failed for all others


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
    _check(target.loaded, pipeline, registries)
    hooks = _hooks(target.loaded, registries, quiet)
    resolved = to_yaml(target.loaded.config)
    files = _files(target, output, resolved)
    under_way = ProcessRun(target.loaded, files, hooks, registries, pipeline)
    with keep_log(files.path, under_way.problem, under_way.redact):
        error = _work(under_way, files, target, resolved)
        error = _conclude(under_way, files, error)
    if error is not None:
        raise error
    return _result(under_way)


def plan_text(loaded: Loaded, registries: Registries | None = None) -> str:
    """Load the model of a config and give the plan as text; nothing is generated.

    Mixers are attached for a moment: what they cost depends on their weights.
    """
    from genhub.plan import install, make_plan
    from genhub.plan.cost import cost_lines

    registries = registries or default()
    config = loaded.config
    require_libraries()
    source = locate(config.model, registries)
    with without_noise():
        model = load(config.model, source, choose_device(config.launch.devices))
        facts = facts_at(config, model)
        plan = make_plan(loaded, facts, model.pipeline)
        mixers = replace(plan, scheduler=None, parallel=None)
        with install(
            mixers, model.pipeline, seed=config.seed, kernels=config.kernels,
            registries=registries, offline=config.model.offline,
        ) as attached:  # fmt: skip
            costs = cost_lines(attached.costs_before(), attached.costs())
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


def _check(loaded: Loaded, pipeline: Any, registries: Registries) -> None:
    """Find what would end the run before anything is written."""
    _check_metrics(loaded, registries)
    if "model" not in _task(loaded).cls.reads:
        return
    require_libraries()
    if pipeline is None:
        for name in ("main", *loaded.config.compare):
            locate(loaded.variant(name).config.model, registries)
    elif loaded.config.model.dtype != "auto":
        raise GenHubError(
            "GH305",
            "model.dtype is set, but the pipeline is given in Python, with its own dtype",
            hint="remove model.dtype",
            mark=loaded.mark(("model", "dtype")),
        )


def _check_metrics(loaded: Loaded, registries: Registries) -> None:
    """Raise GH409 or GH305 where a metric would have nothing to compare with, or to judge."""
    space = next((used.cls for used in loaded.drivers if used.kind == "search_spaces"), None)
    names = metrics_of(loaded.config, space)
    needs = {name: registries.get("metrics").load(name).needs for name in names}
    for index, (name, wanted) in enumerate(needs.items()):
        if "baseline" in wanted and "baseline" not in loaded.config.compare:
            raise GenHubError(
                "GH409",
                f"the metric '{name}' compares with the baseline, which this run does not make",
                hint="add 'compare: [baseline]', or take the metric out",
                mark=loaded.mark(("metrics", index)),
            )
    judging = [name for name, wanted in needs.items() if "captions" in wanted]
    if judging:
        for variant in ("main", *loaded.config.compare):
            _check_captions(loaded, variant, judging)


def _check_captions(loaded: Loaded, variant: str, judging: list[str]) -> None:
    from genhub.shapes import scenes

    for sample in samples_of(loaded.variant(variant).config):
        try:
            scenes.parse(sample.prompt or "")
        except ValueError as error:
            raise GenHubError(
                "GH305",
                f"the metric '{judging[0]}' cannot judge this prompt: {error}",
                hint="reword it, or take the metric out",
                mark=loaded.mark(("input", "prompts")),
            ) from None


def _task(loaded: Loaded) -> Any:
    return next(used for used in loaded.drivers if used.kind == "tasks")


def _work(
    under_way: ProcessRun, files: RunFolder, target: Target, resolved: str
) -> GenHubError | None:
    """Write down what is known beforehand and run the task; gives what ended it."""
    loaded = target.loaded
    log.info("run %s begins", files.path.name)
    try:
        files.write("config.yaml", loaded.text)
        files.write(RESOLVED, resolved)
        files.note(**_beforehand(under_way, target, resolved))
        task = _task(loaded)
        task.cls(loaded.config.task).run(under_way)
        with under_way.phases.measure("metrics"):
            for figures in under_way.hooks.call("genhub_metrics", run=under_way):
                under_way.log_for("main", figures)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        with suppress(OSError):  # the disk may be what is full
            write_traceback(files.path, error, under_way.redact)
        return explain(error, during=under_way.phases.current, drivers=under_way.drivers)
    return None


def _beforehand(under_way: ProcessRun, target: Target, resolved: str) -> dict[str, Any]:
    loaded = target.loaded
    home = loaded.path.resolve().parent if loaded.path is not None else Path.cwd()
    facts: dict[str, Any] = {
        "task": loaded.config.task.type,
        "command": shlex.join(sys.argv),
        "config_sha256": sha256(resolved.encode()).hexdigest(),
        "seed": loaded.config.seed,
        "machine": about_machine(),
        "repository": about_repository(home),
        "hooks": under_way.hooks.names(),
    }
    if target.repeats is not None:
        facts["repeats"] = target.repeats
    if under_way.is_given:
        facts["pipeline_given"] = True
    return facts


def _conclude(
    under_way: ProcessRun, files: RunFolder, error: GenHubError | None
) -> GenHubError | None:
    """Note the end, let hooks have their last word, and give what the run ends with."""
    try:
        _note_end(under_way, files, error)
        sections = under_way.hooks.call("genhub_report", run=under_way)
        files.note(sections=[asdict(s) for listed in sections for s in listed])
        under_way.hooks.call("genhub_finished", run=under_way, error=error)
        report = files.path / REPORT
        files.note(
            problems=list(under_way.summary.problems),
            report=REPORT if report.is_file() else None,
        )
    except (Exception, KeyboardInterrupt, SystemExit) as late:
        if error is None:
            error = explain(late, during="the report", drivers=under_way.drivers)
            with suppress(OSError, GenHubError):
                write_traceback(files.path, late, under_way.redact)
                _note_end(under_way, files, error)
    return error


def _note_end(under_way: ProcessRun, files: RunFolder, error: GenHubError | None) -> None:
    status = "done" if error is None else STATUS.get(error.code, "failed")
    log.info("run %s is %s", files.path.name, status)
    problems = None if error is None else [problem.to_json() for problem in error.problems]
    files.finish(status, **under_way.state(), error=problems, peak_memory_bytes=peak_memory())


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
