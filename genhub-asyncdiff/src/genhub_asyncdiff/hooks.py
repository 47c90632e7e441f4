"""The two hooks that stand between a denoiser and its parts, on the registry of diffusers.

No forward is copied: a hook runs the module's own, or gives what another rank computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from torch.nn import Module

if TYPE_CHECKING:
    from genhub_asyncdiff.engine import Engine

__all__ = ["ControlHook", "DenoiserHook", "PartHook", "hooked"]

NAME = "genhub-asyncdiff"


class DenoiserHook(ModelHook):  # type: ignore[misc]
    """Decides at every call of the denoiser what is computed here."""

    _is_stateful = True

    def __init__(self, engine: Engine, denoiser: str) -> None:
        super().__init__()
        self._engine = engine
        self._denoiser = denoiser

    @torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
    def new_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        """Run the call as the schedule says."""
        forward = self.fn_ref.original_forward
        return self._engine.call(self._denoiser, module, forward, args, kwargs)

    def reset_state(self, module: Module) -> Module:
        """Forget the generation; diffusers calls it when a pipeline has ended."""
        self._engine.end()
        return module


class PartHook(ModelHook):  # type: ignore[misc]
    """Computes a part, or gives what stands for its output."""

    def __init__(self, engine: Engine, path: str) -> None:
        super().__init__()
        self._engine = engine
        self._path = path

    @torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
    def new_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        """Run the part or leave it out."""
        return self._engine.part(self._path, self.fn_ref.original_forward, args, kwargs)


class ControlHook(ModelHook):  # type: ignore[misc]
    """Leaves a ControlNet out where nothing reads what it gives."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    @torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
    def new_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        """Run the ControlNet, or give its last output again."""
        return self._engine.control(self.fn_ref.original_forward, args, kwargs)


@contextmanager
def hooked(hooks: list[tuple[Module, ModelHook]]) -> Iterator[None]:
    """Keep hooks in place while the context lasts; afterwards no module has a trace of them."""
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(_remove, module, "forward" in vars(module), _has_registry(module))
            HookRegistry.check_if_exists_or_initialize(module).register_hook(hook, NAME)
        _forget_children(hooks)
        try:
            yield
        finally:
            stack.close()
            _forget_children(hooks)


def _has_registry(module: Module) -> bool:
    return "_diffusers_hook" in vars(module)


def _remove(module: Module, own_forward: bool, own_registry: bool) -> None:
    registry = vars(module).get("_diffusers_hook")
    if registry is None or registry.get_hook(NAME) is None:
        return
    registry.remove_hook(NAME, recurse=False)
    if registry.hooks:
        return
    if not own_forward:
        vars(module).pop("forward", None)
    if not own_registry:
        del module._diffusers_hook


def _forget_children(hooks: list[tuple[Module, ModelHook]]) -> None:
    """Let registries around and below look for hooks anew."""
    for module, _ in hooks:
        if _has_registry(module):
            module._diffusers_hook.invalidate_child_registries_cache()
