"""What is found out about every family of models, and how plans are told, as somebody reviewed it.

`test_facts` holds the facts against real forwards; here each one is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import drivers
import pytest
import tiny
import torch
from snapshots import compare, sections

from genhub.api import Facts, GenHubError, Latent, Range, Shard, Site, Where
from genhub.config import load
from genhub.plan import attach, check_needs, facts_of
from genhub.plan.cost import cost_lines, costs_in_words
from genhub.plan.disjoint import how_to_part, shown
from genhub.plan.facts import denoisers_of
from genhub.plan.parts import calling, parts_from_blocks
from genhub.plan.plan import plan_parts
from genhub.testing.families import TinyPipeline

EXPECTED = Path(__file__).parent / "expected"
SIZE = {"height": 64, "width": 96, "frames": 3}
CLASSES = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 10}
MODELS: dict[str, Callable[[], Any]] = {
    **tiny.FAMILIES,
    "classes given": lambda: tiny.sd(**CLASSES),
    "classes counted": lambda: tiny.sd(num_class_embeds=5),
    "classes by time": lambda: tiny.sd(class_embed_type="timestep"),
    "classes as they are": lambda: tiny.sd(class_embed_type="identity"),
    "classes as they are, of a width": lambda: tiny.sd(
        class_embed_type="identity", time_embedding_dim=20
    ),
    "text projected": lambda: tiny.sd(encoder_hid_dim_type="text_proj", encoder_hid_dim=20),
    "width per level": lambda: tiny.sd(cross_attention_dim=(12, 12)),
    "three levels": tiny.sd_three_levels,
}


def written(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)} on {value.device}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    return repr(value)


def described(facts: Facts, denoiser: Any = None) -> str:
    """Write down facts: the latent, every site, and the example calls."""
    latent = facts.latent
    lines = [f"{facts.family}, {facts.modality}, {latent.axes} {latent.shape}, 1/{latent.factor}"]
    lines += [f"probed by {facts.probed_by} {facts.note}".rstrip()]
    for site in facts.sites:
        lines.append(
            f"  {site.index} {site.path}: {site.kind} {site.axis} {site.stage}, "
            f"{site.heads} x {site.head_dim} of {site.channels}, {site.tokens} to "
            f"{site.context_tokens}, level {site.level}, {site.grid}"
        )
    for component in denoisers_of(denoiser) if denoiser is not None else ():
        args, kwargs = facts.example_call(component)
        lines += [f"  {component}:", *(f"    {written(a)}" for a in args)]
        lines += [f"    {key}: {written(value)}" for key, value in kwargs.items()]
    return "\n".join(lines)


def test_facts_of_every_family_are_as_reviewed() -> None:
    texts = {}
    for name, make in MODELS.items():
        model = make()
        texts[name] = described(facts_of(model, **SIZE), model)
    compare(sections(texts), EXPECTED / "families.txt")


class Sized:
    """A pipeline that has what is given, and a call with defaults."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)

    def __call__(self, prompt: str, height: Any = None, width: Any = 40, num_frames: Any = 5):
        raise AssertionError("nobody calls it")


def vocoder() -> Any:
    config = SimpleNamespace(upsample_rates=(5, 4, 8), sampling_rate=16000, model_in_dim=64)
    return SimpleNamespace(config=config)


