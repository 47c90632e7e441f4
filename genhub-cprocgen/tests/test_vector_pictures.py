"""What the vector environments show: layouts, views for people, options of drawing."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

import genhub_cprocgen as cp
from conftest import actions_of


# --- pictures ---
def test_render_gives_large_pictures_only_when_asked_for(make):
    env = make("coinrun", 2, render_mode="rgb_array")
    with pytest.raises(cp.ActionError, match=r"call reset\(\) before render"):
        env.render()
    env.reset()
    frames = env.render()
    assert [(f.shape, f.dtype) for f in frames] == [((512, 512, 3), np.uint8)] * 2
    assert all(f.std() > 5 for f in frames)
    with pytest.raises(cp.OptionError, match='needs render_mode "rgb_array"'):
        make("coinrun").render()


def test_a_large_picture_shows_what_the_small_one_shows(make):
    env = make("maze", observation="rgb", render_mode="rgb_array", use_backgrounds=False)
    obs, _ = env.reset()
    small = env.render()[0].reshape(64, 8, 64, 8, 3).mean((1, 3))
    assert np.corrcoef(small.ravel(), obs[0].ravel())[0, 1] > 0.9


def test_visual_options_change_no_dynamics(make):
    plain = make("coinrun", 2, distribution_mode="hard")
    fields = {"use_backgrounds": False, "use_monochrome_assets": True, "paint_vel_info": True}
    painted = make(
        "coinrun", 2, distribution_mode="hard", observation="rgb", center_agent=False, **fields
    )
    for env in (plain, painted):
        env.reset()
        for actions in actions_of(1, 80, 2):
            env.step(actions)
    for i in (0, 1):
        ours, theirs = plain.debug_state(i), painted.debug_state(i)
        np.testing.assert_array_equal(ours.entities, theirs.entities)
        assert ours.scalars["generator_consumed"] == theirs.scalars["generator_consumed"]


VISUALS = (
    *("use_backgrounds", "use_monochrome_assets", "center_agent", "paint_vel_info"),
    "restrict_themes",
)


@pytest.mark.parametrize("option", VISUALS)
def test_every_visual_option_changes_the_picture(make, option):
    default = option in ("use_backgrounds", "center_agent")
    fields = {"observation": "rgb", "distribution_mode": "hard"}
    plain = make("coinrun", 8, **fields)
    changed = make("coinrun", 8, **fields, **{option: not default})
    plain.reset()
    changed.reset()
    right = np.full(8, 7)
    assert (plain.step(right)[0] != changed.step(right)[0]).any()


@pytest.fixture
def plain_skin(tmp_path):
    """A folder with a picture of one colour for every file that maze needs."""
    image = pytest.importorskip("PIL.Image")
    assets = json.loads((files("genhub_cprocgen") / "data" / "assets.json").read_text())
    own = assets["games"]["maze"]
    listed = [
        entry
        for kind in (*own["types"].values(), *assets["common"].values())
        for entry in kind["themes"]
    ]
    listed += assets["backgrounds"][own["background_group"]]
    for i, (name, width, height) in enumerate(listed):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", (max(1, width // 8), max(1, height // 8)), (200, 5 * i, 7)).save(path)
    return tmp_path


def test_a_folder_of_pictures_is_drawn_with_whatever_their_size(make, plain_skin):
    drawn = make("maze", observation="rgb", skin=plain_skin)
    plain = make("maze")
    obs, _ = drawn.reset()
    plain.reset()
    assert (obs[..., 0] == 200).all() and (obs[..., 2] == 7).all()
    assert len(np.unique(obs[..., 1])) >= 3
    for actions in actions_of(1, 30, 1):
        drawn.step(actions)
        plain.step(actions)
    np.testing.assert_array_equal(drawn.debug_state().entities, plain.debug_state().entities)


def test_generated_pictures_take_the_place_of_a_folder(make, plain_skin):
    generated = make("maze", observation="rgb", skin=plain_skin, use_generated_assets=True)
    builtin = make("maze", observation="rgb")
    np.testing.assert_array_equal(generated.reset()[0], builtin.reset()[0])
