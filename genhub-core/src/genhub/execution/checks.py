"""Find what would end a run before anything is written or any library is loaded."""

from __future__ import annotations

from typing import Any

from genhub.api import GenHubError, Metric
from genhub.config import Loaded
from genhub.execution.load import locate, require_libraries
from genhub.execution.requests import samples_of
from genhub.registry import Registries
from genhub.search.objectives import metrics_of

__all__ = ["check", "check_config", "task_of"]


def check(loaded: Loaded, pipeline: Any, registries: Registries) -> None:
    """Find what would end the run before anything is written."""
    if pipeline is None:
        check_config(loaded, registries)
    else:
        _check_metrics(loaded, registries)
        if _needs_model(loaded):
            _check_given(loaded)
    if _needs_model(loaded):
        require_libraries()


def check_config(loaded: Loaded, registries: Registries) -> None:
    """Find what no library is needed for: metrics that cannot be had, models that are not there."""
    _check_metrics(loaded, registries)
    for name in ("main", *loaded.config.compare) if _needs_model(loaded) else ():
        variant = loaded.variant(name)
        locate(variant.config.model, registries, variant.mark)


def _needs_model(loaded: Loaded) -> bool:
    return "model" in task_of(loaded).cls.reads


def _check_given(loaded: Loaded) -> None:
    """Raise GH305 for a field that means nothing to a pipeline that is given in Python."""
    settled = [("model", name) for name in ("source", "revision", "pipeline", "variant", "dtype")]
    for name in ("main", *loaded.config.compare):
        variant = loaded.variant(name)
        for block, field in (*settled, ("launch", "devices")):
            held = getattr(variant.config, block)
            if getattr(held, field) != type(held).model_fields[field].default:
                raise GenHubError(
                    "GH305",
                    f"{block}.{field} is set, and has no effect on a pipeline given in Python",
                    hint=f"remove {block}.{field}, or give no pipeline",
                    mark=variant.mark((block, field)),
                )


def _check_metrics(loaded: Loaded, registries: Registries) -> None:
    """Raise GH409 or GH305 where a metric would have nothing to compare with, or to judge."""
    space = next((used.cls for used in loaded.drivers if used.kind == "search_spaces"), None)
    names = metrics_of(loaded.config, space)
    metrics = {name: registries.get("metrics").load(name) for name in names}
    for index, (name, metric) in enumerate(metrics.items()):
        if "baseline" in metric.needs and "baseline" not in loaded.config.compare:
            raise GenHubError(
                "GH409",
                f"the metric '{name}' compares with the baseline, which this run does not make",
                hint="add 'compare: [baseline]', or take the metric out",
                mark=loaded.mark(("metrics", index)),
            )
    for name, metric in metrics.items():
        for variant in ("main", *loaded.config.compare) if "captions" in metric.needs else ():
            _check_captions(loaded, variant, name, metric())


def _check_captions(loaded: Loaded, variant: str, name: str, metric: Metric) -> None:
    for sample in samples_of(loaded.variant(variant).config):
        try:
            metric.check_caption(sample.prompt or "")
        except ValueError as error:
            raise GenHubError(
                "GH305",
                f"the metric '{name}' cannot judge this prompt: {error}",
                hint="reword it, or take the metric out",
                mark=loaded.mark(("input", "prompts")),
            ) from None


def task_of(loaded: Loaded) -> Any:
    """Give the task that a config names (`genhub.config.Used`)."""
    return next(used for used in loaded.drivers if used.kind == "tasks")
