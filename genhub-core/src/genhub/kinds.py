"""The kinds of plugins, and the names that GenHub's own packages give to them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["BASES", "CORE", "FIRST_PARTY", "KINDS", "noun", "package_of"]

CORE = "genhub-core"

KINDS: Mapping[str, str] = MappingProxyType(
    {
        kind: f"genhub.{kind}"
        for kind in (
            "attention_mixers",
            "parallel_schedulers",
            "decoders",
            "environments",
            "search_spaces",
            "search_strategies",
            "kernels",
            "tasks",
            "models",
            "metrics",
            "hooks",
            "commands",
        )
    }
)

# What a class of each kind derives from, by its name in genhub.api; hooks may be any object.
BASES: Mapping[str, str] = MappingProxyType(
    {
        "attention_mixers": "AttentionMixer",
        "parallel_schedulers": "ParallelScheduler",
        "decoders": "Decoder",
        "environments": "EnvironmentFactory",
        "search_spaces": "SearchSpace",
        "search_strategies": "SearchStrategy",
        "kernels": "Kernel",
        "tasks": "Task",
        "models": "ModelSource",
        "metrics": "Metric",
        "commands": "Command",
    }
)

# Names of GenHub's own packages, to say which one to install; a trailing * stands for any ending.
FIRST_PARTY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (kind, name): distribution
        for distribution, kind, names in (
            ("genhub-linfusion", "attention_mixers", "linfusion local"),
            ("genhub-linfusion", "kernels", "linear_attention.*"),
            ("genhub-linfusion", "tasks", "distill upscale"),
            ("genhub-linfusion", "commands", "linfusion"),
            ("genhub-litefocus", "attention_mixers", "litefocus"),
            ("genhub-litefocus", "kernels", "focus_attention.*"),
            ("genhub-litefocus", "models", "tones"),
            ("genhub-litefocus", "metrics", "tone-accuracy"),
            ("genhub-litefocus", "commands", "litefocus"),
            ("genhub-videoinf", "parallel_schedulers", "videoinf"),
            ("genhub-videoinf", "attention_mixers", "dual-scope"),
            ("genhub-videoinf", "kernels", "dual_scope_attention.*"),
            ("genhub-videoinf", "models", "motion"),
            ("genhub-videoinf", "metrics", "motion-accuracy"),
            ("genhub-videoinf", "commands", "videoinf"),
            ("genhub-asyncdiff", "parallel_schedulers", "asyncdiff"),
            ("genhub-asyncdiff", "commands", "asyncdiff"),
            ("genhub-mindbridge", "decoders", "mindbridge"),
            ("genhub-mindbridge", "tasks", "fit-decoder adapt-decoder"),
            ("genhub-mindbridge", "models", "brain"),
            ("genhub-mindbridge", "metrics", "retrieval pixcorr"),
            ("genhub-mindbridge", "commands", "mindbridge"),
            ("genhub-cprocgen", "environments", "cprocgen"),
            ("genhub-cprocgen", "commands", "cprocgen"),
            ("genhub-advnas", "search_spaces", "advnas"),
            ("genhub-advnas", "search_strategies", "adversarial nsga2 local-search optuna"),
            ("genhub-advnas", "tasks", "train-genotype"),
            ("genhub-advnas", "commands", "advnas"),
        )
        for name in names.split()
    }
)


def noun(kind: str) -> str:
    """Give the word for one plugin of `kind`, as messages use it."""
    plain = kind.replace("_", " ")
    return "search strategy" if kind == "search_strategies" else plain.removesuffix("s")


def package_of(kind: str, name: str) -> str | None:
    """Give the GenHub package that provides `name`, installed or not."""
    for (of_kind, pattern), package in FIRST_PARTY.items():
        if of_kind != kind:
            continue
        if pattern.replace("_", "-") == name.replace("_", "-"):
            return package
        if pattern.endswith("*") and name.startswith(pattern[:-1]):
            return package
    return None
