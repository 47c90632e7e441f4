"""`sweep`: values laid over paths, written out as the variants that they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import prod

from genhub.config.tree import Node, plain
from genhub.errors import Mark, Problem

__all__ = ["FIXED", "MOST_VARIANTS", "expanded"]

MOST_VARIANTS = 64
LONGEST_NAME = 120  # characters, of a variant: it is part of the names of files
LONGEST_VALUE = 32

# Keys that mean one thing for the whole run, so that no variant can override them.
FIXED = (
    "extends", "genhub", "name", "task", "variants", "compare", "sweep", "time",
    "metrics", "launch", "output", "hooks", "strict",
)  # fmt: skip


def expanded(root: Node, problems: list[Problem]) -> Node:
    """Give the tree with one variant per combination of the sweep's values, all compared.

    A sweep, `variants` or `compare` of the wrong form is left as it is: validation tells of it.
    """
    sweep, variants, compare = (root.map.get(name) for name in ("sweep", "variants", "compare"))
    named = variants if variants is not None else Node({})
    listed = compare if compare is not None else Node([])
    if sweep is None or not sweep.map or not isinstance(listed.value, list):
        return root
    if not isinstance(named.value, dict) or not all(
        isinstance(values.value, list) and values.value for values in sweep.map.values()
    ):
        return root
    found = [*_of_paths(sweep), *_of_values(sweep)]
    made = {} if found else dict(_variants(sweep))
    key = root.keys.get("sweep")
    found += _of_names(made, named, key)
    if found:
        problems += found
        return root
    known = [entry.value for entry in listed.value]
    entries = [Node(name, key, written=name) for name in made if name not in known]
    blocks = {**named.value, **made}
    keys = {**named.keys, **dict.fromkeys(made, key)}
    root = root.with_("variants", Node(blocks, named.mark, keys), root.keys.get("variants", key))
    compared = Node([*listed.value, *entries], listed.mark)
    root = root.with_("compare", compared, root.keys.get("compare", key))
    return root.with_("sweep", Node({}, sweep.mark), key)


def _variants(sweep: Node) -> Iterator[tuple[str, Node]]:
    """Give the block of overrides of every combination, by the variant's name."""
    keys = _labels(list(sweep.map))
    columns = [
        list(zip(_shown(values.value), values.value, strict=True))
        for values in sweep.map.values()
        if isinstance(values.value, list)
    ]
    for chosen in product(*columns):
        name = ",".join(f"{key}={text}" for key, (text, _) in zip(keys, chosen, strict=True))
        held = {path: node for path, (_, node) in zip(sweep.map, chosen, strict=True)}
        yield name, Node(held, sweep.mark, sweep.keys)


def _labels(paths: Sequence[str]) -> list[str]:
    """Shorten paths to their last names, as far as they still differ."""
    labels = []
    for path in paths:
        steps = path.split(".")
        ends = [".".join(steps[-n:]) for n in range(1, len(steps) + 1)]
        others = [f".{other}" for other in paths if other != path]
        free = (e for e in ends if e[0].isalpha() and not any(o.endswith(f".{e}") for o in others))
        labels.append(_plain(next(free, path)))
    return labels


def _shown(values: Sequence[Node]) -> list[str]:
    """Write each value so that it can stand in the name of a file, no two alike."""
    texts = [_plain(_text(node))[:LONGEST_VALUE] or "empty" for node in values]
    return [
        text if texts.count(text) == 1 else f"{text}-{place}"
        for place, text in enumerate(texts, start=1)
    ]


def _text(node: Node) -> str:
    """Name a value: a block by its driver and its fields."""
    if isinstance(node.value, list):
        return "+".join(map(_text, node.value)) or "none"
    fields = [
        _text(held) if key == "type" else f"{key}-{_text(held)}" for key, held in node.map.items()
    ]
    if fields or isinstance(node.value, dict):
        return "-".join(fields) or "none"
    return node.spelling or (node.value if isinstance(node.value, str) else json.dumps(node.value))


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).strip("-.")


def _of_paths(sweep: Node) -> Iterator[Problem]:
    """Find paths that are none, that no variant can override, or that lie one in the other."""
    for path in sweep.map:
        steps = path.split(".")
        if not all(steps):
            message = f"'{path}' is no path: a name is missing"
            yield Problem("GH306", message, "write it as sampling.steps", sweep.keys.get(path))
        elif steps[0] in FIXED:
            message = f"'{steps[0]}' cannot differ between variants"
            yield Problem("GH305", message, f"take '{path}' out", sweep.keys.get(path))
    for one, other in combinations(sweep.map, 2):
        if f"{other}.".startswith(f"{one}.") or f"{one}.".startswith(f"{other}."):
            message = f"the sweep sets '{one}' and '{other}', and one holds the other"
            yield Problem("GH305", message, "sweep whole blocks, or fields", sweep.keys.get(other))


def _of_values(sweep: Node) -> Iterator[Problem]:
    """Find values given twice, and a product that is too large."""
    sizes = []
    for path, values in sweep.map.items():
        seen = set()
        entries = values.value if isinstance(values.value, list) else []
        for node in entries:
            text = json.dumps(plain(node), sort_keys=True)
            if text in seen:
                message = f"sweep.{path} has the value {text} twice"
                yield Problem("GH305", message, "take one of them out", node.mark)
            seen.add(text)
        sizes.append(len(entries))
    if prod(sizes) > MOST_VARIANTS:
        factors = " x ".join(map(str, sizes))
        makes = f"{factors} = {prod(sizes)}" if len(sizes) > 1 else factors
        message = f"the sweep makes {makes} variants; it may make {MOST_VARIANTS}"
        yield Problem("GH305", message, "give fewer values, or several runs", sweep.mark)


def _of_names(made: dict[str, Node], named: Node, mark: Mark | None) -> list[Problem]:
    """Find names that are taken, or too long for a file."""
    found = [
        Problem(
            "GH305",
            f"the sweep makes a variant '{name}', which stands under variants too",
            "give the one under variants another name",
            named.keys.get(name),
        )
        for name in made
        if name in named.map
    ]
    longest = max(made, key=len, default="")
    if len(longest) > LONGEST_NAME:
        message = f"the sweep makes a variant with a name of {len(longest)} characters"
        found.append(Problem("GH305", message, "sweep fewer fields at a time", mark))
    return found
