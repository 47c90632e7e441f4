"""The benchmark library in a process of its own, from this side of the pipes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reference_state import ReferenceState, read_state

__all__ = ["Reference", "ReferenceError", "Standing", "asset_folder"]

SIDE = 64
ASSETS = (
    "import pathlib, procgen; "
    "print(pathlib.Path(procgen.__file__).parent / 'data' / 'assets', flush=True)"
)


class ReferenceError(RuntimeError):
    """The process of the benchmark library ended, or could not be started."""


@dataclass
class Standing:
    """Where N environments stand: arrays [N], frames uint8 [N, 64, 64, 3], raw states."""

    reward: np.ndarray
    level_seed: np.ndarray
    prev_level_seed: np.ndarray
    prev_level_complete: np.ndarray
    first: np.ndarray
    frames: np.ndarray
    states: list[bytes]

    def state(self, i: int) -> ReferenceState:
        """Take the state of an environment apart."""
        return read_state(self.states[i])


class Reference:
    """N environments of the benchmark library; `options` as of its ProcgenGym3Env."""

    def __init__(self, python: str, num: int, **options: Any) -> None:
        worker = Path(__file__).with_name("reference_worker.py")
        command = [python, str(worker), json.dumps({"num": num, **options})]
        self.num = num
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.standing = self._receive()

    def step(self, actions: np.ndarray) -> Standing:
        """Step all environments; actions int [N], -1..14. Raises ReferenceError."""
        assert self._process.stdin is not None
        self._process.stdin.write(np.asarray(actions, "<i4").tobytes())
        self._process.stdin.flush()
        self.standing = self._receive()
        return self.standing

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _receive(self) -> Standing:
        n = self.num
        reward = np.frombuffer(self._read(4 * n), "<f4")
        seed, previous, complete, first = (
            np.frombuffer(self._read(4 * n), "<i4") for _ in range(4)
        )
        frames = np.frombuffer(self._read(n * SIDE * SIDE * 3), np.uint8)
        states = [self._read(int.from_bytes(self._read(4), "little")) for _ in range(n)]
        return Standing(
            *(reward, seed, previous, complete != 0, first != 0),
            frames.reshape(n, SIDE, SIDE, 3),
            states,
        )

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        raw = self._process.stdout.read(count)
        if len(raw) < count:
            raise ReferenceError(
                f"the benchmark library ended with status {self._process.wait()}; run "
                f"{' '.join(map(str, self._process.args[:2]))} to see why"
            )
        return raw


def asset_folder(python: str) -> Path:
    """Find the pictures of the benchmark library that an interpreter imports."""
    found = subprocess.run([python, "-c", ASSETS], capture_output=True, text=True, check=False)
    lines = found.stdout.split()
    if found.returncode or not lines:
        raise ReferenceError(f"{python} cannot import procgen: {found.stderr.strip()[-300:]}")
    return Path(lines[-1])
