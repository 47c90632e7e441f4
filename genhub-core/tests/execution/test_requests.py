from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tinypipe
from smallruns import RING, STAR

from genhub import GenHubError
from genhub.config import load
from genhub.execution.requests import Caller, samples_of
from genhub.plan import facts_of


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return tinypipe.build()


@pytest.fixture(scope="module")
def facts(pipeline: Any) -> Any:
    return facts_of(pipeline)


def loaded(**blocks: Any) -> Any:
    blocks.setdefault("input", {"prompts": [STAR, RING]})
    return load({"genhub": 1, **blocks})


def caller(pipeline: Any, facts: Any, source: Any = None, **blocks: Any) -> Caller:
    config = loaded(**blocks)
    return Caller(config.config, pipeline, facts, source, config.mark)


def refusal(pipeline: Any, facts: Any, **blocks: Any) -> GenHubError:
    with pytest.raises(GenHubError) as caught:
        caller(pipeline, facts, **blocks)
    return caught.value


def test_every_prompt_is_sampled_in_order_with_a_seed_of_its_own() -> None:
    config = loaded(seed=5, sampling={"samples": 2}).config
    assert [(s.index, s.seed, s.prompt) for s in samples_of(config)] == [
        (0, 5, STAR), (1, 6, STAR), (2, 7, RING), (3, 8, RING),
    ]  # fmt: skip


def test_a_file_holds_one_prompt_per_line(tmp_path: Any) -> None:
    (tmp_path / "p.txt").write_text(f"\ufeff{STAR}\n\n  {RING}  \n", encoding="utf-8")
    config = loaded(input={"prompts": str(tmp_path / "p.txt")}).config
    assert [s.prompt for s in samples_of(config)] == [STAR, RING]


def test_batches_carry_what_the_call_needs(pipeline: Any, facts: Any) -> None:
    blocks = {
        "input": {"prompts": [STAR, RING, STAR], "negative": "fog"},
        "sampling": {"steps": 4, "guidance": 2.0, "height": 40, "batch": 2, "extra": {"eta": 0.5}},
    }
    config = loaded(**blocks).config
    first, last = caller(pipeline, facts, **blocks).batches(samples_of(config))

    assert [len(first.samples), len(last.samples)] == [2, 1]
    assert first.call["prompt"] == [STAR, RING]
    assert first.call["negative_prompt"] == ["fog", "fog"]
    assert first.call["num_inference_steps"] == 4 and first.call["guidance_scale"] == 2.0
    assert first.call["height"] == 40 and "width" not in first.call
    assert first.call["eta"] == 0.5
    assert first.call["latents"].shape[0] == 2


def test_the_noise_of_a_sample_is_the_same_in_every_batch(pipeline: Any, facts: Any) -> None:
    import torch

    def noise(batch: int) -> Any:
        config = loaded(sampling={"batch": batch, "samples": 3}).config
        made = caller(pipeline, facts, sampling={"batch": batch, "samples": 3})
        return torch.cat([r.call["latents"] for r in made.batches(samples_of(config))])

    assert torch.equal(noise(1), noise(4))


def test_a_model_in_half_precision_starts_from_the_same_noise(facts: Any) -> None:
    import torch

    half = tinypipe.build().to(torch.bfloat16)
    samples = samples_of(loaded().config)
    (single,) = caller(half, facts, sampling={"batch": 2}).batches(samples)

    expected = torch.randn(facts.latent.shape, generator=torch.Generator().manual_seed(0))
    assert single.call["latents"].dtype == torch.bfloat16
    assert torch.equal(single.call["latents"][:1], expected.to(torch.bfloat16))


@pytest.mark.parametrize(
    ("field", "value", "near"), [("height", 100, "96 or 104"), ("width", 33, "32 or 40")]
)
def test_sizes_that_do_not_fit_are_refused_with_the_nearest(
    pipeline: Any, facts: Any, field: str, value: int, near: str
) -> None:
    error = refusal(pipeline, facts, sampling={field: value})
    assert error.code == "GH305" and error.exit_code == 2
    assert f"sampling.{field} is {value}, not a multiple of 8" in str(error)
    assert f"nearest: {near}" in str(error)


@pytest.mark.parametrize(
    ("extra", "hint"),
    [
        ({"guidance_rescal": 0.5}, "did you mean guidance_rescale"),
        ({"guidance_scale": 2.0}, "use sampling.guidance"),
        ({"generator": 1}, "use seed"),
        ({"latents": 1}, "the run sets it itself"),
    ],
)
def test_extra_arguments_are_those_that_the_pipeline_takes(
    pipeline: Any, facts: Any, extra: dict[str, Any], hint: str
) -> None:
    error = refusal(pipeline, facts, sampling={"extra": extra})
    assert error.code == "GH301"
    assert hint in error.problems[0].hint


def test_fields_that_mean_nothing_to_the_pipeline_are_all_refused_at_once(
    pipeline: Any, facts: Any
) -> None:
    error = refusal(
        pipeline, facts, sampling={"frames": 8, "seconds": 2.0}, input={"images": ["a.png"]}
    )
    told = [problem.message for problem in error.problems]
    assert len(told) == 4  # frames, seconds, images, and no prompt
    assert told[0].startswith("sampling.frames means nothing to StableDiffusionPipeline")
    assert "input.prompts is empty" in told[-1]


def test_a_model_source_translates_what_is_special_to_it(pipeline: Any, facts: Any) -> None:
    source = SimpleNamespace(request=lambda input, sampling: {"width": int(sampling.seconds * 16)})
    config = loaded(sampling={"seconds": 4.0}).config
    made = caller(pipeline, facts, source, sampling={"seconds": 4.0})
    assert next(made.batches(samples_of(config))).call["width"] == 64


def test_prompts_and_pictures_must_pair() -> None:
    config = loaded(input={"prompts": [STAR, RING], "images": ["a", "b", "c"]}).config
    with pytest.raises(GenHubError, match="do not pair"):
        samples_of(config)
