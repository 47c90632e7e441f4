"""Run configs: load the model, attach drivers, let the task work, keep what it makes.

What is exported here imports torch only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.execution.start import RunResult, plan_text, run

__all__ = ["RunResult", "plan_text", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("genhub.execution.start"), name)
    raise AttributeError(f"module 'genhub.execution' has no attribute '{name}'")
