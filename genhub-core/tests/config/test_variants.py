"""Variants: named overrides of a config, and the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genhub.config import load, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries

CONFIG: dict[str, Any] = {
    "genhub": 1,
    "attention": [{"type": "scale", "factor": 2}],
    "parallel": {"type": "solo"},
    "sampling": {"steps": 5},
    "compare": ["baseline", "quick", "other"],
    "variants": {
        "quick": {"sampling.steps": 2, "attention.0.factor": 3},
        "other": {"attention": [{"type": "focus", "rank": 2}], "parallel": None},
        "nested": {"sampling": {"batch": 4}},
    },
}


def test_a_variant_is_the_config_with_its_overrides(registries: Registries) -> None:
    loaded = load(CONFIG, registries=registries)
    quick = loaded.variant("quick").config
    assert (quick.sampling.steps, quick.attention[0].factor) == (2, 3.0)
    assert quick.parallel.type == "solo"
    nested = loaded.variant("nested").config
    assert (nested.sampling.steps, nested.sampling.batch) == (5, 4)
    assert loaded.config.sampling.steps == 5


def test_a_variant_has_its_own_drivers(registries: Registries) -> None:
    loaded = load(CONFIG, registries=registries)
    assert [u.name for u in loaded.drivers] == ["generate", "scale", "solo"]
    assert [u.name for u in loaded.variant("other").drivers] == ["generate", "focus"]


def test_the_baseline_has_neither_attention_nor_parallel(registries: Registries) -> None:
    baseline = load(CONFIG, registries=registries).variant("baseline").config
    assert (baseline.attention, baseline.parallel, baseline.sampling.steps) == ([], None, 5)


def test_a_variant_stands_alone(registries: Registries) -> None:
    loaded = load(CONFIG, registries=registries)
    for name in ("main", "baseline", "quick"):
        config = loaded.variant(name).config
        assert (config.variants, config.compare) == ({}, [])
        assert load(_tree(to_yaml(config)), registries=registries).config == config


def test_variants_survive_writing(registries: Registries) -> None:
    loaded = load(CONFIG, registries=registries)
    again = load(_tree(to_yaml(loaded.config)), registries=registries)
    assert again.config == loaded.config
    assert again.variant("quick").config == loaded.variant("quick").config


def test_an_unknown_variant_is_named_with_those_there_are(registries: Registries) -> None:
    with pytest.raises(GenHubError) as caught:
        load(CONFIG, registries=registries).variant("slow")
    assert caught.value.code == "GH207"
    assert "main, baseline, quick, other, nested" in caught.value.problems[0].hint


def test_what_is_wrong_with_the_config_is_not_told_again_for_its_variants(
    registries: Registries,
) -> None:
    with pytest.raises(GenHubError) as caught:
        load({**CONFIG, "seed": -1}, registries=registries)
    assert [p.message for p in caught.value.problems] == [
        "seed is -1; it must be 0 to 9223372036854775807"
    ]


def test_drivers_that_cannot_go_together_are_found_in_variants(registries: Registries) -> None:
    variants = {"both": {"attention": [{"type": "focus", "rank": 2, "chunk": 8}]}}
    with pytest.raises(GenHubError) as caught:
        load({**CONFIG, "variants": variants, "compare": []}, registries=registries)
    assert caught.value.code == "GH404"
    assert caught.value.problems[0].message.startswith("variant 'both': ")


def test_paths_of_variants_are_absolute_so_that_a_resolved_config_finds_them(
    registries: Registries, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "c.yaml").write_text(
        "genhub: 1\n"
        "variants:\n"
        "  dotted: {model.source: weights}\n"
        "  nested: {model: {source: weights}}\n"
        "  listed: {input.images: [weights, nowhere.png]}\n"
        "sweep: {model.source: [weights, 'tiny:shapes']}\n"
    )
    loaded = load(tmp_path / "c.yaml", registries=registries)
    path = str(tmp_path / "weights")
    assert loaded.config.variants == {
        "dotted": {"model.source": path},
        "nested": {"model": {"source": path}},
        "listed": {"input.images": [path, "nowhere.png"]},
        "source=weights": {"model.source": path},
        "source=tiny-shapes": {"model.source": "tiny:shapes"},
    }
    again = load(_tree(to_yaml(loaded.config)), registries=registries)
    assert again.variant("nested").config == loaded.variant("nested").config


def _tree(text: str) -> dict[str, Any]:
    from genhub.config.reader import read
    from genhub.config.tree import plain

    tree: dict[str, Any] = plain(read(text, "r.yaml")[0])
    return tree
