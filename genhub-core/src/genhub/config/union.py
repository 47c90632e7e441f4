"""The config's class for the drivers at hand: their blocks as unions discriminated by `type`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, create_model

from genhub.api import PluginConfig, Where
from genhub.config.model import Block, RunConfig
from genhub.config.names import NONE, SLOTS, Used
from genhub.errors import PluginBroken
from genhub.kinds import noun

__all__ = ["Objective", "block_class", "run_class", "union_of"]


class Objective(Block):
    """One figure that a search drives at."""

    metric: str = Field(min_length=1, description="a metric, or a cost of the space")
    goal: Literal["min", "max"] = Field(description="which way is better")
    weight: float = Field(1.0, ge=0, description="weight beside other objectives")


Classes = tuple[type[BaseModel], ...]


@lru_cache(maxsize=512)
def block_class(
    kind: str,
    name: str,
    cls: type,
    strategies: Classes = (),
    listed: tuple[tuple[str, Classes], ...] = (),
) -> type[BaseModel]:
    """Derive the class of a driver's block: its Config with `type`, and `where` for a mixer.

    `listed` gives, for fields of a search space that list blocks, what may stand there.

    Raises PluginBroken (GH203) where pydantic cannot make sense of the Config.
    """
    config: type[PluginConfig] = cls.Config  # type: ignore[attr-defined]
    fields: dict[str, Any] = {
        "type": (Literal[name], Field(description=f"name of the {noun(kind)}"))
    }
    if kind == "attention_mixers":
        fields["where"] = (
            Where | None,
            Field(None, description="which attention sites; left out: the mixer's own choice"),
        )
    if kind == "search_spaces":
        found = union_of(strategies)
        fields["strategy"] = (found, Field(description="how the space is searched"))
        fields["objective"] = (
            list[Objective],
            Field(min_length=1, description="what is maximised or minimised"),
        )
        fields["budget_s"] = (
            float | None,
            Field(None, gt=0, description="seconds after which no trial is begun"),
        )
    for field, classes in listed:
        entry: Any = Literal[NONE] | union_of(classes)
        fields[field] = (list[entry], config.model_fields[field])
    words = f"{name} {noun(kind)}".replace(":", " ").replace("-", " ").replace("_", " ")
    title = "".join(word.capitalize() for word in words.split())
    summary = getattr(cls, "summary", "") or None
    try:
        derived = create_model(title, __base__=config, __doc__=summary, **fields)
        derived.model_rebuild()
    except Exception as error:  # its own metaclass, annotations or validators may raise anything
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PluginBroken(
            "GH203",
            f"the {noun(kind)} '{name}' is broken: its Config has no meaning to pydantic: {cause}",
            hint="this is a fault of its package: update it, or tell its authors",
        ) from error
    return derived


def union_of(classes: Iterable[type[BaseModel]]) -> Any:
    """Give the annotation of a block that is one of these; None where there is none."""
    listed = tuple(dict.fromkeys(classes))
    if len(listed) < 2:
        return listed[0] if listed else None
    return Annotated[Union[listed], Field(discriminator="type")]  # noqa: UP007


def run_class(used: Iterable[Used], *, holes: bool = False) -> type[RunConfig]:
    """Derive RunConfig for these drivers; `holes` lets null stand for any block."""
    listed = list(used)
    strategies = tuple(
        dict.fromkeys(
            block_class(u.kind, u.name, u.cls) for u in listed if u.kind == "search_strategies"
        )
    )
    slots: dict[str, dict[type[BaseModel], None]] = {slot: {} for slot in SLOTS}
    for each in listed:
        if each.kind == "search_spaces":
            made = block_class(each.kind, each.name, each.cls, strategies, _lists(listed))
        elif each.loc[0] == "search":  # stands inside the space's block
            continue
        else:
            made = block_class(each.kind, each.name, each.cls)
        slots[str(each.loc[0])][made] = None
    return _derived(tuple((slot, tuple(found)) for slot, found in slots.items()), holes)


def _lists(used: Iterable[Used]) -> tuple[tuple[str, Classes], ...]:
    """Give the blocks that stand in each list of a space that has any."""
    found: dict[str, dict[type[BaseModel], None]] = {}
    for each in used:
        if each.is_choice:
            made = block_class(each.kind, each.name, each.cls)
            found.setdefault(str(each.loc[1]), {})[made] = None
    return tuple((field, tuple(classes)) for field, classes in found.items())


@lru_cache(maxsize=128)
def _derived(slots: tuple[tuple[str, tuple[type, ...]], ...], holes: bool) -> type[RunConfig]:
    fields: dict[str, Any] = {}
    for slot, classes in slots:
        block = union_of(classes)
        optional = block | None if block is not None else None
        about = RunConfig.model_fields[slot].description
        if slot == "attention":
            entry: Any = optional if holes else block
            fields[slot] = (list[entry], Field(default_factory=list, description=about))
        elif slot == "task" and not holes:
            fields[slot] = (block, Field(description=about))
        else:
            fields[slot] = (optional, Field(None, description=about))
    return create_model("RunConfig", __base__=RunConfig, __doc__=RunConfig.__doc__, **fields)
