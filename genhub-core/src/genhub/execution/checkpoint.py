"""The training state of a run: one file, replaced as a whole, so that a kill costs no more than
the steps since the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genhub.api import GenHubError
from genhub.execution.folder import replace_file

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FileCheckpoint"]


class FileCheckpoint:
    """Keeps the last state in `checkpoint.safetensors`: tensors, and JSON in its header.

    One file holds both, so that they always belong to the same step.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self.path = folder / "checkpoint.safetensors"
        self._metrics = folder / "metrics.jsonl"
        self._writes = writes  # of several ranks, the first one does

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write tensors and state of `step`; `state` must be plain JSON."""
        if not self._writes:
            return

        from safetensors.torch import save

        logged = self._metrics.stat().st_size if self._metrics.exists() else 0
        about = {"step": step, "state": dict(state), "logged": logged}
        header = {"genhub": json.dumps(about)}
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        replace_file(self.path, save(whole, header))

    def logged(self) -> int:
        """Give the bytes that metrics.jsonl had when this was saved; 0 without a checkpoint."""
        try:
            with self.path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size))
            return int(json.loads(header["__metadata__"]["genhub"])["logged"])
        except (OSError, KeyError, ValueError, TypeError, OverflowError, MemoryError):
            return 0  # of one that is damaged, `load` tells

    def load(self) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
        """Give the last `(step, tensors, state)`, or None; raises GH608 for a damaged file."""
        if not self.path.exists():
            return None

        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                header = json.loads(file.metadata()["genhub"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise GenHubError(
                "GH608",
                f"{self.path} is damaged: {error}",
                hint="delete it to begin the training anew",
            ) from error
        return header["step"], tensors, header["state"]
