"""LiteFocus attention against full attention and against the published form.

    python benchmarks/focus_attention.py [--rounds 9] [--skip-unet] [--quick] [--device cuda]

The sizes are those of AudioLDM2's finest level (8 frequency rows, heads of 32 channels, a tenth of
the tokens shared), batch 1, float32, one thread, forward only. Contenders take turns within each
round; counted is CPU time of the thread, so that a busy machine slows all alike, and a ratio is the
median over rounds. Beside it stands the most memory that a call held beyond its inputs: of a
process of its own on the CPU, of the allocator on a GPU. Then whole denoisers. On a GPU: batch 2,
8 heads, bfloat16, milliseconds of the device, with Triton and compiled flex attention; so many
calls are queued between two events that launching them is hidden.
Writes benchmarks/results/focus_attention.json (or focus_attention_cuda.json).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from baselines import litefocus
from machine import describe
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub_litefocus import focus_indices, litefocus_attention

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FREQ_BINS, HEAD_DIM, RATIO = 8, 32, 0.1
# A band of 256 frames, 20 s of the finest level, and at most 256 shared tokens.
WINDOW, MOST_SHARED = 256, 256
FULL, SDPA, PUBLISHED = "eager full", "SDPA full", "published form"
# What the project promises: (seconds, ours, baseline) to the least ratio.
TARGETS = {(80, "rows", SDPA): 4.0, (80, "rows", PUBLISHED): 5.0}
FLEX = (10, 80, 320)  # seconds at which flex attention is compiled, which takes its time
GROWTH_TARGET = 5.0  # banded: 320 s against 80 s, at most
QUEUED = 5.0  # milliseconds of work on a GPU between two events, at least


@dataclass(frozen=True)
class Case:
    """One length of sound: frames of the finest level, and heads that fit in memory."""

    seconds: int
    frames: int
    heads: int
    batch: int = 1

    def inputs(self, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
        """Draw q, k, v as projections leave them: heads beside each other in memory."""
        torch.manual_seed(0)
        shape = (3, self.batch, self.frames * FREQ_BINS, self.heads, HEAD_DIM)
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        q, k, v = torch.randn(shape, device=device, dtype=dtype).transpose(2, 3)
        return q, k, v

    def shared(self, most: int | None = None) -> Tensor:
        """Draw the shared tokens."""
        count = int(self.frames * FREQ_BINS * RATIO)
        return focus_indices(self.frames, FREQ_BINS, count if most is None else min(most, count))


FRAMES = {10: 131, 20: 262, 40: 512, 80: 1024, 160: 2048, 320: 4096}
CASES = [Case(s, frames, heads=2 if s <= 80 else 1) for s, frames in FRAMES.items()]
CUDA_CASES = [Case(s, frames, heads=8, batch=2) for s, frames in FRAMES.items()]
Contender = Callable[[Tensor, Tensor, Tensor], Tensor]


def eager(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend to all tokens, with all scores in memory."""
    return (q @ k.transpose(-2, -1) * HEAD_DIM**-0.5).softmax(dim=-1) @ v


def operator(case: Case, device: str, backend: str, **settings: Any) -> Contender:
    """Give our operator with its shared tokens drawn beforehand, as the mixer calls it."""
    most = MOST_SHARED if "time_window" in settings else None
    indices = case.shared(most).to(device)
    return lambda q, k, v: litefocus_attention(
        q, k, v, freq_bins=FREQ_BINS, indices=indices, backend=backend, **settings
    )


def contenders(case: Case, device: str) -> dict[str, Contender]:
    """Give all that are compared at this length: forms that hold all scores only where they fit."""
    indices = case.shared().to(device)
    found: dict[str, Contender] = {}
    if case.seconds <= 80:
        found[FULL] = eager
    found[SDPA] = scaled_dot_product_attention
    if case.seconds <= 160:
        found[PUBLISHED] = lambda q, k, v: litefocus(q, k, v, indices, FREQ_BINS)
    found["rows"] = operator(case, device, "rows")
    found["rows, union"] = operator(case, device, "rows", duplicates="union")
    found["merge"] = operator(case, device, "merge")
    if device == "cuda":
        found["triton"] = operator(case, device, "triton")
        found["triton, union"] = operator(case, device, "triton", duplicates="union")
        if case.seconds in FLEX:
            found["flex, compiled"] = flex(case)
    found["banded"] = operator(case, device, "auto", time_window=WINDOW)
    return found


