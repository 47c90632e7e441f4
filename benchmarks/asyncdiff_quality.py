"""What schedules of asyncdiff cost in quality: caption accuracy over components, stride, warm-up.

    python benchmarks/asyncdiff_quality.py [--prompts 200]

Draws the same 200 captions with the same seeds serially and under every schedule, on virtual
devices of this machine, and writes benchmarks/results/asyncdiff_quality.json. Accuracies are
deterministic on one machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from machine import describe

import genhub
from genhub_asyncdiff import simulate

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "asyncdiff_quality.json"
COMPONENTS, STRIDES, WARMUPS = (2, 3, 4), (1, 2), (1, 2, 4, 8)
STEPS = 20


def main() -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=200)
    args = parser.parse_args()
    captions = Path(genhub.__file__).parent / "examples" / "captions-200.txt"
    config = {
        "genhub": 1,
        "model": {"source": "tiny:shapes"},
        "input": {"prompts": captions.read_text().splitlines()[: args.prompts]},
        "sampling": {"steps": STEPS, "guidance": 3.0, "batch": 20},
        "metrics": ["caption-accuracy", "psnr", "ssim"],
    }
    schedules = {
        f"n{n}-s{stride}-w{warmup}": {"components": n, "stride": stride, "warmup": warmup}
        for n, stride, warmup in product(COMPONENTS, STRIDES, WARMUPS)
    }
    with tempfile.TemporaryDirectory() as folder:
        metrics = simulate(config, schedules, output=folder).metrics
    serial = metrics["baseline"]["caption-accuracy/joint"]
    rows = [
        {
            **schedule,
            "caption_accuracy": round(metrics[name]["caption-accuracy/joint"], 4),
            "points_below_serial": round(
                100 * (serial - metrics[name]["caption-accuracy/joint"]), 1
            ),
            "psnr_db": round(metrics[name]["psnr"], 1),
            "ssim": round(metrics[name]["ssim"], 4),
        }
        for name, schedule in schedules.items()
    ]
    written = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(("genhub-core", "genhub-asyncdiff", "torch", "diffusers")),
        "what": f"tiny:shapes, {args.prompts} captions, {STEPS} steps, guidance 3, same seeds; "
        "PSNR and SSIM against the serial pictures",
        "serial_caption_accuracy": serial,
        "schedules": rows,
    }
    RESULTS.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        sys.stdout.write(f"{row}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
