"""Put the page of a run together from what its folder holds."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any
from unicodedata import category

from genhub.execution.folder import read_manifest, replace_file
from genhub.execution.speedup import timing_rows
from genhub.kinds import noun
from genhub.report.facts import cards, headline, origin_rows, verdict
from genhub.report.figures import bars_figure, lines_figure
from genhub.report.gallery import count_media, gallery_of, shot_of
from genhub.report.media import Room
from genhub.report.words import NOTHING, number, seconds, short, size

__all__ = ["LIMIT", "REPORT", "ROOMS", "template", "write_report"]

REPORT = "report.html"
LIMIT = 8_000_000  # bytes of a page
ROOMS = (6_000_000, 3_000_000, 500_000)  # characters of media, the next where text takes too much
MOST_TEXT = 100_000  # characters of one text
MOST_SECTIONS = 1_000_000  # characters of all sections of hooks
MOST_ROWS = 1000  # of a table
MOST_FIGURES = 24
MOST_RANKS = 32
FEWEST_POINTS = 3  # of a curve
UNFIT = ("Cc", "Cs", "Cn")  # control characters, surrogates, what is no character
TITLES = {"image": "Pictures", "audio": "Sound", "video": "Video"}


@dataclass(frozen=True)
class Block:
    """One part of the page: which macro of the template draws it, and with what."""

    kind: str
    title: str
    order: int
    data: Mapping[str, Any] = field(default_factory=dict)


def write_report(folder: Path) -> Path:
    """Write report.html into a run folder, from its manifest, metrics, config and artifacts."""
    manifest = read_manifest(folder)
    for room in ROOMS:
        page = _page(folder, manifest, room)
        if len(page) <= LIMIT:
            break
    replace_file(folder / REPORT, page)
    return folder / REPORT


def template(name: str) -> Any:
    """Give a template of this package, ready to be rendered."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("genhub.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "number": number, "seconds": seconds, "size": size, "short": short, "noun": noun,
    }  # fmt: skip
    # In the page as it is: the policy names its hash, so that no other script can run.
    script = files("genhub.report").joinpath("page.js").read_text(encoding="utf-8")
    environment.globals |= {
        "times_rows": times_rows,
        "origin_rows": origin_rows,
        "script": script,
        "script_hash": b64encode(sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template(name)


def _page(folder: Path, manifest: Mapping[str, Any], room: int) -> bytes:
    page = template("page.html.j2").render(
        manifest=manifest,
        headline=headline(manifest),
        verdict=verdict(manifest),
        cards=cards(manifest),
        blocks=sorted(_blocks(folder, manifest, room), key=lambda block: block.order),
    )
    return page.encode(errors="replace")


def _visible(value: Any) -> Any:
    """Put a sign in place of characters that HTML must not hold."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join(c if c in "\n\t" or category(c) not in UNFIT else "\ufffd" for c in value)


def _blocks(folder: Path, manifest: Mapping[str, Any], room: int) -> Iterator[Block]:
    media = Room(room, count_media(folder, manifest))
    for order, (kind, title) in enumerate(TITLES.items(), start=10):
        gallery = gallery_of(folder, manifest, kind, media)
        if gallery is not None:
            beside = " side by side" if len(gallery.variants) > 1 else ""
            yield Block("gallery", title + beside, order, {"gallery": gallery})
    if manifest.get("problems"):
        yield Block("problems", "Problems", 15, {"problems": manifest["problems"][:MOST_ROWS]})
    if manifest.get("metrics"):
        yield Block("metrics", "Figures", 20, _metrics(manifest))
    if manifest.get("timing"):
        yield Block("table", "Time, taken in turns", 25, _timing(manifest["timing"]))
    yield from _times(manifest)
    yield from _parallel(manifest)
    yield from _curves(folder)
    yield from _sections(folder, manifest, media)
    if manifest.get("plugins"):
        yield Block("plugins", "Plugins", 60, {"plugins": manifest["plugins"]})
    if manifest.get("sites"):
        yield Block("sites", "Attention sites", 70, _sites(manifest))
    yield Block("origin", "Machine and model", 80)
    texts = {name: _text(folder / f"{name}.yaml") for name in ("config", "resolved")}
    if texts["config"]:
        yield Block("config", "Config", 90, texts)


def _metrics(manifest: Mapping[str, Any]) -> dict[str, Any]:
    variants = list(manifest["metrics"])
    names = dict.fromkeys(name for row in manifest["metrics"].values() for name in row)
    rows = []
    for name in list(names)[:MOST_ROWS]:
        cells = [manifest["metrics"][variant].get(name) for variant in variants]
        # A bar is drawn where all values are shares of a whole.
        bars = all(v is None or 0 <= v <= 1 for v in cells)
        rows.append((name, cells, bars))
    return {"variants": variants, "rows": rows}


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out times that were taken in turns, with the interval of each ratio."""
    figures = timing_rows(timing)
    rows = [
        (name, *(row.get(name, "-") for row in figures.values())) for name in timing["variants"]
    ]
    return {"header": ("variant", *figures), "rows": rows}


def _times(manifest: Mapping[str, Any]) -> Iterator[Block]:
    variants = {
        name: about["steps"]
        for name, about in manifest.get("variants", {}).items()
        if about["steps"].get("count")
    }
    if not variants:
        return
    series = {
        name: list(enumerate(steps["median_ms"], start=1)) for name, steps in variants.items()
    }
    figure = lines_figure(series, "denoising step", "ms (median)", from_zero=True)
    phases = manifest.get("phases", {})
    longest = max((p["wall"] for p in phases.values()), default=0) or 1
    data = {"figure": figure, "variants": variants, "phases": phases, "longest": longest}
    yield Block("times", "Time", 30, data)


def times_rows(variants: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Give the rows of the table of step times."""
    return [
        (name, str(s["count"]), f"{number(s['p50_ms'])} ms", f"{number(s['p95_ms'])} ms")
        for name, s in variants.items()
    ]


def _parallel(manifest: Mapping[str, Any]) -> Iterator[Block]:
    """Show who computed what: as planned, and what each rank did over its steps."""
    plan, ranks = manifest.get("parallel") or {}, manifest.get("ranks") or {}
    rows: dict[str, list[tuple[str, float, float]]] = {}
    table = []
    for place, rank in enumerate(ranks.get("each", [])):
        for variant, steps in (rank.get("steps") or {}).items():
            if steps.get("count"):
                ends = list(accumulate(steps["median_ms"]))
                bars = zip(ends, steps["median_ms"], strict=True)
                # The gap shows where a step ends.
                rows[f"rank {place}, {variant}"] = [(variant, e - t, 0.94 * t) for e, t in bars]
        memory = (size(value) for value in (rank.get("peak_memory_bytes") or {}).values())
        sent = sum((rank.get("sent") or {}).values())
        table.append((place, rank.get("device", NOTHING), ", ".join(memory), size(sent)))
    if plan or table:
        order = sorted(rows, key=lambda row: (row.partition(", ")[2], row))
        shown = {row: rows[row] for row in order[:MOST_RANKS]}
        title = "steps of each rank over time"
        figure = bars_figure(shown, "ms (median)", title) if shown else ""
        data = {"plan": plan, "figure": figure, "rows": table}
        yield Block("parallel", "Ranks", 32, data | {"simulated": ranks.get("simulated", False)})


def _curves(folder: Path) -> Iterator[Block]:
    """Draw what was logged over and over, such as the losses of a training."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for place, line in enumerate(_lines(folder / "metrics.jsonl")):
        variant, x = str(line.pop("variant", "")), line.pop("step", place)
        for name, value in line.items():
            if isinstance(value, int | float) and isinstance(x, int | float):
                series.setdefault(name, {}).setdefault(variant, []).append((x, value))
    figures = [
        lines_figure(by_variant, "step", name)
        for name, by_variant in series.items()
        if max(map(len, by_variant.values())) >= FEWEST_POINTS
    ]
    if figures:
        data = {"figures": figures[:MOST_FIGURES], "left_out": len(figures[MOST_FIGURES:])}
        yield Block("curves", "Curves", 40, data)


def _sections(folder: Path, manifest: Mapping[str, Any], room: Room) -> Iterator[Block]:
    """Show what hooks added."""
    left = MOST_SECTIONS
    for place, section in enumerate(manifest.get("sections", [])):
        left -= len(escape(json.dumps(section)))
        shots = [
            (shot, caption)
            for n, (path, caption) in enumerate(section["pictures"])
            if (shot := shot_of(folder, path, f"section-{place}-{n}", room)) is not None
        ]
        figure = _section_figure(section, f"section {place}")
        data = {"section": section, "shots": shots, "figure": figure, "fits": left >= 0}
        yield Block("section", section["title"], section["order"], data)


def _section_figure(section: Mapping[str, Any], salt: str) -> str:
    series = {name: points for name, points in (section.get("series") or {}).items() if points}
    if not series:
        return ""
    x_label, y_label = section["axes"]
    spans = section.get("y_range")  # not told by runs of before
    return lines_figure(
        series, x_label, y_label, joined=section["joined"], y_range=spans, salt=salt
    )


def _sites(manifest: Mapping[str, Any]) -> dict[str, Any]:
    held: dict[str, dict[str, str]] = {}
    known = manifest.get("variants", {})
    variants = [v for v, about in known.items() if about.get("sites_held")]
    for variant in variants:
        for label, paths in known[variant]["sites_held"].items():
            for path in paths:
                held.setdefault(path, {})[variant] = label
    sites: Sequence[Any] = manifest["sites"]
    return {"sites": sites, "shown": sites[:MOST_ROWS], "variants": variants, "held": held}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError):  # a line that a kill cut short
                yield dict(json.loads(line))


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MOST_TEXT + 1)
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n# cut here: the whole is in {path.name}"
