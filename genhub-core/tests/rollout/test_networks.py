from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rolling import Roll, episodes_of
from safetensors.torch import save_file
from torch import nn

from genhub.api import GenHubError
from genhub.rollout.networks import _layer_of, _sequential, save_policy

PIXELS = 16 * 16 * 3


def always(action: int, push: float = 20.0) -> nn.Sequential:
    """A network that prefers one of two actions, whatever it sees."""
    network = nn.Sequential(nn.Conv2d(3, 2, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    with torch.no_grad():
        network[3].weight.zero_()
        network[3].bias.copy_(torch.tensor([0.0, push] if action else [push, 0.0]))
    return network


def test_a_network_from_a_file_chooses_the_actions(roll: Roll, tmp_path: Path) -> None:
    save_policy(tmp_path / "go.safetensors", always(1))
    save_policy(tmp_path / "wait.safetensors", always(0))
    gone = roll({"policy": str(tmp_path / "go.safetensors")}, {"sizes": [4]})
    assert {e["length"] for e in episodes_of(gone)} == {4}
    assert not episodes_of(roll({"policy": str(tmp_path / "wait.safetensors")}))


def test_a_network_sees_the_pictures(roll: Roll, tmp_path: Path) -> None:
    """It goes on while the room looks dark, and waits at level 70 of 255: place 2 of size 2."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 2))
    with torch.no_grad():
        network[1].weight[0].fill_(1 / PIXELS)
        network[1].weight[1].zero_()
        network[1].bias.copy_(torch.tensor([0.0, 60 / 255]))
    save_policy(tmp_path / "sees.safetensors", network)
    seen = roll({"policy": str(tmp_path / "sees.safetensors"), "num_envs": 1}, {"sizes": [1, 4]})
    assert [e["length"] for e in episodes_of(seen)] == [1]  # in the room of size 4 it waits


def test_a_network_may_draw_its_actions(roll: Roll, tmp_path: Path) -> None:
    path = tmp_path / "even.safetensors"
    save_policy(path, always(1, push=0.0), sample=True)
    one, again, other = (roll({"policy": str(path)}, seed=seed) for seed in (1, 1, 2))
    assert episodes_of(one) == episodes_of(again) != episodes_of(other)


def test_layers_of_all_kinds_come_back_as_they_were() -> None:
    layers = ["conv 3 8 3 1 1", "maxpool 3 2 1", ["relu", "conv 8 8 3 1 1", "tanh"], "flatten"]
    network = _sequential([*layers, "linear 512 4"])
    assert [_layer_of(module) for module in network] == [*layers, "linear 512 4"]
    x = torch.rand(2, 3, 16, 16)
    pooled = network[1](network[0](x))
    inner = torch.tanh(network[2][1](torch.relu(pooled)))
    assert torch.equal(network[:3](x), pooled + inner)
    assert network(x).shape == (2, 4)


@pytest.mark.parametrize(
    "layer", [nn.GELU(), nn.Linear(2, 2, bias=False), nn.Conv2d(3, 3, (1, 2)), nn.Flatten(0)]
)
def test_a_layer_that_a_file_cannot_say_is_not_written(layer: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no layer|cannot say|one whole number"):
        save_policy(tmp_path / "x.safetensors", nn.Sequential(layer))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("about", "tensors", "said"),
    [
        (None, {}, "its header has no entry 'policy'"),
        ("{}", {}, "entry 'policy' is not {\"layers\""),
        ("nonsense", {}, "entry 'policy' is not {\"layers\""),
        ({"layers": []}, {}, "it has 0 layers"),
        ({"layers": ["lstm 3 4"]}, {}, "its layer 'lstm 3 4' is none of: conv"),
        ({"layers": ["linear 3"]}, {}, "its layer 'linear 3' is none of"),
        ({"layers": ["linear 768 2"]}, {}, "its tensor 0.bias has shape none, and its layers need"),
        (
            {"layers": ["flatten", "linear 768 3"]},
            3,
            "it gives numbers of shape (3,) for 2 actions",
        ),
        ({"layers": ["flatten", "linear 5 2"]}, 5, "its layers do not fit observations Box(0, 255"),
    ],
)
def test_a_file_that_is_no_policy_is_told_in_a_sentence(
    roll: Roll, tmp_path: Path, about: Any, tensors: Any, said: str
) -> None:
    path = tmp_path / "bad.safetensors"
    if tensors == 3:
        tensors = {"1.weight": torch.zeros(3, 768), "1.bias": torch.zeros(3)}
    elif tensors == 5:
        tensors = {"1.weight": torch.zeros(2, 5), "1.bias": torch.zeros(2)}
    text = about if isinstance(about, str) else json.dumps(about)
    save_file(tensors, path, metadata=None if about is None else {"policy": text})
    with pytest.raises(GenHubError) as caught:
        roll({"policy": str(path)})
    assert caught.value.code == "GH305" and said in str(caught.value)


def test_a_file_of_another_format_is_not_read(roll: Roll, tmp_path: Path) -> None:
    path = tmp_path / "code.safetensors"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(GenHubError, match="it is no safetensors file"):
        roll({"policy": str(path)})


def deep(layers: list[Any], levels: int) -> list[Any]:
    for _ in range(levels):
        layers = [layers]
    return layers


@pytest.mark.parametrize(
    "layers",
    [["flatten", "linear 999999 999999"], deep(["relu"], 40), deep(["relu"], 5000)],
    ids=["four terabytes", "deep", "deeper than a reader goes"],
)
def test_a_header_that_asks_for_the_impossible_costs_nothing(
    roll: Roll, tmp_path: Path, layers: list[Any]
) -> None:
    path = tmp_path / "greedy.safetensors"
    nested = layers
    text = ""
    while isinstance(nested, list) and len(nested) == 1:
        text, nested = text + "[", nested[0]
    inner = json.dumps(nested)
    listed = text + inner + "]" * len(text)
    save_file({"0.weight": torch.zeros(1)}, path, {"policy": f'{{"layers": {listed}}}'})
    with pytest.raises(GenHubError, match="GH305"):
        roll({"policy": str(path)})
