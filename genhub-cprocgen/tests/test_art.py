"""The built-in pictures: every type and theme has its own, and can be told from the others."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from conftest import GAMES
from genhub_cprocgen import _engine

ASSETS = json.loads((files("genhub_cprocgen") / "data" / "assets.json").read_text(encoding="utf-8"))
SIDE = 8  # pictures are compared at about the size at which they are seen
# Listed twice on purpose: flyers of both speeds, and steps to both sides that are mirrored.
SHARED = {"starpilot": {8}, "jumper": {10, 11}}


def pictures(game: str) -> dict[tuple[int, int], np.ndarray]:
    skin, own = _engine.Skin(), ASSETS["games"][game]["types"].values()
    return {
        (kind["id"], theme): skin.sprite(game, kind["id"], theme)
        for kind in own
        for theme in range(len(kind["themes"]))
        if kind["id"] not in SHARED.get(game, ())
    }


def small(picture: np.ndarray) -> np.ndarray:
    """Average colours of SIDE x SIDE parts."""
    rows, columns = (np.array_split(np.arange(n), SIDE) for n in picture.shape[:2])
    return np.array([[picture[np.ix_(r, c)].mean((0, 1)) for c in columns] for r in rows])


@pytest.mark.parametrize("game", GAMES)
def test_pictures_keep_the_shape_that_dynamics_count_on(game):
    skin = _engine.Skin()
    for kind in ASSETS["games"][game]["types"].values():
        for theme, (_, width, height) in enumerate(kind["themes"]):
            found = skin.sprite(game, kind["id"], theme).shape
            assert found[1] * height == found[0] * width


@pytest.mark.parametrize("game", GAMES)
def test_no_two_pictures_look_alike(game):
    seen = {key: small(picture) for key, picture in pictures(game).items()}
    keys = list(seen)
    for i, a in enumerate(keys):
        assert seen[a][..., 3].mean() > 20, f"{game} {a} shows next to nothing"
        for b in keys[i + 1 :]:
            assert abs(seen[a] - seen[b]).mean() > 1, f"{game} {a} and {b} look alike"


@pytest.mark.parametrize("game", GAMES)
def test_no_two_backgrounds_look_alike(game):
    skin = _engine.Skin()
    count = len(ASSETS["backgrounds"][ASSETS["games"][game]["background_group"]])
    seen = [small(skin.background(game, i)) for i in range(count)]
    for i, a in enumerate(seen):
        assert (a[..., 3] == 255).all()
        assert all(abs(a - b).mean() > 1 for b in seen[i + 1 :]), f"{game} background {i}"


def test_types_without_a_picture_get_badges_that_differ():
    skin = _engine.Skin()
    badges = [small(skin.sprite("maze", kind, 0)) for kind in (30, 31, 32)]
    assert all(badge[..., 3].mean() > 100 for badge in badges)
    assert abs(badges[0] - badges[1]).mean() > 1 < abs(badges[1] - badges[2]).mean()
