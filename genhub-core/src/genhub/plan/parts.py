"""The drivers of one attachment, whether a config names them or a caller hands them over."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ValidationError

from genhub.api import (
    AttentionMixer,
    GenHubError,
    ParallelScheduler,
    Plugin,
    PluginConfig,
    Problem,
    Where,
)
from genhub.config.names import SLOTS
from genhub.errors import Mark
from genhub.kinds import noun
from genhub.registry import Registries, default

__all__ = [
    "Part",
    "calling",
    "labelled",
    "part_of",
    "parts_from_blocks",
    "parts_from_config",
]

BASE: Mapping[str, type[Plugin]] = {"attention": AttentionMixer, "parallel": ParallelScheduler}


@dataclass(frozen=True)
class Part:
    """One driver: its kind in the config, its name, what it is called in messages, its sites."""

    kind: str  # the top-level key of its block
    name: str
    driver: Any
    where: Where | None = None  # as the user gave it
    mark: Mark | None = None
    label: str = ""

    @property
    def selects(self) -> Where:
        """Give the user's `where`, or the mixer's own.

        Which kind of attention a mixer serves is its own affair, unless the user says it, or names
        sites.
        """
        own: Where = self.driver.default_where
        chosen = own if self.where is None else self.where
        if chosen.kind is None and chosen.name is None:
            return chosen.model_copy(update={"kind": own.kind})
        return chosen

    @property
    def canonical(self) -> str:
        """Write kind, name and config in a form that equals on every rank."""
        config = self.driver.config
        fields = config.model_dump(mode="json") if isinstance(config, BaseModel) else repr(config)
        where = None if self.where is None else self.where.model_dump(mode="json")
        return json.dumps([self.kind, self.name, fields, where], sort_keys=True)


@contextmanager
def calling(part: Part, method: str) -> Iterator[None]:
    """Say whose fault it is when a driver raises something that is not meant for the user."""
    try:
        yield
    except GenHubError:
        raise
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {error}".strip(": \n").partition("\n")[0]
        raise GenHubError(
            "GH606",
            f"'{part.label}' failed in {method}(): {text}",
            hint="this is a fault of the plugin, or of its settings",
            mark=part.mark,
        ) from error


def parts_from_config(loaded: Any) -> tuple[Part, ...]:
    """Make every driver that a `genhub.config.Loaded` names, the task among them.

    What a search chooses from is left out: it is not there at once.
    """
    config, mark = loaded.config, loaded.mark
    chosen = [used for used in loaded.drivers if not used.is_choice]
    return labelled([part_of(config, used, mark(used.loc)) for used in chosen])


def part_of(config: Any, used: Any, mark: Mark | None) -> Part:
    """Make one driver (`genhub.config.Used`); its block, validated already, is its config."""
    block = config
    for step in used.loc:
        block = block[step] if isinstance(step, int) else getattr(block, step)
    kind = str(used.loc[0])
    where = block.where if kind == "attention" else None
    return Part(kind, used.name, used.cls(block), where, mark)


def parts_from_blocks(
    attention: Sequence[Any] = (),
    parallel: Any = None,
    registries: Registries | None = None,
) -> tuple[Part, ...]:
    """Make drivers from blocks like those of a YAML file, or of configs; take ready ones as is.

    Raises GenHubError with all that is wrong: names as GH2xx, fields as GH3xx.
    """
    given = [("attention", one) for one in attention]
    given += [] if parallel is None else [("parallel", parallel)]
    known = registries or default()
    made = [_ready(kind, one, known) for kind, one in given]
    blocks = [block for block, part in zip(given, made, strict=True) if part is None]
    validated = iter(_validated(blocks, known) if blocks else ())
    return labelled([next(validated) if part is None else part for part in made])


def _ready(kind: str, given: Any, registries: Registries) -> Part | None:
    """Take a driver, or make one of its config; None for a block, which is to be validated."""
    if isinstance(given, BASE[kind]):
        return Part(kind, _own_name(given), given)
    if not isinstance(given, PluginConfig):
        return None
    registry, config = registries.get(SLOTS[kind]), type(given)
    for entry in registry.entries():
        if entry.value.partition(":")[0] == config.__module__:
            driver = registry.load(entry.qualified)
            if driver.Config is config:
                return Part(kind, entry.name, driver(given))
    raise GenHubError(
        "GH304",
        f"{kind}: no installed {noun(SLOTS[kind])} has the config {config.__name__}",
        hint="give a block {'type': ...}, or the driver itself",
    )


def _validated(blocks: Sequence[tuple[str, Any]], registries: Registries) -> tuple[Part, ...]:
    """Validate blocks by the Configs of their drivers, as those of a file are."""
    from genhub.config.messages import explain
    from genhub.config.names import drivers_of
    from genhub.config.tree import from_python, plain
    from genhub.config.union import run_class

    wanted: dict[str, Any] = {"genhub": 1, "attention": [b for k, b in blocks if k == "attention"]}
    wanted |= {kind: block for kind, block in blocks if kind == "parallel"}
    problems: list[Problem] = []
    named = drivers_of(from_python(wanted), registries, problems)
    model = run_class(named.used, holes=True)
    try:
        config = model.model_validate_json(json.dumps(plain(named.root)), strict=True)
    except ValidationError as error:
        problems += explain(error.errors(include_url=False), named.root, model)
    if problems:
        raise GenHubError.several(problems)
    return parts_from_config(
        SimpleNamespace(config=config, drivers=named.used, mark=lambda loc: None)
    )


def _own_name(driver: Any) -> str:
    """Name a driver that was handed over: by its config's type, else by its class."""
    declared = getattr(driver.config, "type", None)
    return declared or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(driver).__name__).lower()


def labelled(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Number the drivers of one kind whose name occurs more than once."""
    total = Counter((part.kind, part.name) for part in parts)
    met: Counter[tuple[str, str]] = Counter()
    numbered = []
    for part in parts:
        key = part.kind, part.name
        label = part.name if total[key] == 1 else f"{part.name}[{met[key]}]"
        met[key] += 1
        numbered.append(replace(part, label=label))
    return tuple(numbered)
