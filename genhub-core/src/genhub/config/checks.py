"""What can be told wrong from a config alone: names in it, blocks of the task, files of prompts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from genhub.api.genotypes import COSTS
from genhub.api.search import SearchSpace
from genhub.config.messages import place
from genhub.config.model import RunConfig
from genhub.config.names import Named, Used, look_up
from genhub.config.references import escape
from genhub.config.tree import Loc, Node, find, planted
from genhub.errors import GenHubError, Problem
from genhub.kinds import noun
from genhub.registry import Registries

__all__ = ["OPTIONAL", "check_blocks", "check_drivers", "check_names", "locate_prompts"]

# Blocks that mean nothing to a task that does not read them.
OPTIONAL = (
    "model", "attention", "parallel", "decoder", "environment", "search",
    "kernels", "input", "sampling", "compare", "metrics",
)  # fmt: skip
REQUIRED = ("decoder", "environment", "search")  # by a task that reads them
RESERVED = ("baseline", "main")  # names that mean a variant already


def check_names(root: Node, registries: Registries, problems: list[Problem]) -> None:
    """Find names that nothing goes by: metrics, hooks, kernels, models, variants."""
    for _, node in _texts(root, "metrics"):
        registry = registries.get("metrics")
        look_up(registry.load, str(node.value), node.mark, problems, registry.names)
    for _, node in _texts(root, "hooks"):
        registry = registries.get("hooks")
        look_up(registry.find, str(node.value), node.mark, problems, registry.names)
    _check_kernels(root, registries, problems)
    source = find(root, ("model", "source"))
    if source is not None and isinstance(source.value, str) and source.value[:5] == "tiny:":
        registry = registries.get("models")
        look_up(registry.find, source.value[5:], source.mark, problems, registry.names)
    _check_variants(root, problems)


def check_blocks(named: Named, problems: list[Problem]) -> None:
    """Find blocks that the task needs and lacks (GH409), or that it would ignore (GH410)."""
    task = next((used for used in named.used if used.kind == "tasks"), None)
    if task is None:
        return
    reads: frozenset[str] = getattr(task.cls, "reads", frozenset())
    for block in OPTIONAL:
        node = named.root.map.get(block)
        given = node is not None and node.value not in (None, [], {})
        if given and block not in reads:
            problems.append(
                Problem(
                    "GH410",
                    f"'{block}' is not used by task '{task.name}'",
                    f"remove '{block}:', or choose another task",
                    place(named.root, (block,), key=True),
                )
            )
        lost = named.holes and node is not None  # a block that could not be read is no lack
        if block in REQUIRED and block in reads and not given and not lost:
            mark = place(named.root, ("task",), key=True)
            message = f"task '{task.name}' needs '{block}:'"
            problems.append(Problem("GH409", message, f"add '{block}: {{type: ...}}'", mark))


def check_drivers(
    config: RunConfig, used: tuple[Used, ...], root: Node, problems: list[Problem]
) -> None:
    """Ask each driver what it needs, and hold that against one process and one another."""
    from genhub.plan import check_needs, parts_from_config

    asked = config.launch.processes
    if asked not in ("auto", 1):
        mark = place(root, ("launch", "processes"))
        message = f"launch.processes is {asked}, and this version runs one process"
        problems.append(Problem("GH406", message, "write processes: 1, or leave it out", mark))
        return
    before = len(problems)
    for each in used:
        block = config
        for step in each.loc:
            block = block[step] if isinstance(step, int) else getattr(block, step)  # type: ignore[index]
        mark = place(root, each.loc)
        try:
            each.cls(block).needs()
        except GenHubError as error:
            problems += [replace(p, mark=p.mark or mark) for p in error.problems]
        except Exception as error:  # whatever a plugin raises, the user is told whose fault it is
            cause = f"{type(error).__name__}: {error}".splitlines()[0]
            message = f"the {noun(each.kind)} '{each.name}' fails with this block: {cause}"
            hint = f"this is a fault of {each.entry.dist}, or of the block's values"
            problems.append(Problem("GH203", message, hint, mark))
    if len(problems) == before:
        needs = check_needs(parts_from_config(_Parts(config, used, root)), world=1)
        one = "this version runs one process"
        problems += [replace(p, hint=one) if p.code == "GH406" else p for p in needs]


def check_search(
    config: RunConfig,
    used: tuple[Used, ...],
    root: Node,
    registries: Registries,
    problems: list[Problem],
) -> None:
    """Find objectives that nothing measures, and a strategy that asks more than the space has."""
    by_kind = {each.kind: each for each in used}
    space, strategy = by_kind.get("search_spaces"), by_kind.get("search_strategies")
    if space is None or strategy is None:
        return
    cls: type[SearchSpace] = space.cls
    own = [*(COSTS if cls.cost is not SearchSpace.cost else ()), *cls.figures]
    registry = registries.get("metrics")
    for index, objective in enumerate(config.search.objective):
        name, mark = objective.metric, place(root, ("search", "objective", index, "metric"))
        found: list[Problem] = []
        if name not in own:
            look_up(registry.load, name.partition("/")[0], mark, found, registry.names)
        hint = f"metrics: {', '.join(registry.names())}"
        hint += f"; of the space: {', '.join(own)}" if own else ""
        unknown = Problem("GH201", f"nothing measures '{name}'", hint, mark)
        problems += [unknown if p.code == "GH201" else p for p in found]
    lacks = sorted(strategy.cls.requires - cls.capabilities)  # type: ignore[attr-defined]
    if lacks:
        has = ", ".join(sorted(cls.capabilities)) or "none of these"
        message = f"the strategy '{strategy.name}' needs a space that is {' and '.join(lacks)}"
        hint = f"'{space.name}' is {has}: choose another strategy or space"
        problems.append(Problem("GH413", message, hint, place(root, strategy.loc)))


def locate_prompts(root: Node, problems: list[Problem]) -> Node:
    """Make the path of a file of prompts absolute; tell where there is no such file."""
    for loc in _prompt_files(root):
        node = find(root, loc)
        if node is not None and isinstance(node.value, str):
            path = os.path.abspath(os.path.join(node.folder, node.value))
            trouble = _unusable(path, node)
            if trouble is not None:
                problems.append(Problem("GH305", trouble[0], trouble[1], node.mark))
            spelling = node.spelling
            if spelling is not None and not os.path.isabs(node.value):
                spelling = f"{escape(os.path.abspath(node.folder))}/{spelling}"
            root = planted(root, loc, replace(node, value=path, spelling=spelling))
    return root


class _Parts:
    """What `parts_from_config` reads of a Loaded."""

    def __init__(self, config: RunConfig, used: tuple[Used, ...], root: Node) -> None:
        self.config, self.drivers, self._root = config, used, root

    def mark(self, loc: Loc) -> object:
        return place(self._root, loc)


def _texts(root: Node, *loc: str) -> Iterator[tuple[Loc, Node]]:
    """Go through the texts of a list, where it is one."""
    node = find(root, loc)
    entries = node.value if node is not None and isinstance(node.value, list) else []
    for index, entry in enumerate(entries):
        if isinstance(entry.value, str):
            yield (*loc, index), entry


def _check_kernels(root: Node, registries: Registries, problems: list[Problem]) -> None:
    kernels = root.map.get("kernels")
    registry = registries.get("kernels")
    for op, node in kernels.map.items() if kernels is not None else ():
        if not isinstance(node.value, str):
            continue
        known = sorted({name.rpartition(".")[0] for name in registry.names()})
        if op in known and node.value != "auto":
            look_up(registry.find, f"{op}.{node.value}", node.mark, problems, registry.names)
        elif op not in known:
            mark = place(root, ("kernels", op), key=True)
            found: list[Problem] = []
            look_up(registry.find, f"{op}.*", mark, found, registry.names)
            hint = (
                f"operations: {', '.join(known)}" if known else "no installed package has kernels"
            )
            unknown = Problem("GH201", f"no kernel computes '{op}'", hint, mark)
            problems += [unknown if p.code == "GH201" else p for p in found]


def _check_variants(root: Node, problems: list[Problem]) -> None:
    variants = root.map.get("variants")
    known = list(variants.map) if variants is not None else []
    for name in known:
        if name in RESERVED or not name or "." in name:
            mark = place(root, ("variants", name), key=True)
            message = f"a variant cannot be called '{name}'"
            hint = "baseline is the config without attention and parallel, main the config itself"
            problems.append(Problem("GH305", message, hint, mark))
    for _, node in _texts(root, "compare"):
        if node.value != "baseline" and node.value not in known:
            close = get_close_matches(str(node.value), ["baseline", *known], n=1)
            hint = f"did you mean '{close[0]}'?  " if close else ""
            hint += f"there are: {', '.join(['baseline', *known])}"
            message = f"compare names '{node.value}', which is no variant of this config"
            problems.append(Problem("GH207", message, hint, node.mark))


def _prompt_files(root: Node) -> Iterator[Loc]:
    """Go through the places where `input.prompts` may be the name of a file."""
    yield ("input", "prompts")
    variants = root.map.get("variants")
    for name in variants.map if variants is not None else ():
        yield ("variants", name, "input", "prompts")
        yield ("variants", name, "input.prompts")


def _unusable(path: str, node: Node) -> tuple[str, str] | None:
    if not path.endswith(".txt"):
        said = f"input.prompts is '{node.spelling or node.value}', which is neither a list nor"
        return f"{said} a .txt file", "write a list, one prompt after each '-'"
    shown = node.spelling or node.value
    try:
        with open(path, encoding="utf-8-sig") as file:
            filled = any(line.strip() for line in file)
    except UnicodeDecodeError:
        return f"the file of prompts '{shown}' is not UTF-8", "save it as UTF-8"
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "this is no name of a file"
        looked = "" if node.spelling is not None else f"looked for {path}"
        return f"cannot read the file of prompts '{shown}': {cause.lower()}", looked
    return None if filled else (f"the file of prompts '{shown}' is empty", "one prompt per line")
