"""What a search drives at, and which metrics it needs for that."""

from __future__ import annotations

from typing import Any

from genhub.api import COSTS, SearchSpace

__all__ = ["metrics_of"]


def metrics_of(config: Any, space: type[SearchSpace] | SearchSpace | None = None) -> list[str]:
    """Name the metrics of a config: those listed, and those that are objectives.

    An objective is a metric, one figure of a metric (`caption-accuracy/shape`), a cost of the
    space, or a figure of the space's own.
    """
    objectives = config.search.objective if config.search is not None else ()
    own = {*COSTS, *(space.figures if space is not None else ())}
    named = (o.metric.partition("/")[0] for o in objectives if o.metric not in own)
    return list(dict.fromkeys([*config.metrics, *named]))
