"""Write tables.h: what contexts.json and assets.json say, as C++ (run by the build)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MODES = ("easy", "hard", "extreme", "memory")
FIELD = {"int": "int", "float": "double", "bool": "bool"}


def number(value: float | bool | None) -> str:
    """Give a C++ literal of the same double; null is not a number."""
    if value is None:
        return "kUnset"
    if isinstance(value, bool):
        return "1.0" if value else "0.0"
    return repr(float(value))


def camel(name: str) -> str:
    """Give a game's name as that of a type."""
    return name[0].upper() + name[1:]


def pictures(name: str, listed: list[list[Any]]) -> str:
    """Give an array of pictures: file, width, height."""
    rows = ", ".join(f'{{"{file}", {width}, {height}}}' for file, width, height in listed)
    return f"inline constexpr Picture {name}[] = {{{rows}}};"


def context(game: str, parameters: list[dict[str, Any]]) -> list[str]:
    """Give the struct that holds one game's parameters, and the flags of those that were set."""
    lines = [f"struct {camel(game)} {{"]
    lines += [f"  {FIELD[p['type']]} {p['name']};  // {p['meaning']}" for p in parameters]
    names = ", ".join(p["name"] for p in parameters)
    lines += [f"  struct {{ bool {names}; }} set;", ""]
    lines += ["  void read(const double* row, Mode mode) {"]
    for i, p in enumerate(parameters):
        convert = {"int": "integer(v)", "float": "v", "bool": "v != 0"}[p["type"]]
        lines += [
            f"    set.{p['name']} = differs(row, kParameters_{game}, {i}, mode);",
            f"    {{ const double v = value(row, kParameters_{game}, {i}, mode);"
            f" {p['name']} = {convert}; }}",
        ]
    return [*lines, "  }", "};"]


def parameter_table(game: str, parameters: list[dict[str, Any]]) -> str:
    """Give a game's parameters with their kinds, ranges and defaults."""
    rows = []
    for p in parameters:
        defaults = ", ".join(number(p["default"].get(mode)) for mode in MODES)
        low, high = (0, 1) if p["type"] == "bool" else (p["min"], p["max"])
        kind = "o" if p.get("odd") else p["type"][0]
        rows.append(
            f"  {{\"{p['name']}\", '{kind}', {number(low)}, {number(high)}, {{{defaults}}}}},"
        )
    return f"inline constexpr Parameter kParameters_{game}[] = {{\n" + "\n".join(rows) + "\n};"


def game_table(game: str, contexts: dict[str, Any], assets: dict[str, Any]) -> list[str]:
    """Give all that is known of one game."""
    parameters = [p for p in contexts["parameters"] if p["game"] == game]
    index = {p["name"]: i for i, p in enumerate(parameters)}
    pairs = [(index[a], index[b]) for a, b in contexts["ordered_pairs"].get(game, [])]
    values = contexts["episode_values"][game]
    own = assets["games"][game]
    types = {**own["types"], **assets["common"]}
    group = list(assets["backgrounds"]).index(own["background_group"])
    modes = sum(1 << i for i, mode in enumerate(MODES) if mode in parameters[0]["default"])
    lines = [parameter_table(game, parameters)]
    for name, entry in types.items():
        lines.append(pictures(f"kPictures_{game}_{name}", entry["themes"]))
    rows = ", ".join(
        f"{{{entry['id']}, kPictures_{game}_{name}, {len(entry['themes'])}}}"
        for name, entry in types.items()
    )
    lines += [
        f"inline constexpr PictureType kTypes_{game}[] = {{{rows}}};",
        f"inline constexpr int kPairs_{game}[][2] = "
        f"{{{', '.join(f'{{{a}, {b}}}' for a, b in pairs) or '{-1, -1}'}}};",
        f"inline constexpr const char* kEpisodeValues_{game}[] = "
        f"{{{', '.join(f'{chr(34)}{v}{chr(34)}' for v in values)}}};",
        f'inline constexpr GameTable k{camel(game)} = {{"{game}", {modes}, '
        f"kParameters_{game}, {len(parameters)}, kPairs_{game}, {len(pairs)}, "
        f"kTypes_{game}, {len(types)}, {group}, kEpisodeValues_{game}, {len(values)}}};",
        "namespace contexts {",
        *context(game, parameters),
        "}",
    ]
    return lines


def tables(contexts: dict[str, Any], assets: dict[str, Any]) -> str:
    """Give the whole header."""
    lines = ["// Generated from contexts.json and assets.json; do not edit.", "#pragma once"]
    lines += ['#include "table.h"', "namespace cprocgen {"]
    for name, listed in assets["backgrounds"].items():
        lines.append(pictures(f"kBackgrounds_{name}", listed))
    rows = ", ".join(
        f'{{"{name}", kBackgrounds_{name}, {len(listed)}}}'
        for name, listed in assets["backgrounds"].items()
    )
    lines.append(f"inline constexpr BackgroundGroup kBackgroundGroups[] = {{{rows}}};")
    lines.append(f"inline constexpr int kBackgroundGroupCount = {len(assets['backgrounds'])};")
    for game in assets["games"]:
        lines += game_table(game, contexts, assets)
    return "\n".join([*lines, "}  // namespace cprocgen", ""])


if __name__ == "__main__":
    contexts_file, assets_file, output = map(Path, sys.argv[1:])
    text = tables(
        json.loads(contexts_file.read_text(encoding="utf-8")),
        json.loads(assets_file.read_text(encoding="utf-8")),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    if not output.exists() or output.read_text(encoding="utf-8") != text:
        output.write_text(text, encoding="utf-8")
