"""Search the tiles of focus attention's Triton kernel on a GPU.

    python benchmarks/focus_tiles.py [--quick]

The inputs are those of AudioLDM2's attention over sound (batch 2, 8 heads, 8 frequency rows, a
tenth of the tokens shared). Every tiling is timed at 8192 tokens and the five fastest at 32768,
beside full attention (SDPA) and rows by SDPA; medians of milliseconds of the device, of which
Triton's benchmark hides the launching. Then the kernel's modes on the fastest tiling, and for
float32 the error of each precision against float64. Tilings that a device cannot hold say so.
Writes benchmarks/results/focus_tiles_cuda.json.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import triton
from machine import describe
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub_litefocus import litefocus_attention
from genhub_litefocus.kernels.tiles import Tiling, tiling
from genhub_litefocus.kernels.triton_rows import launch

ROOT = Path(__file__).resolve().parent.parent
BATCH, HEADS, FREQ_BINS, RATIO = 2, 8, 8, 0.1
SHORT, LONG, FASTEST = 8192, 32768, 5
HALF = [
    Tiling(queries, keys, warps, stages)
    for queries, keys, warps in (
        *((64, 32, 4), (64, 64, 4), (64, 128, 4), (128, 32, 4), (128, 64, 4)),
        *((128, 64, 8), (128, 128, 4), (128, 128, 8), (256, 64, 8)),
    )
    for stages in (2, 3)
]
FULL = [
    Tiling(queries, keys, warps, 2, precision)
    for queries, keys, warps in ((32, 32, 4), (64, 32, 4), (64, 64, 4), (128, 32, 4), (128, 32, 8))
    for precision in ("ieee", "tf32x3", "tf32")
]
CASES = [("bfloat16", 32), ("bfloat16", 64), ("bfloat16", 128), ("float16", 32), ("float32", 32)]
PLAIN = {"same_frequency": True, "duplicates": "count", "layout": "tf", "time_window": None}
Row = dict[str, Any]


def draw(dtype: str, tokens: int, dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw q, k, v as projections leave them, and the shared tokens in order."""
    generator = torch.Generator("cuda").manual_seed(0)
    q, k, v = (
        torch.randn(BATCH, tokens, HEADS, dim, device="cuda", generator=generator)
        .to(getattr(torch, dtype))
        .transpose(1, 2)
        for _ in range(3)
    )
    drawn = torch.randperm(tokens, generator=torch.Generator().manual_seed(1))
    return q, k, v, drawn[: int(tokens * RATIO)].sort().values.cuda()


def milliseconds(run: Callable[[], object]) -> float:
    """Give the median time of a call."""
    return float(triton.testing.do_bench(run, warmup=20, rep=60, return_mode="median"))


def attend(
    q: Tensor, k: Tensor, v: Tensor, shared: Tensor | None, tiles: Tiling | None, **changes: Any
) -> Tensor:
    """Run the kernel with these tiles, or with those of its table."""
    return launch(
        *(q, k, v, shared),
        freq_bins=FREQ_BINS,
        scale=q.shape[3] ** -0.5,
        tiles=tiles,
        **{**PLAIN, **changes},
    )


def error_of(seen: Tensor, q: Tensor, k: Tensor, v: Tensor, shared: Tensor) -> float:
    """Give the largest error of the first frequency row against float64."""
    own = slice(0, None, FREQ_BINS)
    q, k, v = (x.double() for x in (q, k, v))
    keys, values = (torch.cat([x[:, :, own], x[:, :, shared]], dim=2) for x in (k, v))
    wanted = scaled_dot_product_attention(q[:, :, own], keys, values)
    return (seen[:, :, own].double() - wanted).abs().max().item()


def timed(inputs: tuple[Tensor, ...], tiles: Tiling) -> Row:
    """Time one tiling, or say why it does not run."""
    row: Row = {"what": "triton", "tiles": asdict(tiles)}
    try:
        seen = attend(*inputs, tiles)
        row["milliseconds"] = milliseconds(lambda: attend(*inputs, tiles))
    except (RuntimeError, triton.runtime.errors.OutOfResources) as refused:
        return row | {"refused": str(refused).splitlines()[0]}
    if inputs[0].dtype == torch.float32:
        row["error"] = error_of(seen, *inputs)
    return row


def fastest(rows: list[Row], count: int) -> list[Tiling]:
    """Give the fastest tilings, first the best."""
    ran = [row for row in rows if "milliseconds" in row]
    ran.sort(key=lambda row: row["milliseconds"])
    return [Tiling(**row["tiles"]) for row in ran[:count]]


