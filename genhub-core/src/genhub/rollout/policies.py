"""What chooses actions: at random, from a list, or a network from a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genhub.api import GenHubError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ARCHITECTURE", "Policy", "open_policy"]

ARCHITECTURE = "cnn-policy"  # in the metadata of a file of weights
STRIDES = (4, 2, 1)  # of the three convolutions, as in the network of Mnih et al. (Nature, 2015)
PARTS = ("conv0", "conv1", "conv2", "hidden", "action")

Policy = Callable[[Any], np.ndarray]  # observations of all environments -> their actions


def open_policy(config: Any, env: Any, seed: int) -> Policy:
    """Give the policy that the task's block names; raises GH501 where it does not fit."""
    if config.policy == "random":
        env.action_space.seed(seed)
        return lambda observations: env.action_space.sample()
    if config.policy == "script":
        return _script(config.actions, env)
    return _network(Path(config.policy), config.greedy, env, seed)


def _script(actions: list[int], env: Any) -> Policy:
    for i, action in enumerate(actions):
        if not env.single_action_space.contains(np.int64(action)):
            raise GenHubError(
                "GH501",
                f"task.actions[{i}] is {action}, which is no action of {env.single_action_space}",
                hint="give actions of this space",
            )
    steps = 0

    def act(observations: Any) -> np.ndarray:
        nonlocal steps
        action = actions[steps % len(actions)]
        steps += 1
        return np.full(env.num_envs, action, env.action_space.dtype)

    return act


def _network(path: Path, greedy: bool, env: Any, seed: int) -> Policy:
    import torch

    weights, sample = _read(path), _pictures(env.single_observation_space)
    count = getattr(env.single_action_space, "n", None)
    if sample is None or count != len(weights["action.weight"]):
        raise GenHubError(
            "GH501",
            f"{path} chooses among {len(weights['action.weight'])} actions from pictures; the "
            f"environments have {env.single_observation_space} and {env.single_action_space}",
            hint="roll out where it was trained",
        )
    first = int(getattr(env.single_action_space, "start", 0))
    dice = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def act(observations: Any) -> np.ndarray:
        scores = _scores(weights, sample(observations), path)
        if greedy:
            chosen = scores.argmax(1)
        else:
            chosen = torch.multinomial(scores.softmax(1), 1, generator=dice)[:, 0]
        return chosen.numpy() + first

    return act


def _read(path: Path) -> Mapping[str, Tensor]:
    """Read the weights; raises GH501 unless they are those of the one architecture."""
    from safetensors import SafetensorError, safe_open

    wanted = {f"{part}.{kind}" for part in PARTS for kind in ("weight", "bias")}
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise GenHubError(
            "GH501",
            f"task.policy names {path}, which is no safetensors file: {error}",
            hint="say random, script, or the path of a policy's weights",
        ) from None
    if about.get("architecture") != ARCHITECTURE or weights.keys() != wanted:
        raise GenHubError(
            "GH501",
            f"{path} holds {json.dumps(about)} with {len(weights)} tensors, no {ARCHITECTURE}",
            hint=f"a policy has the tensors {', '.join(sorted(wanted))} and the metadata "
            f"architecture={ARCHITECTURE}",
        )
    return weights


def _pictures(space: Any) -> Callable[[Any], Tensor] | None:
    """Give what turns observations into float [N, C, H, W] in 0..1, None if they are no pictures."""
    import torch

    inner = getattr(space, "spaces", {}).get("image")
    if inner is not None:
        read = _pictures(inner)
        return None if read is None else lambda observations: read(observations["image"])
    shape = getattr(space, "shape", None)
    if space.dtype != np.uint8 or shape is None or len(shape) != 3:
        return None
    last = shape[2] in (1, 3)

    def read_arrays(observations: Any) -> Tensor:
        pictures = torch.from_numpy(np.ascontiguousarray(observations)).float() / 255
        return pictures.permute(0, 3, 1, 2) if last else pictures

    return read_arrays


def _scores(weights: Mapping[str, Tensor], x: Tensor, path: Path) -> Tensor:
    """Give the logits [N, actions]: three convolutions, one hidden layer, rectified in between."""
    from torch.nn.functional import conv2d, linear, relu

    try:
        for i, stride in enumerate(STRIDES):
            x = relu(conv2d(x, weights[f"conv{i}.weight"], weights[f"conv{i}.bias"], stride))
        x = relu(linear(x.flatten(1), weights["hidden.weight"], weights["hidden.bias"]))
        return linear(x, weights["action.weight"], weights["action.bias"])
    except RuntimeError as error:
        raise GenHubError(
            "GH501",
            f"the policy {path} does not fit pictures of {tuple(x.shape[1:])}: {error}",
            hint="roll out where it was trained",
        ) from None
