"""Pictures of environments: what they render, or their observations where those are pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Camera", "camera_of"]

LEAST_SIDE = 256  # smaller pictures are enlarged for people

Camera = Callable[[int, Any], np.ndarray]  # environment, observations -> uint8 [H, W, 3]


def camera_of(env: Any) -> Camera | None:
    """Give what takes pictures of one environment, None where nothing can be seen.

    `env.render_env(i)` is used where there is one: a view for people of the i-th environment alone.
    """
    if hasattr(env, "render_env"):
        return lambda i, observations: np.asarray(env.render_env(i))
    if getattr(env, "render_mode", None) == "rgb_array":
        return lambda i, observations: np.asarray(env.render()[i])
    space = env.single_observation_space
    if space.dtype == np.uint8 and len(space.shape or ()) == 3 and space.shape[2] == 3:
        return lambda i, observations: _enlarged(np.asarray(observations[i]))
    return None


def _enlarged(frame: np.ndarray) -> np.ndarray:
    factor = max(1, -(-LEAST_SIDE // min(frame.shape[:2])))
    large: np.ndarray = frame.repeat(factor, 0).repeat(factor, 1)
    return large
