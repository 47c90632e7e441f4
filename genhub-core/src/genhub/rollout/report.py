"""The hook `rollout`: the sections of a rollout in the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from genhub.api import Section, hookimpl

__all__ = ["CONTEXTS", "genhub_report", "returns_table"]

MOST_SERIES = 8
MOST_EPISODES = 100_000
MOST_POINTS = 200  # of a curve
NOTHING = "-"
CONTEXTS = "contexts.png"


@hookimpl
def genhub_report(run: Any) -> list[Section] | None:
    """Give returns by context as a table and over time, and the first sight of each context."""
    told = run.manifest.get("rollout")
    return None if told is None else list(_sections(told, run.folder))


def returns_table(told: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Lay returns by context out as header and rows, from what the manifest says."""
    rows = told["contexts"]
    names = list(dict.fromkeys(name for row in rows for name in row["context"]))
    says = any(row["success_rate"] is not None for row in rows)
    header = [*names, "episodes", "mean return", "standard error", "mean length"]
    table = []
    for row in rows:
        cells = [str(row["context"].get(name, NOTHING)) for name in names]
        cells += [str(row["episodes"]), f"{row['return_mean']:.4g}"]
        cells += [_number(row["return_sem"]), f"{row['length_mean']:.1f}"]
        cells += [_percent(row["success_rate"])] if says else []
        table.append(cells)
    return [*header, *(["completed"] if says else [])], table


def _sections(told: Mapping[str, Any], folder: Any) -> Iterator[Section]:
    ended, unfinished = told["summary"]["episodes"], told["unfinished"]
    text = (
        f"{told['num_envs']} environments took {told['steps']} steps each with the policy "
        f"{told['policy']}. {ended} episodes ended"
    )
    if unfinished:
        text += (
            f"; {unfinished} were under way at the end and are not counted, "
            "so that long episodes are somewhat rarer here than they are"
        )
    yield Section("Returns by context", f"{text}.", returns_table(told), order=5)
    if series := _series(folder):
        yield Section(
            "Mean return so far", order=6, series=series, axes=("step", "mean return so far")
        )
    if (folder / CONTEXTS).is_file():
        caption = "how levels of each context begin"
        yield Section("Contexts", pictures=((CONTEXTS, caption),), order=7)


def _series(folder: Any) -> dict[str, list[tuple[float, float]]]:
    """Give the mean of the returns of episodes that have ended so far, by context if few."""
    from genhub.rollout.episodes import read_episodes
    from genhub.rollout.tables import Axes, order_of

    episodes = read_episodes(folder)[:MOST_EPISODES]
    axes = Axes(episode.context for episode in episodes)
    keys = sorted(
        {axes.key(episode.context) for episode in episodes},
        key=lambda key: [order_of(value) for _, value in key],
    )
    if len(keys) > MOST_SERIES:
        return {"all contexts": _running_mean((e.step, e.total) for e in episodes)}
    return {
        ", ".join(f"{name} {value}" for name, value in key) or "all": _running_mean(
            (e.step, e.total) for e in episodes if axes.key(e.context) == key
        )
        for key in keys
    }


def _running_mean(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the mean of all values so far, at most `MOST_POINTS` of them, the last one always."""
    total, means = 0.0, []
    for count, (x, y) in enumerate(points, start=1):
        total += y
        means.append((x, total / count))
    every = -(-len(means) // MOST_POINTS)
    return means[::-1][:: every or 1][::-1]


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f} %"
