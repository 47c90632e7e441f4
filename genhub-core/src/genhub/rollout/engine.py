"""The loop of the task `rollout`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from genhub.api import GenHubError, Request, Sample, Sink
from genhub.execution.folder import replace_file
from genhub.execution.machine import about_plugins
from genhub.rollout.episodes import Episodes
from genhub.rollout.frames import MOST_TILES, Camera, enlarged, grid_of_contexts
from genhub.rollout.networks import load_policy
from genhub.rollout.policies import Policy, RandomPolicy, ScriptPolicy
from genhub.rollout.report import CONTEXTS
from genhub.rollout.tables import Axes, order_of, returns_by_context, summary_of

__all__ = ["rollout"]

FPS = 15.0  # of films where neither config nor environments say
UPDATES = 200  # of the progress that is shown

log = logging.getLogger("genhub")


def rollout(run: Any) -> None:
    """Act in the config's environments, and keep episodes, figures, films and first sights."""
    import torch

    seed, task = run.config.seed, run.config.task
    factory = next(used for used in run.drivers if used.kind == "environments")
    run.note(plugins=about_plugins(run.drivers))
    with run.phases.measure("load"):
        with _blamed(run, ("environment",), f"'{factory.name}' cannot be made"):
            env = factory.cls(run.config.environment).make(
                task.num_envs, seed, torch.get_num_threads()
            )
        _check_count(env, task.num_envs, factory.name)
    try:
        with _blamed(run, ("task", "policy"), f"the policy '{task.policy}' cannot be used"):
            policy = _policy(task, env, seed)
        stage = _Stage(run, env, policy)
        try:
            with run.phases.measure("steps"):
                stage.play(seed)
        finally:  # what was seen until an interruption is kept
            stage.conclude()
    finally:
        env.close()


