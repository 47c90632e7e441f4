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
    "Room",
    "data_uri",
    "difference_scale",
    "embed",
    "embed_difference",
    "fit_picture",
    "measure",
]

SMALL = 160  # pixels; up to this side pictures are shown enlarged, pixel by pixel
SIDES = (640, 448, 320, 224, 160, 112)  # pixels of the longer side that is put into the page
SHOWN = 192  # pixels on the page
SHOWN_BESIDE = 128  # where several stand side by side
LEAST_BITS = 0.6  # per pixel of a JPEG: what would be larger even so is not tried
MOST_COMPARED = 1 << 25  # pixels of one page that SSIM is computed of: half a minute of a core


class Room:
    """Characters of media that still fit into the page, shared fairly by those to come."""

    def __init__(self, left: int, pieces: int) -> None:
        self._left = left
        self._pieces = pieces

    @property
    def share(self) -> int:
        """Give what the next piece may take."""
        return self._left // max(1, self._pieces)

    def take(self, used: int) -> None:
        """Count a piece that took `used` characters; what it left is for the others."""
        self._left -= used
        self._pieces -= 1


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
    largest: int
    deviation: NDArray[np.uint8]


def embed(path: Path, side: int, room: Room) -> Picture | None:
    """Bring a picture into the page, about `side` pixels wide, without the texts in its file.

    Gives None for a file that cannot be read, and where not even a small one fits its share.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIDES[0], SIDES[0]))
            picture = fit_picture(image.convert("RGB"), side, room.share)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        picture = None
    room.take(len(picture.uri) if picture else 0)
    return picture


def measure(one: Path, other: Path, *, structure: bool = True) -> Difference | None:
    """Compare two pictures; None where their sizes differ or one cannot be read."""
    try:
        a, b = open_picture(one), open_picture(other)
    except (OSError, ValueError, SyntaxError):
        return None
    if a.shape != b.shape:
        return None
    deviation = np.abs(a.astype(np.int16) - b.astype(np.int16)).max(axis=2).astype(np.uint8)
    similar = ssim(a, b) if structure and min(a.shape[:2]) >= WINDOW else None
    return Difference(psnr(a, b), similar, int(deviation.max()), deviation)


def difference_scale(differences: Sequence[Difference]) -> int:
    """Give the deviation shown brightest: one scale for a page, so that pictures compare."""
    seen = [d.deviation[d.deviation > 0] for d in differences if d.largest]
    return max((int(np.percentile(deviations, 99)) for deviations in seen), default=255)


def embed_difference(
    difference: Difference, brightest: int, side: int, room: Room
) -> Picture | None:
    """Paint deviations from black (none) over red to yellow (`brightest` and more)."""
    from matplotlib import colormaps
    from PIL import Image

    levels = np.clip(difference.deviation / brightest, 0, 1)
    painted = colormaps["inferno"](levels, bytes=True)[..., :3]
    picture = fit_picture(Image.fromarray(painted), side, room.share)
    room.take(len(picture.uri) if picture else 0)
    return picture


def fit_picture(image: Any, side: int, most: int) -> Picture | None:
    """Encode a picture (PIL, RGB) as large as `most` characters allow; None where none fits."""
    width, height = image.size
    longer = max(width, height)
    if longer <= SMALL:
        uri = data_uri("image/png", _encoded(image, "PNG", optimize=True))
        if len(uri) <= most:
            scale = max(1, round(side / longer))  # whole pixels stay square
            return Picture(uri, width * scale, height * scale, pixelated=True)
    shown = min(1.0, 1.5 * side / longer) if longer > SMALL else side / longer
    for limit in (min(longer, max(SIDES[0], side)), *(s for s in SIDES[1:] if s < longer)):
        size = (max(1, width * limit // longer), max(1, height * limit // longer))
        if size[0] * size[1] * LEAST_BITS / 8 * 4 / 3 > most:
            continue
        if limit < longer:
            image = image.resize(size, reducing_gap=2.0)
        uri = data_uri("image/jpeg", _encoded(image, "JPEG", quality=86, optimize=True))
        if len(uri) <= most:
            return Picture(uri, round(width * shown), round(height * shown), pixelated=False)
    return None


def data_uri(kind: str, content: bytes) -> str:
    """Write a file as the address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(image: Any, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
