"""Pages that are made from the code, so that they cannot fall behind it; a hook of mkdocs.

`pages()` gives them as `{path: markdown}`. What has no words of its own in the code (a field
without a description, a command without a summary) is an error here, not a gap on the page.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from inspect import cleandoc, getmembers, isfunction, signature
from pathlib import Path
from typing import Any

from genhub import api, hookspecs
from genhub.cli import COMMANDS
from genhub.cli.explain import PAGE
from genhub.config import json_schema
from genhub.kinds import BASES, KINDS, noun
from genhub.registry import default

ROOT = Path(__file__).resolve().parent.parent
Schema = Mapping[str, Any]

# Kinds of plugins whose config is a block of the YAML file, by the key that holds it.
BLOCKS = {
    "attention": "attention_mixers",
    "parallel": "parallel_schedulers",
    "decoder": "decoders",
    "environment": "environments",
    "search": "search_spaces",
    "search.strategy": "search_strategies",
    "task": "tasks",
}


def pages() -> dict[str, str]:
    """Give every page that is made from the code."""
    return {
        "errors.md": PAGE.read_text(encoding="utf-8"),
        "reference/yaml.md": yaml_page(),
        "reference/commands.md": commands_page(),
        "reference/names.md": names_page(),
        "reference/contexts.md": contexts_page(),
        "reference/api.md": api_page(),
        "reference/measured.md": measured_page(),
    }


def yaml_page() -> str:
    """List every field of a config: the host's own, then those of each plugin's block."""
    schema = json_schema(default())
    parts = [
        "# YAML fields",
        "Every key that a config may have. A default of *none* means that the key can be left out "
        "and nothing takes its place; *required* keys have no default. `genhub schema` prints the "
        "same as JSON Schema for editors.",
        "## Top level",
        *_fields(schema, schema),
    ]
    for block in ("model", "input", "sampling", "launch", "output"):
        parts += [f"## {block}", *_fields(_resolved(schema["properties"][block], schema), schema)]
    parts += ["## where", *_fields(schema["$defs"]["Where"], schema)]
    for key, kind in BLOCKS.items():
        for entry in default().get(kind).entries():
            cls = default().get(kind).load(entry.qualified)
            own = cls.Config.model_json_schema()
            title = f"## {key}: {entry.name}"
            parts += [title, f"{_sentence(cls.summary, title)} From `{entry.dist}`."]
            parts += _fields(own, own) if own.get("properties") else ["No fields of its own."]
    return _joined(parts)


def commands_page() -> str:
    """Give the help text of every command, the host's and those of packages."""
    parts = ["# Commands", "Every command takes `--verbose`, which shows tracebacks of errors."]
    for name, summary in COMMANDS.items():
        parts += [f"## genhub {name}", _help(name, summary, import_module(f"genhub.cli.{name}"))]
    registry = default().get("commands")
    for name in registry.names():
        command = registry.load(name)()
        parts += [f"## genhub {name}", _help(name, command.summary, command)]
    return _joined(parts)


def names_page() -> str:
    """List what GenHub's own packages offer, by kind."""
    parts = ["# Installed names", "What the packages of this repository offer, kind by kind."]
    for kind in KINDS:
        entries = default().get(kind).entries()
        if not entries:
            continue
        rows = []
        for entry in entries:
            found = default().get(kind).load(entry.qualified)
            about = getattr(found, "summary", "") or _first_line(found)
            paper = getattr(found, "paper", None)
            rows.append((f"`{entry.name}`", f"`{entry.dist}`", about, paper or ""))
        parts += [
            f"## {noun(kind).capitalize()}s",
            _table(("name", "package", "what it does", "paper"), rows),
        ]
    return _joined(parts)


