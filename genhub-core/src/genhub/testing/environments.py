"""What holds for every factory of environments; needs gymnasium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from genhub.testing.guards import dice, watching
from genhub.testing.plugins import PluginTests, complain, one_line

__all__ = ["EnvironmentTests"]


class EnvironmentTests(PluginTests):
    """Checks of an environment factory, each with `num_envs` environments over `steps` steps."""

    kind: ClassVar[str] = "environments"
    num_envs: ClassVar[int] = 3
    steps: ClassVar[int] = 50
    seed: ClassVar[int] = 7

    def test_makes_a_vector_environment(self) -> None:
        """`make` gives a gymnasium VectorEnv of as many environments as it was asked for."""
        gymnasium = _gymnasium()
        for settings, config in self.valid():
            try:
                env = self.driver_class()(config).make(self.num_envs, self.seed, 1)
            except Exception as error:
                complain(f"make() raised {one_line(error)} ({settings})")
            if not isinstance(env, gymnasium.vector.VectorEnv):
                complain(f"make() gave {type(env).__name__}, which is no gymnasium VectorEnv")
            if env.num_envs != self.num_envs:
                complain(f"make({self.num_envs}, ...) gave {env.num_envs} environments")
            env.close()

    def test_spaces_hold_what_is_returned(self) -> None:
        """Observations lie in their space, rewards and ends are one per environment."""
        for config in self._configs():
            with self._made(config) as env:
                for observation, rest in self._play(env):
                    if not env.observation_space.contains(observation):
                        complain(
                            "an observation does not lie in observation_space: "
                            f"{_about(observation)}, {env.observation_space}"
                        )
                    for name, held in zip(("reward", "terminated", "truncated"), rest, strict=True):
                        if getattr(held, "shape", None) != (env.num_envs,):
                            complain(f"{name} is {_about(held)}: one value per environment")

    def test_same_seed_gives_the_same_observations(self) -> None:
        """A seed decides every observation, whatever the number of threads."""
        for config in self._configs():
            seen = []
            for threads in (1, 1, 2):
                with self._made(config, threads=threads) as env:
                    seen.append([_bytes(obs) for obs, _ in self._play(env)])
            if seen[0] != seen[1]:
                complain("the same seed gives other observations: draw from the seed alone")
            if seen[0] != seen[2]:
                complain("two threads give other observations than one: seed each environment")

    def test_another_seed_gives_other_observations(self) -> None:
        """The seed is not ignored."""
        for config in self._configs():
            seen = []
            for seed in (self.seed, self.seed + 1):
                with self._made(config, seed=seed) as env:
                    seen.append([_bytes(obs) for obs, _ in self._play(env)])
            if seen[0] == seen[1]:
                complain(
                    f"seeds {self.seed} and {self.seed + 1} give the same {self.steps} "
                    "observations: make(num_envs, seed, threads) must use its seed"
                )

    def test_reset_begins_anew(self) -> None:
        """`reset(seed=...)` in the middle gives what it gives at the beginning."""
        for config in self._configs():
            with self._made(config) as env:
                first = _bytes(env.reset(seed=self.seed)[0])
                list(self._play(env))
                if _bytes(env.reset(seed=self.seed)[0]) != first:
                    complain("reset(seed=...) in the middle of an episode gives another beginning")

    def test_closes_twice(self) -> None:
        """`close` may be called again, as it is when the interpreter ends."""
        for config in self._configs():
            env = self.driver_class()(config).make(self.num_envs, self.seed, 1)
            env.reset(seed=self.seed)
            env.close()
            try:
                env.close()
            except Exception as error:
                complain(f"a second close() raised {one_line(error)}")

    def test_global_dice_stay_put(self) -> None:
        """Playing leaves the shared random generators as they were."""
        for config in self._configs():
            before = dice()
            with self._made(config) as env:
                list(self._play(env))
            moved = [name for name, state in dice().items() if before.get(name, state) != state]
            if moved:
                complain(f"the global generator of {', '.join(moved)} was used: make your own")

    def test_network_and_files_are_left_alone(self) -> None:
        """No address is asked for, and nothing is written."""
        for config in self._configs():
            with watching() as deeds, self._made(config) as env:
                list(self._play(env))
            if deeds.calls:
                complain(f"it asked the network for {deeds.calls[0]}: nothing may")
            if deeds.writes:
                complain(f"{deeds.writes[0]} was written: nothing may be")

    def _configs(self) -> list[Any]:
        """Give the configs whose environments can be made and played."""
        _gymnasium()
        found = []
        for _, config in self.valid():
            try:
                with self._made(config) as env:
                    env.reset(seed=self.seed)
            except Exception:
                continue
            found.append(config)
        return found or pytest.skip("nothing can be made: see test_makes_a_vector_environment")

    @contextmanager
    def _made(self, config: Any, seed: int | None = None, threads: int = 1) -> Iterator[Any]:
        seed = self.seed if seed is None else seed
        env = self.driver_class()(config).make(self.num_envs, seed, threads)
        try:
            yield env
        finally:
            env.close()

    def _play(self, env: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        """Act at random, but always alike, and give what each step returns."""
        env.action_space.seed(0)
        env.reset()
        for _ in range(self.steps):
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            yield observation, (reward, terminated, truncated)


def _gymnasium() -> Any:
    return pytest.importorskip("gymnasium", reason="gymnasium is not installed")


def _bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bytes(held) for key, held in value.items()}
    if isinstance(value, tuple | list):
        return [_bytes(held) for held in value]
    return value.tobytes() if hasattr(value, "tobytes") else value


def _about(value: Any) -> str:
    shape, kind = getattr(value, "shape", None), getattr(value, "dtype", type(value).__name__)
    return f"{kind} of shape {shape}" if shape is not None else str(kind)
