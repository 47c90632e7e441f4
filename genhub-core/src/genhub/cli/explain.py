"""`genhub explain`: what an error code means, from the page that the documentation prints."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from genhub.errors import GenHubError

PAGE = Path(__file__).parent.parent / "explain" / "errors.md"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as GH203; none lists all")


def run(args: Namespace) -> int:
    """Print the section of a code, or one line for each code."""
    known = sections(PAGE.read_text(encoding="utf-8"))
    if args.code is None:
        for code, text in known.items():
            sys.stdout.write(f"{code}  {_first_sentence(text)}\n")
        return 0
    code = _code(args.code)
    if code not in known:
        raise GenHubError("GH201", f"there is no error code '{args.code}'", hint=_near(code, known))
    sys.stdout.write(f"{code}\n{known[code]}\n")
    return 0


def sections(page: str) -> dict[str, str]:
    """Give the text of each code on the page, in its order."""
    found = re.findall(r"^### (GH\d{3})\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    return {code: text.strip() for code, text in found}


def _code(written: str) -> str:
    """Spell a code as messages do, however it was copied: `error[gh203]`, `203`."""
    digits = re.search(r"\d+", written)
    return f"GH{digits[0]}" if digits else written.upper()


def _first_sentence(text: str) -> str:
    words = " ".join(text.split())
    found = re.match(r"(?:`[^`]*`|[^`.;:]|[.;:](?! |$))*", words)  # code may hold ': '
    return f"{found[0] if found else words}."


def _near(code: str, known: dict[str, str]) -> str:
    """Name the codes of the same hundred, or say how to see all."""
    group = [each for each in known if each[:3] == code[:3]]
    listed = f"there are: {', '.join(group)}; " if group else ""
    return f"{listed}`genhub explain` lists all with one line each"
