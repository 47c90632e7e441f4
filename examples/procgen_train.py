"""Learn to run to the coin while the way gets longer: PPO of stable-baselines3, easing contexts.

    pip install "genhub-cprocgen[train]"
    python examples/procgen_train.py --output procgen-train

Levels of coinrun begin with one flat section and so much time that chance finds the coin now and
then. Over the first half of the steps they grow to three sections, with pits and saws, and the time
shrinks. Every few thousand steps the policy is tried, without learning, on levels of the last kind
that it has never seen. What remains in the output folder:
`curve.json` and `curve.png`, and `policy.safetensors`, which `genhub run` can roll out:
`task: {type: rollout, policy: FILE}`.
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

GAME = {"game": "coinrun", "distribution_mode": "easy", "observation": "rgb_chw"}
TARGET = {"max_section_num": 3, "max_difficulty": 3, "max_episode_steps": 100, "goal_reward": 1.0}
TRAIN_LEVELS = {"start_level": 0, "num_levels": 100_000}
TEST_LEVELS = {"start_level": 1_000_000, "num_levels": 100_000}
TRIED = 256  # episodes of a trial


def easing(steps: int) -> dict[str, Any]:
    """Give the context that becomes the target over the first half of the steps."""
    begin = {"max_section_num": 1, "max_difficulty": 1, "max_episode_steps": 400}
    rules = {
        name: {"schedule": [[0, value], [steps // 2, TARGET[name]]]}
        for name, value in begin.items()
    }
    return {**TARGET, **rules}


class Games(VecEnv):
    """A vector environment of ours in the form that stable-baselines3 takes."""

    def __init__(self, num_envs: int, **fields: Any) -> None:
        self.env = cp.make_vec(num_envs=num_envs, final_obs=True, **GAME, **fields)
        self.render_mode = None
        super().__init__(num_envs, self.env.single_observation_space, self.env.single_action_space)

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


class SmallCnn(BaseFeaturesExtractor):
    """Two convolutions and a hidden layer: enough to see coins, pits and saws."""

    def __init__(self, space: Any, features_dim: int = 128) -> None:
        super().__init__(space, features_dim)
        self.layers = nn.Sequential(
            *[nn.Conv2d(3, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()],
            *[nn.Flatten(), nn.Linear(32 * 6 * 6, features_dim), nn.ReLU()],
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.layers(observations)


def share_completed(choose: Any, seed: int) -> tuple[float, float]:
    """Try a policy on new levels; gives the share that it completes, and the mean length."""
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


class Trials(BaseCallback):
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
        completed, length = share_completed(
            lambda o: self.model.predict(o, deterministic=False)[0], 1
        )
        env = self.training_env.env
        column = env.context_names().index("max_section_num")
        sections = float(env.context_matrix()[:, column].mean())
        point = {"steps": self.num_timesteps, "completed": completed, "length": length}
        self.points.append({**point, "most_sections": sections})
        print(
            f"{self.num_timesteps:>8} steps: {100 * completed:5.1f} % of new levels completed, "
            f"mean length {length:.1f}; training on at most {sections:.1f} sections",
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
    axes.plot(steps, [100 * p["completed"] for p in points], marker="o", label="PPO")
    axes.axhline(100 * about["random"]["completed"], color="grey", linestyle="--", label="random")
    axes.set(xlabel="steps", ylabel="% of new levels completed", ylim=(0, 100))
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
    parser.add_argument("--steps", type=int, default=120_000)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("procgen-train"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    env = Games(args.num_envs, contexts=easing(args.steps), rand_seed=args.seed, **TRAIN_LEVELS)
    dice = np.random.default_rng(args.seed)
    completed, length = share_completed(lambda o: dice.integers(0, 15, len(o)), 1)
    print(
        f"chance: {100 * completed:.1f} % of new levels completed, mean length {length:.1f}",
        flush=True,
    )
    model = PPO(
        "CnnPolicy",
        env,
        n_steps=32,
        batch_size=256,
        learning_rate=lambda left: 1e-3 * max(left, 0.1),  # `left` goes from 1 to 0
        n_epochs=4,
        gamma=0.98,
        ent_coef=0.02,
        seed=args.seed,
        device="cpu",
        policy_kwargs={"features_extractor_class": SmallCnn, "net_arch": []},
    )
    trials = Trials(max(1, args.steps // 15), args.output)
    begun, cpu = time.perf_counter(), time.process_time()
    model.learn(args.steps, callback=trials)
    trials.add()
    about = {
        "steps": args.steps,
        "seed": args.seed,
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "random": {"completed": completed, "length": length},
    }
    save(args.output, model, trials.points, about)
    env.close()


if __name__ == "__main__":
    main()
