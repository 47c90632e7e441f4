"""What LiteFocus does to long sound: tiny:tones judged at the length it learned and at 80 seconds.

    python benchmarks/tones_quality.py [--captions 8] [--quick]

The same captions and seeds with full attention, with LiteFocus (multiset, union, banded), and with
either half of the method alone. Counted is the share of two-second windows in which all is heard
that the caption says, and nothing else. Writes benchmarks/results/tones_quality.json.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import describe

import genhub
from genhub_litefocus.tones import sound, world
from genhub_litefocus.tones.drivers import Tones
from genhub_litefocus.tones.judge import tone_accuracy

RESULTS = Path(__file__).resolve().parent / "results" / "tones_quality.json"
STEPS, GUIDANCE = 12, 3.0
VARIANTS: dict[str, dict[str, Any] | None] = {
    "full attention": None,
    "LiteFocus": {},
    "LiteFocus, banded": {"time_window": 64, "max_compensation": 256},
    "LiteFocus, union": {"duplicates": "union"},
    "same frequency only": {"cross_frequency": False},
    "cross frequency only": {"same_frequency": False},
}


def captions(count: int) -> list[str]:
    """Draw captions that sound: silence is no test of attention."""
    lot = random.Random(2)
    drawn = (world.caption(world.sample(lot)) for _ in range(10 * count))
    return [one for one in drawn if one != "silence"][:count]


def judged(
    pipeline: Any, config: dict[str, Any] | None, said: Sequence[str], seconds: float, steps: int
) -> dict[str, float]:
    """Make one sound per caption and give the shares of windows that are right."""
    block = [] if config is None else [{"type": "litefocus", "decode": "pipeline", **config}]
    sounds = []
    with genhub.attach(pipeline, attention=block, seconds=seconds) if block else nullcontext():
        for seed, caption in enumerate(said):
            made = pipeline(
                caption,
                audio_length_in_s=seconds,
                num_inference_steps=steps,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(seed),
            )
            sounds.append(made.audios[0])
    return tone_accuracy(sounds, list(said), sound.RATE)


def main() -> None:
    """Read the command line, judge, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="one caption, a few seconds of sound")
    chosen = parser.parse_args()
    pipeline = Tones().load(torch.float32, "cpu")
    pipeline.set_progress_bar_config(disable=True)
    said = captions(1 if chosen.quick else chosen.captions)
    lengths, steps = ((3.2,), 2) if chosen.quick else ((80.0, 9.6), STEPS)
    rows: list[dict[str, Any]] = []
    for seconds in lengths:
        for name, config in VARIANTS.items():
            shares = judged(pipeline, config, said, seconds, steps)
            rows.append({"seconds": seconds, "attention": name} | shares)
            shown = {figure: round(share, 3) for figure, share in shares.items()}
            print(f"{seconds:5.1f} s  {name:22}", shown, flush=True)
            if not chosen.quick:
                write(said, rows)


def write(said: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Write what has been judged so far: long sounds take their time."""
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(("torch", "diffusers", "genhub-core", "genhub-litefocus")),
        "captions": said,
        "steps": STEPS,
        "guidance": GUIDANCE,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
