"""Run commands with the toy scheduler installed, and look at the processes that they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

GENHUB = "import sys; from genhub.cli import main; status = main()"
# Prints at the end what the parent has imported: the last line of its standard output.
TELLING = f"{GENHUB}; print('torch' in sys.modules); sys.exit(status)"
DEADLINE = 90.0  # seconds, far beyond what anything here takes
STAR = "a large red star in the center on white"
RING = "a small blue ring on the left on black"


def config(folder: Path, parallel: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Two prompts, two steps, in two ranks, without a report."""
    return {
        "genhub": 1,
        "name": "pair",
        "parallel": dict(parallel),
        "input": {"prompts": [STAR, RING]},
        "sampling": {"steps": 2, "guidance": 3.0},
        "launch": {"processes": 2, "devices": "cpu"},
        "output": {"dir": str(folder / "runs"), "report": False},
        **changes,
    }


def start(site: Path, words: list[str], log: Path | None = None) -> subprocess.Popen[str]:
    """Start a command as a terminal would: it is deaf to no signal."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GENHUB_")}
    stream = subprocess.PIPE if log is None else log.open("w")
    return subprocess.Popen(
        words,
        env={**kept, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        stdout=stream,
        stderr=stream if log is None else subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Give status, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def genhub(site: Path, *words: str) -> tuple[int, str, str]:
    """Run the command `genhub`; the last word of its output says whether torch was imported."""
    return finish(start(site, [sys.executable, "-c", TELLING, *words]))


def written(folder: Path, wanted: Mapping[str, Any]) -> str:
    """Write a config beside its runs and give its path."""
    path = folder / "pair.yaml"
    path.write_text(yaml.safe_dump(dict(wanted)), encoding="utf-8")
    return str(path)


def manifest_in(folder: Path) -> dict[str, Any]:
    """Read the manifest of the latest run."""
    text = (folder / "runs" / "latest" / "manifest.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def left_over(folder: Path) -> dict[int, str]:
    """Give the living processes that have the folder of a test in their command line, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(folder) in words and state != "Z":
                found[int(entry.name)] = words.replace("\0", " ")
    return found


def until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something that a process does, within a deadline and its life."""
    limit = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < limit, "it did not happen in time"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.05)
