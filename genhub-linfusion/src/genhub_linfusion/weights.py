"""Read, check and write checkpoints in the published format.

A folder holds `config.json`, which lists the layers, and `diffusion_pytorch_model.safetensors`,
whose tensors are called `<i>.<parameter>` with i the layer's place in that list. Layers are always
found by their name, never by their place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from genhub_linfusion.layer import LinFusionAttention, ineligible
from genhub_linfusion.published import LayerShape, in_published_order, parameter_shapes

__all__ = ["Checkpoint", "CheckpointError", "load", "save"]

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CLASS_NAMES = ("LinFusion", "StableMamba")  # the latter in older revisions
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message lists every mismatch."""


@dataclass(frozen=True)
class Checkpoint:
    """The layers of a checkpoint, and their tensors by layer name and parameter name."""

    layers: tuple[LayerShape, ...]
    tensors: Mapping[str, Mapping[str, Tensor]]
    folder: Path

    def mid_dim(self, name: str) -> int | None:
        """Return the width of a layer's feature networks, as `LinFusionAttention` takes it.

        None for a layer that is not in the checkpoint: `check` names it among the other mismatches.
        """
        return next((layer.mid_dim for layer in self.layers if layer.name == name), None)

    def check(self, modules: Mapping[str, nn.Module], *, subset: bool = False) -> None:
        """Raise CheckpointError unless the checkpoint fits these attention layers.

        `modules` are the layers to replace, or layers already replaced, by their name within the
        denoiser. With `subset`, layers of the checkpoint that are not asked for are no mismatch.
        All mismatches come in one error.
        """
        listed = {layer.name: layer for layer in self.layers}
        problems = [f"{name}: not in the checkpoint" for name in modules if name not in listed]
        if not subset:
            problems += [f"{name}: not in the model" for name in listed if name not in modules]
        for name, module in modules.items():
            if name in listed:
                problems += [f"{name}: {misfit}" for misfit in _misfits(listed[name], module)]
        _raise_any(f"the checkpoint in {self.folder} does not fit this model", problems)

    def load_into(self, modules: Mapping[str, LinFusionAttention], *, subset: bool = False) -> None:
        """Give the layers their weights, in each layer's own dtype; see `check` for the names.

        Layers on the meta device (`from_attention(..., init="empty")`) take the tensors over on
        the CPU, without a copy where dtypes agree; move them to their device afterwards. Nothing
        is changed when anything does not fit.
        """
        self.check(modules, subset=subset)
        for name, module in modules.items():
            weight = module.to_q.weight
            if weight.is_meta:
                state = {key: tensor.to(weight.dtype) for key, tensor in self.tensors[name].items()}
                module.load_state_dict(state, assign=True)
                module.requires_grad_(weight.requires_grad)
            else:
                module.load_state_dict(self.tensors[name])


def load(folder: str | Path) -> Checkpoint:
    """Read a checkpoint folder, or the `.safetensors` file in it; tensors keep their dtype.

    Raises CheckpointError if the folder is incomplete, if its tensors are not those that its
    config announces (all mismatches in one error), or if a tensor holds NaN or infinity.
    """
    path = Path(folder)
    path = path.parent if path.name == WEIGHTS else path
    layers = _read_config(path)
    flat = _read_tensors(path)
    expected = {
        f"{i}.{key}": shape
        for i, layer in enumerate(layers)
        for key, shape in parameter_shapes(layer).items()
    }
    problems = [f"{key}: missing" for key in expected if key not in flat]
    problems += [f"{key}: not a parameter of a listed layer" for key in flat if key not in expected]
    for key, shape in expected.items():
        if key in flat and (fault := _tensor_fault(flat[key], shape)) is not None:
            problems.append(f"{key}: {fault}")
    _raise_any(f"the tensors in {path / WEIGHTS} cannot be used", problems)
    tensors = {
        layer.name: {key: flat[f"{i}.{key}"] for key in parameter_shapes(layer)}
        for i, layer in enumerate(layers)
    }
    return Checkpoint(layers, tensors, path)


