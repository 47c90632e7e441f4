"""Focus attention as one Triton kernel: nothing is copied, gathered or permuted in memory.

A program computes a block of query frames of one frequency row. It walks the row's keys in time
order, a stride apart, and then the shared keys where they lie, under one streaming softmax.
Importing this module imports Triton; `kernels.drivers` decides whether that makes sense.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from genhub_litefocus.kernels.tiles import Tiling, memory_of, tiling

__all__ = ["MAX_HEAD_DIM", "focus_attention", "launch", "operator"]

MAX_HEAD_DIM = 128


@triton.jit
def _read(base, offsets, dim_stride, inside, HEAD_DIM: tl.constexpr, PADDED: tl.constexpr):
    """Load vectors at `offsets` as `[n, PADDED]`, with zeros beyond HEAD_DIM and not `inside`."""
    dims = tl.arange(0, PADDED)
    pointers = base + offsets[:, None] + (dims * dim_stride)[None, :]
    if inside is not None:
        return tl.load(pointers, mask=inside[:, None] & (dims < HEAD_DIM)[None, :], other=0.0)
    if PADDED != HEAD_DIM:
        return tl.load(pointers, mask=(dims < HEAD_DIM)[None, :], other=0.0)
    return tl.load(pointers)


@triton.jit
def _absorb(
    total, weight, top, queries, k_tile, v_tile, factor, seen, counts, PRECISION: tl.constexpr
):
    """Take one tile of keys into the running softmax: its numerator, denominator and maximum.

    Scores that are not `seen` `[queries or 1, keys]` are hidden. Keys whose `counts` `[keys]` are 0
    need values of zero too and scores that the maximum knows: that is less work than hiding them.
    """
    scores = tl.dot(queries, tl.trans(k_tile), input_precision=PRECISION)
    if seen is not None:
        scores = tl.where(seen, scores, float("-inf"))
    higher = tl.maximum(top, tl.max(scores, 1))
    shares = tl.exp2(scores * factor - (higher * factor)[:, None])
    fade = tl.exp2((top - higher) * factor)
    counted = shares
    if counts is not None:
        counted = shares * counts[None, :]
    weight = weight * fade + tl.sum(counted, 1)
    total *= fade[:, None]
    total = tl.dot(shares.to(v_tile.dtype), v_tile, total, input_precision=PRECISION)
    return total, weight, higher


@triton.jit
def _own_row(
    total, weight, top, queries, k, v, k_time, v_time, k_dim, v_dim,
    low, high, opens, closes, factor,
    HEAD_DIM: tl.constexpr, PADDED: tl.constexpr, KEYS: tl.constexpr,
    RAGGED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Absorb the frames from `low` to `high` of one row, whose first frame is at `k` and `v`."""
    columns = tl.arange(0, KEYS)
    whole = low + (high - low) // KEYS * KEYS
    if RAGGED:
        whole = low
    for at in range(low, whole, KEYS):
        keys = (at + columns).to(tl.int64)
        k_tile = _read(k, keys * k_time, k_dim, None, HEAD_DIM, PADDED)
        v_tile = _read(v, keys * v_time, v_dim, None, HEAD_DIM, PADDED)
        total, weight, top = _absorb(
            total, weight, top, queries, k_tile, v_tile, factor, None, None, PRECISION
        )
    for at in range(whole, high, KEYS):
        keys = at + columns
        inside = keys < high
        seen = inside[None, :]
        if RAGGED:
            seen = seen & (keys[None, :] >= opens[:, None]) & (keys[None, :] < closes[:, None])
        wide = keys.to(tl.int64)
        k_tile = _read(k, wide * k_time, k_dim, inside, HEAD_DIM, PADDED)
        v_tile = _read(v, wide * v_time, v_dim, inside, HEAD_DIM, PADDED)
        total, weight, top = _absorb(
            total, weight, top, queries, k_tile, v_tile, factor, seen, None, PRECISION
        )
    return total, weight, top


