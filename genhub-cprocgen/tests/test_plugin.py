"""The environment plugin: what every factory keeps to, and what the run decides for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("genhub")
pytest.importorskip("torch", reason="runs of the host need it")

import genhub
from genhub.api import GenHubError
from genhub.testing import EnvironmentTests


class TestCProcgen(EnvironmentTests):
    plugin = "cprocgen"
    steps = 30
    configs = (
        {"game": "maze", "distribution_mode": "easy"},
        {"game": "coinrun", "observation": "gray", "contexts": {"max_section_num": 1}},
        {"game": "heist", "context_visibility": "obs", "autoreset": "next_step"},
    )


def run_of(folder: Path, environment: dict[str, Any], **task: Any) -> Any:
    config = {
        "genhub": 1,
        "name": "play",
        "task": {"type": "rollout", "steps": 30, "num_envs": 4, "films": 0, **task},
        "environment": {"type": "cprocgen", "distribution_mode": "easy", **environment},
        "output": {"report": False, "dir": str(folder)},
    }
    return genhub.run(config)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"game": "mase"}, "there is no game 'mase'; did you mean \"maze\"?"),
        ({"game": "climber"}, "game 'climber' is not in this version; it has bigfish"),
        ({"game": "bigfish", "distribution_mode": "memory"}, "its modes are easy, hard"),
        ({"game": "maze", "contexts": {"world_dim": 12}}, "world_dim must be an odd number"),
        ({"game": "maze", "contexts": {"gravity": 1}}, "maze has no parameter 'gravity'"),
        ({"game": "coinrun", "contexts": {"max_jump": 99}}, "max_jump must be from 0.5 to 5"),
        ({"game": "coinrun", "contexts": {"grid": {"max_jump": []}}}, "needs a list for max_jump"),
        ({"game": "maze", "start_level": 2**31 - 1, "num_levels": 2}, "start_level + num_levels"),
        ({"game": "maze", "final_obs": True, "autoreset": "disabled"}, "final_obs belongs to"),
    ],
)
def test_wrong_values_are_told_with_their_place_before_anything_runs(
    tmp_path: Path, block: dict[str, Any], said: str
) -> None:
    file = tmp_path / "play.yaml"
    task = '{"type": "rollout"}'
    environment = json.dumps({"type": "cprocgen", "distribution_mode": "easy", **block})
    file.write_text(f"genhub: 1\ntask: {task}\nenvironment:\n  {environment}\n", encoding="utf-8")
    with pytest.raises(GenHubError) as caught:
        genhub.run(file, output=tmp_path / "runs")
    [problem] = caught.value.problems
    assert said in problem.message and problem.mark is not None and problem.mark.line >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["play.yaml"]


def test_what_depends_on_the_number_of_environments_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(GenHubError, match="one mapping per environment: 4, got 3") as caught:
        run_of(tmp_path, {"game": "maze", "contexts": [{}] * 3})
    assert caught.value.code == "GH305"
    with pytest.raises(GenHubError, match="num_envs must be a multiple of the 3 games, got 4"):
        run_of(tmp_path, {"game": "maze, heist, coinrun"})


def test_several_games_with_their_own_contexts_roll_out_in_one_run(tmp_path: Path) -> None:
    contexts = {"maze": {"world_dim": 5}, "heist": {"world_dim": 5}}
    result = run_of(
        tmp_path, {"game": ["maze", "heist"], "contexts": contexts}, steps=400, num_envs=8
    )
    manifest = json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))
    games = [row["context"]["game"] for row in manifest["rollout"]["contexts"]]
    assert "maze" in games and set(games) <= {"maze", "heist"}
    assert result.metrics["main"]["return_mean"] > 0


def test_the_factory_hands_over_seed_threads_and_context(tmp_path: Path) -> None:
    config = TestCProcgen.driver_class().Config(game="coinrun", contexts={"max_section_num": 2})
    env = TestCProcgen.driver_class()(config).make(3, 2**31 + 5, 2)
    assert env.num_envs == 3 and env.rand_seed == 5
    env.reset()
    assert env.get_context(1)["max_section_num"] == 2
    assert list(env.action_names)[4] == "nothing" and len(env.action_names) == 15
    env.close()


def test_named_actions_do_what_they_say(tmp_path: Path) -> None:
    config = TestCProcgen.driver_class().Config(game="maze", distribution_mode="easy")
    env = TestCProcgen.driver_class()(config).make(8, 0, 1)
    env.reset()
    names = list(env.action_names)
    for name, axis, sign in (("right", "x", 1), ("left", "x", -1), ("up", "y", 1)):
        before = [env.debug_state(i).entities[0].copy() for i in range(8)]
        _, _, ended, _, _ = env.step(np.full(8, names.index(name)))
        after = [env.debug_state(i).entities[0] for i in range(8)]
        moved = [sign * (after[i][axis] - before[i][axis]) for i in np.flatnonzero(~ended)]
        assert max(moved) > 0 and min(moved) >= 0
    env.close()
