"""Policies in files: weights as safetensors, and in its header the layers that they belong to.

Nothing in such a file is code. The header's entry `policy` is JSON:

    {"layers": ["conv 3 32 8 4", "relu", "flatten", "linear 7200 15"],
     "scale": 255, "sample": false}

with tensors named as `torch.nn.Sequential` names them (`0.weight`, `0.bias`, ...). Observations are
divided by `scale`; the last layer gives one number per action: the largest one wins, or, with
`sample`, they are logits to draw from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["KINDS", "NetworkPolicy", "load_policy", "save_policy"]

MOST_LAYERS = 1000
MOST_DEPTH = 8  # of residual blocks in one another


class Kind(NamedTuple):
    """One kind of layer: its class in torch.nn and the names of its numbers."""

    cls: str
    numbers: tuple[str, ...] = ()
    needed: int = 0  # of these numbers, the first so many


KINDS: Mapping[str, Kind] = {
    "conv": Kind("Conv2d", ("in_channels", "out_channels", "kernel_size", "stride", "padding"), 3),
    "linear": Kind("Linear", ("in_features", "out_features"), 2),
    "maxpool": Kind("MaxPool2d", ("kernel_size", "stride", "padding"), 1),
    "flatten": Kind("Flatten"),
    "relu": Kind("ReLU"),
    "tanh": Kind("Tanh"),
}  # a list of layers stands for what is added to its own input


class NetworkPolicy:
    """Chooses actions of a discrete space with a network, on the CPU."""

    def __init__(self, network: Any, about: Mapping[str, Any], env: Any, seed: int) -> None:
        """Try the network once; raises ValueError where it does not fit the environments."""
        import torch

        self._network, self._scale = network.eval(), float(about["scale"])
        self._generator = torch.Generator().manual_seed(seed % 2**63)
        self._samples = bool(about["sample"])
        self._start = int(getattr(env.single_action_space, "start", 0))
        self._channels = next(
            (m.in_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)), None
        )
        count = getattr(env.single_action_space, "n", None)
        if count is None:
            raise ValueError(f"it chooses among actions, and these are {env.single_action_space}")
        try:
            given = tuple(self._logits(env.observation_space.sample()).shape)
        except (RuntimeError, TypeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise ValueError(
                f"its layers do not fit observations {env.single_observation_space}: {said}"
            ) from None
        if given != (env.num_envs, int(count)):
            raise ValueError(f"it gives numbers of shape {given[1:]} for {count} actions")

    def act(self, observation: Any) -> Any:
        """Give the action with the largest number, or draw one, per environment: int64 [N]."""
        import torch

        logits = self._logits(observation)
        if self._samples:
            shares = torch.softmax(logits, 1)
            chosen = torch.multinomial(shares, 1, generator=self._generator)[:, 0]
        else:
            chosen = logits.argmax(1)
        return chosen.numpy().astype(np.int64) + self._start

    def _logits(self, observation: Any) -> Any:
        import torch

        if isinstance(observation, Mapping):
            observation = observation["image"]
        batch = torch.from_numpy(np.ascontiguousarray(observation)).float() / self._scale
        if self._channels is not None and batch.ndim == 3:
            batch = batch[:, None]  # grey pictures
        elif self._channels not in (None, batch.shape[1]) and batch.ndim == 4:
            batch = batch.permute(0, 3, 1, 2)  # channels come last
        with torch.inference_mode():
            return self._network(batch)


def load_policy(path: Path, env: Any, seed: int) -> NetworkPolicy:
    """Load a policy; raises ValueError with what is wrong with the file, or OSError."""
    import torch
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):  # what the system says of a file that cannot be read is clearer
        pass
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("policy")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"it is no safetensors file: {error}") from None
    if text is None:
        raise ValueError("its header has no entry 'policy' that lists the layers")
    about = _about(text)
    with torch.device("meta"):  # what a header asks for takes no memory before it fits the file
        network = _sequential(about["layers"])
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"its tensor {name} has shape {found.get(name, 'none')}, "
                f"and its layers need {wanted.get(name, 'none')}"
            )
    network.load_state_dict(tensors, assign=True)
    return NetworkPolicy(network, about, env, seed)


def save_policy(
    path: str | Path, network: Any, *, scale: float = 255.0, sample: bool = False
) -> None:
    """Write a `torch.nn.Sequential` of the known kinds of layers as a file for `policy: FILE`.

    Raises ValueError for a layer of another kind, or one with settings that cannot be written.
    """
    from safetensors.torch import save_file

    about = {"layers": [_layer_of(module) for module in network], "scale": scale, "sample": sample}
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    save_file(tensors, path, metadata={"policy": json.dumps(about)})


def _about(text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
        known = {"scale": 255.0, "sample": False, **about}
        if not isinstance(known["layers"], list) or not 0 < float(known["scale"]) < 1e9:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(
            'its header\'s entry \'policy\' is not {"layers": [...], "scale": 255, "sample": false}'
        ) from None
    return known


def _sequential(layers: Sequence[Any], depth: int = 0) -> Any:
    from torch import nn

    if depth > MOST_DEPTH:
        raise ValueError(f"its lists of layers lie more than {MOST_DEPTH} deep")
    if not 0 < len(layers) <= MOST_LAYERS:
        raise ValueError(f"it has {len(layers)} layers; 1 to {MOST_LAYERS} are read")
    made = [_residual(e, depth + 1) if isinstance(e, list) else _layer(e) for e in layers]
    return nn.Sequential(*made)


def _layer(entry: Any) -> Any:
    from torch import nn

    word, *numbers = str(entry).split()
    kind = KINDS.get(word)
    wanted = kind and kind.needed <= len(numbers) <= len(kind.numbers)
    if kind is None or not wanted or not all(n.isdigit() and len(n) < 7 for n in numbers):
        known = ", ".join(" ".join((name, *k.numbers)) for name, k in KINDS.items())
        raise ValueError(f"its layer {entry!r} is none of: {known}; or a list of these")
    return getattr(nn, kind.cls)(**dict(zip(kind.numbers, map(int, numbers), strict=False)))


def _residual(layers: Sequence[Any], depth: int) -> Any:
    from torch import nn

    class Residual(nn.Sequential):
        """Layers whose result is added to what goes in."""

        def forward(self, x: Any) -> Any:
            return x + super().forward(x)

    return Residual(*_sequential(layers, depth))


def _layer_of(module: Any) -> Any:
    if type(module).__name__ == "Residual":
        return [_layer_of(inner) for inner in module]
    found = next((item for item in KINDS.items() if type(module).__name__ == item[1].cls), None)
    if found is None:
        raise ValueError(f"a policy file has no layer {module}; it has {', '.join(KINDS)}")
    name, kind = found
    numbers = []
    for field in kind.numbers:
        value = getattr(module, field)
        value = value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        if not isinstance(value, int):
            raise ValueError(f"{field} of {module} must be one whole number, got {value!r}")
        numbers.append(str(value))
    again = type(module)(**dict(zip(kind.numbers, map(int, numbers), strict=True)))
    if repr(again) != repr(module):
        raise ValueError(f"{module} has settings that a policy file cannot say")
    return " ".join((name, *numbers))
