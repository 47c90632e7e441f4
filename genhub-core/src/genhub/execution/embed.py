"""The config that makes one sample and nothing else: what a picture carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genhub.api import Sample
from genhub.config import to_map

__all__ = ["embedded", "payloads_of"]


def payloads_of(config: Any, samples: Sequence[Sample], given: bool) -> dict[int, dict[str, Any]]:
    """Give `embedded` of every sample, by its index."""
    return {sample.index: embedded(config, sample, given) for sample in samples}


def embedded(config: Any, sample: Sample, given: bool) -> dict[str, Any]:
    """Reduce a variant's config to one of its samples.

    Nothing in it depends on when or where the run was: repeated, it gives the same file.
    `given` says that the pipeline came from Python, so that the config alone does not repeat it.
    """
    fields = to_map(config)
    for key in ("variants", "compare", "metrics"):  # they need other samples
        fields.pop(key, None)
    fields["seed"] = sample.seed
    if "input" in fields:  # a task without a model has none, and is repeated as a whole
        _keep_one(fields, config, sample)
    payload = {
        "genhub": 1,
        "variant": sample.variant,
        "sample": sample.index,
        "seed": sample.seed,
        "config": fields,
    }
    return {**payload, "pipeline_given": True} if given else payload


def _keep_one(fields: dict[str, Any], config: Any, sample: Sample) -> None:
    """Leave one prompt, one picture and one sample."""
    case = sample.index // config.sampling.samples
    for key in ("prompts", "images"):
        listed = fields["input"].get(key)
        if isinstance(listed, list) and listed:
            fields["input"][key] = [listed[case % len(listed)]]
    if isinstance(fields["input"].get("prompts"), str):  # a file, which need not be there later
        fields["input"]["prompts"] = [(sample.prompt or "").replace("${", "$${")]
    fields["sampling"] |= {"samples": 1, "batch": 1}