def test_sizes_of_pipelines_are_as_reviewed() -> None:
    tokenizer = SimpleNamespace(model_max_length=30)
    absurd = SimpleNamespace(model_max_length=10**30)
    audio = {"unet": tiny.audioldm(), "vae_scale_factor": 4}
    given: dict[str, tuple[Any, dict[str, Any]]] = {
        "bare": (tiny.sd(), {}),
        "bare, no size of its own": (tiny.sd(sample_size=None), {}),
        "bare, two sides": (tiny.sd(sample_size=(6, 10)), {}),
        "bare flux": (tiny.flux(), {}),
        "bare sd3": (tiny.sd3(), {"height": 71, "width": 100}),
        "bare video": (tiny.unet3d(), {}),
        "bare svd": (tiny.FAMILIES["svd"](), {}),
        "bare audio": (tiny.audioldm(), {}),
        "bare audio, two sides": (tiny.sd(sample_size=(6, 10)), {"modality": "audio"}),
        "defaults of the call": (Sized(unet=tiny.sd()), {}),
        "asked for": (Sized(unet=tiny.sd()), {"height": 50, "width": 49, "frames": 7}),
        "factor": (Sized(unet=tiny.sd(), vae_scale_factor=4), {"height": 50}),
        "words": (Sized(unet=tiny.sd(), tokenizer=tokenizer), {}),
        "absurd words": (Sized(unet=tiny.sd(), tokenizer=absurd), {}),
        "words of svd": (Sized(unet=tiny.FAMILIES["svd"](), tokenizer=tokenizer), {}),
        "words of flux": (Sized(transformer=tiny.flux(), tokenizer=tokenizer), {}),
        "size of flux": (Sized(transformer=tiny.flux(), default_sample_size=6), {}),
        "frames": (Sized(unet=tiny.unet3d()), {}),
        "seconds": (Sized(**audio, vocoder=vocoder()), {"seconds": 0.5}),
        "no seconds": (Sized(**audio, vocoder=vocoder()), {}),
        "seconds in vain": (Sized(unet=tiny.sd()), {"seconds": 2.0}),
        "seconds and height": (Sized(unet=tiny.sd()), {"seconds": 2.0, "height": 32}),
        "made to be a video": (Sized(unet=tiny.sd()), {"modality": "video"}),
        "bare wan": (tiny.wan(), {}),
        "frames of wan": (tiny.wan(), {"frames": 9}),
        "frames of wan, one": (tiny.wan(), {"frames": 1}),
        "frames of wan, rounded": (tiny.wan(), {"frames": 8, "height": 71, "width": 100}),
        "autoencoder of wan": (
            Sized(transformer=tiny.wan(), vae_scale_factor_temporal=2, vae_scale_factor_spatial=16),
            {"height": 128, "width": 256},
        ),
        "first denoiser of wan is absent": (Sized(transformer=None, transformer_2=tiny.wan()), {}),
        "bare qwenimage": (tiny.qwenimage(), {}),
        "two denoisers": (Sized(transformer=tiny.sd3(), transformer_2=tiny.flux()), {}),
    }
    texts = {}
    for name, (pipeline, asked) in given.items():
        facts = facts_of(pipeline, **asked)
        first = facts.sites[0]
        text = described(replace(facts, sites=(first,)), pipeline)
        texts[name] = text
    compare(sections(texts), EXPECTED / "sizes.txt")


def told(call: Callable[[], Any]) -> str:
    try:
        call()
    except GenHubError as error:
        return str(error)
    return "nothing is wrong"


def test_conflicts_are_told_as_reviewed(registries: Any) -> None:
    sd, video = tiny.sd, tiny.unet3d
    mixers: dict[str, tuple[Callable[[], Any], list[Any]]] = {
        "two of all": (sd, [{"type": "gain"}, {"type": "mean"}]),
        "twice the same": (sd, [{"type": "gain"}, {"type": "gain"}]),
        "a name left out": (
            sd,
            [{"type": "wanting", "where": {"name": "*mid*"}}, {"type": "wanting"}],
        ),
        "levels": (
            sd,
            [
                {"type": "wanting", "where": {"level": {"max": 1}}},
                {"type": "wanting", "where": {"level": {"min": 1}}},
            ],
        ),
        "one site": (
            sd,
            [
                {"type": "wanting", "where": {"index": 3}},
                {"type": "wanting", "where": {"index": {"min": 3, "max": 3}}},
            ],
        ),
        "overlap": (
            sd,
            [
                {"type": "wanting", "where": {"index": {"max": 4}}},
                {"type": "wanting", "where": {"index": {"min": 3}, "not_name": "*.7.*"}},
            ],
        ),
        "temporal": (video, [{"type": "gain", "where": {}}]),
        "nothing": (sd, [{"type": "gain", "where": {"level": 7}}]),
        "filtered": (video, [{"type": "mean", "where": {"stage": "up", "level": 0, "kind": "self"}},
                             {"type": "wanting", "where": {"stage": "up", "axis": "spatial"}}]),
    }  # fmt: skip
    texts = {}
    for name, (make, blocks) in mixers.items():
        texts[name] = told(partial(attach, make(), blocks, registries=registries))
    none = Facts("image", "other", Latent("BCHW", (), 8), ())
    parts = parts_from_blocks([{"type": "gain"}], registries=registries)
    texts["nothing of none"] = told(partial(plan_parts, parts, none, sd()))
    compare(sections(texts), EXPECTED / "conflicts.txt")


