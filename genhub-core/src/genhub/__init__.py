"""GenHub: ways to make generative models faster, longer and more controllable, as parts that fit.

`run(config)` is the command `genhub run`; `attach(pipeline, attention=[...])` is for people with a
pipeline in hand. Both import torch only when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genhub.errors import GenHubError

if TYPE_CHECKING:
    from genhub.execution import run
    from genhub.plan import attach

__all__ = ["GenHubError", "__version__", "attach", "run"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "run":
        from genhub.execution import run

        return run
    if name == "attach":
        from genhub.plan import attach

        return attach
    raise AttributeError(f"module 'genhub' has no attribute '{name}'")
