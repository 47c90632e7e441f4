"""Linear attention against the published operation order and against softmax attention.

    python benchmarks/linear_attention.py [--rounds 21] [--skip-softmax]

On the CPU, one thread, float32, forward only. Contenders take turns within each round and what is
counted is CPU time of the thread, so that a busy machine slows all alike; a ratio is the median
over rounds, given with its quartiles. Writes benchmarks/results/linear_attention.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from baselines import linfusion
from machine import describe
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub_linfusion import linear_attention

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "linear_attention.json"
CASES = [(8, 40, 4096), (8, 40, 16384), (8, 40, 65536)]
CASES += [(10, 64, 4096), (10, 64, 16384), (10, 64, 65536)]
SOFTMAX_CASE = (8, 40, 16384)
SOFTMAX_ROUNDS = 3
# What the project promises: (heads, head dimension, tokens) and baseline to the least ratio.
TARGETS = {
    ((8, 40, 16384), "published order"): 1.2,
    ((8, 40, 65536), "published order"): 1.8,
    ((8, 40, 16384), "softmax"): 50.0,
}
Contender = Callable[[Tensor, Tensor, Tensor], Tensor]


def softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with PyTorch's own kernel, tokens before heads."""
    return scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)


def seconds(contenders: dict[str, Contender], inputs: list[Tensor], rounds: int) -> dict[str, list]:
    """Give the CPU seconds of every contender in every round, after one warm-up each."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for name, attend in contenders.items():
        if name != "softmax":  # a matter of seconds, which need no warm-up
            attend(*inputs)
    for _ in range(rounds):
        for name, attend in contenders.items():
            begin = time.thread_time()
            attend(*inputs)
            taken[name].append(time.thread_time() - begin)
    return taken


def compare(case: tuple[int, int, int], baseline: str, rounds: int) -> dict[str, object]:
    """Measure our kernel and one baseline in turn and give the ratio of their times."""
    heads, dim, tokens = case
    torch.manual_seed(0)
    inputs = [torch.randn(1, tokens, heads, dim) for _ in range(3)]
    rival = {"published order": linfusion, "softmax": softmax}[baseline]
    taken = seconds({"ours": linear_attention, baseline: rival}, inputs, rounds)
    ratios = [theirs / ours for ours, theirs in zip(taken["ours"], taken[baseline], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "heads": heads,
        "head_dim": dim,
        "tokens": tokens,
        "baseline": baseline,
        "rounds": rounds,
        "ratio": round(statistics.median(ratios), 2),
        "quartiles": [round(low, 2), round(high, 2)],
        "target": TARGETS.get((case, baseline)),
    }


def on_gpu(case: tuple[int, int, int], rounds: int) -> dict[str, object]:
    """Give the median milliseconds of one call on the first CUDA device, bfloat16."""
    heads, dim, tokens = case
    inputs = [
        torch.randn(2, tokens, heads, dim, device="cuda", dtype=torch.bfloat16) for _ in range(3)
    ]
    figures: dict[str, object] = {"heads": heads, "head_dim": dim, "tokens": tokens, "batch": 2}
    for name, attend in (("ours", linear_attention), ("published order", linfusion)):
        taken = []
        for _ in range(rounds + 3):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            attend(*inputs)
            torch.cuda.synchronize()
            taken.append(time.perf_counter() - begin)
        figures[f"{name} ms"] = round(statistics.median(taken[3:]) * 1e3, 3)
    return figures


def main() -> None:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Measure linear attention.")
    parser.add_argument("--rounds", type=int, default=21, help="half as many for the longest")
    parser.add_argument("--skip-softmax", action="store_true", help="leave the slow baseline out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    described = describe(("torch", "diffusers")) | {
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    plan = [
        (case, "published order", options.rounds if case[2] < 65536 else options.rounds // 2 + 1)
        for case in CASES
    ]
    if not options.skip_softmax:
        plan.append((SOFTMAX_CASE, "softmax", SOFTMAX_ROUNDS))
    figures = []
    print(f"{'heads x d':>10}{'tokens':>8}  {'baseline':<16}{'ratio':>8}", end="")
    print(f"{'quartiles':>18}{'target':>8}")
    with torch.inference_mode():
        for case, baseline, rounds in plan:
            row = compare(case, baseline, rounds)
            figures.append(row)
            low, high = row["quartiles"]
            shape = f"{case[0]} x {case[1]}"
            print(
                f"{shape:>10}{case[2]:>8}  {baseline:<16}{row['ratio']:>8}"
                f"{f'{low} .. {high}':>18}{row['target'] or '':>8}",
                flush=True,
            )
        gpu = [on_gpu(case, 20) for case in CASES] if torch.cuda.is_available() else []
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": described,
        "threads": 1,
        "dtype": "float32",
        "unit": "ratio of CPU times of the thread, baseline over ours",
        "figures": figures,
    }
    if gpu:
        result["gpu_milliseconds"] = gpu
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
