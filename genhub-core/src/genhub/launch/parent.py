"""A run whose ranks are processes of this machine: start them, watch them, tell how it ended.

No torch is imported here. The ranks write the run folder; this process makes it before they
start, and has the last word in its manifest where they could not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from genhub.errors import GenHubError
from genhub.execution.folder import RunFolder, read_manifest
from genhub.execution.load import require_libraries
from genhub.execution.order import Order, folder_for
from genhub.execution.result import RunResult, result_of
from genhub.execution.target import RESOLVED, Target
from genhub.launch.agent import ENDED
from genhub.launch.blame import from_json
from genhub.launch.worker import ERROR, KEPT, ORDER

__all__ = ["cause", "launch"]

LOST = "GH607"
PATIENCE = 10.0  # seconds from an interruption to the end of every process


def launch(order: Order, target: Target, world: int) -> RunResult:
    """Run `world` processes and give the result, read from the folder; raises GenHubError."""
    require_libraries()
    with closing(folder_for(order, target)) as files:
        logs = files.path / "logs"
        with suppress(FileNotFoundError):
            shutil.rmtree(logs)  # of the attempt before, where a run is gone on with
        logs.mkdir()
        (logs / ORDER).write_text(_for_workers(order, files.path), encoding="utf-8")
        status = _watch(files, world)
        _tidy(logs)
        files.manifest = read_manifest(files.path)  # as the ranks have left it
        if status != 0:
            error = cause(logs, status)
            ended = "interrupted" if error.code == "GH603" else "failed"
            problems = [problem.to_json() for problem in error.problems]
            files.finish(ended, error=problems, artifacts=_all_kept(files))
            raise error
        return result_of(files.path, files.manifest)


def _for_workers(order: Order, folder: Path) -> str:
    """Write what a worker runs: the file that was given, for the places in messages."""
    given = isinstance(order.config, str | os.PathLike)
    asked = {
        "config": os.path.abspath(str(order.config)) if given else str(folder / RESOLVED),
        "set": order.set if given else [],
        "quiet": order.quiet,
        "argv": sys.argv,
    }
    return json.dumps(asked, default=str)


def _watch(files: RunFolder, world: int) -> int | None:
    """Let the agent run to its end and give its status; None: this process was told to stop."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = str(max(1, (cores or 1) // world))
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            agent = subprocess.Popen(
                [sys.executable, "-m", "genhub.launch.agent", str(files.path), str(world)],
                stdin=theirs.fileno(),
                pass_fds=files.handles,  # ranks outlive a parent that is killed, by seconds
                env={"OMP_NUM_THREADS": threads, "TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ},
                start_new_session=True,  # Ctrl-C reaches the ranks once, through their agent
            )
        try:
            return agent.wait()
        except KeyboardInterrupt:
            agent.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # a second one ends it now
                agent.wait(PATIENCE)
            return None
        finally:
            _see_off(ours, agent, world)


def _see_off(ours: socket.socket, agent: subprocess.Popen[bytes], world: int) -> None:
    """Wait until agent and ranks are gone, whose ends of the socket close then."""
    with suppress(OSError):
        if agent.poll() is None:
            ours.send(b"." * (world + 1))
        ours.shutdown(socket.SHUT_WR)  # ranks may have lost their agent
        ours.settimeout(PATIENCE)
        ours.recv(1)
    agent.kill()
    agent.wait()


def _all_kept(files: RunFolder) -> list[Any]:
    """Give the manifest's artifacts, and those of other ranks that rank 0 did not hear of."""
    listed = list(files.manifest.get("artifacts", []))
    known = {entry["path"] for entry in listed}
    for path in sorted((files.path / "logs").glob(f"rank*/{KEPT}")):
        listed += [entry for entry in json.loads(path.read_text()) if entry["path"] not in known]
    return listed


def _tidy(logs: Path) -> None:
    """Put what ranks have printed beside their logs: logs/rank1/stderr.log and so on."""
    for path in sorted(logs.glob("*/attempt_0/*/*.log")):
        if path.stat().st_size:
            folder = logs / f"rank{path.parent.name}"
            folder.mkdir(exist_ok=True)
            path.replace(folder / path.name)
    for attempts in logs.glob("*/attempt_0"):
        shutil.rmtree(attempts.parent, ignore_errors=True)


def cause(logs: Path, status: int | None) -> GenHubError:
    """Find the one error to tell: the first of a rank, unless a rank died without a word."""
    if status is None:
        return GenHubError("GH603", "interrupted", hint="what was finished by then is kept")
    told = [json.loads(path.read_text()) for path in sorted(logs.glob(f"rank*/{ERROR}"))]
    error = from_json(told[0]["cause"]) if told else None  # ranks agree on which was the first
    # Ranks that lose one of them are stopped, and may take that for an interruption of their own.
    if error is None or error.code in (LOST, "GH603"):
        error = _silent(logs) or error or _unknown(logs, status)
    for entry in told:
        text = str(from_json(entry["own"]))
        if text != str(error):
            error.add_note(f"also, on another rank: {text}")
    return error


def _silent(logs: Path) -> GenHubError | None:
    """Say which rank was killed, or ended by itself, without leaving an error."""
    for rank, status in _ended(logs).get("ranks", {}).items():
        if (logs / f"rank{rank}" / ERROR).is_file() or status == -signal.SIGTERM:
            continue
        how = f"ended with status {status}"
        if status < 0:
            how = f"was killed by {_name_of(-status)}"
        hint = f"what was finished by then is kept; {logs} has what the ranks said"
        if status == -signal.SIGKILL:
            hint = f"a system that runs out of memory does that; {hint}"
        return GenHubError(LOST, f"rank {rank} {how}", hint=hint)
    return None


def _name_of(number: int) -> str:
    known = number in {one.value for one in signal.Signals}  # those for real time have no name
    return signal.Signals(number).name if known else f"signal {number}"


def _unknown(logs: Path, status: int) -> GenHubError:
    said = _ended(logs).get("agent") or f"its status is {status}"
    return GenHubError(LOST, f"the agent that runs the ranks failed: {said}", hint=f"see {logs}")


def _ended(logs: Path) -> dict[str, Any]:
    path = logs / ENDED
    return json.loads(path.read_text()) if path.is_file() else {}
