"""How many ranks a run has: by its config, by its drivers, by whoever has started this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import config, written

from genhub import GenHubError
from genhub.config import load
from genhub.execution import plan_text
from genhub.launch.world import Place, place_here, world_of


def loaded(tmp_path: Path, registries: Any, **changes: Any) -> Any:
    wanted = config(tmp_path, {"type": "trouble"}, **changes)
    return load(written(tmp_path, wanted), registries=registries)


def refusal(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(GenHubError) as caught:
        function(*arguments, **named)
    assert caught.value.code == "GH406"
    return str(caught.value)


@pytest.mark.parametrize(("launch", "world"), [({}, 2), ({"processes": 3}, 3)])
def test_the_config_says_how_many_or_else_the_scheduler(
    tmp_path: Path, registries: Any, launch: Any, world: int
) -> None:
    assert world_of(loaded(tmp_path, registries, launch=launch)) == world


def test_a_variant_may_be_the_only_parallel_one(tmp_path: Path, registries: Any) -> None:
    wanted = config(tmp_path, {"type": "trouble"}, launch={})
    wanted["variants"] = {"two": {"parallel": wanted.pop("parallel")}}
    wanted["compare"] = ["two"]
    assert world_of(load(wanted, registries=registries)) == 2
    assert world_of(load({**wanted, "compare": []}, registries=registries)) == 1


def test_a_launcher_says_how_many(tmp_path: Path, registries: Any) -> None:
    free = loaded(tmp_path, registries, launch={})
    assert world_of(free, Place(0, 4, 0)) == 4
    assert "needs 2..4 processes, 5 available" in refusal(world_of, free, Place(0, 5, 0))
    two = loaded(tmp_path, registries)
    said = refusal(world_of, two, Place(0, 4, 0))
    assert "launch.processes is 2, and WORLD_SIZE is 4" in said and "pair.yaml:" in said


@pytest.mark.parametrize(
    ("launch", "place", "said"),
    [
        ({"simulate": True}, Place(0, 2, 0), "a launcher has started 2 processes"),
        ({"processes": 5}, None, "'trouble' needs 2..4 processes, 5 available"),
        ({"processes": 1}, None, "with 'launch: {simulate: true}' they are threads"),
        ({"processes": 2, "devices": "cuda:0,1,2"}, None, "names 3 devices, and this run uses 2"),
        ({"simulate": True, "devices": "cuda:0,1"}, None, "names 2 devices, and this run uses 1"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, registries: Any, launch: Any, place: Any, said: str
) -> None:
    assert said in refusal(lambda: world_of(loaded(tmp_path, registries, launch=launch), place))


def test_the_environment_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert place_here() is None
    monkeypatch.setenv("RANK", "3")
    assert place_here() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert place_here() == Place(3, 4, 3)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert place_here() == Place(3, 4, 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "RANK 3 of 2" in refusal(place_here)
    monkeypatch.setenv("RANK", "first")
    assert "RANK is 'first'" in refusal(place_here)


def test_a_plan_for_several_ranks_needs_no_process_and_says_how_to_start_them(
    tmp_path: Path, registries: Any
) -> None:
    two = plan_text(loaded(tmp_path, registries), registries)
    assert "trouble on 2 ranks" in two and "rank all | adds" in two
    assert "torchrun --nnodes 2 --nproc-per-node 1" in two and "pair.yaml" in two
    threads = {"simulate": True, "devices": "cpu"}
    assert "torchrun" not in plan_text(loaded(tmp_path, registries, launch=threads), registries)
