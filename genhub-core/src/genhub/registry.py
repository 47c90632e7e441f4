"""Find drivers by kind and name in what is installed, and import only the one that is named.

Listing reads the metadata of installed distributions and imports nothing. stevedore does the
loading; what it looks through is read here, because its own disk cache misses an entry point that
was added a minute ago and forgets which distribution an entry point belongs to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from importlib import metadata
from inspect import isclass
from typing import Any, Literal

from genhub.errors import GenHubError, PluginBroken, PluginConflict, PluginNotFound
from genhub.kinds import BASES, CORE, FIRST_PARTY, KINDS, noun, package_of
from genhub.streams import printable

__all__ = ["FIRST_PARTY", "KINDS", "Entry", "Registries", "Registry", "canonical", "default"]

ALLOW, DENY = "GENHUB_PLUGINS", "GENHUB_DISABLE"

_SLUG = re.compile(r"[a-z][a-z0-9_-]{1,31}")
_KERNEL_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


@dataclass(frozen=True)
class Entry:
    """One name that one distribution offers, known from metadata alone."""

    name: str
    kind: str
    value: str  # "module:attribute"
    dist: str
    version: str
    status: Literal["ok", "disabled", "duplicate"] = "ok"

    @property
    def qualified(self) -> str:
        """Give the spelling that no other distribution can claim: `dist:name`."""
        return f"{self.dist}:{self.name}"

    def __str__(self) -> str:
        """Name it as messages do: hook 'audit' of plg-a 1.0."""
        return f"{noun(self.kind)} '{self.name}' of {self.dist} {self.version}".strip()


class _Installed:
    """What the environment offers: entry points and the distributions behind them, read once."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[str, str]] = {}

    @cached_property
    def _points(self) -> list[metadata.EntryPoint]:
        try:
            found = metadata.entry_points()
            return [point for group in KINDS.values() for point in found.select(group=group)]
        except Exception:  # one unreadable entry_points.txt fails the whole scan
            return [point for point in _points_one_by_one() if point.group in KINDS.values()]

    def entries(self, kind: str) -> list[Entry]:
        """List one kind, sorted by name and distribution, each entry once."""
        found = {}
        for point in self._points:
            if point.group != KINDS[kind]:
                continue
            dist, version = self._owner(point)
            status: Literal["ok", "disabled"] = "disabled" if _switch(dist) else "ok"
            entry = Entry(point.name, kind, point.value, dist, version, status)
            found[canonical(dist), point.name, point.value] = entry
        return sorted(found.values(), key=lambda e: (_letters(e.name), e.dist, e.value))

    def _owner(self, point: metadata.EntryPoint) -> tuple[str, str]:
        dist = point.dist
        if dist is None:
            return "unknown", ""
        if id(dist) not in self._owners:
            about = dist.metadata  # parsed anew at every access
            known = (about["Name"], about["Version"]) if about else (None, None)
            self._owners[id(dist)] = (known[0] or "unknown", known[1] or "")
        return self._owners[id(dist)]


