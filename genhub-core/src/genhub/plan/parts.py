"""The drivers of one attachment, whether a config names them or a caller hands them over."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from genhub.api import AttentionMixer, GenHubError, ParallelScheduler, Plugin, Problem, Where
from genhub.errors import Mark
from genhub.registry import Registries, default

if TYPE_CHECKING:
    from genhub.config import Loaded

__all__ = ["Part", "calling", "parts_from_blocks", "parts_from_config"]

REGISTRY = {"attention": "attention_mixers", "parallel": "parallel_schedulers"}
BASE: Mapping[str, type[Plugin]] = {"attention": AttentionMixer, "parallel": ParallelScheduler}


@dataclass(frozen=True)
class Part:
    """One driver: its kind in the config, its name, what it is called in messages, its sites."""

    kind: str  # "attention" | "parallel" | any other block that holds a driver
    name: str
    driver: Any
    where: Where | None = None  # as the user gave it
    mark: Mark | None = None
    label: str = ""

    @property
    def selects(self) -> Where:
        """Give the user's `where`, or the mixer's own."""
        chosen: Where = self.driver.default_where if self.where is None else self.where
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
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        raise GenHubError(
            "GH606",
            f"'{part.label}' failed in {method}(): {type(error).__name__}: {text}",
            hint="this is a fault of the plugin, or of its settings",
            mark=part.mark,
        ) from error


def parts_from_config(source: Any, registries: Registries | None = None) -> tuple[Part, ...]:
    """Make the mixers and the scheduler of a config: a `Loaded` (with positions) or a `RunConfig`.

    Blocks are validated already; a driver gets its block as its config.
    """
    loaded: Loaded | None = source if hasattr(source, "drivers") else None
    config = source if loaded is None else loaded.config
    used = {} if loaded is None else {one.loc: one for one in loaded.drivers}
    blocks: list[tuple[tuple[str | int, ...], Any]] = [
        (("attention", index), block) for index, block in enumerate(config.attention)
    ]
    if config.parallel is not None:
        blocks.append((("parallel",), config.parallel))
    parts = []
    for loc, block in blocks:
        kind = str(loc[0])
        name = used[loc].name if loc in used else block.type
        cls = used[loc].cls if loc in used else _class(kind, name, registries)[1]
        mark = None if loaded is None else loaded.mark(loc)
        parts.append(Part(kind, name, cls(block), getattr(block, "where", None), mark))
    return _labelled(parts)


def parts_from_blocks(
    attention: Sequence[Any] = (),
    parallel: Any = None,
    registries: Registries | None = None,
) -> tuple[Part, ...]:
    """Make drivers from blocks like those of a YAML file, or take ready ones as they are.

    Raises GenHubError: names as GH2xx, fields as GH3xx, all of one call together.
    """
    parts = []
    problems: list[Problem] = []
    blocks: list[tuple[str, str, Any]] = [
        ("attention", f"attention.{index}", block) for index, block in enumerate(attention)
    ]
    if parallel is not None:
        blocks.append(("parallel", "parallel", parallel))
    for kind, place, block in blocks:
        try:
            parts.append(_part(kind, place, block, registries))
        except GenHubError as error:
            problems += error.problems
    if problems:
        raise GenHubError.several(problems)
    return _labelled(parts)


def _part(kind: str, place: str, block: Any, registries: Registries | None) -> Part:
    if isinstance(block, BASE[kind]):
        return Part(kind, _own_name(block), block)
    if not isinstance(block, Mapping):
        raise GenHubError(
            "GH303",
            f"{place} is {block!r}, which is neither a block nor a {BASE[kind].__name__}",
            hint="give a mapping such as {'type': 'linfusion'}, or a driver object",
        )
    fields = dict(block)
    name = fields.pop("type", None)
    if not isinstance(name, str):
        raise GenHubError("GH304", f"{place} has no type", hint="name the driver: {'type': NAME}")
    name, cls = _class(kind, name, registries)
    where = fields.pop("where", None) if kind == "attention" else None
    with _explained(place):
        selected = None if where is None else Where.model_validate(where)
        config = cls.Config.model_validate(fields)
    return Part(kind, name, cls(config), selected)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn pydantic's complaints about one block into problems with codes."""
    codes = {"extra_forbidden": "GH301", "missing": "GH304"}
    try:
        yield
    except ValidationError as error:
        raise GenHubError.several(_complaints(place, error, codes)) from None


def _complaints(place: str, error: ValidationError, codes: Mapping[str, str]) -> Iterable[Problem]:
    for one in error.errors(include_url=False):
        kind = one["type"]
        path = ".".join([place, *(str(step) for step in one["loc"])])
        if kind == "extra_forbidden":
            text = f"{path} is not a field of this block"
        elif kind == "missing":
            text = f"{path} is missing"
        else:
            text = f"{path} is {one['input']!r}: {one['msg']}"
        bounded = kind.startswith(("greater_than", "less_than"))
        wrong_type = kind.endswith(("_type", "_parsing"))
        code = codes.get(kind, "GH302" if bounded else "GH303" if wrong_type else "GH305")
        yield Problem(code, text)


def _class(kind: str, name: str, registries: Registries | None) -> tuple[str, Any]:
    registry = (registries or default()).get(REGISTRY[kind])
    return registry.find(name).name, registry.load(name)


def _own_name(driver: Any) -> str:
    """Name a driver that was handed over: by its config's type, else by its class."""
    declared = getattr(driver.config, "type", None)
    return declared or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(driver).__name__).lower()


def _labelled(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Number the drivers whose name occurs more than once."""
    total = Counter(part.name for part in parts)
    met: Counter[str] = Counter()
    labelled = []
    for part in parts:
        label = part.name if total[part.name] == 1 else f"{part.name}[{met[part.name]}]"
        met[part.name] += 1
        labelled.append(replace(part, label=label))
    return tuple(labelled)
