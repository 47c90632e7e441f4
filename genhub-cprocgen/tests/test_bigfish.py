"""What contexts of bigfish can lead to that its modes never do."""

from __future__ import annotations

import numpy as np


def test_a_fish_that_leaves_a_small_world_ends_the_episode_and_stays_the_agent(make):
    size = {"start_r": 5.0, "fish_max_r": 0.5, "fish_min_r": 0.1, "world_dim": 8}
    env = make(
        "bigfish",
        num_levels=1,
        start_level=11,
        autoreset="disabled",
        contexts={**size, "maxspeed": 3.0, "fish_prob": 1.0},
    )
    env.reset()
    random = np.random.default_rng(11)
    ended = False
    while not ended:
        _, _, terminated, _, _ = env.step(random.integers(15, size=1))
        ended = bool(terminated[0])
    agent = env.debug_state(0).entities[0]
    assert agent["type"] == 0
    assert agent["y"] - agent["ry"] > size["world_dim"]
