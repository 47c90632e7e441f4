"""A folder of pictures as skin."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from genhub_cprocgen.errors import SkinError

pillow = pytest.importorskip("PIL.Image")

ASSETS = json.loads((files("genhub_cprocgen") / "data" / "assets.json").read_text(encoding="utf-8"))
WALL, CHEESE, MOUSE, FLOOR = (200, 10, 10), (10, 200, 10), (10, 10, 200), (90, 90, 90)


def pictures(game: str) -> list[tuple[str, int, int]]:
    own = ASSETS["games"][game]
    types = [*own["types"].values(), *ASSETS["common"].values()]
    sprites = [tuple(theme) for kind in types for theme in kind["themes"]]
    return sprites + [tuple(each) for each in ASSETS["backgrounds"][own["background_group"]]]


def colour(name: str) -> tuple[int, int, int]:
    for part, found in (("sandCenter", WALL), ("cheese", CHEESE), ("mouse", MOUSE)):
        if part in name:
            return found
    return FLOOR


def write_folder(folder: Path) -> Path:
    for name, width, height in pictures("maze"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pillow.new("RGBA", (width, height), (*colour(name), 255)).save(path)
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_folder(tmp_path)


def colours(frame: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in frame.reshape(-1, 3).tolist()}


def test_a_folder_gives_every_picture(make, folder):
    env = make("maze", observation="rgb", rand_seed=1, skin=str(folder))
    assert colours(env.reset()[0][0]) == {WALL, CHEESE, MOUSE, FLOOR}


def test_pictures_of_other_sizes_are_stretched_and_change_nothing_else(make, tmp_path):
    usual, other = write_folder(tmp_path / "usual"), write_folder(tmp_path / "other")
    wall = other / "kenney" / "Ground" / "Sand" / "sandCenter.png"
    pillow.new("RGBA", (31, 7), (*WALL, 255)).save(wall)
    results = [
        make("maze", observation="rgb", rand_seed=1, skin=str(each)).reset()
        for each in (usual, other)
    ]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1]["level_seed"], results[1][1]["level_seed"])


def test_half_transparent_pictures_let_the_background_through(make, folder):
    for name in ("kenney/Ground/Sand/sandCenter.png", "kenney/Enemies/mouse_move.png"):
        pillow.new("RGBA", (16, 16), (255, 255, 255, 51)).save(folder / name)
    frame = make("maze", observation="rgb", rand_seed=1, skin=str(folder)).reset()[0][0]
    assert (123, 123, 123) in colours(frame)  # 0.2 * 255 + 0.8 * 90


def test_a_folder_that_lacks_pictures_is_refused_with_the_first_five(make, folder):
    for name, _, _ in pictures("maze")[-7:]:
        (folder / name).unlink()
    with pytest.raises(SkinError, match=r"and 2 more") as refused:
        make("maze", skin=str(folder))
    assert str(refused.value).count(".png") == 5


def test_a_file_that_is_no_picture_is_named(make, folder):
    (folder / "misc_assets" / "cheese.png").write_bytes(b"no picture")
    with pytest.raises(SkinError, match=r"cheese\.png cannot be read"):
        make("maze", skin=str(folder))


def test_what_is_no_folder_is_refused(make, tmp_path):
    with pytest.raises(SkinError, match="no folder"):
        make("maze", skin=str(tmp_path / "nowhere"))


def test_changed_pictures_are_read_anew(make, folder):
    make("maze", observation="rgb", rand_seed=1, skin=str(folder))
    [wall] = [name for name, _, _ in pictures("maze") if "sandCenter" in name]
    pillow.new("RGBA", (128, 128), (1, 2, 3, 255)).save(folder / wall)
    later = (folder / wall).stat().st_mtime_ns + 10**9
    os.utime(folder / wall, ns=(later, later))
    env = make("maze", observation="rgb", rand_seed=1, skin=str(folder))
    assert (1, 2, 3) in colours(env.reset()[0][0])
