"""First pass: which drivers a config names; their light modules are imported, nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from genhub.config.messages import place, shown
from genhub.config.tree import Loc, Node, dotted
from genhub.errors import GenHubError, Mark, Problem
from genhub.kinds import noun
from genhub.registry import Entry, Registries

__all__ = ["NONE", "SLOTS", "Named", "Used", "drivers_of", "look_up"]

# Top-level keys whose block selects a driver by its `type`.
SLOTS = {
    "task": "tasks",
    "attention": "attention_mixers",
    "parallel": "parallel_schedulers",
    "decoder": "decoders",
    "environment": "environments",
    "search": "search_spaces",
}
NONE = "none"  # in a list of blocks that a search space chooses from: no driver at all


@dataclass(frozen=True)
class Used:
    """A driver that the config names, and where its block stands."""

    kind: str
    name: str  # what `type` says in the resolved config
    cls: type
    entry: Entry
    loc: Loc

    @property
    def is_choice(self) -> bool:
        """Say whether it stands in a list that a search space chooses from."""
        return len(self.loc) > 2


@dataclass(frozen=True)
class Named:
    """The drivers found, and the tree with their names as the registry spells them.

    A block whose driver is not known stands as null there, so that the rest can be validated.
    """

    used: tuple[Used, ...]
    root: Node
    holes: bool


def drivers_of(root: Node, registries: Registries, problems: list[Problem]) -> Named:
    """Load every driver that the tree names; add what is wrong with a block to `problems`."""
    scan = _Scan(root, registries, problems)
    for slot, kind in SLOTS.items():
        node = root.map.get(slot)
        if node is not None:
            walk = scan.several if slot == "attention" else scan.single
            root = root.with_(slot, walk(kind, node, (slot,)), root.keys.get(slot))
    return Named(tuple(scan.used), root, scan.holes)


def look_up(
    find: Callable[[str], Any],
    name: str,
    mark: Mark | None,
    problems: list[Problem],
    installed: Callable[[], list[str]],
) -> Any:
    """Give `find(name)`, or None with the registry's problem added at `mark`."""
    try:
        return find(name)
    except GenHubError as error:
        for problem in error.problems:
            hint = problem.hint
            if problem.code == "GH201" and hint.startswith("did you mean"):
                hint = f"{hint}  installed: {', '.join(installed())}"
            problems.append(replace(problem, hint=hint, mark=problem.mark or mark))
        return None


class _Scan:
    def __init__(self, root: Node, registries: Registries, problems: list[Problem]) -> None:
        self.root = root
        self.registries = registries
        self.problems = problems
        self.used: list[Used] = []
        self.holes = False

    def several(self, kind: str, node: Node, loc: Loc) -> Node:
        if isinstance(node.value, list):
            entries = [self.single(kind, held, (*loc, i)) for i, held in enumerate(node.value)]
            return replace(node, value=entries)
        path = dotted(loc)
        if isinstance(node.value, dict):
            hint = "put a '-' before type" if "type" in node.value else "put a '-' before it"
            self._wrong("GH303", f"{path} must be a list, found a map", hint, node)
        elif node.value is None:
            self._wrong("GH303", f"{path} must be a list, but is empty", "write [] for none", loc)
        else:
            known = isinstance(node.value, str)
            hint = f"write [{{type: {node.written}}}]" if known else self._installed(kind)
            self._wrong(
                "GH303", f"{path} must be a list of blocks, found {shown(node)}", hint, node
            )
        return replace(node, value=[])

    def single(self, kind: str, node: Node, loc: Loc) -> Node:
        """Give the block with its driver's own name as `type`, or null."""
        if node.value is None and len(loc) == 1 and kind != "tasks":
            return node
        name = self._type_of(kind, node, loc)
        if name is None:
            self.holes = True
            return replace(node, value=None)
        registry = self.registries.get(kind)
        kept = node.map["type"]
        cls = look_up(registry.load, name, kept.mark, self.problems, registry.names)
        if cls is None:
            self.holes = True
            return replace(node, value=None)
        entry = registry.find(name)
        tag = entry.qualified if ":" in name else entry.name
        self.used.append(Used(kind, tag, cls, entry, loc))
        block = node.with_("type", replace(kept, value=tag), node.keys.get("type"))
        strategy = block.map.get("strategy")
        if kind == "search_spaces" and strategy is not None:
            inner = self.single("search_strategies", strategy, (*loc, "strategy"))
            block = block.with_("strategy", inner, block.keys.get("strategy"))
        for field, of_kind in getattr(cls, "blocks", {}).items():
            held = block.map.get(field)
            if held is not None and isinstance(held.value, list):
                at = (*loc, field)
                listed = [self.named(of_kind, n, (*at, i)) for i, n in enumerate(held.value)]
                block = block.with_(field, replace(held, value=listed), block.keys.get(field))
        return block

    def named(self, kind: str, node: Node, loc: Loc) -> Node:
        """Give the block of an entry that may be a bare name; `none` stands for itself."""
        if node.value == NONE:
            return node
        if isinstance(node.value, str) and node.value:
            node = Node({"type": node}, node.mark, {"type": node.mark}, folder=node.folder)
        block = self.single(kind, node, loc)
        return block if block.value is not None else replace(node, value=NONE)

    def _type_of(self, kind: str, node: Node, loc: Loc) -> str | None:
        path = dotted(loc)
        if not isinstance(node.value, dict):
            if isinstance(node.value, list):
                found, hint = "a list", f"there is one {noun(kind)} at a time: take the '-' away"
            elif node.value is None:
                found, hint = "nothing", f"write 'type: NAME', {self._installed(kind)}"
            else:
                found, hint = shown(node), self._installed(kind)
                if isinstance(node.value, str) and node.value:
                    hint = f"write {{type: {node.written}}}"
            message = f"{path} must be a block with a 'type', found {found}"
            self._wrong("GH303", message, hint, loc if node.value is None else node)
            return None
        kept = node.value.get("type")
        if kept is None:
            message = f"{path} does not say which {noun(kind)} it is: it has no 'type'"
            self._wrong("GH304", message, self._installed(kind), loc)
            return None
        if not isinstance(kept.value, str) or not kept.value:
            message = f"{path}.type must be the name of its {noun(kind)}, but is {shown(kept)}"
            self._wrong("GH303", message, self._installed(kind), (*loc, "type"))
            return None
        return kept.value

    def _installed(self, kind: str) -> str:
        return f"installed: {', '.join(self.registries.get(kind).names()) or 'none'}"

    def _wrong(self, code: str, message: str, hint: str, at: Node | Loc) -> None:
        mark = at.mark if isinstance(at, Node) else place(self.root, at)
        self.problems.append(Problem(code, message, hint, mark))
