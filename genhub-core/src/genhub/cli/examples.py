"""`genhub examples`: complete files to start from, as they ship with the host."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from itertools import takewhile
from pathlib import Path

from genhub.config import load
from genhub.errors import GenHubError

FOLDER = Path(__file__).parent.parent / "examples"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this one; none lists all")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it, and the files it names")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def run(args: Namespace) -> int:
    """List the examples, print one, or write one."""
    known = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"), key=lambda path: path.stem)}
    if args.name is None:
        if args.output:
            raise GenHubError(
                "GH304", "-o needs the name of an example", hint=f"there are: {', '.join(known)}"
            )
        width = max(map(len, known))
        for name, path in known.items():
            needs = _needs(path)
            sys.stdout.write(f"{name:<{width}}  {_about(path)}\n")
            sys.stdout.write(f"{'':<{width}}  needs: {needs}\n" if needs else "")
        return 0
    name = args.name.removesuffix(".yaml")
    if name not in known:
        hint = f"there are: {', '.join(known)}"
        raise GenHubError("GH201", f"no example is called '{args.name}'", hint=hint)
    path = known[name]
    if args.output is None:
        sys.stdout.write(path.read_text(encoding="utf-8"))
    else:
        _write(path, Path(args.output), force=args.force)
    if needs := _needs(path):
        sys.stderr.write(f"this example needs: {needs}\n")
    return 0


def _write(path: Path, target: Path, *, force: bool) -> None:
    """Write an example, and beside it the files that it names."""
    text = path.read_text(encoding="utf-8")
    target = target / path.name if target.is_dir() else target
    copies = {target: text}
    for other in sorted(FOLDER.iterdir()):
        if other.suffix != ".yaml" and other.name in text:
            copies[target.parent / other.name] = other.read_text(encoding="utf-8")
    try:
        new = {place: words for place, words in copies.items() if not _holds(place, words)}
        taken = [str(place) for place in new if place.exists()]
        if taken and not force:
            message = f"{' and '.join(taken)} exists already and differs"
            raise GenHubError("GH601", message, hint="--force overwrites it")
        for place, words in new.items():
            place.write_text(words, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {error.filename or target}: {error.strerror or error}"
        raise GenHubError("GH601", message) from None
    sys.stdout.writelines(f"{place}\n" for place in copies)


def _holds(place: Path, words: str) -> bool:
    return place.is_file() and place.read_bytes() == words.encode()


def _about(path: Path) -> str:
    """Give the first sentence of the comment that an example begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.strip("# ") for line in comment).split(". ")[0].rstrip(".")


def _needs(path: Path) -> str:
    """Say how to get the packages that an example needs; empty where it can use them all."""
    try:
        load(path)
    except GenHubError as error:
        return "; ".join(dict.fromkeys(p.hint for p in error.problems if p.code[:3] == "GH2"))
    return ""
