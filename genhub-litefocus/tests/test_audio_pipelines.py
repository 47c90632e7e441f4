"""AudioLDM2, AudioLDM and MusicLDM pipelines with the mixer, from prompt to sound."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import small_pipelines
import torch

import genhub
from genhub_litefocus.focus import Focus

BLOCK = {"type": "litefocus", "decode": "pipeline"}
MAKERS = {
    "audioldm2": small_pipelines.audioldm2,
    "audioldm2 speech": lambda: small_pipelines.audioldm2(cross_dims=(None, 16)),
    "audioldm": small_pipelines.audioldm,
    "musicldm": small_pipelines.musicldm,
}


@pytest.fixture(scope="module")
def pipes():
    made = {}

    def get(name):
        if name not in made:
            made[name] = MAKERS[name]()
        return made[name]

    return get


def sound(pipe, prompts="a dog", seeds=(0,), seconds=1.0, steps=2):
    """Give the waveforms of some prompts, one generator each."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    result = pipe(
        prompts, num_inference_steps=steps, audio_length_in_s=seconds, generator=generators,
        guidance_scale=2.0, **({"num_waveforms_per_prompt": 1}),
    )  # fmt: skip
    return result.audios


@pytest.mark.parametrize("name", ["audioldm2", "audioldm", "musicldm"])
def test_a_pipeline_gives_sound_of_the_length_asked_for(pipes, name):
    with genhub.attach(pipes(name), [BLOCK]) as attached:
        for seconds in (1.0, 1.37):
            made = sound(pipes(name), seconds=seconds)
            assert made.shape == (1, int(seconds * 16000)) and np.isfinite(made).all()
        assert "litefocus" in attached.report()


@pytest.mark.parametrize("name", ["audioldm2", "audioldm"])
def test_detach_restores_identical_objects_and_sound(pipes, name):
    pipe = pipes(name)
    before, processors = sound(pipe), pipe.unet.attn_processors
    with genhub.attach(pipe, [BLOCK]):
        assert not np.array_equal(sound(pipe), before)
    after = pipe.unet.attn_processors
    assert all(after[key] is processors[key] for key in processors)
    assert not pipe.unet._forward_pre_hooks
    assert np.array_equal(sound(pipe), before)


def test_the_same_seed_gives_the_same_sound_in_a_batch_and_alone(pipes):
    pipe = pipes("audioldm2")
    with genhub.attach(pipe, [BLOCK], seed=5):
        both = sound(pipe, ["a dog", "a cat"], seeds=(1, 2))
        alone = [
            sound(pipe, prompt, seeds=(seed,)) for prompt, seed in (("a dog", 1), ("a cat", 2))
        ]
    np.testing.assert_allclose(both, np.concatenate(alone), atol=1e-5)


def test_the_same_seed_gives_the_same_sound_whatever_ran_before(pipes):
    pipe = pipes("audioldm2")
    with genhub.attach(pipe, [BLOCK], seed=5):
        first = sound(pipe)
        torch.rand(7)  # others draw from the global generator
        sound(pipe, "a cat", seeds=(9,), seconds=1.2)
        again = sound(pipe)
    with genhub.attach(pipe, [BLOCK], seed=5):
        attached_anew = sound(pipe)
    assert np.array_equal(first, again) and np.array_equal(first, attached_anew)
    with genhub.attach(pipe, [BLOCK], seed=6):
        assert not np.array_equal(sound(pipe), first)
    with genhub.attach(pipe, [{**BLOCK, "seed": 3}], seed=5):
        own = sound(pipe)
    with genhub.attach(pipe, [{**BLOCK, "seed": 3}], seed=6):
        assert np.array_equal(sound(pipe), own)


def test_the_same_seed_gives_the_same_sound_on_two_threads(pipes):
    pipe = pipes("audioldm2")
    with genhub.attach(pipe, [BLOCK]):
        one = sound(pipe)
        torch.set_num_threads(2)
        try:
            two = sound(pipe)
        finally:
            torch.set_num_threads(1)
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_global_generator_is_left_alone(pipes):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with genhub.attach(pipes("audioldm2"), [BLOCK]):
        sound(pipes("audioldm2"))
    assert torch.equal(torch.get_rng_state(), before)


def test_short_sound_is_the_models_own_below_min_seconds(pipes, caplog):
    pipe = pipes("audioldm2")
    plain = sound(pipe)
    caplog.set_level("INFO", logger="genhub")
    with genhub.attach(pipe, [{**BLOCK, "min_seconds": 1.2}]) as attached:
        assert np.array_equal(sound(pipe), plain)
        assert "steps aside: 1.00 s of sound are below min_seconds (1.2)" in caplog.text
        sound(pipe, seconds=1.2)
        assert " 2 " in attached.report()  # calls of the longer generation alone
        rows = attached.driver("litefocus").focus["unet"].processors
        assert {processor.calls for processor in rows} == {2}


