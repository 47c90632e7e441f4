"""GenHub: ways to make generative models faster, longer and more controllable, as parts that fit.

`run(config)` is the command `genhub run`; `attach(pipeline, attention=[...])` is for people with a
pipeline in hand. Both import torch only when they are called.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: `genhub --help` costs little more than Python itself
if TYPE_CHECKING:
    from typing import Any

    from genhub.errors import GenHubError
    from genhub.execution import run
    from genhub.plan import attach

__all__ = ["GenHubError", "__version__", "attach", "run"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "GenHubError":
        from genhub.errors import GenHubError

        return GenHubError
    if name == "run":
        from genhub.execution import run

        return run
    if name == "attach":
        from genhub.plan import attach

        return attach
    raise AttributeError(f"module 'genhub' has no attribute '{name}'")