class Registry:
    """Drivers of one kind.

    A name is looked up with `-` and `_` as the same letter. `dist:name` names one distribution's
    driver; it is required where two distributions offer the same name.
    """

    def __init__(self, kind: str, *, installed: _Installed | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"'{kind}' is no kind of plugin; kinds are: {', '.join(KINDS)}")
        self.kind = kind
        self._installed = installed or _Installed()
        self._local: dict[str, Entry] = {}
        self._loaded: dict[Entry, Any] = {}
        self.remarks: list[str] = []  # what users should know of plugins that were loaded

    def names(self) -> list[str]:
        """List the names that can be used now, `dist:name` where two claim one; imports nothing."""
        return [
            entry.name if entry.status == "ok" else entry.qualified
            for entry in self.entries()
            if entry.status != "disabled"
        ]

    def entries(self) -> list[Entry]:
        """List everything that is installed, usable or not; imports nothing."""
        found = [*self._listed, *self._local.values()]
        return sorted(found, key=lambda e: (_letters(e.name), e.dist, e.value))

    def find(self, name: str) -> Entry:
        """Give the entry that `name` means; imports nothing.

        Raises PluginNotFound (GH201 unknown, GH202 its package is not installed, GH205 disabled)
        or PluginConflict (GH204).
        """
        dist, _, short = name.rpartition(":")
        claims = [e for e in self.entries() if _letters(e.name) == _letters(short)]
        if dist:
            claims = [e for e in claims if canonical(e.dist) == canonical(dist)]
        usable = [e for e in claims if e.status != "disabled"]
        if len(usable) == 1 and (dist or usable[0].status == "ok"):
            return usable[0]
        if usable:
            raise _conflict(name, usable)
        if claims:
            raise _disabled(name, claims[0])
        raise self._unknown(name, short)

    def load(self, name: str) -> Any:
        """Import the one module that `name` means and give its class (for hooks, its object).

        Raises what `find` raises, and PluginBroken (GH203, GH206). The cause is chained.
        """
        entry = self.find(name)
        if entry not in self._loaded:
            from genhub.surroundings import guarded

            try:
                with guarded(partial(self._remark, entry)):
                    found = _imported(entry)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # sys.exit() in a plugin must not end the command
                raise _broken(entry, error) from error
            self._loaded[entry] = _checked(entry, found)
        return self._loaded[entry]

    def add(self, name: str, cls: Any, *, origin: str = "local") -> None:
        """Offer a class of this process, for notebooks and tests; refuses to shadow a name."""
        taken = [e for e in self.entries() if _letters(e.name) == _letters(name)]
        if taken:
            raise PluginConflict(
                "GH204",
                f"'{name}' is already offered by {taken[0].dist}",
                hint="choose another name",
            )
        value = f"{getattr(cls, '__module__', '')}:{getattr(cls, '__qualname__', name)}"
        entry = Entry(name, self.kind, value, origin, "")
        self._loaded[entry] = _checked(entry, cls)
        self._local[name] = entry

    def _remark(self, entry: Entry, deed: str) -> None:
        self.remarks.append(f"the {entry} {deed} when it was imported; that was undone")

    @cached_property
    def _listed(self) -> list[Entry]:
        entries = self._installed.entries(self.kind)
        claims: dict[str, int] = {}
        for entry in entries:
            if entry.status == "ok":
                claims[_letters(entry.name)] = claims.get(_letters(entry.name), 0) + 1
        return [
            Entry(e.name, e.kind, e.value, e.dist, e.version, "duplicate")
            if e.status == "ok" and claims[_letters(e.name)] > 1
            else e
            for e in entries
        ]

    def _unknown(self, name: str, short: str) -> GenHubError:
        package = package_of(self.kind, short)
        siblings = self._siblings(short, package)
        if siblings:
            message = f"{package} offers no {noun(self.kind)} '{name}'"
            return PluginNotFound("GH201", message, hint=f"it offers: {', '.join(siblings)}")
        if package is not None:
            return _not_installed(name, package)
        known = self.names()
        close = get_close_matches(name, known, n=1)
        elsewhere = [k for k in KINDS if any(e.name == short for e in self._installed.entries(k))]
        if close:
            hint = f"did you mean '{close[0]}'?"
        elif elsewhere:
            other = noun(elsewhere[0])
            hint = f"'{short}' is the name of {'an' if other[0] in 'aeiou' else 'a'} {other}"
        elif known:
            hint = f"known: {', '.join(known)}"
        else:
            hint = "no installed package offers one"
        return PluginNotFound("GH201", f"no {noun(self.kind)} is called '{name}'", hint=hint)

    def _siblings(self, short: str, package: str | None) -> list[str]:
        """List what a package offers beside an implementation it lacks: `op.one` for `op.two`."""
        op, dot, _ = short.rpartition(".")
        owned = (e for e in self.entries() if package and canonical(e.dist) == canonical(package))
        return [e.name for e in owned if dot and e.name.startswith(f"{op}.")]


class Registries:
    """One registry per kind, over one reading of what is installed."""

    def __init__(self) -> None:
        self._installed = _Installed()
        self._by_kind: dict[str, Registry] = {}

    def get(self, kind: str) -> Registry:
        """Give the registry of `kind`, always the same object."""
        if kind not in self._by_kind:
            self._by_kind[kind] = Registry(kind, installed=self._installed)
        return self._by_kind[kind]

    def take_remarks(self) -> list[str]:
        """Give what users should know of the plugins loaded, each remark once."""
        taken = []
        for registry in self._by_kind.values():
            taken += registry.remarks
            registry.remarks.clear()
        return taken

    def __iter__(self) -> Iterator[Registry]:
        """Go through all kinds in the order of KINDS."""
        return (self.get(kind) for kind in KINDS)


@lru_cache(maxsize=1)
def default() -> Registries:
    """Give the registries of this process, built on the first call."""
    return Registries()


def _imported(entry: Entry) -> Any:
    """Let stevedore import the one entry point that is meant."""
    from stevedore.driver import DriverManager

    class Driver(DriverManager[Any]):
        def list_entry_points(self) -> list[metadata.EntryPoint]:
            return [metadata.EntryPoint(entry.name, entry.value, self.namespace)]

    return Driver(KINDS[entry.kind], entry.name).driver


def _points_one_by_one() -> Iterator[metadata.EntryPoint]:
    """Read distribution by distribution, leaving out those whose entry points cannot be read."""
    seen = set()
    for dist in metadata.distributions():
        about = dist.metadata  # None or empty where the file is missing
        name = canonical(about["Name"] or "" if about else "")
        if name and name in seen:  # a second copy further down sys.path is shadowed by the first
            continue
        seen.add(name)
        try:
            yield from dist.entry_points
        except Exception as error:
            import logging

            logging.getLogger("genhub").warning(
                "plugins of %s are left out: its entry points are unreadable (%s); reinstall or "
                "uninstall it, as torch and diffusers read them too",
                name or "a distribution without a name",
                printable(" ".join(str(error).split())),
            )