def baselines(inputs: tuple[Tensor, ...]) -> list[Row]:
    """Time full attention and rows by fused attention, and the kernel with its own table."""
    q, k, v, shared = inputs
    runs: dict[str, Callable[[], object]] = {
        "sdpa": lambda: scaled_dot_product_attention(q, k, v),
        "rows by sdpa": lambda: litefocus_attention(
            q, k, v, freq_bins=FREQ_BINS, indices=shared, backend="rows"
        ),
        "triton, its table": lambda: attend(*inputs, None),
    }
    return [{"what": name, "milliseconds": milliseconds(run)} for name, run in runs.items()]


def modes(inputs: tuple[Tensor, ...], tiles: Tiling) -> list[Row]:
    """Time every mode of the kernel on one tiling."""
    q, k, v, shared = inputs
    run_of_tokens = torch.arange(len(shared), device="cuda")
    settings: dict[str, tuple[Tensor | None, Row]] = {
        "union": (shared, {"duplicates": "union"}),
        "union, layout ft": (shared, {"duplicates": "union", "layout": "ft"}),
        "own row only": (None, {}),
        "shared only": (shared, {"same_frequency": False}),
        "shared in a run": (run_of_tokens, {}),
        "window 256 K=256": (shared[:256], {"time_window": 256}),
        "layout ft": (shared, {"layout": "ft"}),
    }
    return [
        {
            "what": f"triton best, {name}",
            "milliseconds": milliseconds(
                lambda keys=keys, changes=changes: attend(q, k, v, keys, tiles, **changes)
            ),
        }
        for name, (keys, changes) in settings.items()
    ]


def search(dtype: str, dim: int, lengths: list[int], tilings: list[Tiling]) -> list[Row]:
    """Time tilings at the first length, and the fastest of them at the next."""
    found: list[Row] = []
    for tokens in lengths:
        inputs = draw(dtype, tokens, dim)
        rows = baselines(inputs) + [timed(inputs, tiles) for tiles in tilings]
        tilings = fastest(rows[3:], FASTEST)
        if tilings and (dtype, dim) == CASES[0]:
            rows += modes(inputs, tilings[0])
        base = {"dtype": dtype, "head_dim": dim, "tokens": tokens}
        found += [base | row for row in rows]
        show(found[-len(rows) :])
    return found


def in_words(tiles: dict[str, Any]) -> str:
    """Give queries, keys, warps, stages and precision as one text."""
    return " ".join(map(str, tiles.values()))


def show(rows: list[Row]) -> None:
    """Print a table, the fastest first."""
    print("--", rows[0]["dtype"], "d =", rows[0]["head_dim"], "N =", rows[0]["tokens"])
    for row in sorted(rows, key=lambda row: row.get("milliseconds", math.inf)):
        tiles = in_words(row["tiles"]) if "tiles" in row else ""
        time = f"{row['milliseconds']:9.4f} ms" if "milliseconds" in row else row["refused"]
        print(f"  {row['what']:32s} {tiles:20s} {time}", flush=True)


def main() -> None:
    """Search, print tables and write the results."""
    parser = argparse.ArgumentParser(description="Search tiles of the Triton kernel.")
    parser.add_argument("--quick", action="store_true", help="a few tilings, unwritten")
    quick = parser.parse_args().quick
    if not torch.cuda.is_available():
        raise SystemExit("a CUDA device is needed: torch.cuda.is_available() is False")
    rows: list[Row] = []
    with torch.inference_mode():
        for dtype, dim in CASES[:1] if quick else CASES:
            short = dtype == "float32" or quick
            tilings = FULL if dtype == "float32" else HALF
            tilings = (
                [tiling(getattr(torch, dtype), dim, SHORT), *tilings[:2]] if quick else tilings
            )
            rows += search(dtype, dim, [SHORT] if short else [SHORT, LONG], tilings)
    if quick:
        return
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(("torch", "triton")) | {"gpu": torch.cuda.get_device_name()},
        "inputs": {"batch": BATCH, "heads": HEADS, "freq_bins": FREQ_BINS, "shared": RATIO},
        "tiles": "queries, keys, warps, stages, precision",
        "rows": [
            row | {"tiles": in_words(row["tiles"])} if "tiles" in row else row for row in rows
        ],
    }
    path = ROOT / "benchmarks" / "results" / "focus_tiles_cuda.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
