"""Write the package of a new plugin from the templates that stand beside this module."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from keyword import iskeyword
from pathlib import Path
from string import Template
from tempfile import mkdtemp

from genhub.errors import GenHubError
from genhub.kinds import noun, package_of
from genhub.registry import canonical, default

__all__ = ["SCAFFOLDS", "write"]

_EXTRA = {"environment": ', "gymnasium>=1", "numpy"'}  # dependencies besides the host

# The word for a kind on the command line, and the kind.
SCAFFOLDS = {
    "attention-mixer": "attention_mixers",
    "parallel-scheduler": "parallel_schedulers",
    "task": "tasks",
    "environment": "environments",
}
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write(scaffold: str, name: str, parent: Path) -> Path:
    """Make the package of a plugin in the folder `parent/name` and give that folder.

    Raises GenHubError and leaves nothing behind: GH305 for a name that cannot be used, GH204 for
    one that is taken, GH601 for a folder that holds something or cannot be written.
    """
    kind = SCAFFOLDS[scaffold]
    _check_name(kind, name)
    target = parent / name
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise GenHubError(
            "GH601",
            f"{target} exists and is not empty",
            hint="choose another name, or another place with --dir",
        )
    words = {
        "name": name,
        "kind": kind,
        "noun": noun(kind),
        "more": _EXTRA.get(scaffold, ""),
        "dist": f"genhub-{name}",
        "snake": name.replace("-", "_"),
        "module": f"genhub_{name.replace('-', '_')}",
        "Name": "".join(part.capitalize() for part in name.split("-")),
    }
    made = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=f".{name}-", dir=parent))
        made.chmod(0o755)
        for folder in ("common", scaffold):
            _fill(files("genhub.scaffold") / folder, made, words)
        if target.exists():
            target.rmdir()
        made.rename(target)
    except OSError as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise GenHubError(
            "GH601",
            f"{target} cannot be written: {error.strerror or error}",
            hint="choose another place with --dir",
        ) from error
    return target


def _fill(source: Traversable, target: Path, words: dict[str, str]) -> None:
    for found in source.iterdir():
        path = target / _named(found.name, words)
        if found.is_dir():
            path.mkdir(exist_ok=True)
            _fill(found, path, words)
        else:
            text = Template(found.read_text(encoding="utf-8")).substitute(words)
            path.write_text(text, encoding="utf-8")


def _named(name: str, words: dict[str, str]) -> str:
    """Give a file its name: `__module__` and `__snake__` stand for the plugin's own."""
    for word in ("module", "snake"):
        name = name.replace(f"__{word}__", words[word])
    return name.removesuffix(".in")


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that no entry point, package or class can have, or that somebody else has."""
    if not _SLUG.fullmatch(name) or not 2 <= len(name) <= 32:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:32]
        raise GenHubError(
            "GH305",
            f"'{name}' cannot name a plugin: names are 2 to 32 of a-z 0-9 -, a letter first",
            hint=f"use '{slug}'" if _SLUG.fullmatch(slug) and len(slug) > 1 else "",
        )
    if iskeyword(name) or iskeyword(name.capitalize()):
        raise GenHubError("GH305", f"'{name}' is a word of Python itself", hint=f"use 'my-{name}'")
    holder = package_of(kind, name)
    try:
        holder = default().get(kind).find(name).dist
    except GenHubError as error:
        if error.code not in ("GH201", "GH202"):
            raise
    if holder is not None:
        raise GenHubError(
            "GH204",
            f"the name '{name}' is taken by the {noun(kind)} of {canonical(holder)}",
            hint="choose another name",
        )
