"""A training that was cut short goes on with the figures that it had at its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import genhub
from genhub.api import Task, hookimpl
from genhub.errors import GenHubError


class Train(Task):
    """Logs twice per step, saves every other one, and stumbles once in the middle of step 6."""

    reads: ClassVar[frozenset[str]] = frozenset({"input"})
    stumbles: ClassVar[list[int]] = []

    def run(self, run: Any) -> None:
        checkpoint = run.checkpoint()
        found = checkpoint.load()
        for step in range(found[0] + 1 if found else 1, 9):
            with run.phases.measure("train"):
                run.log(step=step, loss=1 / step)
                if step in Train.stumbles:
                    Train.stumbles.remove(step)
                    raise KeyboardInterrupt
                run.log(seen=step)
                if step % 2 == 0:
                    checkpoint.save(step, {"x": torch.zeros(1)}, {})


def config(folder: Path) -> dict[str, Any]:
    return {"genhub": 1, "name": "n", "task": "train", "output": {"dir": str(folder)}}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


@pytest.mark.parametrize("stumbles", [[6], [1], [3, 8], [2, 4]])
def test_no_figure_is_logged_twice_or_lost(
    tmp_path: Path, registries: Any, stumbles: list[int]
) -> None:
    registries.get("tasks").add("train", Train)
    Train.stumbles = list(stumbles)
    folder: Any = config(tmp_path)
    for _ in stumbles:
        with pytest.raises(GenHubError):
            genhub.run(folder, registries=registries)
        folder = (tmp_path / "latest").resolve()
    result = genhub.run(folder, registries=registries)

    expected = [
        entry
        for step in range(1, 9)
        for entry in (
            {"variant": "main", "step": step, "loss": 1 / step},
            {"variant": "main", "seen": step},
        )
    ]
    assert lines(result.folder) == expected
    assert result.metrics == {"main": {"step": 8, "loss": 1 / 8, "seen": 8}}
    assert manifest(result.folder)["metrics"] == result.metrics


def test_time_spent_before_the_break_counts(tmp_path: Path, registries: Any) -> None:
    registries.get("tasks").add("train", Train)
    Train.stumbles = [6]
    with pytest.raises(GenHubError):
        genhub.run(config(tmp_path), registries=registries)
    folder = (tmp_path / "latest").resolve()
    state = manifest(folder)
    state["phases"]["train"] = {"wall": 1000.0, "cpu": 900.0}
    (folder / "manifest.json").write_text(json.dumps(state))

    genhub.run(folder, registries=registries)

    spent = manifest(folder)["phases"]["train"]
    assert spent["wall"] >= 1000 and spent["cpu"] >= 900


def test_a_line_that_a_kill_cut_in_two_is_gone(tmp_path: Path, registries: Any) -> None:
    registries.get("tasks").add("train", Train)
    Train.stumbles = [6]
    with pytest.raises(GenHubError):
        genhub.run(config(tmp_path), registries=registries)
    folder = (tmp_path / "latest").resolve()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"variant": "main", "st')
    genhub.run(folder, registries=registries)
    assert [entry["step"] for entry in lines(folder) if "step" in entry] == [*range(1, 9)]


def test_pictures_that_are_gone_on_with_are_measured_once(config: Any, registries: Any) -> None:
    stops = ["000001.png"]

    class Stopping:
        @hookimpl
        def genhub_artifact(self, artifact: Any) -> None:
            if artifact.path.endswith(tuple(stops)):
                stops.clear()
                raise KeyboardInterrupt

    registries.get("hooks").add("stopping", Stopping)
    config |= {"compare": ["baseline"], "metrics": ["caption-accuracy"], "hooks": ["stopping"]}
    with pytest.raises(GenHubError):
        genhub.run(config, registries=registries)
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    assert [entry["variant"] for entry in lines(folder)] == ["baseline"]
    before = manifest(folder)["variants"]["baseline"]["steps"]

    result = genhub.run(folder, registries=registries)

    assert result.folder == folder and len(result.artifacts) == 4
    assert [entry["variant"] for entry in lines(folder)] == ["baseline", "main"]
    # Nothing of the baseline was made again: its times are those from before the break.
    assert before["count"] == 4 and manifest(folder)["variants"]["baseline"]["steps"] == before