@triton.jit
def _new_keys(
    tokens, row, frames, opens, closes,
    FREQ_BINS: tl.constexpr, ROWS_FAST: tl.constexpr, BANDED: tl.constexpr,
):  # fmt: skip
    """Tell which `tokens` do not lie between the frames `opens` and `closes` of the row.

    Nothing here divides by what only the launch knows: that would outweigh the products.
    """
    first, steps = row * frames + opens, closes - opens
    if ROWS_FAST:
        first, steps = opens * FREQ_BINS + row, steps * FREQ_BINS
    # Unsigned, so that one comparison tells what lies before from what lies after; in the own row
    # the order of tokens is that of their frames.
    beyond = (tokens - first).to(tl.uint32) >= steps.to(tl.uint32)
    if not ROWS_FAST:
        return beyond
    if FREQ_BINS & (FREQ_BINS - 1) == 0:
        other = (tokens ^ row) & (FREQ_BINS - 1) != 0
    else:
        other = (tokens.to(tl.uint32) % FREQ_BINS).to(tl.int32) != row
    return other | beyond if BANDED else other


@triton.jit
def _shared_tile(
    total, weight, top, queries, k, v, k_token, v_token, k_dim, v_dim,
    shared, at, count, row, frames, opens, closes, factor,
    HEAD_DIM: tl.constexpr, PADDED: tl.constexpr, KEYS: tl.constexpr, REST: tl.constexpr,
    ONCE: tl.constexpr, FREQ_BINS: tl.constexpr, ROWS_FAST: tl.constexpr,
    WINDOWED: tl.constexpr, RAGGED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Absorb the tokens listed in `shared` from `at` on: KEYS of them, or a REST up to `count`."""
    places = at + tl.arange(0, KEYS)
    inside, seen, counts = None, None, None
    if REST:
        inside = places < count
        seen = inside[None, :]
        tokens = tl.load(shared + places, mask=inside, other=0)
    else:
        tokens = tl.load(shared + places)
    k_tile = _read(k, tokens * k_token, k_dim, inside, HEAD_DIM, PADDED)
    valued = inside
    if ONCE:
        narrow = tokens.to(tl.int32)
        if RAGGED:
            new = _new_keys(
                narrow[None, :], row, frames, opens[:, None], closes[:, None],
                FREQ_BINS, ROWS_FAST, True,
            )  # fmt: skip
            seen = new & seen if REST else new
        else:
            new = _new_keys(narrow, row, frames, opens, closes, FREQ_BINS, ROWS_FAST, WINDOWED)
            counts = tl.where(new, 1.0, 0.0)
            # Joined and reduced, so that a key is judged once and the answer handed round: else
            # every thread that holds scores of the key judges it again, in registers of its own.
            counts = tl.max(tl.join(counts, counts), 1)
            valued = new & inside if REST else new
    v_tile = _read(v, tokens * v_token, v_dim, valued, HEAD_DIM, PADDED)
    return _absorb(total, weight, top, queries, k_tile, v_tile, factor, seen, counts, PRECISION)


@triton.jit
def _shared_keys(
    total, weight, top, queries, k, v, k_token, v_token, k_dim, v_dim,
    shared, count, row, frames, opens, closes, factor,
    HEAD_DIM: tl.constexpr, PADDED: tl.constexpr, KEYS: tl.constexpr, ONCE: tl.constexpr,
    FREQ_BINS: tl.constexpr, ROWS_FAST: tl.constexpr, WINDOWED: tl.constexpr,
    RAGGED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Absorb the tokens listed in `shared`; ONCE leaves out what the own row has given already."""
    whole = count // KEYS * KEYS
    for at in range(0, whole, KEYS):
        total, weight, top = _shared_tile(
            total, weight, top, queries, k, v, k_token, v_token, k_dim, v_dim,
            shared, at, count, row, frames, opens, closes, factor,
            HEAD_DIM, PADDED, KEYS, False,
            ONCE, FREQ_BINS, ROWS_FAST, WINDOWED, RAGGED, PRECISION,
        )  # fmt: skip
    if whole < count:
        total, weight, top = _shared_tile(
            total, weight, top, queries, k, v, k_token, v_token, k_dim, v_dim,
            shared, whole, count, row, frames, opens, closes, factor,
            HEAD_DIM, PADDED, KEYS, True,
            ONCE, FREQ_BINS, ROWS_FAST, WINDOWED, RAGGED, PRECISION,
        )  # fmt: skip
    return total, weight, top


# What only bounds loops is not specialised on, so that another length compiles nothing.
@triton.jit(do_not_specialize=["frames", "rows", "heads", "count", "window"])
def _focus_kernel(
    q, k, v, out, shared, factor, frames, rows, heads, count, window,
    q_batch, q_head, q_time, q_row, q_dim,
    k_batch, k_head, k_time, k_row, k_dim,
    v_batch, v_head, v_time, v_row, v_dim,
    out_batch, out_head, out_time, out_row, out_dim,
    HEAD_DIM: tl.constexpr, PADDED: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr,
    SAME: tl.constexpr, UNION: tl.constexpr, FREQ_BINS: tl.constexpr, ROWS_FAST: tl.constexpr,
    WINDOWED: tl.constexpr, RAGGED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Attend for QUERIES frames of one row of one head.

    RAGGED: the queries of a program may lie in different blocks of `window` frames, so that each
    has a band of its own, from `opens` to `closes`; else these are numbers, shared by all.
    FREQ_BINS: the rows once more, where UNION divides by them, else 0.
    """
    blocks = tl.cdiv(frames, QUERIES)
    program = tl.program_id(0)
    start = program % blocks * QUERIES
    row = program // blocks % rows
    item = program // (blocks * rows)
    batch, head, line = (item // heads).to(tl.int64), (item % heads).to(tl.int64), row.to(tl.int64)
    times = start + tl.arange(0, QUERIES)
    present = times < frames
    q += batch * q_batch + head * q_head + line * q_row
    k += batch * k_batch + head * k_head
    v += batch * v_batch + head * v_head
    queries = _read(q, times.to(tl.int64) * q_time, q_dim, present, HEAD_DIM, PADDED)

    # A finite floor: a tile in which a query sees nothing must not give inf - inf.
    top = tl.full([QUERIES], -1e30, tl.float32)
    weight = tl.zeros([QUERIES], tl.float32)
    total = tl.zeros([QUERIES, PADDED], tl.float32)
    low, high = 0, frames
    if WINDOWED:
        last = (tl.minimum(start + QUERIES, frames) - 1) // window
        low = tl.maximum(start // window - 1, 0) * window
        high = tl.minimum((last + 2) * window, frames)
    opens, closes = low, high
    if RAGGED:
        block = tl.minimum(times, frames - 1) // window
        opens = tl.maximum(block - 1, 0) * window
        closes = tl.minimum((block + 2) * window, frames)
    if SAME:
        total, weight, top = _own_row(
            total, weight, top, queries, k + line * k_row, v + line * v_row,
            k_time, v_time, k_dim, v_dim, low, high, opens, closes, factor,
            HEAD_DIM, PADDED, KEYS, RAGGED, PRECISION,
        )  # fmt: skip
    # Token n lies at n times the stride of the faster of its two axes.
    k_token, v_token = k_time, v_time
    if ROWS_FAST:
        k_token, v_token = k_row, v_row
    total, weight, top = _shared_keys(
        total, weight, top, queries, k, v, k_token, v_token, k_dim, v_dim,
        shared, count, row, frames, opens, closes, factor,
        HEAD_DIM, PADDED, KEYS, UNION and SAME, FREQ_BINS, ROWS_FAST, WINDOWED, RAGGED, PRECISION,
    )  # fmt: skip

    dims = tl.arange(0, PADDED)
    out += batch * out_batch + head * out_head + line * out_row
    pointers = out + (times.to(tl.int64) * out_time)[:, None] + (dims * out_dim)[None, :]
    inside = present[:, None] & (dims < HEAD_DIM)[None, :]
    tl.store(pointers, (total / weight[:, None]).to(out.dtype.element_ty), mask=inside)


def _strides(x: Tensor, frames: int, freq_bins: int, layout: str) -> tuple[int, ...]:
    """Return the strides of batch, head, time, frequency row and head dimension."""
    batch, head, token, dim = x.stride()
    if layout == "tf":
        return batch, head, freq_bins * token, token, dim
    return batch, head, token, frames * token, dim


def launch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    *,
    freq_bins: int,
    scale: float,
    same_frequency: bool,
    duplicates: str,
    layout: str,
    time_window: int | None,
    tiles: Tiling | None = None,
) -> Tensor:
    """Run the kernel; `tiles` of None are those of `tiling`."""
    batch, heads, tokens, dim = q.shape
    frames = tokens // freq_bins
    tiles = tiles or tiling(q.dtype, dim, frames, memory_of(q.device))
    if scale < 0:
        q, scale = -q, -scale
    windowed = same_frequency and time_window is not None and time_window < frames
    window = time_window if windowed and time_window is not None else frames
    shared = q.new_empty(0, dtype=torch.int64) if indices is None else indices.contiguous()
    out = torch.empty_like(q)
    grid = (triton.cdiv(frames, tiles.queries) * freq_bins * batch * heads,)
    with torch.cuda.device_of(q):
        _focus_kernel[grid](
            *(q, k, v, out, shared),
            # Above zero, because a masked score of -inf times zero is not a number.
            max(scale * math.log2(math.e), 1e-30),
            *(frames, freq_bins, heads, shared.numel(), window),
            *(stride for x in (q, k, v, out) for stride in _strides(x, frames, freq_bins, layout)),
            HEAD_DIM=dim,
            PADDED=max(16, triton.next_power_of_2(dim)),
            QUERIES=tiles.queries,
            KEYS=tiles.keys,
            SAME=same_frequency,
            UNION=duplicates == "union",
            FREQ_BINS=freq_bins if duplicates == "union" else 0,
            ROWS_FAST=layout == "tf",
            WINDOWED=windowed,
            RAGGED=windowed and window % tiles.queries != 0,
            PRECISION=tiles.precision,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
        )
    return out


def _interpreted() -> bool:
    return not isinstance(_focus_kernel, triton.JITFunction)


@torch.library.custom_op("genhub_litefocus::focus_triton", mutates_args=())
def operator(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    freq_bins: int,
    scale: float,
    same_frequency: bool,
    duplicates: str,
    layout: str,
    time_window: int | None,
) -> Tensor:
    """Run the kernel as an operator that `torch.compile` leaves whole."""
    dtype = q.dtype
    if dtype == torch.bfloat16 and _interpreted():
        # Triton's interpreter multiplies the bit patterns of bfloat16 as integers.
        q, k, v = q.float(), k.float(), v.float()
    out = launch(
        q, k, v, indices, freq_bins=freq_bins, scale=scale, same_frequency=same_frequency,
        duplicates=duplicates, layout=layout, time_window=time_window,
    )  # fmt: skip
    return out.to(dtype)


@operator.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    freq_bins: int,
    scale: float,
    same_frequency: bool,
    duplicates: str,
    layout: str,
    time_window: int | None,
) -> Tensor:
    return torch.empty_like(q)


def focus_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    *,
    freq_bins: int,
    scale: float | None = None,
    same_frequency: bool = True,
    duplicates: str = "count",
    layout: str = "tf",
    time_window: int | None = None,
) -> Tensor:
    """Attend to the own frequency row and to shared keys in one Triton kernel; forward only.

    Takes what `genhub_litefocus.litefocus_attention` takes and has checked: q, k, v
    `[B, H, N, d]` of float32, float16 or bfloat16 with any strides, d up to 128; `indices` int64
    `[K]`, or None without shared keys. Accumulates in float32. Raises ValueError for a head too
    wide or another dtype, and RuntimeError where a gradient is asked for. Method: LiteFocus,
    arXiv 2407.10468.
    """
    _check(q, k, v)
    if indices is not None and indices.numel() == 0:
        indices = None
    scale = q.shape[3] ** -0.5 if scale is None else float(scale)
    return operator(
        *(q, k, v, indices),
        *(freq_bins, scale, same_frequency, duplicates, layout, time_window),
    )


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    if q.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(
            f"q is {q.dtype}: the triton kernel takes float32, float16 and bfloat16; choose "
            "backend='rows'."
        )
    if q.shape[3] > MAX_HEAD_DIM:
        raise ValueError(
            f"the head dimension is {q.shape[3]}: the triton kernel takes up to {MAX_HEAD_DIM}; "
            "choose backend='rows'."
        )
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
        raise RuntimeError(
            "the triton kernel has no gradient: choose backend='rows' or 'auto' where you "
            "differentiate."
        )
