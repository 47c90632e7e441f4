"""What surrounds the host: libraries, torch and its devices, bytecode, the folder of runs."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from genhub.errors import Problem
from genhub.kinds import CORE

__all__ = ["about_bytecode", "about_folder", "look_at_libraries", "look_at_torch"]

PATIENCE = 300  # seconds for the first import of torch on a slow disk

PROBE = """
import json, torch
gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "threads": torch.get_num_threads(),
    "gpus": [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus],
    "mps": torch.backends.mps.is_available(),
    "works": torch.ones(2, 2).matmul(torch.ones(2, 2)).sum().item() == 8,
}))
"""


def look_at_libraries(notes: list[str]) -> dict[str, str | None]:
    """Give the version of everything that the host can use, None for what is not installed."""
    found: dict[str, str | None] = {}
    for text in metadata.requires(CORE) or ():
        name = Requirement(text).name
        found[name] = None
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    absent = [name for name, version in found.items() if version is None]
    if absent:
        listed = ", ".join(absent)
        notes.append(f"not installed: {listed}; pip install '{CORE}[run]' adds what runs need")
    return found


def look_at_torch(problems: list[Problem]) -> dict[str, Any]:
    """Import torch in a process of its own and give its devices; empty where it is not there."""
    if importlib.util.find_spec("torch") is None:
        return {}
    command = [sys.executable, "-c", PROBE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        cause = _cause(done)
        found: dict[str, Any] = {} if cause else json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        cause, found = f"it did not end within {PATIENCE} s", {}
    except (ValueError, IndexError):
        cause, found = f"it said {done.stdout[-80:]!r}", {}
    if found and not found.pop("works"):
        cause = "it computes wrong numbers"
    if cause:
        message = f"torch is installed, but importing it fails: {cause}"
        problems.append(
            Problem("GH505", message, "reinstall it: pip install --force-reinstall torch")
        )
        return {"broken": cause}
    return found


def _cause(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        with suppress(ValueError):
            return f"the process was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip() if lines else f"the process ended with status {done.returncode}"


def about_bytecode() -> Iterator[str]:
    """Say where every command compiles the libraries anew, which makes it start slowly."""
    for name in ("genhub", "pydantic"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        if not os.path.exists(importlib.util.cache_from_source(spec.origin)):
            why = "; PYTHONDONTWRITEBYTECODE is set" if sys.dont_write_bytecode else ""
            folder = os.path.dirname(spec.origin)
            yield (
                f"{name} is compiled again by every command, which makes all of them slower{why}: "
                f"python -m compileall -q {folder}"
            )


def about_folder(name: str) -> Iterator[str]:
    """Say why no run could be written below the current folder, if that is so."""
    folder = Path(name) if Path(name).exists() else Path()
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        where = folder.resolve()
        yield f"no run can be written to {where}: {error.strerror}; set output.dir, or go elsewhere"
