"""A run that takes long, in a process of its own: `interruptible.py MODEL FOLDER`."""

from __future__ import annotations

import sys

import genhub

if __name__ == "__main__":
    model, folder = sys.argv[1:]
    try:
        genhub.run(
            {
                "genhub": 1,
                "name": "long",
                "model": {"source": model},
                "input": {"prompts": ["a large red star in the center on white"]},
                "sampling": {"steps": 2, "samples": 100_000},
                "output": {"dir": folder},
            }
        )
    except genhub.GenHubError as error:
        sys.stderr.write(str(error))
        sys.exit(error.exit_code)