def test_a_plan_is_told_as_reviewed(registries: Any) -> None:
    model = tiny.unet3d()
    blocks = [
        {"type": "gain", "where": {"kind": "self", "axis": "spatial", "stage": "down"}},
        {"type": "mean", "where": {"kind": "self", "axis": "spatial", "stage": "up"}},
    ]
    parts = parts_from_blocks(blocks, {"type": "own-loop", "frames": 8}, registries)
    plan = plan_parts(parts, facts_of(model, **SIZE), model, world=2)
    texts = {"plan": plan.render(), "shards": f"{plan.shard(0)}\n{plan.shard(1)}"}
    with attach(model, blocks, registries=registries, **SIZE) as attached:
        texts["attached"] = attached.report()
    bare = plan_parts((), facts_of(Sized(unet=tiny.sd()), seconds=1.0), tiny.sd())
    texts["nothing attached"] = bare.render()
    flux = tiny.flux()
    texts["backend"] = plan_parts((), facts_of(flux, **SIZE), flux, backend="native").render()
    processors = dict(model.attn_processors)
    config = load({"genhub": 1, "input": {"prompts": ["a"]}}).config
    texts["costs"] = "\n".join(costs_in_words(plan, model, config, registries))
    assert model.attn_processors == processors
    sound = tiny.audioldm()
    with attach(sound) as attached:
        texts["costs of sound"] = "\n".join(cost_lines(attached.costs_before(), attached.costs()))
    compare(sections(texts), EXPECTED / "plans.txt")


def test_needs_are_told_as_reviewed(registries: Any) -> None:
    def wanting(label: str, **needs: Any) -> Any:
        part = parts_from_blocks([drivers.Wanting(drivers.WholeConfig(**needs))])[0]
        return replace(part, label=label)

    loop = parts_from_blocks((), {"type": "own-loop"}, registries)
    asked: dict[str, tuple[list[Any], dict[str, Any]]] = {
        "owners": (
            [wanting("a", owns={"x", "y", "z"}), wanting("b", owns={"z", "y"}), *loop],
            {},
        ),
        "ranks": ([wanting("a", world=(2, 2)), wanting("b", world=(1, 3))], {"world": 4}),
        "ranks enough": ([wanting("a", world=(2, 4))], {"world": 4}),
        "one rank": ([wanting("a", world=(1, 1))], {"world": 2}),
        "no end": ([wanting("a", world=(3, 10**9))], {"world": 2}),
        "one rank of the loop": (list(loop), {"world": 0}),
        "sound": (
            [wanting("a", modalities={"audio", "video"})],
            {"modality": "image", "model": "m"},
        ),
        "pictures": ([wanting("a", modalities={"image"})], {"modality": "video", "model": "m"}),
        "families": ([wanting("a", families={"b", "a"})], {"family": "c", "model": "m"}),
        "both": (
            [wanting("a", families={"b"}, modalities={"audio"})],
            {"family": "c", "modality": "image", "model": "m"},
        ),
    }
    texts = {
        name: "\n\n".join(p.render() for p in check_needs(parts, **facts)) or "nothing is wrong"
        for name, (parts, facts) in asked.items()
    }
    compare(sections(texts), EXPECTED / "needs.txt")