def contexts_page() -> str:
    """List the parameters of every game of genhub-cprocgen, from the file they are written in."""
    source = files("genhub_cprocgen") / "data" / "contexts.json"
    data = json.loads(source.read_text(encoding="utf-8"))
    parts = [
        "# Parameters of contexts",
        "What can be set in each game of [cprocgen](../cprocgen.md), with defaults by distribution "
        "mode; *own rule* means that the game decides as the benchmark does. Games that the engine "
        "does not have yet are listed too.",
    ]
    games: dict[str, list[Any]] = {}
    for parameter in data["parameters"]:
        games.setdefault(parameter["game"], []).append(parameter)
    for game, listed in sorted(games.items()):
        rows = [
            (f"`{p['name']}`", p["type"], _by_mode(p["default"]), _range(p), p["meaning"])
            for p in listed
        ]
        header = ("parameter", "type", "default", "range", "meaning")
        parts += [f"## {game}", _table(header, rows)]
        for low, high in data["ordered_pairs"].get(game, ()):
            parts.append(f"`{low}` must not be above `{high}`.")
    return _joined(parts)


def kinds_table() -> str:
    """List the kinds of plugins, their entry-point groups and base classes."""
    rows = []
    for kind, group in KINDS.items():
        base = BASES.get(kind)
        about = _first_line(getattr(api, base)) if base else "Listen to moments of a run."
        shown = f"[`{base}`](reference/api.md#genhub.api.{base})" if base else "any object"
        rows.append((noun(kind), f"`{group}`", shown, about))
    return _table(("kind", "entry-point group", "derives from", "what it does"), rows)


def hooks_list() -> str:
    """List the moments of a run that a plugin can listen to."""
    parts = []
    for name, function in sorted(getmembers(hookspecs, isfunction), key=_line_of):
        if name.startswith("genhub_"):
            parts += [
                f"## {name}",
                f"```python\n{name}{signature(function)}\n```",
                _sentence(function.__doc__, name),
            ]
    return _joined(parts)


def api_page() -> str:
    """Refer to every public name of `genhub` and `genhub.api` and their docstrings."""
    groups: dict[str, list[str]] = {}
    for name in api.__all__:
        home = getattr(getattr(api, name), "__module__", "")
        groups.setdefault(home if home.startswith("genhub.") else "", []).append(name)
    parts = ["# API", "What is listed here follows semantic versions; everything else is private."]
    parts += ["## For users", "::: genhub.attach", "::: genhub.run"]
    for home, names in sorted(groups.items(), key=lambda group: group[0] == ""):
        about = (import_module(home).__doc__ or "").splitlines()[0] if home else "Markers and words"
        parts += [f"## {about.partition(':')[0].rstrip('.')}"]
        parts += [f"::: genhub.api.{name}" for name in names]
    return _joined(parts)


def measured_page() -> str:
    """Show every file of benchmarks/results: nothing is printed that was not measured."""
    parts = [
        "# Measured",
        "Figures of `benchmarks/`, as their last run on the machine named wrote them. Seconds are "
        "the machine's; ratios are taken within one run.",
    ]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        machine = result.pop("machine", {})
        parts += [f"## {path.stem.replace('_', ' ')}"]
        parts += [f"`benchmarks/results/{path.name}`, {result.pop('date', 'undated')}, on "
                  f"{machine.get('cpu')} with {machine.get('cores')} cores, "
                  f"Python {machine.get('python')}."]  # fmt: skip
        parts += _shown(result)
    return _joined(parts)


# What a page written by hand includes where it says {{ name }}.
def focus_table() -> str:
    """Set how many times faster than full attention forms of LiteFocus are, by seconds of sound."""
    path = ROOT / "benchmarks" / "results" / "focus_attention.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    speeds: dict[str, dict[int, str]] = {}
    for row in result["figures"]:
        speeds.setdefault(row["contender"], {})[row["seconds"]] = f"{row[SPEED]:.2f}"
    for row in result["whole denoisers"]:
        name = f"AudioLDM2's UNet, {row['attention']}"
        speeds.setdefault(name, {})[row["seconds"]] = f"{row[SPEED]:.2f}"
    lengths = sorted({seconds for by_length in speeds.values() for seconds in by_length})
    rows = [(name, *(found.get(n, "") for n in lengths)) for name, found in speeds.items()]
    return _table(("speed over fused full attention", *(f"{n} s" for n in lengths)), rows)


