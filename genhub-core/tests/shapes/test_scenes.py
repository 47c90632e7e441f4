from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genhub.shapes import scenes


def _pair(draw: st.DrawFn) -> scenes.Scene:
    first, second = draw(st.permutations(scenes.COLOURS))[:2]
    shapes = st.sampled_from(scenes.SHAPES)
    things = (scenes.Thing(first, draw(shapes)), scenes.Thing(second, draw(shapes)))
    background = draw(st.sampled_from(scenes.BACKGROUNDS))
    return scenes.Scene(things, background, draw(st.sampled_from(scenes.RELATIONS)))


def test_every_single_scene_survives_being_said_and_read():
    every = scenes.singles()
    assert len(every) == len({scenes.caption(scene) for scene in every}) == 8 * 8 * 2 * 5 * 3
    assert all(scenes.parse(scenes.caption(scene)) == scene for scene in every)


@given(st.composite(_pair)())
def test_every_pair_survives_being_said_and_read(scene):
    assert scenes.parse(scenes.caption(scene)) == scene


def test_case_and_spaces_do_not_matter():
    said = scenes.parse("  A small  RED star on the left on white ")
    assert said == scenes.parse("a small red star on the left on white")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "a small red star",
        "a small red star in the left on white",
        "a small red star on the center on white",
        "a tiny red star on the left on white",
        "a red star above a red circle on black",  # two things differ in colour
        "a red star below a blue circle on black",
        "a small red star on the left on white and more",
    ],
)
def test_other_text_is_refused_with_its_own_words_and_an_example(text):
    with pytest.raises(ValueError, match="is no caption of the shapes world") as caught:
        scenes.parse(text)
    assert repr(text) in str(caught.value) and "a small red star on the left" in str(caught.value)


def test_prompts_depend_on_the_seed_alone():
    assert scenes.prompts(20, seed=3) == scenes.prompts(20, seed=3) != scenes.prompts(20, seed=4)
    assert scenes.prompts(5, seed=3) == scenes.prompts(20, seed=3)[:5]
    assert all(scenes.parse(text).relation is None for text in scenes.prompts(50))
    assert all(scenes.parse(text).relation for text in scenes.prompts(50, pairs=True))


def test_lot_reaches_every_attribute_and_about_the_share_of_pairs():
    lot = random.Random(0)
    drawn = [scenes.sample(lot) for _ in range(2000)]
    pairs = [scene for scene in drawn if scene.relation]
    assert abs(len(pairs) / len(drawn) - scenes.PAIR_SHARE) < 0.03
    things = [thing for scene in drawn for thing in scene.things]
    assert {thing.colour for thing in things} == set(scenes.COLOURS)
    assert {thing.shape for thing in things} == set(scenes.SHAPES)
    assert {scene.relation for scene in pairs} == set(scenes.RELATIONS)


def test_captions_need_no_library():
    code = (
        "import sys; from genhub.shapes import scenes; scenes.prompts(3); "
        "print(sorted({'numpy', 'torch', 'PIL', 'diffusers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
