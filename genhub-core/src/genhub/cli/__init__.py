"""The command `genhub`: find the sub-command, run it, and put every error into a sentence.

Sub-commands are modules that are imported when they are asked for, so that `genhub --help` costs
little more than Python itself. Packages add their own through the group `genhub.commands`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from genhub import __version__

TYPE_CHECKING = False  # not from typing, which alone costs as much as all of `--help`
if TYPE_CHECKING:
    from typing import Any

    from genhub.errors import GenHubError

__all__ = ["main"]

COMMANDS = {
    "run": "make what a file describes, or repeat a run or one of its files",
    "validate": "check files without loading a model",
    "plan": "show what would be attached where, and run nothing",
    "plugins": "list what the installed packages offer",
    "report": "write the page of a run again, or one about several runs",
    "new": "write the package of a new plugin, ready to run",
    "check": "check that a plugin keeps to the rules of its kind",
    "schema": "print the JSON Schema of the files, for editors",
    "show": "tell how a run or one of its files was made",
    "examples": "list, print or write files to start from",
    "explain": "tell what an error code means",
    "doctor": "check this installation: packages, devices, kernels",
}

HELP = f"""\
GenHub {__version__}: make generative models faster, longer and more controllable.

usage: genhub COMMAND [ARGUMENTS]

{{commands}}

example:
  genhub run quickstart.yaml --set sampling.steps=10

`genhub COMMAND --help` explains one command. `genhub plugins commands` lists
those that packages have added. Every command takes --verbose (show tracebacks);
`genhub --version` prints the version.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command line and give its exit status; no exception but a second Ctrl-C escapes."""
    words = list(sys.argv[1:] if argv is None else argv)
    while words[:1] == ["--verbose"]:
        words = [*words[1:], "--verbose"]
    if words in ([], ["--verbose"]) or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"genhub {__version__}\n")
        return 0
    from genhub.errors import EXIT_INTERRUPTED, EXIT_RUN_FAILED, GenHubError, ToldElsewhere
    from genhub.streams import printable

    verbose, as_json = "--verbose" in words, "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _dispatch(words[0], words[1:])
        sys.stdout.flush()
        return status
    except GenHubError as error:
        _traceback_if(verbose)
        if not isinstance(error, ToldElsewhere):
            _tell(error, as_json)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return EXIT_RUN_FAILED
    except Exception as error:
        _traceback_if(verbose)
        text = " ".join(str(error).split())
        told = (
            f"error: genhub {words[0]} stopped at an unexpected {type(error).__name__}"
            f"{': ' if text else ''}{text}"
            f"{'' if verbose else '; run it again with --verbose to see where'}\n"
        )
        sys.stderr.write(printable(told))
        return EXIT_RUN_FAILED
    finally:
        _tell_remarks()


def _dispatch(name: str, words: list[str]) -> int:
    import gc
    from argparse import ArgumentParser

    gc.disable()  # modules are no garbage: looking through them takes a tenth of the start
    try:
        command = _command(name)
    finally:
        gc.enable()
    summary = COMMANDS.get(name) or command.summary
    parser = ArgumentParser(
        prog=f"genhub {name}",
        description=f"{summary[:1].upper()}{summary[1:]}.",
        allow_abbrev=False,
    )
    command.arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:  # --help, or a usage error that argparse has already told
        return int(stop.code or 0)
    return int(command.run(args) or 0)


def _command(name: str) -> Any:
    """Give a module of ours, or an object of a package, with `arguments` and `run`."""
    if name in COMMANDS:
        return import_module(f"genhub.cli.{name}")
    from difflib import get_close_matches

    from genhub.errors import GenHubError
    from genhub.registry import default

    if close := get_close_matches(name, COMMANDS, n=1):
        hint = f"did you mean 'genhub {close[0]}'?"
        if name not in default().get("commands").names():
            raise GenHubError("GH201", f"no command is called '{name}'", hint=hint)
    return default().get("commands").load(name)()


def _help() -> str:
    rows = [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    return HELP.format(commands="\n".join(rows))


def _tell(error: GenHubError, as_json: bool) -> None:
    if as_json:
        import json

        problems = [problem.to_json() for problem in error.problems]
        sys.stdout.write(json.dumps({"ok": False, "problems": problems}, indent=2) + "\n")
    else:
        sys.stderr.write(f"{error}\n")


def _tell_remarks() -> None:
    """Tell what the plugins that were loaded have done, where nothing else has told it."""
    registry = sys.modules.get("genhub.registry")
    if registry is None:
        return
    from genhub.streams import printable

    for remark in registry.default().take_remarks():
        sys.stderr.write(printable(f"warning: {remark}\n"))


def _traceback_if(verbose: bool) -> None:
    if verbose:
        import traceback

        traceback.print_exc()
