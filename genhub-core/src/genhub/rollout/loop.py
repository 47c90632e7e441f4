"""The loop of the task `rollout`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from genhub.api import EnvironmentFactory, GenHubError, Request, Sample
from genhub.execution.folder import replace_file
from genhub.rollout.episodes import Episode, table_by_context, varied
from genhub.rollout.frames import Camera, camera_of
from genhub.rollout.policies import Policy, open_policy

__all__ = ["EPISODES", "roll_out"]

EPISODES = "episodes.jsonl"
ENVS = 8  # where neither the task nor the environments say
MOST_PICTURES = 24
NOTE_EVERY = 1.0  # seconds
FPS = 15


def roll_out(run: Any, config: Any) -> None:
    """Step the environments, write episodes as they end, and films of the first environments."""
    [driver] = [used for used in run.drivers if used.kind == "environments"]
    factory: EnvironmentFactory = driver.cls(run.config.environment)
    with _environments(run, config, factory, driver.name) as env:
        policy = open_policy(config, env, run.config.seed)
        Loop(run, config, env, policy).run()


@contextmanager
def _environments(run: Any, config: Any, factory: Any, name: str) -> Iterator[Any]:
    """Make the environments, and close them whatever happens."""
    count = config.num_envs or getattr(run.config.environment, "num_envs", None) or ENVS
    try:
        env = factory.make(count, run.config.seed, _cores())
    except GenHubError:
        raise
    except ValueError as error:
        hint = f"change 'environment:' of type {name}"
        raise GenHubError("GH502", f"the environments cannot be made: {error}", hint=hint) from None
    try:
        yield env
    finally:
        env.close()


class Loop:
    """What is known while the environments step."""

    def __init__(self, run: Any, config: Any, env: Any, policy: Policy) -> None:
        self.run_, self.config, self.env, self.policy = run, config, env, policy
        self.camera: Camera | None = camera_of(env)
        self.returns = np.zeros(env.num_envs)
        self.lengths = np.zeros(env.num_envs, int)
        self.counts = np.zeros(env.num_envs, int)
        self.contexts: list[Mapping[str, Any]] = []
        self.episodes: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.noted = time.monotonic()

    def run(self) -> None:
        """Step to the end; what was made until an interruption stays."""
        run, config, env = self.run_, self.config, self.env
        replace_file(run.folder / EPISODES, b"")
        observations, _ = env.reset(seed=run.config.seed)
        self.contexts = [self._context(i) for i in range(env.num_envs)]
        self._take_pictures(observations)
        filmed = min(config.films, env.num_envs) if self.camera else 0
        film = _film(run, env, filmed) if filmed else None
        try:
            for step in range(config.steps):
                if film is not None and step < config.film_steps:
                    self._shoot(film, filmed, observations)
                observations = self._step()
                self._tell(step + 1)
        finally:
            if film is not None:
                run.keep(film.close())
            self._note(force=True)
        self._conclude()

    def _step(self) -> Any:
        actions = self.policy(self._observed)
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        self._observed = observations
        self.returns += rewards
        self.lengths += 1
        for i in np.flatnonzero(np.asarray(terminated) | np.asarray(truncated)).tolist():
            self._end(i, bool(terminated[i]), info)
        return observations

    def _end(self, i: int, terminated: bool, info: Mapping[str, Any]) -> None:
        won, level = info.get("prev_level_complete"), info.get("prev_level_seed")
        episode = Episode(
            env=i,
            index=int(self.counts[i]),
            episode_return=float(self.returns[i]),
            length=int(self.lengths[i]),
            terminated=terminated,
            completed=None if won is None else bool(won[i]),
            level=None if level is None else int(level[i]),
            context=self.contexts[i],
        )
        self.lines.append(episode.line())
        kept = {"episode_return": episode.episode_return, "length": episode.length}
        kept |= {"context": episode.context}
        self.episodes.append(kept | ({} if won is None else {"completed": episode.completed}))
        self.returns[i] = self.lengths[i] = 0
        self.counts[i] += 1
        self.contexts[i] = self._context(i)

    def _context(self, i: int) -> Mapping[str, Any]:
        read = getattr(self.env, "get_context", None)
        return {} if read is None else read(i)

    # --- what is kept ---
    def _take_pictures(self, observations: Any) -> None:
        """Keep the first picture of every context, with its values."""
        self._observed = observations
        if self.camera is None:
            return
        names, seen = varied(self.contexts), set()
        shown = []
        for i, context in enumerate(self.contexts):
            key = tuple(context.get(name) for name in names)
            if key in seen or len(shown) == MOST_PICTURES:
                continue
            seen.add(key)
            label = ", ".join(f"{name} {context.get(name)}" for name in names) or f"environment {i}"
            shown.append((self._picture(i, observations), label))
        self.run_.note(rollout_pictures=[list(pair) for pair in shown])

    def _picture(self, i: int, observations: Any) -> str:
        from PIL import Image

        assert self.camera is not None
        sink = self.run_.sink(_request(i, i, {}), "image")
        sink.write(Image.fromarray(self.camera(i, observations)))
        [artifact] = self.run_.keep(sink.close())
        return str(artifact.path)

    def _shoot(self, film: Any, count: int, observations: Any) -> None:
        assert self.camera is not None
        for i in range(count):
            film.write(self.camera(i, observations)[None], i)

    def _tell(self, done: int) -> None:
        if time.monotonic() > self.noted + NOTE_EVERY or done == self.config.steps:
            self.run_.progress(done, self.config.steps, "rollout")
            self._note()

    def _note(self, force: bool = False) -> None:
        self.noted = time.monotonic()
        if self.lines or force:
            with (self.run_.folder / EPISODES).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self.lines)
            self.lines.clear()
            header, rows = table_by_context(self.episodes)
            table = {"header": list(header), "rows": [list(row) for row in rows]}
            self.run_.note(rollout={"episodes": len(self.episodes), "table": table})

    def _conclude(self) -> None:
        figures = {"episodes": float(len(self.episodes))}
        if self.episodes:
            figures["mean_return"] = float(np.mean([e["episode_return"] for e in self.episodes]))
            figures["mean_length"] = float(np.mean([e["length"] for e in self.episodes]))
        if any("completed" in e for e in self.episodes):
            figures["completed"] = float(np.mean([bool(e["completed"]) for e in self.episodes]))
        self.run_.log(**figures)


def _film(run: Any, env: Any, count: int) -> Any:
    fps = env.metadata.get("render_fps") or FPS
    samples = tuple(_sample(i, MOST_PICTURES + i) for i in range(count))
    return run.sink(Request(samples, {"fps": fps}), "video")


def _request(env: int, index: int, call: Mapping[str, Any]) -> Request:
    return Request((_sample(env, index),), call)


def _sample(env: int, index: int) -> Sample:
    return Sample(index=index, seed=0, prompt=f"environment {env}")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
