"""From drivers and a pipeline to a plan, and from a plan to drivers in place.

What is exported here imports torch only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.plan.attachment import Attached, attach, install
    from genhub.plan.checks import check_needs
    from genhub.plan.clock import StepEnd
    from genhub.plan.facts import facts_of
    from genhub.plan.parts import Part, parts_from_config
    from genhub.plan.plan import Plan, make_plan

__all__ = [
    "Attached",
    "Part",
    "Plan",
    "StepEnd",
    "attach",
    "check_needs",
    "facts_of",
    "install",
    "make_plan",
    "parts_from_config",
]

_HOMES = {
    "Attached": "attachment",
    "Part": "parts",
    "Plan": "plan",
    "StepEnd": "clock",
    "attach": "attachment",
    "check_needs": "checks",
    "facts_of": "facts",
    "install": "attachment",
    "make_plan": "plan",
    "parts_from_config": "parts",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"genhub.plan.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'genhub.plan' has no attribute '{name}'")