SPEED = "of SDPA's speed"
INCLUDED = {"kinds": kinds_table, "hooks": hooks_list, "focus attention": focus_table}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the parts that are made from the code into pages written by hand."""
    for name, made in INCLUDED.items():
        markdown = markdown.replace("{{ " + name + " }}", made())
    return markdown


def on_files(files: Any, config: Any) -> Any:
    """Add the pages to those that mkdocs found in the folder."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def _shown(result: Mapping[str, Any], depth: int = 3) -> list[str]:
    """Lay a file of results out: single values as a list, rows of them as a table."""
    single = {name: held for name, held in result.items() if not _has_rows(held)}
    parts = ["\n".join(f"- {name}: {_value(v)}" for name, v in single.items())] if single else []
    for name, held in result.items():
        if name in single:
            continue
        parts.append(f"{'#' * depth} {name}")
        rows = list(held.values()) if isinstance(held, dict) else held
        if not all(isinstance(row, dict) for row in rows) or any(
            _has_rows(value) for row in rows for value in row.values()
        ):
            parts += _shown(held, depth + 1)
            continue
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines = [tuple(_value(row.get(column)) for column in columns) for row in rows]
        if isinstance(held, dict):
            columns = ["", *columns]
            lines = [(label, *line) for label, line in zip(held, lines, strict=True)]
        parts.append(_table(tuple(columns), lines))
    return parts


def _has_rows(held: Any) -> bool:
    return isinstance(held, dict) or (
        isinstance(held, list) and held != [] and isinstance(held[0], dict)
    )


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fields(block: Schema, root: Schema) -> list[str]:
    required = block.get("required", ())
    rows = []
    for name, field in block.get("properties", {}).items():
        about = field.get("description", "")
        if name not in ("type", "strategy") and not about:
            raise ValueError(f"the field '{name}' of {block.get('title')} has no description")
        fallback = "*required*" if name in required else _default(field)
        rows.append((f"`{name}`", _type(field, root), fallback, about))
    return [_table(("key", "value", "default", "meaning"), rows)]


def _type(field: Schema, root: Schema) -> str:
    """Say in words what a field takes."""
    field = _resolved(field, root)
    if "anyOf" in field or "oneOf" in field:
        listed = field.get("anyOf", field.get("oneOf", ()))
        options = [_type(option, root) for option in listed if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(option for option in options))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type", "anything")
    if kind == "null":
        return "block"  # of a kind that no installed package offers
    if kind == "array":
        items = _type(field.get("items", {}), root)
        return f"list of {'blocks' if items == 'block' else items}"
    if kind == "object":
        return "block"
    words = {"integer": "whole number", "string": "text", "boolean": "`true`, `false`"}
    return f"{words.get(kind, kind)}{_bounds(field)}"


def _by_mode(defaults: Mapping[str, Any]) -> str:
    """Give one default where modes agree, else each mode's."""
    shown = {m: "own rule" if v is None else _value(v) for m, v in defaults.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{mode} {value}" for mode, value in shown.items())


def _range(parameter: Mapping[str, Any]) -> str:
    if parameter["min"] is None:
        return ""
    odd = ", odd" if parameter.get("odd") else ""
    return f"{parameter['min']:g} to {parameter['max']:g}{odd}"


def _bounds(field: Schema) -> str:
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", {'above' if 'exclusiveMinimum' in field else 'at least'} {low}"
    return f", at most {high}" if high is not None else ""


def _default(field: Schema) -> str:
    value = field.get("default")
    return "*none*" if value in (None, [], {}) else f"`{json.dumps(value)}`"


def _resolved(field: Schema, root: Schema) -> Schema:
    while "$ref" in field:
        field = root["$defs"][field["$ref"].rpartition("/")[2]]
    return field


def _help(name: str, summary: str, command: Any) -> str:
    parser = ArgumentParser(prog=f"genhub {name}", description=_sentence(summary, name))
    command.arguments(parser)
    return f"```text\n{parser.format_help().rstrip()}\n```"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _sentence(text: str | None, of: str) -> str:
    words = cleandoc(text or "").strip()
    if not words:
        raise ValueError(f"{of} is not described")
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _first_line(found: Any) -> str:
    return (getattr(found, "__doc__", "") or "").strip().split("\n")[0]


def _line_of(member: tuple[str, Any]) -> int:
    return int(member[1].__code__.co_firstlineno)


def _joined(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"
