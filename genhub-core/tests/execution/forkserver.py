"""Runs `genhub` in forks of one process that has imported the libraries once, and kills them.

Reads one JSON object per line: `arguments` of the command, the folder to `watch`, and `kill`: the
number of the change below that folder (a file opened for writing, renamed or removed, a folder
made) at which the fork kills itself, before the change; or `kill_after`, seconds of its own CPU
time. Answers each with the exit status (-9: killed), and unless killed with the number of changes
and the CPU time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

CHANGES = {"open": 0, "os.rename": 1, "os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "os.symlink": 1}


class Counter:
    """An audit hook that counts changes below a folder, and dies at one of them."""

    def __init__(self, folder: str, last: int | None) -> None:
        self.folder, self.last, self.count = folder, last, 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        place = CHANGES.get(event)
        if place is None or not str(args[place]).startswith(self.folder):
            return
        if event == "open" and not set(str(args[1])) & set("wax+"):
            return
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def child(task: dict[str, Any], answer: int) -> None:
    from genhub.cli import main

    counter = Counter(task["watch"], task.get("kill"))
    sys.addaudithook(counter)
    if "kill_after" in task:
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_PROF, task["kill_after"])
    status = main(task["arguments"])
    told = {"status": status, "changes": counter.count, "cpu": time.process_time()}
    os.write(answer, json.dumps(told).encode())


def serve() -> None:
    from diffusers import StableDiffusionPipeline  # noqa: F401
    from transformers import CLIPTextModel  # noqa: F401

    import genhub.launch.here
    import genhub.models.shapes
    import genhub.shapes.judge  # noqa: F401
    from genhub.report.figures import lines_figure
    from genhub.report.page import template

    lines_figure({"warm": [(0, 0), (1, 1)]}, "x", "y")  # what is imported here no fork imports
    template("page.html.j2")

    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(json.loads(line), writing)
            finally:
                os._exit(0)
        os.close(writing)
        _, code = os.waitpid(pid, 0)
        told = os.read(reading, 4096)
        os.close(reading)
        lost = {"status": os.waitstatus_to_exitcode(code)}
        answers.write(json.dumps(json.loads(told) if told else lost) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
