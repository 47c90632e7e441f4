"""Compare pictures as arrays [H, W, C] of 8-bit values: PSNR, and SSIM (Wang et al. 2004)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["open_picture", "psnr", "ssim"]

PEAK = 255.0
# Window, its spread in pixels, and the constants that keep fractions finite, as published.
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def open_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as [H, W, 3]; raises OSError, ValueError or SyntaxError where it is none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Give the peak signal-to-noise ratio in dB; infinite for equal pictures."""
    _same_shape(a, b)
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def ssim(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Give the mean structural similarity over windows that lie inside, and over channels.

    Gaussian windows of 11 x 11 pixels, sigma 1.5, population statistics. Raises ValueError for
    pictures smaller than a window.
    """
    _same_shape(a, b)
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} x {WINDOW} pixels, got {a.shape[0]} x {a.shape[1]}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    cov = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * cov + C2) / (var_x + var_y + C2)
    return float(np.mean(luminance * structure))


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the Gaussian window, rows then columns, where it lies inside."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=axis)
        x = windows @ weights
    return x


def _same_shape(a: NDArray[Any], b: NDArray[Any]) -> None:
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared")
