"""The public operator: checks what it is given and hands it to a kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from genhub.api import Kernel
from genhub_litefocus.kernels.drivers import DenseKernel, MergeKernel, RowsKernel, TritonKernel
from genhub_litefocus.kernels.tokens import LAYOUTS, Layout

__all__ = ["BACKENDS", "litefocus_attention"]

DUPLICATES = ("count", "union")
_KERNELS: dict[str, Kernel] = {
    "dense": DenseKernel(),
    "rows": RowsKernel(),
    "merge": MergeKernel(),
    "triton": TritonKernel(),
}
BACKENDS = ("auto", *_KERNELS)


def litefocus_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    freq_bins: int,
    indices: Tensor | None = None,
    scale: float | None = None,
    same_frequency: bool = True,
    cross_frequency: bool = True,
    duplicates: str = "count",
    layout: Layout = "tf",
    time_window: int | None = None,
    backend: str = "auto",
) -> Tensor:
    """Let each token attend to its own frequency row and to a few tokens that all queries share.

    q, k, v `[B, H, N, d]` with any strides hold N = T frames x F `freq_bins` tokens: time-major,
    n = t*F + f (`layout="tf"`), or frequency-major, n = f*T + t (`"ft"`). Token n attends to S_n,
    the T tokens of its row, and to C, the tokens `indices` (int64 `[K]`, none twice; K may be 0),
    in one softmax of `scale` q . k (default d^-0.5). With `duplicates="count"` a key in both
    takes part twice, as in the published code; with `"union"` once, as in the paper. Without
    `same_frequency` only C is seen, without `cross_frequency` only S_n. `time_window` (frames)
    keeps of S_n the query's block of that length and its two neighbours: linear in T; from T / 2 on
    it changes nothing. The result has the shape and dtype of q; half precision is accumulated in
    float32.

    `backend` is "rows", "merge", "triton" (CUDA, forward only), "dense" (the plain equation) or
    "auto": triton where it runs and no gradient is asked for, else rows, which no CPU shape was
    seen to favour another over.

    Raises ValueError for arguments that do not fit. That indices are in range and differ is checked
    on the CPU alone, where it costs nothing: an accelerator would have to be waited for.
    Method: LiteFocus, arXiv 2407.10468, section 3.

    >>> import torch
    >>> from genhub_litefocus import focus_indices
    >>> q, k, v = torch.randn(3, 1, 2, 4 * 8, 16)
    >>> chosen = focus_indices(frames=4, freq_bins=8, count=3)
    >>> litefocus_attention(q, k, v, freq_bins=8, indices=chosen).shape
    torch.Size([1, 2, 32, 16])
    """
    _check_tensors(q, k, v)
    _check_grid(q, freq_bins, time_window)
    _check_word("layout", layout, LAYOUTS)
    _check_word("duplicates", duplicates, DUPLICATES)
    _check_word("backend", backend, BACKENDS)
    indices = _shared(indices, q) if cross_frequency else None
    if not same_frequency and (indices is None or indices.shape[0] == 0):
        raise ValueError(
            "a query would see no key at all: turn same_frequency on, or cross_frequency on and "
            "pass at least one index."
        )
    kernel = _KERNELS[_automatic(q, k, v) if backend == "auto" else _usable(backend, q)]
    return kernel(
        q, k, v, indices, freq_bins=freq_bins, scale=scale, same_frequency=same_frequency,
        duplicates=duplicates, layout=layout, time_window=time_window,
    )  # fmt: skip


def _automatic(q: Tensor, k: Tensor, v: Tensor) -> str:
    differentiated = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if q.device.type != "cuda" or differentiated or _refusal("triton", q) is not None:
        return "rows"
    return "triton"


def _usable(backend: str, q: Tensor) -> str:
    why_not = _refusal(backend, q)
    if why_not is not None:
        raise ValueError(
            f"backend {backend!r} cannot be used: {why_not}; choose another or 'auto'."
        )
    return backend


def _refusal(backend: str, q: Tensor) -> str | None:
    return _unavailable(backend) or _KERNELS[backend].supports(
        device=q.device.type, dtype=q.dtype, head_dim=q.shape[-1]
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _unavailable(backend: str) -> str:
    available = _KERNELS[backend].available()
    return "" if available.ok else available.reason


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}.")


def _check_tensors(q: Tensor, k: Tensor, v: Tensor) -> None:
    if q.ndim != 4:
        raise ValueError(
            f"q has shape {tuple(q.shape)}: expected four axes, batch, heads, tokens and head "
            "dimension."
        )
    if not q.is_floating_point():
        raise ValueError(f"q is {q.dtype}: expected a floating-point tensor.")
    for name, x in (("k", k), ("v", v)):
        if x.shape != q.shape or x.dtype != q.dtype or x.device != q.device:
            raise ValueError(
                f"q, k and v must agree in shape, dtype and device: q is {tuple(q.shape)} "
                f"{q.dtype} on {q.device}, {name} is {tuple(x.shape)} {x.dtype} on {x.device}."
            )


def _check_grid(q: Tensor, freq_bins: int, time_window: int | None) -> None:
    if freq_bins < 1:
        raise ValueError(f"freq_bins is {freq_bins}: a grid has at least one frequency row.")
    if q.shape[2] == 0 or q.shape[2] % freq_bins:
        raise ValueError(
            f"{q.shape[2]} tokens do not make whole frames of {freq_bins} frequency bins: is "
            "freq_bins that of this level, and the layout right?"
        )
    if time_window is not None and time_window < 1:
        raise ValueError(
            f"time_window is {time_window}: give at least one frame, or None for whole rows."
        )


def _shared(indices: Tensor | None, q: Tensor) -> Tensor | None:
    """Give the indices on the device of q; values are looked at where that does not wait."""
    if indices is None:
        return None
    if indices.ndim != 1 or indices.dtype != torch.int64:
        raise ValueError(
            f"indices is {indices.dtype} of shape {tuple(indices.shape)}: expected int64 [K]."
        )
    if not torch.compiler.is_compiling() and indices.device.type == "cpu" and indices.shape[0]:
        ordered = indices.sort().values
        low, high = int(ordered[0]), int(ordered[-1])
        if low < 0 or high >= q.shape[2]:
            outside = low if low < 0 else high
            raise ValueError(f"indices hold {outside}: there are tokens 0 to {q.shape[2] - 1}.")
        if bool((ordered.diff() == 0).any()):
            raise ValueError("indices hold a token twice: each may be drawn once.")
    return indices.to(q.device)
