"""Checkpoints of a training stage: weights as safetensors, the optimiser beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def replace_folder(new: Path, final: Path) -> None:
    """Put a finished folder in its final place; a reader sees the old one or the new one."""
    old = final.with_name(final.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def save(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Write weights, optimiser and `state` (plain JSON values) as one folder."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in module.state_dict().items()}
    save_file(weights, new / "weights.safetensors")
    torch.save(optimizer.state_dict(), new / "optimizer.pt")
    (new / "state.json").write_text(json.dumps(state))
    replace_folder(new, folder)


def step(folder: Path) -> int:
    """Say how many steps the checkpoint in a folder has behind it; 0 without one."""
    state = folder / "state.json"
    return int(json.loads(state.read_text())["step"]) if state.exists() else 0


def load(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Load what `save` wrote into module and optimiser and give its state; None without one."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():  # stopped between the two renames
        old.rename(folder)
    if not folder.exists():
        return None
    module.load_state_dict(load_file(folder / "weights.safetensors"))
    optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return state