def save(
    modules: Mapping[str, LinFusionAttention],
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write the layers in the published format, in `dtype` or else as they are.

    `modules` are named as within the denoiser; their order does not matter. Each file is put in
    place whole. Raises CheckpointError if a layer holds parameters for which the format has no
    place, such as adapters, and OSError where the disk refuses.
    """
    path = Path(folder)
    flat: dict[str, Tensor] = {}
    problems: list[str] = []
    entries: list[dict[str, Any]] = []
    for i, name in enumerate(in_published_order(modules)):
        module = modules[name]
        layer = LayerShape(name, module.query_dim, module.heads, module.mid_dim)
        problems += [f"{name}: {misfit}" for misfit in _misfits(layer, module)]
        for key, tensor in module.state_dict().items():
            flat[f"{i}.{key}"] = tensor.to(dtype or tensor.dtype).contiguous()
        entries.append(
            {
                "dim_n": layer.channels,
                "heads": layer.heads,
                "module_name": layer.name,
                "projection_mid_dim": layer.mid_dim,
            }
        )
    _raise_any("these layers cannot be saved in the published format", problems)
    config = {"_class_name": CLASS_NAMES[0], "modules_list": entries}
    path.mkdir(parents=True, exist_ok=True)
    with _replacing(path / WEIGHTS) as draft:
        # Not save_file: it reports a full disk as a SafetensorError without an errno.
        draft.write_bytes(to_bytes(flat, metadata={"format": "pt"}))
    with _replacing(path / CONFIG) as draft:
        draft.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _misfits(layer: LayerShape, module: nn.Module) -> list[str]:
    linear = isinstance(module, LinFusionAttention)
    if not linear and (reason := ineligible(module)) is not None:
        return [reason]
    misfits = [
        f"{listed} {what} in the checkpoint, {found} in the model"
        for what, listed, found in (
            ("channels", layer.channels, module.query_dim),
            ("heads", layer.heads, module.heads),
        )
        if listed != found
    ]
    if linear and layer.channels == module.query_dim:
        expected = parameter_shapes(layer)
        found = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        misfits += [f"{key} is missing in the model" for key in expected if key not in found]
        misfits += [f"{key} is only in the model" for key in found if key not in expected]
        misfits += [
            f"{key} is {shape} in the checkpoint, {found[key]} in the model"
            for key, shape in expected.items()
            if key in found and found[key] != shape
        ]
    return misfits


def _tensor_fault(tensor: Tensor, shape: tuple[int, ...]) -> str | None:
    if tuple(tensor.shape) != shape:
        return f"shape {tuple(tensor.shape)}, expected {shape}"
    if not tensor.is_floating_point():
        return f"{tensor.dtype}, expected floating point"
    if not torch.isfinite(tensor).all():
        return "holds NaN or infinity"
    return None


def _read_config(folder: Path) -> tuple[LayerShape, ...]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror}; a LinFusion checkpoint is a folder with "
            f"{CONFIG} and {WEIGHTS}."
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    name = config.get("_class_name") if isinstance(config, dict) else None
    if name not in CLASS_NAMES:
        raise CheckpointError(
            f"{path} is not the config of a LinFusion checkpoint: _class_name is {name!r}, "
            f"expected {CLASS_NAMES[0]!r}."
        )
    entries = config.get("modules_list")
    if not isinstance(entries, list):
        raise CheckpointError(f"{path} has no list of layers: modules_list is {entries!r}.")
    layers = tuple(_read_entry(entry, i, path) for i, entry in enumerate(entries))
    names = [layer.name for layer in layers]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise CheckpointError(f"{path} lists these layers twice: {', '.join(repeated)}.")
    return layers


def _read_entry(entry: object, place: int, path: Path) -> LayerShape:
    """Read an entry of `modules_list`: a mapping, or `[module_name, dim_n, heads]` of old."""
    keys = ("module_name", "dim_n", "heads", "projection_mid_dim")
    if isinstance(entry, dict) and entry.keys() <= set(keys):
        values = [entry.get(key) for key in keys]
    elif isinstance(entry, list) and len(entry) == 3:
        values = [*entry, None]
    else:
        values = [None] * 4
    name, channels, heads, mid_dim = values
    numbers = [channels, heads] + ([] if mid_dim in (None, -1) else [mid_dim])
    if not isinstance(name, str) or not all(type(n) is int and n > 0 for n in numbers):
        raise CheckpointError(
            f"{path}: entry {place} of modules_list is {entry!r}; expected {', '.join(keys)}, or "
            f"the older list of the first three."
        )
    return LayerShape(name, channels, heads, mid_dim)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        pickles = [p.name for p in sorted(folder.iterdir()) if p.suffix in PICKLES]
        found = f"; {', '.join(pickles)} may run code when read and is refused" if pickles else ""
        raise CheckpointError(f"{folder} has no {WEIGHTS}{found}: convert it to safetensors first.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): fetch or convert it again."
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` once it is complete."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _raise_any(summary: str, problems: Sequence[str]) -> None:
    if problems:
        raise CheckpointError("\n  ".join([f"{summary}:", *problems]))
