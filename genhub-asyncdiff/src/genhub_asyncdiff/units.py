"""What a denoiser is made of: modules that are called once per forward, found by their kind.

Containers are opened until a module is reached that computes by itself: a residual block, an
attention stack with one inner block, a resampler, a transformer block, a convolution or a norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch.nn import Module, ModuleDict, ModuleList

__all__ = ["collapse", "find_units", "parameters_outside"]

# Embeddings of time, text, position and condition: every rank computes them itself.
_REPLICATED = (
    *("time_proj", "time_embedding", "time_embed", "add_time_proj", "add_embedding"),
    *("class_embedding", "encoder_hid_proj", "time_text_embed", "context_embedder", "x_embedder"),
    *("pos_embed", "patch_embed", "patch_embedding", "condition_embedder", "rope", "rotary_emb"),
    *("img_in", "txt_in", "txt_norm", "caption_projection", "time_in"),
)


def find_units(denoiser: Module) -> list[str]:
    """Give the paths of a denoiser's units, in the order of the module tree.

    No unit lies in another; embeddings are not among them.
    """
    return [
        path
        for name, child in denoiser.named_children()
        if not _is_replicated(name)
        for path in _units(name, child)
    ]


def collapse(denoiser: Module, owner: Mapping[str, int]) -> dict[str, int]:
    """Give the largest modules whose units all have one owner, and the owner of each.

    `owner` is by unit. A module that has parameters outside its units stays open, and so does the
    denoiser itself; what is inside a module given here runs, or is left out, as a whole.
    """
    parts: dict[str, int] = {}
    for name, child in denoiser.named_children():
        parts |= _collapsed(name, child, owner)
    return parts


def parameters_outside(denoiser: Module, paths: Sequence[str]) -> list[str]:
    """Name the parameters that belong to none of some modules."""
    inside = tuple(f"{path}." for path in paths)
    return [name for name, _ in denoiser.named_parameters() if not name.startswith(inside)]


def _is_replicated(name: str) -> bool:
    return name in _REPLICATED


def _units(path: str, module: Module) -> Iterator[str]:
    inner = _inside(module)
    if inner is None:
        if any(True for _ in module.parameters()):
            yield path
        return
    for name, child in inner:
        yield from _units(f"{path}.{name}", child)


def _inside(module: Module) -> list[tuple[str, Module]] | None:
    """Give the children of a container, None for what is a unit as a whole."""
    kind = type(module).__name__
    blocks = getattr(module, "transformer_blocks", None)
    stack = isinstance(blocks, ModuleList) and "Temporal" not in kind and "Motion" not in kind
    opened = (
        isinstance(module, ModuleList | ModuleDict)
        or isinstance(getattr(module, "resnets", None), ModuleList)  # a block of a UNet
        or (stack and len(blocks) > 1)
    )
    return list(module.named_children()) if opened else None


def _collapsed(path: str, module: Module, owner: Mapping[str, int]) -> dict[str, int]:
    if path in owner:
        return {path: owner[path]}
    inside = [unit for unit in owner if unit.startswith(f"{path}.")]
    if not inside:
        return {}
    owners = {owner[unit] for unit in inside}
    callable_ = not isinstance(module, ModuleList | ModuleDict)
    within = [unit.removeprefix(f"{path}.") for unit in inside]
    if len(owners) == 1 and callable_ and not parameters_outside(module, within):
        return {path: owners.pop()}
    parts: dict[str, int] = {}
    for name, child in module.named_children():
        parts |= _collapsed(f"{path}.{name}", child, owner)
    return parts
