from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from genhub.shapes import scenes
from genhub.shapes.judge import caption_accuracy, judge
from genhub.shapes.render import RGB, render

CAPTION = "a large red star on the left on white"
PAIR = "a red star above a blue circle on gray"


def _picture(caption, size=64, seed=None):
    rng = None if seed is None else np.random.default_rng(seed)
    return render(scenes.parse(caption), size, rng)


def _wrong(verdict):
    return {name for name, right in verdict.items() if not right}


def test_ground_truth_is_right_in_everything():
    captions = scenes.prompts(200, seed=1) + scenes.prompts(50, seed=1, pairs=True)
    pictures = [_picture(text, seed=i) for i, text in enumerate(captions)]
    figures = caption_accuracy(pictures, captions)
    assert set(figures.values()) == {1.0}, figures


@pytest.mark.parametrize("size", [32, 48, 100, 128, 256])
def test_any_size_of_picture_will_do(size):
    captions = scenes.prompts(8, seed=2) + scenes.prompts(4, seed=2, pairs=True)
    figures = caption_accuracy([_picture(text, size) for text in captions], captions)
    assert figures["joint"] == figures["pair joint"] == 1.0


def test_pictures_may_be_bytes_floats_or_pil():
    picture = _picture(CAPTION)
    for form in (picture, picture / 255.0, (picture / 255).astype(np.float32)):
        assert judge(form, CAPTION)["joint"]
    assert judge(Image.fromarray(picture), CAPTION)["joint"]


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ("a large red star on the left on gray", {"background", "joint"}),
        ("a large orange star on the left on white", {"colour", "joint"}),
        ("a small red star on the left on white", {"size", "joint"}),
        ("a large red star on the right on white", {"position", "joint"}),
        ("a large red star on the bottom on white", {"position", "joint"}),
        ("a large red circle on the left on white", {"shape", "joint"}),
        ("a small blue ring on the top on black",
         {"background", "colour", "size", "position", "shape", "joint"}),
    ],
)  # fmt: skip
def test_exactly_the_wrong_attributes_of_one_thing_are_named(shown, wrong):
    assert _wrong(judge(_picture(shown), CAPTION)) == wrong


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ("a red star above a blue circle on white", {"background", "joint"}),
        ("a red star above a green circle on gray", {"colours", "joint"}),
        ("a red star above a blue square on gray", {"shapes", "joint"}),
        ("a red star left of a blue circle on gray", {"relation", "joint"}),
        ("a blue circle above a red star on gray", {"relation", "joint"}),
        ("a blue star above a red circle on gray", {"shapes", "relation", "joint"}),
    ],
)
def test_exactly_the_wrong_attributes_of_two_things_are_named(shown, wrong):
    assert _wrong(judge(_picture(shown), PAIR)) == wrong


@pytest.mark.parametrize("shape", scenes.SHAPES)
@pytest.mark.parametrize("other", scenes.SHAPES)
@pytest.mark.parametrize("size", scenes.SIZES)
def test_no_shape_passes_for_another(shape, other, size):
    picture = _picture(f"a {size} cyan {shape} on the top on black", seed=1)
    assert judge(picture, f"a {size} cyan {other} on the top on black")["shape"] == (shape == other)


@pytest.mark.parametrize("background", scenes.BACKGROUNDS)
def test_empty_picture_shows_its_background_only(background):
    empty = np.full((64, 64, 3), RGB[background], np.uint8)
    verdict = judge(empty, f"a large red star on the left on {background}")
    assert _wrong(verdict) == {"colour", "size", "position", "shape", "joint"}
    verdict = judge(empty, f"a red star above a blue circle on {background}")
    assert _wrong(verdict) == {"colours", "shapes", "relation", "joint"}


def test_second_thing_spoils_the_first():
    for intruder in ("a large red circle on the right", "a large blue circle on the right"):
        both = np.minimum(_picture(CAPTION), _picture(f"{intruder} on white"))
        assert not judge(both, CAPTION)["shape"]
        assert not judge(both, CAPTION)["joint"]


def test_one_thing_is_no_pair():
    alone = _picture("a large red star on the top on gray")
    assert {"colours", "shapes", "relation", "joint"} <= _wrong(judge(alone, PAIR))


def test_noise_shows_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    captions = scenes.prompts(20, seed=3)
    figures = caption_accuracy(list(noise), captions)
    assert figures["background"] == figures["shape"] == figures["joint"] == 0


def test_smear_is_no_shape():
    for shape in scenes.SHAPES:
        text = f"a small blue {shape} on the right on gray"
        smear = Image.fromarray(_picture(text)).filter(ImageFilter.GaussianBlur(6))
        assert not judge(smear, text)["shape"]


def test_gray_smear_has_no_colour_and_no_shape():
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    depth = 120 * np.exp(-8 * (x**2 + y**2))
    smear = (255 - depth[..., None].repeat(3, 2)).astype(np.uint8)
    for shape in scenes.SHAPES:
        verdict = judge(smear, f"a large purple {shape} in the center on white")
        assert not verdict["colour"] and not verdict["shape"]


def test_mottled_thing_does_not_count_as_its_colour():
    picture = _picture("a large red square in the center on white")
    patch = picture[24:40, 24:40]
    patch[::2] = RGB["blue"]
    picture[20:44:2, 18:46] = RGB["blue"]
    assert not judge(picture, "a large red square in the center on white")["joint"]


def test_uneven_background_does_not_count():
    picture = _picture(CAPTION)
    picture[:16] = RGB["black"]
    assert not judge(picture, CAPTION)["background"]


def test_slight_flaws_are_forgiven():
    captions = scenes.prompts(60, seed=4)
    rng = np.random.default_rng(0)
    flawed = []
    for i, text in enumerate(captions):
        soft = Image.fromarray(_picture(text, seed=i)).filter(ImageFilter.GaussianBlur(0.6))
        noisy = np.asarray(soft).astype(float) + rng.normal(0, 6, (64, 64, 3))
        flawed.append(np.clip(noisy, 0, 255).astype(np.uint8))
    assert caption_accuracy(flawed, captions)["joint"] > 0.95


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"\[H, W, 3\], got shape \(64, 64\)"):
        judge(np.zeros((64, 64)), CAPTION)
    with pytest.raises(ValueError, match="1 pictures and 0 captions"):
        caption_accuracy([_picture(CAPTION)], [])
