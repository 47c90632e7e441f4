"""The hook `search`: the sections of a search in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from genhub.api import Section, hookimpl
from genhub.search.results import front_table

__all__ = ["genhub_report"]

SHOWN = 3  # pictures of each trial on the front


@hookimpl
def genhub_report(run: Any) -> list[Section] | None:
    """Give the front as a table, plots of all trials, and some pictures of the front."""
    search = run.manifest.get("search")
    return (
        None
        if search is None
        else [_trials(search), *_plots(search), *_pictures(search, run.folder)]
    )


def _trials(search: Mapping[str, Any]) -> Section:
    trials = search["trials"]
    failed = sum(trial["state"] == "failed" for trial in trials)
    points = search["points"]["raw"]
    size = f"{points:,} points" if points < 10**12 else f"{float(points):.3g} points"
    text = (
        f"{search['strategy']} tried {len(trials)} of the {size} of {search['space']}"
        + (f", of which {failed} failed" if failed else "")
        + ". The table holds what no other trial dominates; * is the best by weights."
    )
    return Section("Search", text, front_table(search), order=5)


def _plots(search: Mapping[str, Any]) -> Iterator[Section]:
    """Plot every objective over the last one, which is most often a cost."""
    *others, last = (objective["metric"] for objective in search["objectives"])
    front = set(search["front"])
    for metric in others:
        series: dict[str, list[tuple[float, float]]] = {}
        for name, chosen in (("other trials", False), ("Pareto front", True)):
            figures = (t["figures"] for t in search["trials"] if (t["index"] in front) is chosen)
            found = [(f[last], f[metric]) for f in figures if None not in (f[last], f[metric])]
            series |= {name: found} if found else {}
        if series:
            yield Section(
                f"{metric} against {last}", order=6, series=series, axes=(last, metric),
                joined=False,
            )  # fmt: skip


def _pictures(search: Mapping[str, Any], folder: Path) -> Iterator[Section]:
    """Show the first pictures of every trial on the front, where trials made pictures."""
    shown = []
    for index in search["front"]:
        figures = search["trials"][index]["figures"].items()
        label = f"trial {index}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures)
        found = sorted((folder / "trials" / f"{index:04d}" / "artifacts").glob("*"))
        shown += [(p.relative_to(folder).as_posix(), label) for p in islice(found, SHOWN)]
    if shown:
        yield Section("Pictures of the Pareto front", pictures=tuple(shown), order=7)
