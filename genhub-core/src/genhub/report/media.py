"""Pictures for the page: small enough to travel inside it, and what two of them differ in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genhub.metrics.pictures import WINDOW, open_picture, psnr, ssim

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SHOWN",
    "SHOWN_BESIDE",
    "Difference",
    "Picture",
    "difference_scale",
    "embed",
    "embed_difference",
    "measure",
]

SMALL = 160  # pixels; up to this side pictures are shown enlarged, pixel by pixel
LARGEST = 640  # pixels of the longer side that is put into the page
SHOWN = 192  # pixels on the page
SHOWN_BESIDE = 128  # where several stand side by side


@dataclass(frozen=True)
class Picture:
    """What the page shows of one picture: the file itself stays beside the page."""

    uri: str
    width: int  # pixels on the page
    height: int
    pixelated: bool


@dataclass(frozen=True)
class Difference:
    """What two pictures differ in: figures, and the largest deviation per pixel [H, W]."""

    psnr: float
    ssim: float | None  # None where pictures are smaller than its window
    deviation: NDArray[np.uint8]


def embed(path: Path, side: int = SHOWN) -> Picture:
    """Bring a picture into the page, about `side` pixels wide, without the texts in its file."""
    from PIL import Image

    with Image.open(path) as image:
        return _picture(image.convert("RGB"), side)


def measure(one: Path, other: Path) -> Difference | None:
    """Compare two pictures; None where their sizes differ."""
    a, b = open_picture(one), open_picture(other)
    if a.shape != b.shape:
        return None
    deviation = np.abs(a.astype(np.int16) - b.astype(np.int16)).max(axis=2).astype(np.uint8)
    return Difference(psnr(a, b), ssim(a, b) if min(a.shape[:2]) >= WINDOW else None, deviation)


def difference_scale(differences: Sequence[Difference]) -> int:
    """Give the deviation shown brightest: one scale for a page, so that pictures compare."""
    if not differences:
        return 255
    return max(1, *(int(np.percentile(d.deviation, 99.5)) for d in differences))


def embed_difference(difference: Difference, brightest: int, side: int = SHOWN) -> Picture:
    """Paint deviations from black (none) over red to yellow (`brightest` and more)."""
    from matplotlib import colormaps
    from PIL import Image

    levels = np.clip(difference.deviation / brightest, 0, 1)
    painted = colormaps["inferno"](levels, bytes=True)[..., :3]
    return _picture(Image.fromarray(painted), side)


def _picture(image: Any, side: int) -> Picture:
    from PIL import Image

    width, height = image.size
    longer = max(width, height)
    buffer = BytesIO()
    if longer <= SMALL:
        image.save(buffer, "PNG", optimize=True)
        kind, scale = "png", float(max(1, round(side / longer)))  # whole pixels stay square
    else:
        if longer > LARGEST:
            size = (max(1, width * LARGEST // longer), max(1, height * LARGEST // longer))
            image = image.resize(size, Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=88, optimize=True)
        kind, scale = "jpeg", min(1.0, 1.5 * side / longer)
    text = base64.b64encode(buffer.getvalue()).decode()
    uri = f"data:image/{kind};base64,{text}"
    return Picture(uri, round(width * scale), round(height * scale), longer <= SMALL)
