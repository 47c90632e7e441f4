"""What a result depends on beside the config: machine, libraries, plugins, repository, weights."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["about_machine", "about_model", "about_plugins", "about_repository"]

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "safetensors", "pillow")
SMALL_FILE = 1 << 20


def about_machine() -> dict[str, Any]:
    """Describe Python, system, processor, memory, GPUs and the libraries' versions."""
    import torch

    versions = {}
    for name in ("genhub-core", *LIBRARIES):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": {"model": _cpu_model(), "cores": len(_cores()), "threads": torch.get_num_threads()},
        "memory_bytes": _memory(),
        "gpus": [
            {"name": p.name, "memory_bytes": p.total_memory}
            for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        ],
        "cuda": torch.version.cuda,
        "versions": versions,
    }


def about_plugins(drivers: Iterable[Any]) -> list[dict[str, Any]]:
    """Describe the drivers in use (`genhub.config.Used`) and the files they came from."""
    return [
        {
            "kind": used.kind,
            "name": used.name,
            "dist": used.entry.dist,
            "version": used.entry.version,
            "entry_point": used.entry.value,
            "record_sha256": _record(used.entry.dist),
            "summary": getattr(used.cls, "summary", ""),
            "paper": getattr(used.cls, "paper", None),
        }
        for used in drivers
    ]


def about_model(source: Any, pipeline: Any) -> dict[str, Any]:
    """Describe where a pipeline came from; small files are hashed, weights are measured."""
    folder = source.folder if source.model is None else getattr(source.model, "folder", None)
    files: dict[str, Any] = {}
    if folder is not None:
        for path in sorted(Path(folder).rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                files[name.as_posix()] = _fingerprint(path)
    return {
        "source": source.text,
        "revision": source.revision,
        "pipeline": type(pipeline).__name__,
        "files": files,
    }


def about_repository(folder: Path) -> dict[str, Any] | None:
    """Give commit and state of the git repository around `folder`; None where there is none."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "-uno"))}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _fingerprint(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > SMALL_FILE:
        return {"bytes": size}
    return {"bytes": size, "sha256": sha256(path.read_bytes()).hexdigest()}


def _record(dist: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        text = metadata.distribution(dist).read_text("RECORD")
        return sha256(text.encode()).hexdigest() if text else None
    return None


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> set[int]:
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _memory() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
