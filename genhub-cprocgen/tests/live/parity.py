"""Step the benchmark library and this package side by side, and stop at the first difference.

`python parity.py --reference PYTHON` where PYTHON is an interpreter that can import `procgen`
(procgen-mirror with numpy below 2). Games, modes, seeds, options and actions are drawn from
`--seed`; a run's seed and options are printed with what differs, so that it can be repeated.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from compare import Difference, Frames, compare, report
from reference import Reference, ReferenceError, asset_folder

import genhub_cprocgen as cp
from genhub_cprocgen.contexts import parameters_of

RANDOM_FLAGS = {
    "center_agent": 0.25,  # share of runs in which the flag differs from its default
    "use_backgrounds": 0.25,
    "restrict_themes": 0.25,
    "use_monochrome_assets": 0.1,
    "paint_vel_info": 0.25,
    "use_sequential_levels": 0.25,
}
DEFAULTS = {"center_agent": True, "use_backgrounds": True}
RESET = 0.002  # share of actions that end the episode


@dataclass
class Tally:
    """What was compared for a game and mode."""

    steps: int = 0
    episodes: int = 0
    won: int = 0
    frames: Frames = field(default_factory=Frames)
    differences: list[Difference] = field(default_factory=list)


def main() -> int:
    """Compare what the command line asks for; 1 where something differs."""
    asked = _arguments()
    skin = str(asset_folder(asked.reference))
    rng = np.random.default_rng(asked.seed)
    failed = False
    for game in asked.games or cp.games():
        for mode in parameters_of(game).modes:
            if asked.modes and mode not in asked.modes:
                continue
            begun, tally = time.perf_counter(), Tally()
            while tally.steps < asked.steps and not tally.differences:
                steps = min(asked.run, -(-(asked.steps - tally.steps) // asked.envs))
                run(asked, game, mode, steps, skin, rng, tally)
            print(_line(game, mode, tally, time.perf_counter() - begun), flush=True)
            failed |= bool(tally.differences)
    return int(failed)


def run(
    asked: argparse.Namespace,
    game: str,
    mode: str,
    steps: int,
    skin: str,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Compare some steps of some environments with options of their own."""
    options = draw_options(rng, mode)
    reference = Reference(
        asked.reference, asked.envs, env_name=game, distribution_mode=mode, **options
    )
    ours = cp.make_vec(
        game, num_envs=asked.envs, distribution_mode=mode, skin=skin, copy=False, **options
    )
    players = [Player(rng) for _ in range(asked.envs)]
    try:
        observation, info = ours.reset()
        reward = np.zeros(asked.envs, np.float32)
        for t in range(steps + 1):
            found = compare(ours, reference.standing, observation, reward, info, tally.frames)
            if found is not None:
                tally.differences.append(found)
                print(f"{game} {mode}, step {t}: {found.what}\n  in a run of {options}")
                print(report(found), flush=True)
                return
            if t == steps:
                return
            actions = np.array([player.act() for player in players], np.int32)
            reference.step(actions)
            observation, reward, _, _, info = ours.step(actions)
            tally.steps += asked.envs
            tally.episodes += int(info["first"].sum())
            tally.won += int(info["prev_level_complete"].sum())
    finally:
        reference.close()
        ours.close()


def draw_options(rng: np.random.Generator, mode: str) -> dict[str, Any]:
    """Draw what both libraries understand: seeds, levels and flags."""
    options: dict[str, Any] = {"rand_seed": int(rng.integers(2**31 - 1))}
    for name, share in RANDOM_FLAGS.items():
        options[name] = DEFAULTS.get(name, False) != bool(rng.random() < share)
    if mode != "exploration" and rng.random() < 0.5:
        options["num_levels"] = int(rng.integers(1, 500))
        options["start_level"] = int(rng.integers(2**31 - 500))
    return options


class Player:
    """Draws actions: any, mostly to the right, or each for a while; rarely -1."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.style = rng.integers(3)
        self.last = 4

    def act(self) -> int:
        """Draw the next action."""
        rng = self.rng
        if rng.random() < RESET:
            return -1
        if self.style == 1 and rng.random() < 0.6:
            return 7 if rng.random() < 0.6 else 8
        if self.style == 2 and rng.random() < 0.8:
            return self.last
        self.last = int(rng.integers(15))
        return self.last


def _line(game: str, mode: str, tally: Tally, seconds: float) -> str:
    frames = tally.frames
    verdict = "DIFFERENT" if tally.differences else "equal"
    return (
        f"{game:10} {mode:12} {verdict}: {tally.steps} steps, {tally.episodes} episodes "
        f"({tally.won} won), {frames.compared} frames of which {frames.unequal} differ "
        f"within the allowance (at most {frames.worst} pixels), {seconds:.0f} s"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="an interpreter that imports procgen")
    parser.add_argument("--games", nargs="*", help="all that the engine has")
    parser.add_argument("--modes", nargs="*", help="all that a game has")
    parser.add_argument("--steps", type=int, default=10_000, help="per game and mode")
    parser.add_argument("--run", type=int, default=500, help="steps until options are drawn anew")
    parser.add_argument("--envs", type=int, default=4, help="environments that step together")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReferenceError as error:
        sys.exit(str(error))
