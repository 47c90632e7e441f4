"""What others build on, held against the list in public_api.txt that someone has reviewed.

The names and signatures of `genhub` and `genhub.api`, hooks, commands with their arguments, the
fields of a config, groups of entry points, error codes and exit statuses. A name that goes, or
means something else, breaks a plugin, a script or a file of a user.
"""

from __future__ import annotations

import ast
import re
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from snapshots import compare

import genhub
from genhub import api, errors, hookspecs, testing
from genhub.cli import COMMANDS
from genhub.cli.explain import PAGE, sections
from genhub.config.model import RunConfig
from genhub.kinds import KINDS

SOURCES = Path(genhub.__file__).parent
HEAVY = {  # read and not imported: torch would come with them
    "attach": SOURCES / "plan" / "attachment.py",
    "run": SOURCES / "execution" / "start.py",
    "GuidanceSplit": SOURCES / "comm" / "guidance.py",
    "Registries": SOURCES / "registry.py",
    "stateless_generator": SOURCES / "plan" / "context.py",
}
LATE = ("GuidanceSplit", "Registries", "stateless_generator")  # of genhub.api
BLOCKS = ("Model", "Input", "Sampling", "Launch", "Output")


@cache
def definitions(file: Path) -> dict[str, ast.stmt]:
    """Give what a module defines, by name."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found[ast.unparse(target)] = node
    return found


def described(name: str, node: ast.stmt, indent: str = "") -> Iterator[str]:
    """Write a definition and the public members of a class, one a line."""
    marks = "".join(f"@{ast.unparse(each)} " for each in getattr(node, "decorator_list", ()))
    if isinstance(node, ast.FunctionDef):
        given = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
        yield f"{indent}{marks}{name}({ast.unparse(node.args)}){given}"
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
        yield f"{indent}{marks}class {name}({bases})".removesuffix("()")
        for member in node.body:
            own = getattr(member, "name", None) or ast.unparse(getattr(member, "target", member))
            public = not own.startswith("_") or own in ("__init__", "__call__")
            if isinstance(member, ast.FunctionDef | ast.AnnAssign) and public:
                yield from described(f"{name}.{own}", member, "  ")
    elif isinstance(node, ast.AnnAssign):
        value = f" = {ast.unparse(undescribed(node.value))}" if node.value is not None else ""
        yield f"{indent}{name}: {ast.unparse(node.annotation)}{value}"
    elif isinstance(node, ast.Assign):
        value = "..." if name == "__version__" else ast.unparse(node.value)
        yield f"{indent}{name} = {value}"


def undescribed(value: ast.expr) -> ast.expr:
    """Leave the words out of a field's declaration."""
    if isinstance(value, ast.Call):
        value.keywords = [k for k in value.keywords if k.arg != "description"]
    return value


def names_of(module: ModuleType, late: Iterable[str] = ()) -> Iterator[str]:
    """Write each name of a module as its definition, in whichever module that stands.

    `late` are names that it gives without listing them, since torch comes with them.
    """
    inside = [m for name, m in sorted(sys.modules.items()) if name.startswith("genhub.api.")]
    files = [Path(str(each.__file__)) for each in (*inside, errors, module)]
    for name in sorted([*module.__all__, *late]):
        homes = [HEAVY[name]] if name in HEAVY else files
        home = next(file for file in homes if name in definitions(file))
        yield from described(name, definitions(home)[name])


def arguments_of(command: str) -> Iterator[str]:
    parser = ArgumentParser(prog=command, add_help=False)
    import_module(f"genhub.cli.{command}").arguments(parser)
    yield f"genhub {command}"
    for action in parser._actions:
        if action.help != SUPPRESS:
            words = "/".join(action.option_strings) or str(action.metavar or action.dest)
            choices = f" of {', '.join(map(str, action.choices))}" if action.choices else ""
            yield f"  {words}{f' ({action.nargs})' if action.nargs is not None else ''}{choices}"


def fields_of_configs() -> Iterator[str]:
    models = definitions(Path(str(sys.modules[RunConfig.__module__].__file__)))
    for line in described("", models["RunConfig"]):
        if line.startswith("  ."):
            yield line[3:]
            block = line[3:].split(":")[0]
            if block.capitalize() in BLOCKS:
                yield from list(described(block, models[block.capitalize()]))[1:]


def statuses() -> Iterator[str]:
    for code in sections(PAGE.read_text(encoding="utf-8")):
        yield f"{code}: exit status {errors.Problem(code, '').exit_code}"


def public() -> str:
    hooks = definitions(Path(str(hookspecs.__file__)))
    parts = {
        "genhub": names_of(genhub),
        "genhub.api": names_of(api, LATE),
        "genhub.testing": testing.__all__,
        "hooks": (line for name in hooks for line in described(name, hooks[name])),
        "groups of entry points": sorted(KINDS.values()),
        "commands": (line for command in COMMANDS for line in arguments_of(command)),
        "fields of a config": fields_of_configs(),
        "error codes": statuses(),
    }
    return "\n".join(f"=== {name}\n" + "\n".join(lines) + "\n" for name, lines in parts.items())


def test_what_is_public_is_as_reviewed() -> None:
    compare(public(), Path(__file__).parent / "public_api.txt")


def test_the_list_holds_every_public_name() -> None:
    listed = set(re.findall(r"^(?:@\S+ )*(?:class )?(\w+)", public(), re.MULTILINE))
    assert listed >= {*genhub.__all__, *api.__all__}
