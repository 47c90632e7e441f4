"""The space of mixer placements: its sites, its costs, and searches that make pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rundrivers
import torch
import toyspaces

import genhub
from genhub import GenHubError
from genhub.api import Needs, Where
from genhub.config import load
from genhub.execution import models, plan_text
from genhub.metrics.pictures import open_picture
from genhub.search.placement import MixerPlacement, PlacementConfig

STAR = "a large red star in the center on white"
RING = "a small blue ring on the left on black"


def placement(registries: Any, *choices: Any) -> MixerPlacement:
    """Make the space that a config asks for."""
    search = {
        **{"type": "mixer-placement", "choices": list(choices), "strategy": {"type": "random"}},
        "objective": [{"metric": "flops", "goal": "min"}],
    }
    config = load({"genhub": 1, "task": "search", "search": search}, registries=registries).config
    return MixerPlacement(config.search)


def sd15(**changes: Any) -> Any:
    """Build the topology of Stable Diffusion 1.5 without memory."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8, **changes)


def sdxl() -> Any:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )


class Linear(toyspaces.Half):
    """Takes every attn1, in the middle too."""

    default_where = Where(name="*.attn1")

    def accepts(self, site: Any, attn: Any) -> str | None:
        return None


@pytest.mark.parametrize(("unet", "sites"), [(sd15, 16), (sdxl, 70)], ids=["sd15", "sdxl"])
def test_published_topologies_have_two_to_the_number_of_their_sites(
    registries: Any, unet: Any, sites: int
) -> None:
    registries.get("attention_mixers").add("linear", Linear)
    space = placement(registries, "none", "linear")
    with genhub.attach(unet()) as attached:
        space.look_at(attached, registries)
    assert space.count() == space.count("valid") == space.count("distinct") == 2**sites
    decisions = space.describe().decisions
    assert all(d.id.endswith(".attn1") and d.choices == ("none", "linear") for d in decisions)
    (g,) = space.sample(np.random.default_rng(0))
    (block,) = space.build(g, "denoiser")["attention"]
    assert len(block["where"]["name"]) == sum(space.codes(g))
    assert space.decode(json.loads(json.dumps(space.encode(g)))) == g
    every = space.genotype([1] * sites)
    assert space.cost(every, "denoiser").macs < space.cost(g, "denoiser").macs
    assert space.graph(g, "denoiser").to_svg().count("<rect") == sites


@pytest.fixture
def config(model: Path, tmp_path: Path) -> dict[str, Any]:
    """A search over a tiny pipeline, by likeness to the baseline against cost."""
    return {
        "genhub": 1,
        "name": "place",
        "task": "search",
        "model": {"source": str(model)},
        "search": {
            "type": "mixer-placement",
            "choices": ["none", "half"],
            "strategy": {"type": "random", "trials": 5},
            "objective": [{"metric": "psnr", "goal": "max"}, {"metric": "flops", "goal": "min"}],
        },
        "input": {"prompts": [STAR, RING]},
        "sampling": {"steps": 2, "guidance": 3.0},
        "compare": ["baseline"],
        "output": {"dir": str(tmp_path / "runs"), "report": False},
    }


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def sites_of(trial: dict[str, Any]) -> list[str]:
    made = trial["genotype"]["roles"]["denoiser"]
    return [path for path, choice in made.items() if choice != "none"]


