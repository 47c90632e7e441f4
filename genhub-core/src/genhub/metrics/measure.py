"""Compute one metric of a run, and say whose fault it is when that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from genhub.api import Artifact, GenHubError, Run
from genhub.registry import Registry

__all__ = ["figures_of"]


def figures_of(
    registry: Registry,
    name: str,
    run: Run,
    artifacts: Sequence[Artifact],
    baseline: Sequence[Artifact],
) -> Mapping[str, float]:
    """Give the figures of the metric `name`.

    Raises GH305 where it judges pictures or sounds and the run makes other media, GH606 naming its
    distribution where it fails.
    """
    metric = registry.load(name)
    for judged, kind in (("pictures", "image"), ("sounds", "audio")):
        other = next((a.kind for a in artifacts if a.kind != kind), None)
        if other is not None and judged in metric.needs:
            raise GenHubError(
                "GH305",
                f"the metric '{name}' judges {judged}, and this run makes {other}",
                hint="take it out of `metrics:`; what was made is kept",
            )
    try:
        figures: Mapping[str, float] = metric()(run, artifacts, baseline)
        if not isinstance(figures, Mapping) or not all(map(_is_figure, figures.items())):
            raise TypeError(f"it gave {figures!r:.80}, not numbers by name")
    except (GenHubError, OSError):
        raise
    except (Exception, SystemExit) as error:
        entry = registry.find(name)
        raise GenHubError(
            "GH606",
            f"the metric '{name}' of {entry.dist} {entry.version} failed: "
            f"{type(error).__name__}: {error}",
            hint="the pictures are kept; take it out of `metrics:` to run without it",
        ) from error
    return figures


def _is_figure(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], SupportsFloat)
