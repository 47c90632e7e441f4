"""What can be told wrong from a config alone: names in it, blocks of the task, files of prompts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches

from genhub.api import Needs
from genhub.api.genotypes import COSTS
from genhub.api.search import SearchSpace
from genhub.config.faults import of_fault
from genhub.config.files import MOST_PROMPTS, read_bounded
from genhub.config.messages import place
from genhub.config.model import RunConfig
from genhub.config.names import Named, Used, look_up
from genhub.config.references import escape
from genhub.config.tree import Loc, Node, find, planted
from genhub.errors import GenHubError, Problem
from genhub.registry import Registries

__all__ = [
    "OPTIONAL",
    "check_blocks",
    "check_drivers",
    "check_names",
    "locate_prompts",
    "read_by",
]

# Blocks that mean nothing to a task that does not read them.
OPTIONAL = (
    "model", "attention", "parallel", "decoder", "environment", "search",
    "kernels", "input", "sampling", "compare", "sweep", "time", "metrics",
)  # fmt: skip
REQUIRED = ("decoder", "environment", "search")  # by a task that reads them
RESERVED = ("baseline", "main")  # names that mean a variant already
# Names go into those of files. A point would end the path of an override; no override leads into
# what a sweep makes, such as guidance=7.5.
NAME_OF_VARIANT = re.compile(r"[\w +-]{1,80}|\w[\w.+-]*=[\w=,.+-]{1,120}")


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


def read_by(used: Iterable[Used]) -> frozenset[str]:
    """Give the blocks that the task reads; one that compares can sweep and time as well."""
    reads: frozenset[str] = frozenset()
    for each in used:
        if each.kind == "tasks":
            reads = getattr(each.cls, "reads", reads)
    return reads | {"sweep", "time"} if "compare" in reads else reads


def check_blocks(named: Named, problems: list[Problem]) -> None:
    """Find blocks that the task needs and lacks (GH409), or that it would ignore (GH410)."""
    task = next((used for used in named.used if used.kind == "tasks"), None)
    if task is None:
        return
    root, reads = named.root, read_by(named.used)
    for block in OPTIONAL:
        node = root.map.get(block)
        given = node is not None and node.value not in (None, [], {}, False)
        if given and block not in reads:
            swept = block == "compare" and root.keys.get("sweep") == root.keys.get("compare")
            written = "sweep" if swept and "sweep" in root.map else block
            problems.append(
                Problem(
                    "GH410",
                    f"'{written}' is not used by task '{task.name}'",
                    f"remove '{written}:', or choose another task",
                    place(root, (block,), key=True),
                )
            )
        lost = named.holes and node is not None  # a block that could not be read is no lack
        if block in REQUIRED and block in reads and not given and not lost:
            mark = place(root, ("task",), key=True)
            message = f"task '{task.name}' needs '{block}:'"
            problems.append(Problem("GH409", message, f"add '{block}: {{type: ...}}'", mark))
    timed = root.map.get("time")
    if "time" in reads and timed is not None and timed.value is True and _lacks_others(root):
        message = "time: true sets variants against each other, and there is nothing to compare"
        hint = "add 'compare: [baseline]', or a sweep"
        problems.append(Problem("GH409", message, hint, place(root, ("time",), key=True)))


def _lacks_others(root: Node) -> bool:
    """Say whether nothing is compared; of a sweep that is wrong, enough has been said."""
    given = [root.map.get(name) for name in ("compare", "sweep")]
    return all(node is None or node.value in (None, [], {}) for node in given)


def check_drivers(
    config: RunConfig, used: tuple[Used, ...], root: Node, problems: list[Problem]
) -> None:
    """Ask each driver what it needs, and hold that against the ranks and one another."""
    from genhub.plan.checks import check_needs, own_world
    from genhub.plan.parts import labelled, part_of

    before, parts = len(problems), []
    for each in used:
        mark = place(root, each.loc)
        try:
            part = part_of(config, each, mark)
            if not isinstance(found := part.driver.needs(), Needs):
                raise TypeError(f"needs() gave {found!r:.60}, no genhub.api.Needs")
            parts += [] if each.is_choice else [part]
        except GenHubError as error:
            problems += [replace(p, mark=p.mark or mark) for p in error.problems]
        except (Exception, SystemExit) as error:  # the user is told whose fault it is
            problems.append(replace(of_fault(each, error), mark=mark))
    if len(problems) == before:
        asked = config.launch.processes
        world = own_world(parts, None if asked == "auto" else asked)
        problems += check_needs(labelled(parts), world=world)


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
        if name in RESERVED or not NAME_OF_VARIANT.fullmatch(name):
            mark = place(root, ("variants", name), key=True)
            message = f"a variant cannot be called '{name}'"
            hint = "baseline is the config without attention and parallel, main the config itself"
            if name not in RESERVED:
                hint = "it becomes part of file names: write letters, digits, -, _, + and spaces"
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
        data = read_bounded(path, MOST_PROMPTS + 1)
        filled = bool(data.decode("utf-8-sig").strip())
    except UnicodeDecodeError:
        return f"the file of prompts '{shown}' is not UTF-8", "save it as UTF-8"
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "this is no name of a file"
        looked = "" if node.spelling is not None else f"looked for {path}"
        return f"cannot read the file of prompts '{shown}': {cause.lower()}", looked
    if len(data) > MOST_PROMPTS:
        return f"the file of prompts '{shown}' is larger than {MOST_PROMPTS} bytes", ""
    return None if filled else (f"the file of prompts '{shown}' is empty", "one prompt per line")
