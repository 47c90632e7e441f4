"""From a file or a map to a validated config, with every problem told at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from genhub.config.checks import (
    OPTIONAL,
    check_blocks,
    check_drivers,
    check_names,
    check_search,
    locate_prompts,
    read_by,
)
from genhub.config.faults import culprit, of_fault
from genhub.config.files import expand, read_file
from genhub.config.messages import explain, of_wrong_type, place
from genhub.config.model import RunConfig
from genhub.config.names import Used, drivers_of
from genhub.config.overrides import apply, overrides, within
from genhub.config.paths import anchored, anchored_overrides
from genhub.config.references import retyped
from genhub.config.resolved import as_written
from genhub.config.sweep import FIXED, expanded
from genhub.config.tree import Loc, Node, find, from_python, plain, planted
from genhub.config.union import run_class
from genhub.errors import GenHubError, Mark, Problem
from genhub.launch.world import launch_problems
from genhub.registry import Registries, default

__all__ = ["Loaded", "load"]

MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Loaded:
    """A valid config with what it was read from.

    `text` is the file as it stands, `drivers` are the plugins that it names.
    """

    config: RunConfig
    text: str
    path: Path | None
    drivers: tuple[Used, ...]
    _root: Node  # as validated
    _tree: Node  # as given, before the registry's spelling of names
    _registries: Registries

    def mark(self, loc: Loc) -> Mark | None:
        """Give where the value at `loc`, or else the nearest block around it, was written."""
        return place(self._root, loc) if loc else None

    def variant(self, name: str) -> Loaded:
        """Give the config of a variant, which compares nothing itself.

        `baseline` is the config without attention and parallel, `main` the config as it is.
        Raises GenHubError (GH207) where there is no such variant.
        """
        tree, problems = _variant_tree(self._tree, name)
        made, found = _validated(tree, self._registries)
        if made is None or problems or found:
            raise _error([*problems, *found], self.path)
        return replace(self, config=made.config, drivers=made.used, _root=made.root, _tree=tree)

    def overridden(self, set: Mapping[str, Any]) -> Loaded:
        """Give the config with values overridden; raises GenHubError with all that is wrong."""
        problems: list[Problem] = []
        tree = apply(self._tree, overrides(set, problems))
        made, found = _validated(tree, self._registries)
        if made is None or problems or found:
            raise _error([*problems, *found], self.path)
        return replace(self, config=made.config, drivers=made.used, _root=made.root, _tree=tree)


@dataclass(frozen=True)
class _Validated:
    config: RunConfig
    used: tuple[Used, ...]
    root: Node


def load(
    source: str | PathLike[str] | Mapping[str, Any],
    *,
    set: Mapping[str, Any] | Sequence[str] = (),
    registries: Registries | None = None,
) -> Loaded:
    """Read and validate a config: a YAML file, or a map of the same shape.

    `set` overrides values, `["sampling.steps=30"]` or `{"sampling.steps": 30}`. Raises GenHubError
    with all problems found, sorted by place. Imports the modules of the drivers that are named,
    and no torch.
    """
    registries = registries or default()
    path = None if isinstance(source, Mapping) else Path(source)
    problems: list[Problem] = []
    try:
        if isinstance(source, Mapping):
            root, text = expand(from_python(source), problems), as_written(source)
        else:
            root, text = read_file(str(source), problems)
        root = apply(root, overrides(set or (), problems))
        root = expanded(root, problems)
        root = locate_prompts(_completed(root, path), problems)
    except GenHubError as error:
        raise _error([*problems, *error.problems], path) from None
    read = {problem.mark for problem in problems}
    made, found = _validated(root, registries)
    anchored_root, more = _of_variants(root, registries, found)
    found += more
    problems += [p for p in found if p.mark is None or p.mark not in read]  # follow from the first
    if made is None or problems:
        raise _error(problems, path)
    if anchored_root != root:
        root = anchored_root
        made, _ = _validated(root, registries)
        assert made is not None  # only paths are longer
    loaded = Loaded(made.config, text, path, made.used, made.root, root, registries)
    if problems := launch_problems(loaded):
        raise _error(problems, path)
    return loaded


def _completed(root: Node, path: Path | None) -> Node:
    """Add what follows from elsewhere: the name from the file's, and the task."""
    if "name" not in root.map and path is not None:
        root = root.with_("name", Node(path.stem, written=path.stem))
    if "task" not in root.map:
        block = Node({"type": Node("generate", written="generate")})
        root = root.with_("task", block)
    return root


