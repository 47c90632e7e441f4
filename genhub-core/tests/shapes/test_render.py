from __future__ import annotations

import numpy as np
import pytest

from genhub.shapes import scenes
from genhub.shapes.render import RGB, Spot, coverage, nominal, render

MIRRORED = [shape for shape in scenes.SHAPES if shape != "moon"]


@pytest.mark.parametrize("shape", MIRRORED)
def test_left_half_mirrors_the_right(shape):
    mask = coverage(shape, Spot(0, 0, 0.5))
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=1e-4)


@pytest.mark.parametrize("shape", ["circle", "square", "ring", "cross", "diamond", "moon"])
def test_upper_half_mirrors_the_lower(shape):
    mask = coverage(shape, Spot(0, 0, 0.5))
    np.testing.assert_allclose(mask, mask[::-1], atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("circle", np.pi * 0.95**2),
        ("square", (2 * 0.82) ** 2),
        ("ring", np.pi * (1.0**2 - 0.6**2)),
        ("cross", 4 * 0.31 * (2 - 0.31)),
        ("diamond", 2 * 1.05 * 0.64),
        ("triangle", 1.74),
    ],
)
def test_area_is_that_of_geometry(shape, area):
    pixels = coverage(shape, Spot(0.03, -0.07, 0.6), size=256).sum() * (2 / 256) ** 2
    assert pixels == pytest.approx(area * 0.6**2, rel=0.01)


@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_area_grows_with_the_square_of_the_radius(shape):
    small, large = (coverage(shape, Spot(0, 0, radius), size=128).sum() for radius in (0.3, 0.6))
    assert large / small == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_native_picture_is_the_large_one_averaged(shape):
    spot = Spot(0.11, -0.2, 0.4)
    fine = coverage(shape, spot, 512).reshape(64, 8, 64, 8).mean((1, 3))
    assert np.abs(coverage(shape, spot) - fine).max() < 0.4  # a tip finer than a pixel
    assert np.abs(coverage(shape, spot) - fine).mean() < 0.003


@pytest.mark.parametrize("colour", scenes.COLOURS)
@pytest.mark.parametrize("background", scenes.BACKGROUNDS)
def test_colours_are_exact_away_from_edges(colour, background):
    thing = scenes.Thing(colour, "square", "large", "center")
    picture = render(scenes.Scene((thing,), background))
    assert tuple(picture[32, 32]) == RGB[colour]
    assert tuple(picture[1, 1]) == RGB[background]


def test_things_stay_inside_the_picture_under_every_jitter():
    rng = np.random.default_rng(0)
    for place in scenes.PLACES:
        for shape in scenes.SHAPES:
            scene = scenes.Scene((scenes.Thing("red", shape, "large", place),), "white")
            for _ in range(10):
                picture = render(scene, rng=rng).astype(int)
                edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
                assert np.abs(edge - 255).max() < 128


def test_two_things_do_not_touch():
    rng = np.random.default_rng(0)
    for text in scenes.prompts(100, pairs=True):
        scene = scenes.parse(text)
        picture = render(scene, rng=rng).astype(int)
        if scene.relation == "left of":
            picture = picture.swapaxes(0, 1)
        gap = picture[31:33] - RGB[scene.background]
        assert np.abs(gap).max() < 140


def test_generator_alone_decides_the_jitter():
    scene = scenes.parse("a large red star in the center on white")
    first = render(scene, rng=np.random.default_rng(7))
    assert (first == render(scene, rng=np.random.default_rng(7))).all()
    assert (first != render(scene, rng=np.random.default_rng(8))).any()
    assert (render(scene) == render(scene)).all()


def test_sizes_differ_clearly_at_every_place():
    for place in scenes.PLACES:
        assert nominal(place, "large").radius / nominal(place, "small").radius > 1.5
