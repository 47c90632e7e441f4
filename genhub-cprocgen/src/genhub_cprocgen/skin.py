"""Pictures to draw with: the built-in ones, or a folder laid out like the benchmark's."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from genhub_cprocgen import _engine
from genhub_cprocgen.errors import SkinError

__all__ = ["load_skin"]

MOST_NAMED = 5


@cache
def _assets() -> dict[str, Any]:
    source = files("genhub_cprocgen") / "data" / "assets.json"
    return json.loads(source.read_text(encoding="utf-8"))


@cache
def _builtin() -> _engine.Skin:
    return _engine.Skin()


def load_skin(skin: str | os.PathLike[str], games: Sequence[str]) -> _engine.Skin:
    """Give the skin for some games; raises SkinError where the folder lacks a picture.

    Pictures of other sizes than the benchmark's are stretched; they never change dynamics.
    """
    if skin == "builtin":
        return _builtin()
    folder = Path(skin).expanduser()
    if not folder.is_dir():
        raise SkinError(f'skin must be "builtin" or a folder of pictures, {skin!r} is no folder')
    folder, chosen = folder.resolve(), tuple(sorted(set(games)))
    return _from_folder(folder, chosen, _newest(folder, chosen))


def _newest(folder: Path, games: tuple[str, ...]) -> int:
    """Give when a picture was changed last, so that changed ones are read anew."""
    paths = [folder / file for *_, file in (*_all_sprites(games), *_all_backgrounds(games))]
    return max((path.stat().st_mtime_ns for path in paths if path.is_file()), default=0)


def _all_sprites(games: tuple[str, ...]) -> list[tuple[str, int, int, str]]:
    return [(game, *sprite) for game in games for sprite in _sprites(game)]


def _all_backgrounds(games: tuple[str, ...]) -> list[tuple[str, int, str]]:
    groups = {_assets()["games"][game]["background_group"] for game in games}
    return [
        (group, i, file)
        for group in sorted(groups)
        for i, (file, _, _) in enumerate(_assets()["backgrounds"][group])
    ]


@lru_cache(maxsize=4)  # a folder's pictures fill hundreds of megabytes
def _from_folder(folder: Path, games: tuple[str, ...], newest: int) -> _engine.Skin:
    image = _pillow()
    sprites, backgrounds = _all_sprites(games), _all_backgrounds(games)
    names = [str(file) for *_, file in (*sprites, *backgrounds)]
    missing = sorted({name for name in names if not (folder / name).is_file()})
    if missing:
        listed = ", ".join(missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise SkinError(
            f"the skin {folder} lacks {listed}{more}; "
            "give the folder data/assets of an installed Procgen"
        )
    made = _engine.Skin()
    for game, kind, theme, file in sprites:
        made.set_sprite(game, kind, theme, _read(image, folder / file))
    for group, i, file in backgrounds:
        made.set_background(group, i, _read(image, folder / file, opaque=True))
    return made


def _sprites(game: str) -> list[tuple[int, int, str]]:
    types = [*_assets()["games"][game]["types"].values(), *_assets()["common"].values()]
    return [
        (kind["id"], theme, file)
        for kind in types
        for theme, (file, _, _) in enumerate(kind["themes"])
    ]


def _read(image: Any, path: Path, opaque: bool = False) -> np.ndarray:
    # Some backgrounds have pixels of opacity 244..254; the benchmark shows their colours as stored.
    try:
        with image.open(path) as opened:
            picture = opened.convert("RGB") if opaque else opened
            return np.ascontiguousarray(picture.convert("RGBA"), np.uint8)
    except (OSError, image.DecompressionBombError) as error:
        raise SkinError(f"{path} cannot be read as a picture: {error}") from None


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise SkinError(
            'a folder as skin needs pillow: pip install "genhub-cprocgen[skin]"'
        ) from None
    return Image