def test_a_trial_is_what_a_run_with_its_placement_gives(
    config: Any, registries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    really = models.load
    monkeypatch.setattr(models, "load", lambda *args: loads.append(args) or really(*args))
    result = genhub.run(config, registries=registries)
    assert len(loads) == 1  # however many placements are tried

    found = trials(result.folder)
    assert len(found) == 5 and all(t["state"] == "done" for t in found)
    assert len({t["metrics"]["psnr"] for t in found}) > 1
    trial = next(t for t in found if sites_of(t))
    direct = {k: v for k, v in config.items() if k not in ("task", "search")}
    direct["attention"] = [{"type": "half", "where": {"name": sites_of(trial)}}]
    plain = genhub.run({**direct, "metrics": ["psnr"]}, registries=registries)
    assert plain.metrics["main"]["psnr"] == trial["metrics"]["psnr"]


def test_mixers_to_choose_from_may_own_the_same(registries: Any) -> None:
    class Owner(toyspaces.Half):
        def needs(self) -> Needs:
            return Needs(owns=frozenset({"denoiser-forward"}))

    for name in ("one", "other"):
        registries.get("attention_mixers").add(name, Owner, origin="toy-dist")
    assert len(placement(registries, "none", "one", "other").config.choices) == 3


def test_the_best_is_a_config_that_makes_the_best_again(config: Any, registries: Any) -> None:
    result = genhub.run(config, registries=registries)
    best = json.loads((result.folder / "manifest.json").read_text())["search"]["best"]
    expected = trials(result.folder)[best]["metrics"]
    assert result.metrics["main"]["psnr"] == expected["psnr"]
    assert result.metrics["main"]["flops"] == expected["flops"]

    again = genhub.run(
        result.folder / "best.yaml", output=result.folder.parent, registries=registries
    )
    assert again.metrics["main"]["psnr"] == expected["psnr"]
    assert again.folder.name.startswith("place-best-")
    for a, b in zip(result.artifacts, again.artifacts, strict=True):
        pictures = [open_picture(r.folder / x.path) for r, x in ((result, a), (again, b))]
        assert np.array_equal(*pictures)


def test_pictures_of_the_front_are_kept_and_those_of_other_trials_are_not(
    config: Any, registries: Any
) -> None:
    folder = genhub.run(config, registries=registries).folder
    front = json.loads((folder / "manifest.json").read_text())["search"]["front"]
    kept = sorted(path.name for path in (folder / "trials").iterdir())
    assert kept == sorted(f"{index:04d}" for index in front)
    for name in kept:
        assert len(list((folder / "trials" / name / "artifacts").glob("*.png"))) == 2


def test_a_search_of_costs_alone_makes_no_pictures(config: Any, registries: Any) -> None:
    del config["compare"]
    config["search"]["objective"] = [{"metric": "macs", "goal": "min"}]
    config["search"]["strategy"]["trials"] = 100
    result = genhub.run(config, registries=registries)
    assert result.artifacts == () and not (result.folder / "trials").exists()
    found = trials(result.folder)
    assert len(found) == 2 ** len(found[0]["genotype"]["roles"]["denoiser"])
    least = min(found, key=lambda t: t["metrics"]["macs"])
    assert len(sites_of(least)) == len(least["genotype"]["roles"]["denoiser"])


def test_the_runs_own_mixers_stay_and_their_sites_are_not_decided(
    config: Any, registries: Any
) -> None:
    config["attention"] = [{"type": "gain", "gain": 0.9, "where": {"kind": "self", "stage": "up"}}]
    config["search"]["choices"] = [
        "none",
        {"type": "half", "where": {"kind": "self"}},
        {"type": "half", "gain": 0.25, "where": {"kind": "cross"}},
    ]
    config["search"]["within"] = {"stage": "down"}
    folder = genhub.run(config, registries=registries).folder
    (decided, *_) = (t["genotype"]["roles"]["denoiser"] for t in trials(folder))
    assert all(".down_blocks." in path for path in decided)
    own = [path.endswith("attn1") for path in decided]
    assert any(own) and not all(own)
    made = (t["genotype"]["roles"]["denoiser"].values() for t in trials(folder))
    seen = {choice for choices in made for choice in choices}
    assert seen == {"none", "half[0]", "half[1]"}
    best = (folder / "best.yaml").read_text()
    assert "type: gain" in best


def test_a_mixer_that_does_not_tell_its_cost_serves_where_cost_is_no_objective(
    config: Any, registries: Any
) -> None:
    config["search"]["choices"] = ["none", {"type": "gain", "gain": 0.5}]
    with pytest.raises(GenHubError, match="'gain' does not say what it costs at unet") as caught:
        genhub.run(config, registries=registries)
    assert caught.value.code == "GH414"
    del config["search"]["objective"][1]
    config["search"]["strategy"]["trials"] = 2
    result = genhub.run(config, registries=registries)
    assert [t["state"] for t in trials(result.folder)] == ["done", "done"]


def test_where_no_mixer_serves_a_site_there_is_nothing_to_search(
    config: Any, registries: Any
) -> None:
    config["search"]["within"] = {"stage": "mid"}
    with pytest.raises(GenHubError, match="can be decided") as caught:
        genhub.run(config, registries=registries)
    assert caught.value.code == "GH402"


def test_a_mixer_that_cannot_be_attached_ends_the_search_before_its_first_trial(
    config: Any, registries: Any
) -> None:
    registries.get("attention_mixers").add("unready", rundrivers.Unready)
    config["search"]["choices"] = ["none", {"type": "unready"}]
    with pytest.raises(GenHubError, match="no weights are known"):
        genhub.run(config, registries=registries)
    folder = Path(config["output"]["dir"]) / "latest"
    assert not (folder / "trials.jsonl").exists()


def test_a_space_that_has_seen_no_model_says_what_to_do() -> None:
    space = MixerPlacement(PlacementConfig(choices=["none", "half"]))
    with pytest.raises(RuntimeError, match=r"open\(run\)"):
        space.describe()


def test_the_plan_says_what_attention_costs(config: Any, registries: Any) -> None:
    plain = {key: config[key] for key in ("genhub", "model", "input", "sampling")}
    before = plan_text(load(plain, registries=registries), registries)
    assert "FLOP per denoiser call and sample as the model is" in before
    assert "with the mixers in place" not in before
    with_mixer = {**plain, "attention": [{"type": "half"}]}
    assert "with the mixers in place" in plan_text(
        load(with_mixer, registries=registries), registries
    )
