"""What entry points name: the kernels of `focus_attention`; imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from genhub.api import Availability, Kernel, KernelCase

__all__ = ["DenseKernel", "MergeKernel", "RowsKernel", "TritonKernel"]


class DenseKernel(Kernel):
    """The equation, with all N x N scores."""

    reference = True

    def cases(self) -> Iterable[KernelCase]:
        """Give both layouts, both meanings of duplicates, bands, and lone terms."""
        from genhub_litefocus.kernels.cases import cases

        return cases()

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `litefocus_attention(q, k, v, indices, ...)`."""
        from genhub_litefocus import reference

        return reference.litefocus_attention(*tensors, **attrs)


class RowsKernel(Kernel):
    """One fused attention per frequency row, the shared keys appended to it."""

    priority = 20

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `litefocus_attention(q, k, v, indices, ...)`."""
        from genhub_litefocus.kernels import rows

        return rows.focus_attention(*tensors, **attrs)


class MergeKernel(Kernel):
    """Own row and shared keys in two fused passes, joined by their log-sum-exps."""

    priority = 10

    def supports(self, **what: Any) -> str | None:
        """Name what no fused attention gives a log-sum-exp for."""
        device, dtype, dim = (what.get(name) for name in ("device", "dtype", "head_dim"))
        if device is None or device == "cpu":
            return None
        if device != "cuda":
            return f"no fused attention on {device!r} returns its log-sum-exp"
        if str(dtype) == "torch.float64":
            return "no fused attention on CUDA serves float64"
        if isinstance(dim, int) and (dim % 8 or dim > 256):
            return f"fused attention on CUDA wants multiples of 8 up to 256 for heads, not {dim}"
        return None

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `litefocus_attention(q, k, v, indices, ...)`."""
        from genhub_litefocus.kernels import merge

        return merge.focus_attention(*tensors, **attrs)


class TritonKernel(Kernel):
    """One program per block of a row; nothing is copied or permuted. Forward only."""

    differentiable = False
    # In Triton's interpreter it is for checking results, and the slowest by far.
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    priority = -10 if interpreted else 30

    def available(self) -> Availability:
        """Ask for Triton, and for a CUDA device or Triton's interpreter."""
        if find_spec("triton") is None:
            return Availability(False, "the package triton is not installed")
        if self.interpreted:
            return Availability(True)
        import torch

        if not torch.cuda.is_available():
            return Availability(
                False, "there is no CUDA device (TRITON_INTERPRET=1 runs it on the CPU, slowly)"
            )
        return Availability(True)

    def supports(self, **what: Any) -> str | None:
        """Serve CUDA tensors, those of the CPU in the interpreter, and not float64."""
        device = what.get("device")
        served = ("cpu", "cuda") if self.interpreted else ("cuda",)
        if device is not None and device not in served:
            return f"it runs on {' and '.join(served)}, not on {device!r}"
        if str(what.get("dtype")) == "torch.float64":
            return "it accumulates in float32: float64 is for dense, rows and merge"
        dim = what.get("head_dim")
        if isinstance(dim, int) and dim > 128:
            return f"it takes head dimensions up to 128, not {dim}"
        return None

    def __call__(self, *tensors: Any, **attrs: Any) -> Any:
        """Compute `litefocus_attention(q, k, v, indices, ...)`."""
        from genhub_litefocus.kernels import triton_rows

        return triton_rows.focus_attention(*tensors, **attrs)
