from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rolling import Roll, episodes_of, told_of, with_rooms
from toyrooms import Rooms

import genhub
import genhub.testing
from genhub.api import GenHubError
from genhub.execution.artifacts import read_embedded

GO = {"policy": "script", "script": ["go"]}


class TestRollout(genhub.testing.TaskTests):
    plugin = "rollout"
    configs = ({"steps": 10, "num_envs": 2, "films": 1},)

    @classmethod
    def registries(cls) -> Any:
        return with_rooms()

    run_config = {"environment": {"type": "rooms"}}  # noqa: RUF012 (as authors write it)


@pytest.mark.parametrize("autoreset", ["SameStep", "NextStep", "Disabled"])
def test_returns_lengths_and_ends_are_counted_in_every_way_of_resetting(
    roll: Roll, autoreset: str
) -> None:
    result = roll({**GO, "num_envs": 1, "steps": 11}, {"autoreset": autoreset})
    listed = episodes_of(result)
    assert [(e["return"], e["length"]) for e in listed[:4]] == [(2, 2), (3, 3), (2, 2), (3, 3)][
        : len(listed)
    ]
    steps = [2, 5, 7, 10] if autoreset != "NextStep" else [2, 6, 9]  # a step begins each level
    assert [e["step"] for e in listed] == steps
    assert all(e["end"] == "terminated" and e["success"] for e in listed)
    assert told_of(result)["unfinished"] == 1


def test_episodes_that_are_cut_are_truncated_and_no_success(roll: Roll) -> None:
    result = roll({"policy": "script", "script": ["wait*49", "go"], "steps": 50}, {"sizes": [4]})
    assert [(e["end"], e["success"], e["return"]) for e in episodes_of(result)] == [
        ("truncated", False, 1.0)
    ] * 4
    assert result.metrics["main"]["success_rate"] == 0


def test_returns_are_told_by_context_and_only_what_differs_is_named(roll: Roll) -> None:
    result = roll({**GO, "steps": 10}, {"sizes": [2, 3]})
    rows = told_of(result)["contexts"]
    assert [row["context"] for row in rows] == [{"size": 2}, {"size": 3}]
    assert [row["return_mean"] for row in rows] == [2, 3]
    assert all(row["return_sem"] == 0 and row["success_rate"] == 1 for row in rows)
    assert sum(row["episodes"] for row in rows) == len(episodes_of(result)) == 16
    assert result.metrics["main"]["episodes"] == 16
    assert result.metrics["main"]["return_mean"] == pytest.approx(2.5)
    assert episodes_of(result)[0]["context"] == {"size": 2, "colour": "grey", "limit": 50}


def test_a_script_may_hold_names_numbers_and_repetitions(roll: Roll) -> None:
    written = roll({"policy": "script", "script": ["wait*2", 1, "1*2"]}, {"sizes": [9]})
    assert [(e["length"], e["return"]) for e in episodes_of(written)] == [(15, 9)] * 4


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (["jump"], "action 0 of the script is 'jump'; the names are wait, go"),
        ([1, 2], "action 1 of the script is 2, which is not in Discrete(2)"),
        (["-1"], "action 0 of the script is '-1', which is not in Discrete(2)"),
        (["go*0"], "a script has 1 to 10000000 actions, got 0"),
    ],
)
def test_a_script_with_other_actions_is_refused(roll: Roll, script: list[Any], said: str) -> None:
    with pytest.raises(GenHubError) as caught:
        roll({"policy": "script", "script": script})
    assert caught.value.code == "GH305" and said in str(caught.value)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"policy": "script"}, "script is empty: 'policy: script' and a list of actions"),
        ({"script": [1]}, "script has no effect on 'random'"),
        ({"policy": "greedy"}, "policy is 'greedy', which is neither random, script nor"),
        ({"films": [1, 4]}, "films names environment 4; there are 4, counted from 0"),
        ({"policy": "nothing.safetensors"}, "'nothing.safetensors' cannot be used: No such file"),
        ({"num_envs": 13}, "'rooms' cannot be made: num_envs must not be 13, got 13"),
    ],
)
def test_settings_that_cannot_be_used_are_told_in_a_sentence(
    roll: Roll, task: dict[str, Any], said: str
) -> None:
    with pytest.raises(GenHubError) as caught:
        roll(task)
    assert caught.value.code == "GH305" and said in str(caught.value)


def test_chance_comes_from_the_seed_of_the_run(roll: Roll) -> None:
    one, again, other = (roll({"steps": 40}, seed=s) for s in (1, 1, 2))
    assert episodes_of(one) == episodes_of(again) != episodes_of(other)


def test_chosen_environments_are_filmed_up_to_the_wanted_length(roll: Roll) -> None:
    result = roll({**GO, "films": [1, 3], "film_steps": 5}, {"sizes": [2, 3]})
    assert [a.path for a in result.artifacts] == [f"artifacts/{i:06d}.webp" for i in (1, 3)]
    assert [a.sample.prompt for a in result.artifacts] == [
        f"environment {i}: size 3" for i in (1, 3)
    ]
    info = result.artifacts[0].info
    assert (info["frames"], info["fps"], info["width"]) == (5, 10.0, 256)
    with Image.open(result.folder / result.artifacts[0].path) as film:
        film.seek(2)
        shown = np.asarray(film.convert("RGB")).astype(int)
    assert abs(shown - 80).max() <= 3  # size 3, place 2
    payload = read_embedded(result.folder / result.artifacts[0].path)
    assert payload["config"]["task"]["films"] == [1, 3] and payload["seed"] == 0


def test_a_film_carries_the_run_that_makes_it_again(roll: Roll, registries: Any) -> None:
    first = roll({"films": 1, "steps": 8})
    payload = read_embedded(first.folder / first.artifacts[0].path)
    again = genhub.run(payload["config"], output=first.folder.parent, registries=registries)
    assert [a.sha256 for a in again.artifacts] == [a.sha256 for a in first.artifacts]


def test_environments_that_show_nothing_are_rolled_out_without_films(roll: Roll) -> None:
    result = roll({**GO, "films": 2}, {"pictures": False})
    assert not result.artifacts and len(episodes_of(result)) > 10
    assert "nothing is filmed: observations are no pictures" in result.problems[0]


def test_the_first_sight_of_each_context_is_drawn(roll: Roll) -> None:
    result = roll(GO, {"sizes": [2, 5, 9]})
    with Image.open(result.folder / "contexts.png") as sheet:
        shades = np.asarray(sheet)[70, 70::134, 0]
    assert shades.tolist() == [20, 50, 90]


def test_an_interruption_keeps_what_was_seen_and_the_run_can_be_made_whole(
    roll: Roll, tmp_path: Path, registries: Any
) -> None:
    Rooms.fell = False
    with pytest.raises(GenHubError) as caught:
        roll({**GO, "films": 1}, {"sizes": [2, 7], "falls_at": 6})
    assert caught.value.code == "GH603"
    (folder,) = (path for path in (tmp_path / "runs").glob("rooms-*") if not path.is_symlink())
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"
    assert manifest["rollout"]["steps"] == 6 and manifest["rollout"]["summary"]["episodes"] == 2
    assert [a["info"]["frames"] for a in manifest["artifacts"]] == [7]
    whole = genhub.run(folder, registries=registries)
    assert whole.folder == folder and whole.status == "done"
    assert [a.info["frames"] for a in whole.artifacts] == [21]
    straight = roll({**GO, "films": 1}, {"sizes": [2, 7], "falls_at": 6})
    assert episodes_of(whole) == episodes_of(straight)
    assert [a.path for a in whole.artifacts] == [a.path for a in straight.artifacts]
