"""What a process of `genhub run` with several ranks does: `python -m genhub.launch.worker RUN`."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from genhub.errors import GenHubError, ToldElsewhere
from genhub.execution.folder import replace_file
from genhub.execution.order import Order
from genhub.launch.agent import end_with_parent
from genhub.launch.blame import to_json
from genhub.launch.world import place_here
from genhub.registry import default

__all__ = ["ERROR", "KEPT", "ORDER", "main"]

ORDER = "order.json"  # in the folder of logs
ERROR = "error.json"  # in that of a rank
KEPT = "artifacts.json"  # there too: what it had saved when it ended early


def main(folder: Path) -> int:
    """Run as the rank that the environment names; an error goes to a file that the parent reads."""
    place = place_here()
    if place is None:
        raise SystemExit("genhub.launch.worker is started by `genhub run`")
    threading.Thread(target=end_with_parent, daemon=True).start()
    asked = json.loads((folder / "logs" / ORDER).read_text(encoding="utf-8"))
    sys.argv = asked["argv"]  # what the user has typed, for the manifest
    order = Order(asked["config"], asked["set"], None, asked["quiet"], None, default())
    from genhub.launch.rank import run_rank

    try:
        run_rank(order, place, folder)
    except GenHubError as error:
        echo = error.__cause__ if isinstance(error, ToldElsewhere) else None
        own = echo if isinstance(echo, GenHubError) else error
        entry = {"cause": to_json(error), "own": to_json(own)}
        mine = folder / "logs" / f"rank{place.rank}"
        mine.mkdir(parents=True, exist_ok=True)
        replace_file(mine / ERROR, json.dumps(entry).encode())  # or else it may be killed halfway
        return error.exit_code
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads and groups that wait for a lost rank would keep the process