def _validated(root: Node, registries: Registries) -> tuple[_Validated | None, list[Problem]]:
    """Validate in two passes: names of drivers first, then values by their Config classes."""
    problems: list[Problem] = []
    named = drivers_of(root, registries, problems)
    drivers = [(used.loc, used.cls.Config) for used in named.used]  # type: ignore[attr-defined]
    named = replace(named, root=anchored(named.root, drivers))
    check_names(named.root, registries, problems)
    check_blocks(named, problems)
    try:
        model = run_class(named.used, holes=named.holes)
    except GenHubError as error:
        return None, [*problems, *error.problems]
    try:
        root, config = _checked(named.root, model)
    except ValidationError as error:
        return None, [*problems, *explain(error.errors(include_url=False), named.root, model)]
    except (Exception, SystemExit) as error:  # raised by a Config of a plugin
        used = culprit(named.used, error)
        if used is None:
            raise
        return None, [*problems, replace(of_fault(used, error), mark=place(named.root, used.loc))]
    if problems:
        return None, problems
    config._spellings = dict(_spellings(root))
    config._unread = frozenset(OPTIONAL) - read_by(named.used)
    check_drivers(config, named.used, root, problems)
    check_search(config, named.used, root, registries, problems)
    return _Validated(config, named.used, root), problems


def _checked(root: Node, model: type[RunConfig]) -> tuple[Node, RunConfig]:
    """Validate as JSON, where a list may be a tuple and a text a path, and nothing is guessed.

    A variable of the environment has no type: it takes the one that its field asks for.
    """
    try:
        return root, model.model_validate_json(json.dumps(plain(root)), strict=True)
    except ValidationError as error:
        other = root
        for loc in of_wrong_type(error.errors(include_url=False), root, model):
            node = find(root, loc)
            if node is not None and node.spelling is not None:
                other = planted(other, loc, retyped(node))
        if other is root:
            raise
        return other, model.model_validate_json(json.dumps(plain(other)), strict=True)


def _of_variants(
    root: Node, registries: Registries, known: Sequence[Problem]
) -> tuple[Node, list[Problem]]:
    """Validate every variant and give the tree with their paths absolute.

    What is wrong with the config itself is not told again.
    """
    variants = root.map.get("variants")
    told: dict[Problem, Problem] = {}  # as found, and as told: of a sweep, values come up again
    for name, block in variants.map.items() if variants is not None else ():
        if not isinstance(block.value, dict):
            continue
        tree, problems = _variant_tree(root, name)
        made, found = _validated(tree, registries)
        if made is not None:
            root = planted(root, ("variants", name), anchored_overrides(block, made.root))
        for problem in [*problems, *found]:
            if problem not in known:
                named = replace(problem, message=f"variant '{name}': {problem.message}")
                told.setdefault(problem if problem.mark else named, named)
    return root, list(told.values())


def _variant_tree(root: Node, name: str) -> tuple[Node, list[Problem]]:
    """Give the tree of a variant, and what is wrong with its overrides."""
    tree = root.without("variants", "compare", "sweep", "time")
    if name == "main":
        return tree, []
    if name == "baseline":
        tree = tree.without("attention", "parallel")
        return tree, []
    variants = root.map.get("variants")
    block = variants.map.get(name) if variants is not None else None
    if block is None:
        known = ", ".join(["main", "baseline", *(variants.map if variants is not None else ())])
        raise GenHubError("GH207", f"there is no variant '{name}'", hint=f"there are: {known}")
    fixed = {key: key.partition(".")[0] for key in block.map if key.partition(".")[0] in FIXED}
    problems = [
        Problem("GH305", f"'{top}' cannot differ between variants", "take it out", block.keys[key])
        for key, top in fixed.items()
    ]
    try:
        return apply(tree, within(block.without(*fixed))), problems
    except GenHubError as error:
        return tree, [*problems, *error.problems]


def _spellings(node: Node, loc: Loc = ()) -> Iterator[tuple[Loc, tuple[str, Any]]]:
    if node.spelling is not None:
        yield loc, (node.spelling, node.value)
    for key, held in node.map.items():
        yield from _spellings(held, (*loc, key))
    if isinstance(node.value, list):
        for index, held in enumerate(node.value):
            yield from _spellings(held, (*loc, index))


def _error(problems: Sequence[Problem], path: Path | None) -> GenHubError:
    """Bundle problems: each once, the file's own first, by line, not more than a screen holds."""
    main = str(path) if path is not None else ""

    def by_place(problem: Problem) -> tuple[bool, str, int, int]:
        mark = problem.mark
        if mark is None:
            return True, "", 0, 0
        return mark.file != main, mark.file, mark.line, mark.column

    lines = (replace(p, message=" ".join(p.message.splitlines())) for p in problems)
    listed = sorted(dict.fromkeys(lines), key=by_place)
    shown, more = listed[:MOST_PROBLEMS], len(listed) - MOST_PROBLEMS
    if more > 0:
        last = shown[-1]
        hint = f"{last.hint}\n  and {more} more problems" if last.hint else f"and {more} more"
        shown[-1] = replace(last, hint=hint)
    return GenHubError.several(shown)