def test_faults_of_drivers_are_told_as_reviewed() -> None:
    part = parts_from_blocks([drivers.Wanting()])[0]
    texts = {}
    for error in (
        ValueError("first\nsecond"),
        SystemExit(3),
        AssertionError(),
        GenHubError("GH602", "it has said enough", hint="and how to mend it"),
    ):

        def fail(error: BaseException = error) -> None:
            with calling(part, "build"):
                raise error

        texts[repr(error)] = told(fail)
    compare(sections(texts), EXPECTED / "faults.txt")


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "{}"),
        ({"kind": "self", "level": 2}, "{kind: self, level: 2}"),
        ({"level": {"min": 1, "max": 2}}, "{level: {min: 1, max: 2}}"),
        ({"tokens": {"max": 64}, "stage": "mid"}, "{stage: mid, tokens: {max: 64}}"),
        ({"name": "*.attn1"}, '{name: "*.attn1"}'),
        ({"not_name": ["a*", "b"], "index": 0}, '{not_name: ["a*", "b"], index: 0}'),
    ],
)
def test_a_where_is_written_as_yaml_that_reads_back(where: dict[str, Any], text: str) -> None:
    import yaml

    assert shown(Where(**where)) == text
    assert Where(**yaml.safe_load(text)) == Where(**where)


def test_ways_to_part_two_mixers_are_as_reviewed() -> None:
    def site(index: int, **more: Any) -> Site:
        fixed: dict[str, Any] = {"component": "unet", "kind": "self", "axis": "spatial"}
        fixed |= {"stage": "down", "channels": 8, "heads": 2, "head_dim": 4, "tokens": 64}
        fixed |= {"context_tokens": None, "level": 0}
        return Site(path=f"unet.{index}", index=index, **(fixed | more))

    rows = {
        "kinds": ([site(0), site(1, kind="cross")], [site(0)]),
        "axes": ([site(0), site(1, axis="temporal")], [site(0)]),
        "stages": ([site(0), site(1, stage="mid"), site(2, stage="up")], [site(0)]),
        "components": ([site(0), site(1, component="transformer")], [site(0)]),
        "levels": ([site(i, level=i) for i in range(4)], [site(i, level=i) for i in range(2)]),
        "cut at a level": (
            [site(i, level=i // 2) for i in range(6)],
            [site(i, level=i // 2) for i in range(6)],
        ),
        "cut in the order": ([site(i) for i in range(4)], [site(i) for i in range(4)]),
        "by order": ([site(i) for i in range(5)], [site(2)]),
        "never called": ([site(-1), site(-1, level=None)], [site(-1)]),
        "by name": ([replace(site(-1), path=f"unet.{c}") for c in "abcde"],
                    [replace(site(-1), path=f"unet.{c}") for c in "cd"]),
        "by four names": ([replace(site(-1), path=f"unet.{c}") for c in "abcde"],
                          [replace(site(-1), path=f"unet.{c}") for c in "abcd"]),
        "alone": ([site(0)], [site(0)]),
    }  # fmt: skip
    texts = {}
    for name, (one, other) in rows.items():
        a, b = ("a", Where(), one), ("b", Where(), other)
        low = ("a", Where(level=Range(max=1), not_name="x"), one)
        ways = [how_to_part(a, b), how_to_part(b, a), how_to_part(low, b), how_to_part(b, low)]
        texts[name] = "\n".join(ways)
    compare(sections(texts), EXPECTED / "parting.txt")


def test_a_shard_of_tokens_is_told_as_frames_are(registries: Any) -> None:
    class TokenLoop(drivers.OwnLoop):
        def plan(self, facts, denoisers, world):
            return drivers.LoopPlan(world, Shard("tokens", 0, 16, 64))

    registries.get("parallel_schedulers").add("token-loop", TokenLoop)
    block = {"type": "wanting", "sequence": "whole", "where": {"axis": "spatial"}}
    parts = parts_from_blocks([block], {"type": "token-loop"}, registries)
    model = tiny.sd()
    assert told(lambda: plan_parts(parts, facts_of(model), model)) == (
        "error[GH405] 'wanting' needs the whole sequence, 'token-loop' gives each rank 16 of 64 "
        "tokens\n  leave out 'wanting' or 'token-loop'"
    )


def test_a_pipeline_without_a_progress_bar_of_its_own_gets_none() -> None:
    pipeline = TinyPipeline(tiny.sd())
    before = dict(vars(pipeline))
    facts_of(pipeline)
    assert vars(pipeline) == before
