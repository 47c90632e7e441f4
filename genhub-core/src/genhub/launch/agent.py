"""Start the ranks of a run on this machine and watch them, with torch's elastic agent.

`python -m genhub.launch.agent RUN N` is torch.distributed.run for `genhub run`: it leaves in a
file how ranks ended that could not say it themselves.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from genhub.execution.faults import sentence

__all__ = ["ENDED", "end_with_parent", "main"]

ENDED = "ended.json"  # in the folder of logs: how ranks ended
GRACE = 8  # seconds that ranks have to finish, once one of them is gone


def main(folder: Path, count: int) -> int:
    """Give 0 where all ranks ended well, else 1."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable()  # it would tell each failure again, in its own words
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE))
    logs = folder / "logs"
    words = [
        *("--standalone", "--nproc-per-node", str(count), "--local-addr", "localhost"),
        *("--log-dir", str(logs), "--redirects", ",".join(f"{n}:3" for n in range(1, count))),
        *("-m", "genhub.launch.worker", str(folder)),
    ]
    try:
        run(parse_args(words))
    except ChildFailedError as error:
        _note(logs, ranks={rank: failure.exitcode for rank, failure in error.failures.items()})
    except SignalException as error:
        _note(logs, agent=f"it was ended by {error.sigval.name}")
    except Exception as error:
        _note(logs, agent=f"{type(error).__name__}: {sentence(error)}")
    else:
        return 0
    return 1


def _note(logs: Path, **ended: Any) -> None:
    (logs / ENDED).write_text(json.dumps(ended), encoding="utf-8")


def end_with_parent() -> None:
    """End this process as the one that began the run wants, or when that is gone; in a thread.

    Agent and ranks have one end of a socket as their standard input: nothing more to read means to
    finish in good time, a byte for each of them to end at once.
    """
    if not os.read(0, 1):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE + 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
