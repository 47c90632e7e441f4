"""Processes of a real run: one is killed, and another number of them goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

PATIENCE = 120.0  # seconds until a test gives up on a process

CONFIG = {
    "genhub": 1,
    "model": {"source": "tiny:shapes"},
    "parallel": {"type": "asyncdiff", "components": 2, "warmup": 2},
    "launch": {"processes": 2, "timeout": 30},
    "input": {
        "prompts": [
            "a large red star in the center on white",
            "a small blue ring on the left on black",
        ]
    },
    "sampling": {"steps": 30, "guidance": 3.0, "batch": 1},
}


def genhub(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "genhub.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip


def workers(folder: Path) -> list[int]:
    """Give the processes that compute a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "genhub.launch.worker" in words and str(folder) in words:
            found.append(int(path.name))
    return sorted(found)


def pictures(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted((folder / "artifacts").glob("*.png"))]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find processes")
def test_a_killed_rank_ends_the_run_and_other_ranks_go_on(tmp_path):
    file, out = tmp_path / "run.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(CONFIG))
    whole = genhub("run", str(file), "--set", f"output.dir={tmp_path / 'whole'}")
    assert whole.communicate(timeout=PATIENCE) and whole.returncode == 0
    run = genhub("run", str(file), "--set", f"output.dir={out}")
    deadline = time.monotonic() + PATIENCE
    while not list(out.glob("run-*/artifacts/000000.png")):
        assert time.monotonic() < deadline and run.poll() is None, run.communicate()
        time.sleep(0.02)
    (folder,) = out.glob("run-*")
    ranks = workers(folder)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 1
    assert said.count("error[") == 1 and "SIGKILL" in said and "Traceback" not in said
    assert workers(folder) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    again = genhub("run", str(folder), "--set", "launch.processes=4")
    said, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, said
    (uninterrupted,) = (tmp_path / "whole").glob("run-*")
    for ours, expected in zip(pictures(folder), pictures(uninterrupted), strict=True):
        # Four ranks compute guidance by halves: sums of another order may show in the last bit.
        assert np.abs(ours.astype(int) - expected.astype(int)).max() <= 1