class _Stage:
    """The environments of a rollout with everything that looks on."""

    def __init__(self, run: Any, env: Any, policy: Policy) -> None:
        self._run, self._env, self._policy = run, env, policy
        self._task = run.config.task
        self._games = _games(env)
        self._episodes = Episodes(run.folder, env.num_envs, self._context)
        self._camera = Camera(env)
        self._sights: dict[tuple[Any, ...], tuple[Mapping[str, Any], Any]] = {}
        self._sink: Sink | None = None
        self._filmed = self._task.filmed()
        self._done = 0
        self._mode = getattr(env.metadata.get("autoreset_mode"), "value", "NextStep")
        if self._filmed and not self._camera.works:
            run.problem(
                "nothing is filmed: observations are no pictures (uint8 [H, W, 3]), and the "
                "environments have no render_mode rgb_array"
            )
            self._filmed = []

    def play(self, seed: int) -> None:
        """Take all steps."""
        env, steps, count = self._env, self._task.steps, self._env.num_envs
        observation, _ = env.reset(seed=seed % 2**31)
        self._begin(observation, range(count))
        self._film(observation)
        ended = np.zeros(count, bool)
        every = max(1, steps // UPDATES)
        for step in range(1, steps + 1):
            begins = ended if self._mode == "NextStep" else np.zeros(count, bool)
            actions = self._policy.act(observation)
            observation, rewards, terminated, truncated, infos = env.step(actions)
            self._episodes.add(rewards, ~begins)
            places = self._episodes.end(step, terminated, truncated, infos)
            ended = np.asarray(terminated) | np.asarray(truncated)
            if places and self._mode == "Disabled":
                observation, _ = env.reset(options={"reset_mask": ended})
            new = np.flatnonzero(begins).tolist() if self._mode == "NextStep" else places
            self._begin(observation, new)
            self._done = step
            if step < self._task.film_steps:
                self._film(observation)
            if step % every == 0 or step == steps:
                self._run.progress(step, steps, "rollout")

    def conclude(self) -> None:
        """Finish the films, and write down what all episodes amount to."""
        with self._run.phases.measure("save"):
            if self._sink is not None:
                self._run.keep(self._sink.close())
            ended = self._episodes.ended
            self._run.note(rollout=self._told())
            if ended:
                figures = summary_of(ended)
                count = figures.pop("episodes")  # last: the first figure stands at the top
                known = {name: v for name, v in figures.items() if v is not None}
                self._run.log(**known, episodes=count)
            if len(self._sights) > 1:
                self._draw_contexts()

    def _begin(self, observation: Any, places: Any) -> None:
        """Begin episodes, and look at contexts that were not seen before."""
        fresh = {}
        for i in places:
            self._episodes.begin(i)
            context = self._episodes.contexts[i]
            key = tuple(context.items())
            if self._camera.works and key not in self._sights and key not in fresh:
                fresh[key] = i
        room = MOST_TILES - len(self._sights)
        fresh = dict(list(fresh.items())[:room])
        if fresh:
            frames = self._camera.frames(observation, list(fresh.values()))
            for (key, i), frame in zip(fresh.items(), frames, strict=True):
                self._sights[key] = (self._episodes.contexts[i], frame)

    def _film(self, observation: Any) -> None:
        if not self._filmed:
            return
        if self._sink is None:
            self._sink = self._run.sink(self._request(), "video")
        frames = self._camera.frames(observation, self._filmed)
        for place, frame in enumerate(frames):
            self._sink.write(enlarged(frame)[None], place)

    def _request(self) -> Request:
        """Describe the films: one sample per environment, with the context it begins in."""
        fps = self._env.metadata.get("render_fps") or FPS
        axes = Axes(self._episodes.contexts)
        samples = []
        for i in self._filmed:
            told = ", ".join(f"{n} {v}" for n, v in axes.key(self._episodes.contexts[i]))
            about = f"environment {i}" + (f": {told}" if told else "")
            samples.append(Sample(i, self._run.config.seed, about))
        return Request(tuple(samples), {"fps": float(fps)})

    def _context(self, i: int) -> Mapping[str, Any]:
        """Give the context of the level that environment i plays, with its game if it differs."""
        read = getattr(self._env, "get_context", None)
        own = dict(read(i)) if read is not None else {}
        return {"game": self._games[i], **own} if self._games else own

    def _told(self) -> dict[str, Any]:
        """Give what the manifest says of the rollout."""
        ended = self._episodes.ended
        return {
            "policy": self._task.policy,
            "num_envs": self._env.num_envs,
            "steps": self._done,
            "unfinished": int((self._episodes.lengths > 0).sum()),
            "summary": summary_of(ended),
            "contexts": returns_by_context(ended),
        }

    def _draw_contexts(self) -> None:
        axes = Axes(context for context, _ in self._sights.values())
        tiles: dict[Any, Any] = {}
        for context, frame in self._sights.values():
            tiles.setdefault(axes.key(context), frame)
        ordered = [(dict(key), frame) for key, frame in tiles.items()]
        buffer = BytesIO()
        grid_of_contexts(_in_rows(ordered)).save(buffer, "PNG")
        replace_file(self._run.folder / CONTEXTS, buffer.getvalue())


def _in_rows(tiles: list[tuple[dict[str, Any], Any]]) -> list[tuple[dict[str, Any], Any]]:
    """Sort tiles by their contexts, the first parameter first."""
    return sorted(tiles, key=lambda tile: [order_of(value) for value in tile[0].values()])


def _policy(task: Any, env: Any, seed: int) -> Policy:
    if task.policy == "random":
        return RandomPolicy(env, seed)
    if task.policy == "script":
        return ScriptPolicy(env, task.script)
    return load_policy(Path(task.policy), env, seed)


@contextmanager
def _blamed(run: Any, loc: tuple[str, ...], what: str) -> Iterator[None]:
    """Tell of values that a plugin or a file refuses where they were written."""
    try:
        yield
    except (ValueError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise GenHubError("GH305", f"{what}: {said}", mark=run.loaded.mark(loc)) from error


def _check_count(env: Any, wanted: int, name: str) -> None:
    if env.num_envs != wanted:
        env.close()
        raise GenHubError(
            "GH305", f"'{name}' made {env.num_envs} environments where {wanted} were asked for"
        )


def _games(env: Any) -> list[str]:
    """Name each environment's game, where there are several."""
    named = [str(game) for game in getattr(env, "games", ())]
    return named if len(set(named)) > 1 and len(named) == env.num_envs else []
