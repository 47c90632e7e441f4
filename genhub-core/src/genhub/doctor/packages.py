"""Installed plugins, and whether what their packages require is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from genhub.errors import GenHubError, Problem
from genhub.hooks import implementations
from genhub.kinds import CORE
from genhub.registry import Entry, Registries, Registry, canonical

__all__ = ["look_at_plugins", "look_at_requirements", "use"]


def look_at_plugins(
    registries: Registries, problems: list[Problem], notes: list[str]
) -> list[dict[str, Any]]:
    """Load every plugin and list it with its status; broken ones and duplicates are problems."""
    rows = []
    told: dict[Problem, None] = {}
    disabled: dict[str, list[str]] = {}
    for registry in registries:
        for entry in registry.entries():
            row = {"kind": entry.kind, "name": entry.name, "dist": entry.dist}
            rows.append(row | {"version": entry.version, "status": entry.status})
            if entry.status == "disabled":
                disabled.setdefault(entry.dist, []).append(entry.name)
                continue
            if entry.status == "duplicate":
                told |= dict.fromkeys(_told_by(registry.find, entry.name))
            if broken := _told_by(use, registry, entry):
                rows[-1]["status"] = "broken"
                told |= dict.fromkeys(broken)
    problems += told
    notes += registries.take_remarks()
    for dist, names in disabled.items():
        notes.append(
            f"{', '.join(names)} of {dist} is disabled by GENHUB_DISABLE or GENHUB_PLUGINS"
        )
    return rows


def use(registry: Registry, entry: Entry) -> Any:
    """Load a plugin and, where it is one of hooks, look at what it implements."""
    found = registry.load(entry.qualified)
    if entry.kind == "hooks":
        implementations(entry, found)
    return found


def _told_by(look: Callable[..., Any], *arguments: Any) -> tuple[Problem, ...]:
    try:
        look(*arguments)
    except GenHubError as error:
        return error.problems
    return ()


def look_at_requirements(registries: Registries, problems: list[Problem]) -> None:
    """Hold what the packages of plugins require against what is installed."""
    owners = {entry.dist for registry in registries for entry in registry.entries()}
    wanted: dict[str, list[tuple[str, Requirement]]] = {}
    for dist in sorted({CORE, *owners}):
        for label, requirement in _requirements(dist, frozenset(), problems):
            known = wanted.setdefault(canonical(requirement.name), [])
            if (label, requirement) not in known:
                known.append((label, requirement))
    for asking in wanted.values():
        for label, requirement in asking:
            if (trouble := _unmet(requirement)) is None:
                continue
            others = [f"{who} requires {what}" for who, what in asking if who != label]
            hint = f"pip install '{requirement}'"
            if others:
                hint = f"{hint}  (but {' and '.join(others)})"
            problems.append(Problem("GH208", f"{label} requires {requirement}, {trouble}", hint))


def _requirements(
    dist: str, extras: frozenset[str], problems: list[Problem]
) -> Iterator[tuple[str, Requirement]]:
    """Go through what a distribution requires here, and what the extras it asks for require."""
    try:
        found = metadata.distribution(dist)
        label = f"{found.metadata['Name']} {found.version}"
        listed = [Requirement(text) for text in found.requires or ()]
    except metadata.PackageNotFoundError:
        return
    except InvalidRequirement as error:
        message = f"{dist} states a requirement that cannot be read: {error}".splitlines()[0]
        problems.append(Problem("GH208", message, f"reinstall or update {dist}"))
        return
    for requirement in listed:
        marker = requirement.marker
        here = marker is None or any(marker.evaluate({"extra": e}) for e in extras or {""})
        if not here:
            continue
        requirement.marker = None
        yield label, requirement
        if requirement.extras:
            yield from _requirements(requirement.name, frozenset(requirement.extras), problems)


def _unmet(requirement: Requirement) -> str | None:
    """Say why an installed version does not serve; None where it does."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "which is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"but {version} is installed"
