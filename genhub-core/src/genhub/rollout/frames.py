"""What a rollout shows: films of some environments, and the first sight of each context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Camera", "grid_of_contexts"]

FILM_SIDE = 256  # pixels; smaller pictures are enlarged by whole factors
TILE_SIDE = 128
MOST_TILES = 64
GAP, LINE = 6, 14  # pixels between tiles, and of a line of text


class Camera:
    """Takes frames [H, W, 3] uint8: from observations that are pictures, else from render()."""

    def __init__(self, env: Any) -> None:
        self._env = env
        space = env.single_observation_space
        spaces = getattr(space, "spaces", None)
        named = isinstance(spaces, Mapping) and "image" in spaces
        self._key = "image" if named else None
        self._layout = _layout(spaces["image"] if named and spaces is not None else space)
        self.works = bool(self._layout) or env.render_mode == "rgb_array"

    def frames(self, observation: Any, places: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Give the frames of some environments."""
        if self._layout:
            batch = observation if self._key is None else observation[self._key]
            return [_picture(batch[i], self._layout) for i in places]
        rendered = self._env.render()
        return [np.asarray(rendered[i], np.uint8) for i in places]


def enlarged(frame: NDArray[np.uint8], side: int = FILM_SIDE) -> NDArray[np.uint8]:
    """Repeat pixels until a small frame is about `side` wide."""
    factor = max(1, side // max(frame.shape[:2]))
    return frame.repeat(factor, 0).repeat(factor, 1)


def grid_of_contexts(
    tiles: Sequence[tuple[Mapping[str, Any], NDArray[np.uint8]]],
) -> Image:
    """Lay frames out with their contexts below them.

    Where contexts differ in one or two parameters, the values of the last one are the columns.
    """
    from PIL import Image, ImageDraw

    names = list(dict.fromkeys(name for context, _ in tiles for name in context))
    across = list(dict.fromkeys(c.get(names[-1]) for c, _ in tiles)) if names else [None]
    columns = len(across) if len(names) <= 2 and len(across) <= 8 else 8
    columns = min(columns, len(tiles))
    lines = max(1, len(names))
    width, height = TILE_SIDE + GAP, TILE_SIDE + GAP + LINE * lines
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (context, frame) in enumerate(tiles):
        x, y = GAP + place % columns * width, GAP + place // columns * height
        picture = Image.fromarray(enlarged(frame, TILE_SIDE))
        picture.thumbnail((TILE_SIDE, TILE_SIDE))
        sheet.paste(picture, (x, y))
        for line, (name, value) in enumerate(context.items()):
            draw.text((x, y + TILE_SIDE + LINE * line), _caption(name, value), "black")
    return sheet


def _caption(name: str, value: Any) -> str:
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    most = TILE_SIDE // 6 - len(shown) - 1  # characters of the built-in font are 6 pixels wide
    return f"{name if len(name) <= most else name[: max(1, most - 1)] + '.'} {shown}"


def _layout(space: Any) -> str:
    """Say how a picture lies in an observation: HWC, CHW, HW, or not at all."""
    shape: tuple[int, ...] = getattr(space, "shape", None) or ()
    if getattr(space, "dtype", None) != np.uint8 or min(shape, default=0) < 1:
        return ""
    if len(shape) == 3 and shape[2] in (1, 3):
        return "HWC"
    if len(shape) == 3 and shape[0] in (1, 3):
        return "CHW"
    return "HW" if len(shape) == 2 and min(shape) >= 8 else ""


def _picture(value: Any, layout: str) -> NDArray[np.uint8]:
    frame = np.asarray(value, np.uint8)
    if layout == "CHW":
        frame = frame.transpose(1, 2, 0)
    elif layout == "HW":
        frame = frame[..., None]
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
