"""Rollouts over an environment whose course can be told beforehand, through the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toyenvs
from safetensors.torch import save_file

import genhub
from genhub.rollout.episodes import table_by_context, varied
from genhub.rollout.policies import ARCHITECTURE, open_policy
from genhub.rollout.task import RolloutConfig


def rolled(config: dict[str, Any], registries: Any) -> Any:
    return genhub.run(config, registries=registries)


def episodes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]


def test_every_episode_is_written_with_its_return_and_context(
    config: dict[str, Any], registries: Any
) -> None:
    found = episodes(rolled(config, registries).folder)
    # 15 steps: environments 0 and 2 end every 3rd, 1 and 3 every 5th; actions are 1, 0, 1, 0 ...
    assert len(found) == 5 + 3 + 5 + 3
    rewards = [1 - step % 2 for step in range(15)]
    for episode in found:
        length = 3 if episode["env"] % 2 == 0 else 5
        begin = episode["index"] * length
        assert episode["length"] == length
        assert episode["episode_return"] == sum(rewards[begin : begin + length])
        assert episode["terminated"] is True
        assert episode["completed"] is bool(rewards[begin + length - 1])
        assert episode["level"] == 100 + length
        assert episode["context"] == {"limit": length, "gain": 1.0}


def test_environments_get_the_number_the_seed_and_threads(
    config: dict[str, Any], registries: Any
) -> None:
    rolled(config, registries)
    count, seed, threads = toyenvs.Toys.made
    assert (count, seed) == (4, 11)
    assert threads >= 1
    config["task"]["num_envs"] = 3
    rolled(config, registries)
    assert toyenvs.Toys.made[0] == 3
    assert toyenvs.Toys.closed == 2


def test_manifest_and_report_hold_returns_films_and_contexts(
    config: dict[str, Any], registries: Any
) -> None:
    result = rolled(config, registries)
    manifest = json.loads((result.folder / "manifest.json").read_text())
    kinds = [a["kind"] for a in manifest["artifacts"]]
    assert kinds.count("image") == 2  # one per context: limit 3 and limit 5
    assert kinds.count("video") == 2
    assert manifest["rollout"]["episodes"] == 16
    page = (result.folder / "report.html").read_text()
    for text in ("Returns", "limit 3", "limit 5", "1.60 ±"):
        assert text in page
    films = [a for a in manifest["artifacts"] if a["kind"] == "video"]
    assert [film["info"]["frames"] for film in films] == [15, 15]
    assert films[0]["info"]["fps"] == 10


def test_films_end_after_film_steps_and_can_be_left_out(
    config: dict[str, Any], registries: Any
) -> None:
    config["task"] |= {"films": 1, "film_steps": 4}
    manifest = json.loads((rolled(config, registries).folder / "manifest.json").read_text())
    [film] = [a for a in manifest["artifacts"] if a["kind"] == "video"]
    assert film["info"]["frames"] == 4
    config["task"]["films"] = 0
    manifest = json.loads((rolled(config, registries).folder / "manifest.json").read_text())
    assert {a["kind"] for a in manifest["artifacts"]} == {"image"}


def test_random_actions_follow_the_seed(config: dict[str, Any], registries: Any) -> None:
    config["task"] = {"type": "rollout", "steps": 30}
    first = episodes(rolled(config, registries).folder)
    assert episodes(rolled(config, registries).folder) == first
    config["seed"] = 12
    assert episodes(rolled(config, registries).folder) != first


def test_a_failing_environment_leaves_what_was_made(
    config: dict[str, Any], registries: Any
) -> None:
    config["environment"]["falls_at"] = 5
    with pytest.raises(genhub.GenHubError, match="GH606") as caught:
        rolled(config, registries)
    [folder] = Path(config["output"]["dir"]).glob("toys-*")
    assert "the toy fell" in str(caught.value)
    assert [e["length"] for e in episodes(folder)] == [3, 3]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert [a["info"]["frames"] for a in manifest["artifacts"] if a["kind"] == "video"] == [5, 5]
    assert toyenvs.Toys.closed == 1


def test_environments_that_cannot_be_made_say_why(config: dict[str, Any], registries: Any) -> None:
    config["environment"]["refuses"] = True
    with pytest.raises(genhub.GenHubError, match=r"GH508.*limits must be odd, got 4"):
        rolled(config, registries)


def test_actions_that_do_not_exist_are_named(config: dict[str, Any], registries: Any) -> None:
    config["task"]["actions"] = [0, 2]
    with pytest.raises(genhub.GenHubError, match=r"GH509.*task\.actions\[1\] is 2"):
        rolled(config, registries)


@pytest.mark.parametrize("task", [{"policy": "script"}, {"actions": [1]}])
def test_a_script_and_its_actions_belong_together(
    config: dict[str, Any], registries: Any, task: dict[str, Any]
) -> None:
    config["task"] = {"type": "rollout", **task}
    with pytest.raises(genhub.GenHubError, match="policy script takes its actions"):
        rolled(config, registries)


def test_a_rollout_needs_environments_and_takes_no_model(
    config: dict[str, Any], registries: Any
) -> None:
    del config["environment"]
    with pytest.raises(genhub.GenHubError, match="GH409"):
        rolled(config, registries)
    config["environment"] = {"type": "toys"}
    config["model"] = {"source": "tiny:shapes"}
    with pytest.raises(genhub.GenHubError, match="GH410"):
        rolled(config, registries)


# --- policies from files ---
def weights(actions: int = 2, favour: int = 1) -> dict[str, torch.Tensor]:
    """A network for pictures of 36 x 36 whose scores are `favour` for one action."""
    generator = torch.Generator().manual_seed(0)

    def layer(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.05

    bias = torch.zeros(actions)
    bias[favour] = 50.0
    return {
        "conv0.weight": layer(4, 3, 8, 8), "conv0.bias": layer(4),
        "conv1.weight": layer(4, 4, 4, 4), "conv1.bias": layer(4),
        "conv2.weight": layer(4, 4, 3, 3), "conv2.bias": layer(4),
        "hidden.weight": layer(8, 4), "hidden.bias": layer(8),
        "action.weight": layer(actions, 8), "action.bias": bias,
    }  # fmt: skip


def saved(path: Path, tensors: dict[str, torch.Tensor], architecture: str = ARCHITECTURE) -> Path:
    save_file(tensors, path, {"architecture": architecture})
    return path


@pytest.mark.parametrize("greedy", [True, False])
def test_a_network_acts(
    config: dict[str, Any], registries: Any, tmp_path: Path, greedy: bool
) -> None:
    path = saved(tmp_path / "policy.safetensors", weights())
    config["task"] = {"type": "rollout", "policy": str(path), "greedy": greedy, "steps": 15}
    found = episodes(rolled(config, registries).folder)
    assert all(e["episode_return"] == e["length"] for e in found)  # always action 1


def test_a_networks_scores_are_those_of_its_layers() -> None:
    env = toyenvs.Rows(2, 0, toyenvs.ToyConfig())
    tensors = weights()
    tensors["action.bias"] = torch.tensor([0.0, 0.1])
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 8, 4), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 4, 2),
        torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3, 1), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2),
    )  # fmt: skip
    places = {"0": "conv0", "2": "conv1", "4": "conv2", "7": "hidden", "9": "action"}
    net.load_state_dict({f"{i}.{k}": tensors[f"{n}.{k}"] for i, n in places.items() for k in
                         ("weight", "bias")})  # fmt: skip
    from genhub.rollout.policies import _scores

    pictures = torch.rand(2, 3, 36, 36)
    torch.testing.assert_close(_scores(tensors, pictures, Path("x")), net(pictures))
    assert env.single_action_space.n == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("hidden.bias"), "no cnn-policy"),
        (lambda w: w.update(weights(actions=5)), "chooses among 5 actions"),
        (lambda w: w.update({"hidden.weight": torch.zeros(8, 9)}), "does not fit pictures"),
    ],
)
def test_files_of_other_networks_are_refused(
    config: dict[str, Any], registries: Any, tmp_path: Path, change: Any, told: str
) -> None:
    tensors = weights()
    change(tensors)
    path = saved(tmp_path / "policy.safetensors", tensors)
    config["task"] = {"type": "rollout", "policy": str(path), "steps": 3}
    with pytest.raises(genhub.GenHubError, match=f"GH509.*{told}"):
        rolled(config, registries)


def test_a_file_that_is_no_safetensors_is_refused(
    config: dict[str, Any], registries: Any, tmp_path: Path
) -> None:
    (tmp_path / "policy.safetensors").write_bytes(b"\x80\x04pickle")
    config["task"] = {"type": "rollout", "policy": str(tmp_path / "policy.safetensors")}
    with pytest.raises(genhub.GenHubError, match="GH509.*no safetensors file"):
        rolled(config, registries)


# --- tables ---
def test_rows_are_contexts_and_all() -> None:
    listed = [
        {"episode_return": r, "length": 2, "context": {"a": a, "b": 7}, "completed": r > 1}
        for a, r in ((2, 1.0), (1, 3.0), (2, 2.0))
    ]
    header, rows = table_by_context(listed)
    assert header == ["a", "episodes", "return", "length", "completed"]
    assert rows[0] == ["1", "1", "3.00", "2.0", "100%"]
    assert rows[1] == ["2", "2", "1.50 ± 0.50", "2.0", "50%"]
    assert rows[2][:2] == ["all", "3"]


def test_no_episode_gives_a_table_all_the_same() -> None:
    assert table_by_context([]) == (["episodes", "return", "length"], [["0", "", ""]])


def test_many_contexts_are_left_to_the_row_of_all() -> None:
    listed = [{"episode_return": 0.0, "length": 1, "context": {"a": a}} for a in range(100)]
    assert len(table_by_context(listed)[1]) == 1


def test_only_what_varies_is_named() -> None:
    assert varied([{"a": 1, "b": 2}, {"a": 1, "b": 3}]) == ["b"]


def test_the_random_policy_stays_in_the_space() -> None:
    env = toyenvs.Rows(3, 0, toyenvs.ToyConfig())
    policy = open_policy(RolloutConfig(), env, 5)
    drawn = np.array([policy(None) for _ in range(50)])
    assert set(np.unique(drawn)) == {0, 1}