def flex(case: Case) -> Contender:
    """Give compiled flex attention over tokens in row order with the shared ones appended."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    tokens, frames = case.frames * FREQ_BINS, case.frames
    indices = case.shared().cuda()

    def seen(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key >= tokens) | (key // frames == query // frames)

    mask = create_block_mask(seen, None, None, tokens, tokens + len(indices), device="cuda")
    attend_blocks = torch.compile(flex_attention, dynamic=False)

    def in_rows(x: Tensor) -> Tensor:
        return x.unflatten(2, (frames, FREQ_BINS)).transpose(2, 3).flatten(2, 3)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = (torch.cat([in_rows(x), x[:, :, indices]], dim=2) for x in (k, v))
        out = attend_blocks(in_rows(q), keys, values, block_mask=mask)
        return out.unflatten(2, (FREQ_BINS, frames)).transpose(2, 3).flatten(2, 3)

    return attend


def milliseconds(run: Callable[[], object], device: str, calls: int = 1) -> float:
    """Time one call: CPU time of the thread, or a share of the time that a GPU took for `calls`."""
    if device == "cpu":
        begin = time.thread_time()
        run()
        return (time.thread_time() - begin) * 1e3
    begin_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    torch.cuda._sleep(int(QUEUED * 2e6))  # some 5 ms, in which the calls queue up
    begin_event.record()
    for _ in range(calls):
        run()
    end_event.record()
    torch.cuda.synchronize()
    return begin_event.elapsed_time(end_event) / calls


def calls_of(run: Callable[[], object], device: str) -> int:
    """Warm up, and say how many calls keep a GPU busy for QUEUED milliseconds."""
    run()
    if device == "cpu":
        return 1
    return math.ceil(QUEUED / max(milliseconds(run, device), 1e-3))


def interleaved(
    runs: dict[str, Callable[[], object]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Let all take turns, after a warm-up of each, and give the milliseconds of every round."""
    calls = {name: calls_of(run, device) for name, run in runs.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(milliseconds(run, device, calls[name]))
    return taken


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Give the median over rounds of how many times longer `slow` took."""
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2)


def compare(case: Case, rounds: int, device: str, memory: bool) -> list[dict[str, object]]:
    """Measure all contenders at one length."""
    inputs = case.inputs(device)
    found = contenders(case, device)
    runs = {name: lambda attend=attend: attend(*inputs) for name, attend in found.items()}
    taken = interleaved(runs, rounds, device)
    rows = []
    for name, times in taken.items():
        row: dict[str, object] = {
            "seconds": case.seconds,
            "tokens": case.frames * FREQ_BINS,
            "heads": case.heads,
            "contender": name,
            "milliseconds": round(statistics.median(times), 2 if device == "cpu" else 4),
            "of SDPA's speed": ratio(taken[SDPA], times),
        }
        if PUBLISHED in taken:
            row["of the published form's speed"] = ratio(taken[PUBLISHED], times)
        if memory:
            on_cpu = device == "cpu"
            row["peak MB"] = peak_of(case, name) if on_cpu else device_peak(runs[name])
        rows.append(row)
    return rows


def device_peak(run: Callable[[], object]) -> float:
    """Give the megabytes that one call allocates at most on the GPU."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)


def peak_of(case: Case, contender: str) -> float | None:
    """Give the megabytes that one call adds to a process of its own, inputs and result apart."""
    command = [sys.executable, __file__, "--peak", contender, "--seconds", str(case.seconds)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(found)


def print_peak(seconds: int, contender: str) -> None:
    """Print what `peak_of` reads: from Linux's own account of the process, else null."""
    case = next(case for case in CASES if case.seconds == seconds)
    small = Case(seconds, 2, heads=1)
    contenders(small, "cpu")[contender](*small.inputs())  # loads what the first call loads
    inputs, attend = case.inputs(), contenders(case, "cpu")[contender]
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        print("null")
        return
    reset.write_text("5", encoding="ascii")  # the peak begins anew at what is held now

    def kilobytes(field: str) -> int:
        line = next(x for x in status.read_text().splitlines() if x.startswith(field))
        return int(line.split()[1])

    before = kilobytes("VmRSS")
    result = attend(*inputs)
    grown = (kilobytes("VmHWM") - before) * 1024 - result.numel() * result.element_size()
    print(round(max(0, grown) / 1e6, 1))


def growth(rounds: int, device: str) -> dict[str, object]:
    """Say how much longer the banded form takes for four times the sound, heads being equal."""
    cases = CUDA_CASES if device == "cuda" else [Case(s, FRAMES[s], heads=2) for s in FRAMES]
    runs = {}
    for case in (case for case in cases if case.seconds in (80, 320)):
        inputs, attend = case.inputs(device), operator(case, device, "auto", time_window=WINDOW)
        runs[str(case.seconds)] = lambda attend=attend, inputs=inputs: attend(*inputs)
    taken = interleaved(runs, rounds, device)
    grown = ratio(taken["320"], taken["80"])
    return {"window": WINDOW, "shared": MOST_SHARED, "320 s over 80 s": grown,
            "at most": GROWTH_TARGET}  # fmt: skip


def against_targets(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Set the promised ratios beside those that were measured."""
    columns = {SDPA: "of SDPA's speed", PUBLISHED: "of the published form's speed"}
    return [
        {"seconds": seconds, "ours": ours, "baseline": baseline, "at least": least,
         "ratio": row[columns[baseline]]}
        for (seconds, ours, baseline), least in TARGETS.items()
        for row in rows
        if (row["seconds"], row["contender"]) == (seconds, ours)
    ]  # fmt: skip


def shown(rows: list[dict[str, object]]) -> None:
    """Print rows as a table."""
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)


def main() -> None:
    """Measure, print tables and write the results."""
    parser = argparse.ArgumentParser(description="Measure LiteFocus attention.")
    parser.add_argument("--rounds", type=int, default=9, help="a third as many for long sound")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--skip-unet", action="store_true", help="leave whole denoisers out")
    parser.add_argument("--quick", action="store_true", help="one round of short sound, unwritten")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        if options.peak:
            print_peak(options.seconds, options.peak)
            return
        result = measured(options)
    if not options.quick:
        path = RESULTS / f"focus_attention{'_cuda' if options.device == 'cuda' else ''}.json"
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"written to {path.relative_to(ROOT)}")


def measured(options: argparse.Namespace) -> dict[str, object]:
    """Measure everything that the options ask for."""
    device, figures = options.device, []
    cases = CASES if device == "cpu" else CUDA_CASES
    for case in cases[:2] if options.quick else cases:
        rounds = 1 if options.quick else options.rounds
        if device == "cpu" and case.seconds > 80:
            rounds = rounds // 3 + 1
        figures += compare(case, rounds, device, memory=not options.quick)
        shown(figures[-len(contenders(case, device)) :])
    result: dict[str, object] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(("torch", "diffusers"))
        | {"vector_instructions": torch.backends.cpu.get_cpu_capability()}
        | ({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}),
        "threads": 1,
        "dtype": "float32" if device == "cpu" else "bfloat16",
        "unit": "speed: times of SDPA, or of the published form, over those of the contender",
        "figures": figures,
    }
    if not options.quick:
        result["targets"] = against_targets(figures)
        result["linear in time"] = [growth(options.rounds, device)]
        shown([*result["targets"], *result["linear in time"]])
    if not options.skip_unet:
        from focus_unet import compare_unets  # brings diffusers along

        result["whole denoisers"] = compare_unets(options.quick, device)
        shown(result["whole denoisers"])
    return result


if __name__ == "__main__":
    main()
