"""Learn to find the cheese in mazes that grow: PPO of stable-baselines3 with easing contexts.

    pip install "genhub-cprocgen[train]"
    python examples/procgen_train.py --output procgen-train

Mazes begin at 3 x 3 cells and grow to 7 x 7 over the first half of the steps; an episode has 40
steps. Every few thousand steps the policy is tried, without learning, on 7 x 7 mazes of levels that
it has never seen. What remains in the output folder: `curve.json` and `curve.png`, and
`policy.safetensors`, which `genhub run` can roll out: `task: {type: rollout, policy: FILE}`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

import genhub_cprocgen as cp

GAME = {"game": "maze", "distribution_mode": "easy", "observation": "rgb_chw"}
WORLD = {"world_dim": 7, "min_maze_dim": 3, "max_episode_steps": 40, "goal_reward": 1.0}
TARGET = {**WORLD, "min_maze_dim": 7, "max_maze_dim": 7}
TRAIN_LEVELS = {"start_level": 0, "num_levels": 100_000}
TEST_LEVELS = {"start_level": 1_000_000, "num_levels": 100_000}
TRIED = 256  # episodes of a trial


def easing(steps: int) -> dict[str, Any]:
    """Give the context whose mazes grow over the first half of the steps."""
    return {**WORLD, "max_maze_dim": {"schedule": [[0, 3], [steps // 2, 7]]}}


class Games(VecEnv):  # type: ignore[misc]
    """A vector environment of ours in the form that stable-baselines3 takes."""

    def __init__(self, num_envs: int, **fields: Any) -> None:
        self.env = cp.make_vec(num_envs=num_envs, final_obs=True, **GAME, **fields)
        self.render_mode = None
        super().__init__(
            num_envs, self.env.single_observation_space, self.env.single_action_space
        )

    def reset(self) -> np.ndarray:
        return self.env.reset()[0]

    def step_async(self, actions: np.ndarray) -> None:
        self.env.step_async(actions)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observation, rewards, terminated, truncated, info = self.env.step_wait()
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            infos[i] = {
                "terminal_observation": info["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i]),
                "episode": {
                    "r": float(info["episode_return"][i]),
                    "l": int(info["episode_length"][i]),
                },
            }
        return observation, rewards, ended, infos

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"{attr_name} of a single environment cannot be set")

    def env_method(self, method_name: str, *args: Any, **kwargs: Any) -> list[Any]:
        raise AttributeError(f"single environments have no method {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class SmallCnn(BaseFeaturesExtractor):  # type: ignore[misc]
    """Two convolutions and a hidden layer: enough for mazes of 7 x 7 cells."""

    def __init__(self, space: Any, features_dim: int = 128) -> None:
        super().__init__(space, features_dim)
        self.layers = nn.Sequential(
            *[nn.Conv2d(3, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()],
            *[nn.Flatten(), nn.Linear(32 * 6 * 6, features_dim), nn.ReLU()],
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.layers(observations)


def share_found(choose: Any, seed: int) -> tuple[float, float]:
    """Try a policy on new 7 x 7 mazes; gives the share that it solves, and its mean length."""
    env = cp.make_vec(num_envs=64, contexts=TARGET, rand_seed=seed, **GAME, **TEST_LEVELS)
    observation, _ = env.reset()
    won: list[bool] = []
    lengths: list[int] = []
    per_env = np.zeros(env.num_envs, int)
    while (per_env < TRIED // env.num_envs).any():
        observation, _, terminated, truncated, info = env.step(choose(observation))
        # As many episodes of each environment, so that short ones count no more than long ones.
        for i in np.flatnonzero((terminated | truncated) & (per_env < TRIED // env.num_envs)):
            won.append(bool(info["prev_level_complete"][i]))
            lengths.append(int(info["episode_length"][i]))
            per_env[i] += 1
    env.close()
    return float(np.mean(won)), float(np.mean(lengths))


class Trials(BaseCallback):  # type: ignore[misc]
    """Tries the policy every so many steps and keeps the curve."""

    def __init__(self, every: int, folder: Path) -> None:
        super().__init__()
        self.every, self.folder, self.next = every, folder, 0
        self.points: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.next:
            self.next += self.every
            self.add()

    def add(self) -> None:
        """Try the policy and write the curve."""
        found, length = share_found(lambda o: self.model.predict(o, deterministic=False)[0], 1)
        env = self.training_env.env
        column = env.context_names().index("max_maze_dim")
        largest = env.context_matrix()[:, column].mean()
        point = {"steps": self.num_timesteps, "found": found, "length": length}
        self.points.append({**point, "largest_maze": float(largest)})
        print(
            f"{self.num_timesteps:>8} steps: {100 * found:5.1f} % of new mazes solved, "
            f"mean length {length:.1f}; training on mazes up to {largest:.1f}",
            flush=True,
        )


def save(folder: Path, model: Any, points: Sequence[dict[str, float]], about: Any) -> None:
    """Write the curve as JSON and picture, and the policy as a file to roll out."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    (folder / "curve.json").write_text(json.dumps({**about, "points": points}, indent=1) + "\n")
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    steps = [point["steps"] for point in points]
    axes.plot(steps, [100 * p["found"] for p in points], marker="o", label="PPO")
    axes.axhline(100 * about["random"]["found"], color="grey", linestyle="--", label="random")
    axes.set(xlabel="steps", ylabel="% of new 7 x 7 mazes solved", ylim=(0, 100))
    axes.legend()
    figure.savefig(folder / "curve.png", dpi=120)
    try:
        from genhub.rollout.networks import save_policy
    except ImportError:
        return  # without the host there is nothing to roll out with
    layers = [*model.policy.features_extractor.layers, model.policy.action_net]
    save_policy(folder / "policy.safetensors", nn.Sequential(*layers), sample=True)


def main() -> None:
    """Train, with the curve as it goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150_000)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("procgen-train"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    env = Games(args.num_envs, contexts=easing(args.steps), rand_seed=args.seed, **TRAIN_LEVELS)
    dice = np.random.default_rng(args.seed)
    found, length = share_found(lambda o: dice.integers(0, 15, len(o)), 1)
    print(f"chance: {100 * found:.1f} % of new mazes solved, mean length {length:.1f}", flush=True)
    model = PPO(
        "CnnPolicy", env, n_steps=64, batch_size=512, n_epochs=4, learning_rate=7e-4, gamma=0.97,
        ent_coef=0.01, clip_range=0.2, seed=args.seed, device="cpu",
        policy_kwargs={"features_extractor_class": SmallCnn, "net_arch": []},
    )  # fmt: skip
    trials = Trials(max(1, args.steps // 15), args.output)
    begun, cpu = time.perf_counter(), time.process_time()
    model.learn(args.steps, callback=trials)
    trials.add()
    about = {
        "steps": args.steps,
        "seed": args.seed,
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "random": {"found": found, "length": length},
    }
    save(args.output, model, trials.points, about)
    env.close()


if __name__ == "__main__":
    main()
