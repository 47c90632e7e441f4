"""Look an installation over: what is there, what is broken and why, what could be better.

Imports no torch: whether torch works is found out in a process of its own, because a broken one
may end the process that imports it.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from genhub import __version__
from genhub.doctor.kernels import look_at_kernels, verify_kernels
from genhub.doctor.packages import look_at_plugins, look_at_requirements
from genhub.doctor.surroundings import (
    about_bytecode,
    about_folder,
    look_at_libraries,
    look_at_torch,
)
from genhub.errors import Problem
from genhub.registry import Registries

__all__ = ["examine"]


def examine(registries: Registries, *, verify: bool = False) -> dict[str, Any]:
    """Give all that was found, fit for JSON.

    `problems` are what is broken, `notes` what works but could be better; `verify` computes every
    kernel's cases and times them.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    found: dict[str, Any] = {
        "genhub": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "libraries": look_at_libraries(notes),
        "torch": look_at_torch(problems),
        "plugins": look_at_plugins(registries, problems, notes),
    }
    look_at_requirements(registries, problems)
    found["kernels"] = look_at_kernels(registries, found["torch"], problems)
    if verify and found["torch"].get("version"):
        verify_kernels(registries, found["kernels"], found["torch"], problems)
    elif verify:
        notes.append("kernels were not verified: that needs torch")
    notes += [*about_bytecode(), *about_folder("runs")]
    found["problems"] = [problem.to_json() for problem in problems]
    found["notes"] = notes
    return found