@pytest.mark.parametrize(
    ("fields", "share", "told"),
    [
        ({"min_seconds": 1.2}, 0.0, "steps aside"),
        ({"step_range": [0.25, 0.5]}, 0.25, None),
        ({"min_seconds": 0.5}, 1.0, None),
    ],
)
def test_costs_are_those_of_the_steps_in_which_it_takes_part(pipes, fields, share, told):
    def cost(attached):
        return sum(cost.flops for cost in attached.costs().values())

    with genhub.attach(pipes("audioldm2"), [BLOCK], seconds=1.0) as attached:
        sparse, full = cost(attached), sum(c.flops for c in attached.costs_before().values())
    assert sparse < 0.9 * full
    with genhub.attach(pipes("audioldm2"), [BLOCK | fields], seconds=1.0) as attached:
        assert cost(attached) == pytest.approx(full - share * (full - sparse), rel=1e-6)
        assert ("steps aside" in attached.report()) is (told is not None)
        sound(pipes("audioldm2"), seconds=1.2)
        assert "steps aside" not in attached.report()


def test_below_the_trained_length_it_is_told_once_that_full_attention_is_as_good(pipes, caplog):
    caplog.set_level("INFO", logger="genhub")
    with genhub.attach(pipes("audioldm2"), [BLOCK]):
        sound(pipes("audioldm2"), steps=3)
    told = [r for r in caplog.records if "full attention is as good and as fast" in r.message]
    assert len(told) == 1 and told[0].levelname == "INFO"


@pytest.mark.parametrize(
    ("span", "calls"), [([0, 0.5], 2), ([0.5, 1], 2), ([0.25, 0.3], 1), ([0.95, 1], 1)]
)
def test_step_range_says_in_which_steps_it_takes_part(pipes, span, calls):
    pipe = pipes("audioldm2")
    with genhub.attach(pipe, [{**BLOCK, "step_range": span}]) as attached:
        sound(pipe, steps=4)
        assert {p.calls for p in attached.driver("litefocus").focus["unet"].processors} == {calls}


def test_a_copied_pipeline_draws_by_its_own_steps_and_says_what_it_cannot_obey(pipes, caplog):
    pipe = pipes("audioldm2")
    plain = sound(pipe, steps=3)
    with genhub.attach(pipe, [{**BLOCK, "step_range": [0, 0.5]}]):
        sound(pipe, steps=3)
        twin = copy.deepcopy(pipe)
    (hook,) = (h for h in twin.unet._forward_pre_hooks.values() if isinstance(h, Focus))
    drawn = []
    for processor in hook.processors[:1]:
        kernel = processor.chosen

        def noting(q, k, v, indices, *, _kernel=kernel, **attrs):
            drawn.append(indices.clone())
            return _kernel(q, k, v, indices, **attrs)

        noting.supports = kernel.supports
        processor.kernel = processor.chosen = noting
    first, again = sound(twin, steps=3), sound(twin, steps=3)
    assert not np.array_equal(first, plain) and np.array_equal(first, again)
    assert len(drawn) == 6 and not torch.equal(drawn[0], drawn[1])
    assert caplog.text.count("a copy of unet does not know its step") == 1


def test_a_run_writes_a_wave_file(tmp_path, pipes):
    config = {
        "genhub": 1,
        "attention": [BLOCK],
        "input": {"prompts": ["a dog"]},
        "sampling": {"steps": 2, "seconds": 1.0},
        "output": {"dir": str(tmp_path)},
    }
    result = genhub.run(config, pipeline=pipes("audioldm2"))
    (made,) = result.artifacts
    assert made.kind == "audio" and made.path.endswith(".wav")


def test_guidance_split_over_ranks_gives_the_same_sound(tmp_path, pipes):
    config = {
        "genhub": 1,
        "attention": [BLOCK],
        "input": {"prompts": ["a dog"]},
        "sampling": {"steps": 2, "seconds": 1.0, "guidance": 3.0},
        "output": {"dir": str(tmp_path)},
    }
    split = {
        "parallel": {"type": "cfg-parallel"},
        "launch": {"processes": 2, "simulate": True},
    }
    waves = []
    for about in (config, config | split):
        run = genhub.run(about, pipeline=pipes("audioldm2"), quiet=True)
        waves.append((run.folder / run.artifacts[0].path).read_bytes())
    one, two = (np.frombuffer(wave[-32000:], dtype="<i2").astype(int) for wave in waves)
    assert one.std() > 10 and np.abs(one - two).max() <= 1
