"""asyncdiff on two cores: against one core, the published exchange, and the planner's predictions.

    python benchmarks/asyncdiff.py [--rounds 3] [--quick]

Ranks are processes of one thread, each pinned to a core, that talk over gloo. A calibration says
what counts: wall time where two jobs at once take as long, to 5 %, as each alone has work to do;
otherwise CPU time on the critical path, the sum over steps of the slowest rank's. Runs to be
compared take turns within each round. Writes benchmarks/results/asyncdiff.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import two_cores
from machine import describe
from two_cores import LATENT, UNETS, Denoising, Generation, critical, wall

from genhub.testing.launches import on_processes
from genhub_asyncdiff.plugin import AsyncDiffConfig

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "asyncdiff.json"
FREE = 0.05  # what a core's job may take longer while the other core works
SPEEDUP, OVER_PUBLISHED = 1.65, 1.3  # promised
FREE_CALL, WITHIN = 0.01, 0.15  # share of a full call, error of a prediction
BASE = {"components": 2, "warmup": 1, "split_metric": "time"}
PREDICTED = {
    "straight": BASE | {"wrap": False},
    "straight, by FLOPs": BASE | {"wrap": False, "split_metric": "flops"},
    "wrap": BASE | {"wrap": True},
    "warm-up 3": BASE | {"warmup": 3},
    "stride 2, reuse, warm-up 3": BASE | {"warmup": 3, "stride": 2, "stride_mode": "reuse"},
    "float16 between ranks": BASE | {"comm_dtype": "float16"},
}
WARMUP_MODES = {"replicate": None, "cfg": 0.6, "pipeline": 0.8}  # and what a call may take
Count = Callable[[Sequence[Generation]], float]


def ranks(program: Callable[..., Any], *args: Any) -> list[Any]:
    """Run a program of `two_cores` on two ranks."""
    made = on_processes(2, program, *args, timeout=600.0)
    for one in made:
        if isinstance(one, BaseException):
            raise one
    return made


def calibration(steps: int) -> dict[str, Any]:
    """Say whether both cores are free."""
    times = ranks(two_cores.calibrate, steps)[0]
    rows = [
        {
            "core": core,
            "alone_cpu_s": round(alone, 2),
            "together_wall_s": round(together, 2),
            "longer_percent": round(100 * (together / alone - 1), 1),
        }
        for core, (alone, together) in enumerate(times)
    ]
    free = all(together <= (1 + FREE) * alone for alone, together in times)
    return {"free": free, "cores": rows}


def speed(model: str, rounds: int, steps: int, count: Count) -> dict[str, Any]:
    """Compare one core, two by asyncdiff and two by the published exchange."""
    over_serial, over_published, seconds, bounds = [], [], [], []
    for _ in range(rounds):
        both = ranks(two_cores.compare, model, steps, BASE)
        taken = {
            "one process": count([both[0]["serial"]]),
            "asyncdiff": count([rank["ours"] for rank in both]),
            "published exchange": count([rank["published"] for rank in both]),
        }
        seconds.append(taken)
        over_serial.append(taken["one process"] / taken["asyncdiff"])
        over_published.append(taken["published exchange"] / taken["asyncdiff"])
        rounds_ = AsyncDiffConfig(**BASE).form.rounds(steps)
        bounds.append(steps / (BASE["warmup"] + rounds_ * max(both[0]["shares"])))
    rows = {name: {"seconds": _spread([each[name] for each in seconds])} for name in seconds[0]}
    return {
        "seconds": rows,
        "ratios": {
            "one process over asyncdiff": _ratio(over_serial, SPEEDUP),
            "bound T / (W + R max f)": _ratio(bounds, None),
            "published exchange over asyncdiff": _ratio(over_published, OVER_PUBLISHED),
        },
    }


def predicted(steps: int, count: Count) -> dict[str, Any]:
    """Hold the planner's latencies against those measured."""
    made = ranks(two_cores.predictions, steps, list(PREDICTED.values()), count is critical)
    rows = {}
    for i, name in enumerate(PREDICTED):
        seconds = made[0][i][0]
        taken = count([rank[i][1] for rank in made])
        error = seconds / taken - 1
        rows[name] = {
            "predicted_s": round(seconds, 3),
            "measured_s": round(taken, 3),
            "error_percent": round(100 * error, 1),
            "within_15_percent": abs(error) <= WITHIN,
        }
    return rows


def cheaper_calls(steps: int) -> dict[str, Any]:
    """Give what free calls and full calls of every warm-up mode take, relative to a full call.

    Free calls in CPU time; full calls in wall time, since ranks of `pipeline` wait for each other.
    """
    half = max(2, steps // 2)
    settings = [BASE | {"warmup": half, "warmup_mode": mode} for mode in WARMUP_MODES]
    stride = {"stride": 2, "stride_mode": "reuse", "warmup": 3}
    made = ranks(two_cores.modes, steps, [*settings, BASE | stride])
    serial, cpu = (statistics.median(times) for times in zip(*made[0][0].calls, strict=True))
    rows = {}
    for i, (mode, most) in enumerate(WARMUP_MODES.items(), start=1):
        walls = ([taken for taken, _ in rank[i].calls[1:half]] for rank in made)
        share = statistics.median(map(max, *walls)) / serial
        rows[f"full call, warmup_mode {mode}"] = _share(share, "wall", most)
    free = (statistics.median(cpu for _, cpu in rank[-1].calls[4::2]) for rank in made)
    rows["free call"] = _share(max(free) / cpu, "CPU", FREE_CALL)
    return rows


def _share(share: float, counted: str, most: float | None) -> dict[str, Any]:
    return {
        "of_a_full_call": float(f"{share:.3g}"),
        "counted": counted,
        "target": most,
        "met": None if most is None else share <= most,
    }


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


def _ratio(values: list[float], target: float | None) -> dict[str, Any]:
    middle = statistics.median(values)
    return {
        "median": round(middle, 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
        "target": target,
        "met": None if target is None else middle >= target,
    }


def main() -> int:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description="Measure asyncdiff on two cores.")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs that take turns")
    parser.add_argument("--quick", action="store_true", help="a few steps; writes nothing")
    args = parser.parse_args()
    steps, few, rounds = (6, 6, 1) if args.quick else (50, 20, args.rounds)
    described = describe(("genhub-core", "genhub-asyncdiff", "torch", "diffusers"))
    cores = calibration(max(3, few // 2))
    count: Count = wall if cores["free"] else critical
    counted = "wall time" if cores["free"] else "CPU time on the critical path"
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": described,
        "what": "UNets of random parameters with the blocks of models named: "
        + ", ".join(f"{Denoising(name).parameters / 1e6:.1f} M for {name}" for name in UNETS)
        + f"; latents {LATENT} x {LATENT}, guidance, float32, two processes of one thread, "
        f"{steps} steps, n = 2, S = 1, W = 1, split by time, {rounds} rounds",
        "counted": counted,
        "calibration": cores,
        **{f"two cores, {model}": speed(model, rounds, steps, count) for model in UNETS},
        f"predicted latency of {few} steps": predicted(few, count),
        "cheaper calls": cheaper_calls(few),
    }
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if not args.quick:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
