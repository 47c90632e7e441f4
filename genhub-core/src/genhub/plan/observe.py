"""Watch attention modules while a denoiser runs: on meta for nothing, or for one real step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from genhub.plan.probe import Family, Size

__all__ = ["Architecture", "Seen", "attention_paths", "core_of", "probed", "watch"]


@dataclass(frozen=True)
class Seen:
    """How the first call of an attention module met it, per sample."""

    index: int  # order of execution
    channels: int
    tokens: int
    context: int | None  # keys that come from elsewhere; None = called without them
    picture: tuple[int, int] | None  # rows, cols of the feature map that the tokens are part of


def core_of(denoiser: Any) -> Any:
    """Give the module itself where `torch.compile` has wrapped it."""
    return getattr(denoiser, "_orig_mod", denoiser)


def attention_paths(module: Module) -> list[str]:
    """List the modules inside `module` that take attention processors."""
    return [
        path
        for path, inner in module.named_modules()
        if path and callable(getattr(inner, "set_processor", None)) and hasattr(inner, "processor")
    ]


@dataclass(frozen=True)
class Architecture:
    """A denoiser's class and config, all that its sites depend on; equal where both are."""

    cls: Any
    written: str
    config: Mapping[str, Any] = field(compare=False, repr=False)

    @classmethod
    def of(cls, denoiser: Any) -> Architecture:
        """Take class and config of a denoiser."""
        config = dict(denoiser.config)
        if config.get("encoder_hid_dim_type") == "ip_image_proj":
            config["encoder_hid_dim_type"] = None  # IP-Adapter's mark; no constructor knows it
        return cls(type(denoiser), repr(sorted(config.items())), config)

    def on_meta(self) -> Any:
        """Build the architecture without memory, whatever became of the model itself.

        What was replaced or wrapped there (mixers, adapters, offloading hooks) is absent: the twin
        has the sites that the architecture has, under the same paths. Neither the model nor the
        random state of the process changes.
        """
        import torch

        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            twin = self.cls.from_config(dict(self.config))
        # A few parameters are made on the CPU by name, for example SVD's mixing factors.
        return twin.to("meta").eval()


@lru_cache(maxsize=4)
def probed(
    architecture: Architecture, family: Family, size: Size
) -> tuple[Any, Mapping[str, Seen]]:
    """Give a twin on meta and what one forward called its attention modules with.

    Kept for the next attachment: variants of a run, and repeated ones in a notebook, plan at once.
    """
    import torch

    twin = architecture.on_meta()
    args, kwargs = family.example(architecture.config, size, twin.dtype)
    with torch.no_grad(), watch(twin, attention_paths(twin)) as seen:
        twin(*args, **kwargs)
    return twin, dict(seen)


@contextmanager
def watch(module: Module, paths: Sequence[str]) -> Iterator[Mapping[str, Seen]]:
    """Collect how the modules at `paths` are called while the block runs."""
    seen: dict[str, Seen] = {}
    pictures: dict[str, tuple[int, int]] = {}
    handles = []

    def note_picture(path: str) -> Any:
        def hook(_: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensors = [v for v in (*args, *kwargs.values()) if hasattr(v, "shape")]
            maps = [t for t in tensors if t.ndim in (4, 5)]
            if maps:
                pictures[path] = (int(maps[0].shape[-2]), int(maps[0].shape[-1]))

        return hook

    def note_call(path: str) -> Any:
        def hook(_: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if path not in seen:
                around = next((pictures[p] for p in _ancestors(path) if p in pictures), None)
                seen[path] = _described(len(seen), args, kwargs, around)

        return hook

    watched = dict.fromkeys(parent for path in paths for parent in _ancestors(path))
    try:
        for path in watched:
            inner = module.get_submodule(path)
            handles.append(inner.register_forward_pre_hook(note_picture(path), with_kwargs=True))
        for path in paths:
            inner = module.get_submodule(path)
            handles.append(inner.register_forward_pre_hook(note_call(path), with_kwargs=True))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _ancestors(path: str) -> Iterator[str]:
    """Give the paths around `path`, innermost first, without the root."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def _described(
    index: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    around: tuple[int, int] | None,
) -> Seen:
    hidden = args[0] if args else kwargs["hidden_states"]
    context = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
    if isinstance(context, tuple | list):  # IP-Adapter: text first, then pictures
        context = context[0]
    keys = _tokens(context) if context is not None else None
    if hidden.ndim == 4:
        rows, cols = int(hidden.shape[-2]), int(hidden.shape[-1])
        return Seen(index, int(hidden.shape[1]), rows * cols, keys, (rows, cols))
    return Seen(index, int(hidden.shape[-1]), _tokens(hidden), keys, around)


def _tokens(x: Tensor) -> int:
    return int(x.shape[-2] * x.shape[-1]) if x.ndim == 4 else int(x.shape[-2])