def canonical(dist: str) -> str:
    """Spell a distribution the one way that all spellings of it share."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def _letters(name: str) -> str:
    return name.replace("_", "-")


def _switch(dist: str) -> str | None:
    """Give the environment variable that keeps this distribution out, if any."""

    def listed(variable: str) -> set[str]:
        return {canonical(d) for d in re.split(r"[,\s]+", os.environ.get(variable, "")) if d}

    allowed = listed(ALLOW)
    if canonical(dist) in listed(DENY):
        return DENY
    if allowed and canonical(dist) not in allowed | {CORE}:
        return ALLOW
    return None


def _not_installed(name: str, package: str) -> PluginNotFound:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return PluginNotFound(
            "GH202",
            f"'{name}' is provided by the package {package}, which is not installed",
            hint=f"pip install {package}",
        )
    return PluginNotFound(
        "GH202",
        f"'{name}' is provided by the package {package}, but not by the installed {version}",
        hint=f"pip install --upgrade {package}",
    )


def _disabled(name: str, entry: Entry) -> PluginNotFound:
    variable = _switch(entry.dist)
    if variable == DENY:
        message = f"'{name}' is disabled: {DENY} names its package {entry.dist}"
        return PluginNotFound("GH205", message, hint=f"take {entry.dist} out of {DENY}")
    message = f"'{name}' is disabled: {ALLOW} does not name its package {entry.dist}"
    return PluginNotFound("GH205", message, hint=f"add {entry.dist} to {ALLOW}, or unset it")


def _conflict(name: str, claims: list[Entry]) -> PluginConflict:
    dists = sorted({entry.dist for entry in claims})
    if len(dists) == 1:
        values = " and ".join(entry.value for entry in claims)
        return PluginConflict(
            "GH204",
            f"{dists[0]} offers '{name}' twice: {values}",
            hint=f"this is a fault of {dists[0]}: reinstall it, or tell its authors",
        )
    owners = " and ".join(f"{e.dist} {e.version}".strip() for e in claims)
    spellings = " or ".join(f"'{entry.qualified}'" for entry in claims)
    return PluginConflict("GH204", f"'{name}' is offered by {owners}", hint=f"write {spellings}")


def _broken(entry: Entry, error: BaseException) -> PluginBroken:
    cause = f"{type(error).__name__}: {error}".strip().rstrip(":").splitlines()[0]
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and not entry.value.startswith(missing):
        fix = f"module '{missing}' is missing: install it, or reinstall {entry.dist}"
    else:
        fix = f"reinstall or update {entry.dist}, or tell its authors"
    return PluginBroken(
        "GH203",
        f"the {entry} is broken: importing {entry.value} failed: {cause}",
        hint=f"{fix}; --verbose shows the traceback",
    )


def _checked(entry: Entry, found: Any) -> Any:
    """Give `found` back if it keeps the contract of its kind."""
    pattern, rule = _SLUG, "2 to 32 of a-z 0-9 _ -, a letter first"
    if entry.kind == "kernels":
        pattern, rule = _KERNEL_NAME, "op.impl, of a-z 0-9 _"
    if not pattern.fullmatch(entry.name):
        raise _wrong(entry, f"its name must be {rule}")
    if entry.kind not in BASES:
        return found

    from genhub import api

    base = getattr(api, BASES[entry.kind])
    if not isclass(found) or not issubclass(found, base):
        raise _wrong(entry, f"{entry.value} is not a subclass of genhub.api.{base.__name__}")
    if not issubclass(found, api.Plugin):
        return found
    written_for = str(getattr(found, "api", None))
    if written_for.split(".")[0] != api.CONTRACT:
        raise PluginBroken(
            "GH206",
            f"the {entry} was written for contract {written_for}, this is {api.CONTRACT}",
            hint=f"install a version of {entry.dist} that fits this genhub-core",
        )
    config = getattr(found, "Config", None)
    if not isclass(config) or not issubclass(config, api.PluginConfig):
        raise _wrong(entry, "its Config is not a subclass of genhub.api.PluginConfig")
    reserved = sorted({"type", "where"} & set(config.model_fields))
    if reserved:
        raise _wrong(entry, f"its Config declares '{reserved[0]}', which belongs to the host")
    return found


def _wrong(entry: Entry, reason: str) -> PluginBroken:
    return PluginBroken(
        "GH203",
        f"the {entry} breaks the contract: {reason}",
        hint=f"this is a fault of {entry.dist}: update it, or tell its authors",
    )
