"""Put the page of a run together from what its folder holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from genhub.execution.folder import read_manifest, replace_file
from genhub.kinds import noun
from genhub.report.figures import lines_figure
from genhub.report.gallery import Gallery, gallery_of
from genhub.report.media import embed

__all__ = ["write_report"]

REPORT = "report.html"
NOTHING = "-"
FEWEST_POINTS = 3  # of a curve


@dataclass(frozen=True)
class Block:
    """One part of the page: which macro of the template draws it, and with what."""

    kind: str
    title: str
    order: int
    data: Mapping[str, Any] = field(default_factory=dict)


def write_report(folder: Path) -> Path:
    """Write report.html into a run folder, from its manifest, metrics, config and artifacts."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    manifest = read_manifest(folder)
    environment = Environment(
        loader=PackageLoader("genhub.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "seconds": seconds, "noun": noun}
    environment.globals |= {"times_rows": times_rows, "origin_rows": origin_rows}
    page = environment.get_template("page.html.j2").render(
        manifest=manifest,
        headline=headline(manifest),
        cards=cards(manifest),
        blocks=sorted(_blocks(folder, manifest), key=lambda block: block.order),
    )
    replace_file(folder / REPORT, page.encode())
    return folder / REPORT


def headline(manifest: Mapping[str, Any]) -> str:
    """Say in one sentence what was made, of what, where and how long it took."""
    made = len(manifest.get("artifacts", []))
    model = manifest.get("model", {}).get("source", "no model")
    machine = manifest.get("machine", {}).get("cpu", {})
    gpus = [gpu["name"] for gpu in manifest.get("machine", {}).get("gpus", [])]
    where = gpus[0] if gpus else f"{machine.get('model')}, {machine.get('cores')} cores"
    what = f"{made} picture{'' if made == 1 else 's'} with {model}" if made else model
    took = _duration(manifest)
    return f"{what} on {where}" + (f" in {seconds(took)}" if took is not None else "")


def cards(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give the figures at the top: (label, value, unit or note)."""
    found = []
    variants = manifest.get("variants", {})
    for variant, about in variants.items():
        if about["steps"].get("count"):
            label = variant if len(variants) > 1 else "time"
            found.append((label, number(about["steps"]["p50_ms"]), "ms per step"))
    for variant, figures in manifest.get("metrics", {}).items():
        name = next((n for n, v in figures.items() if v is not None), None)
        if name is not None and variant in variants:
            label = variant if len(variants) > 1 else "measured"
            found.append((label, number(figures[name]), name))
    peak = manifest.get("peak_memory_bytes", {})
    if peak:
        device = next((d for d in peak if d != "cpu" and peak[d]), "cpu")
        found.append(("peak memory", size(peak[device]), device))
    return found


def _blocks(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Block]:
    gallery = gallery_of(folder, manifest)
    if gallery.groups:
        yield Block("pictures", _pictures_title(gallery), 10, {"gallery": gallery})
    if manifest.get("problems"):
        yield Block("problems", "Problems", 15, {"problems": manifest["problems"]})
    if manifest.get("metrics"):
        yield Block("metrics", "Figures", 20, _metrics(manifest))
    yield from _times(manifest)
    yield from _curves(folder)
    for section in manifest.get("sections", []):
        shown = [
            (embed(folder / path), path, caption)
            for path, caption in section["pictures"]
            if (folder / path).is_file()
        ]
        data = {"section": {**section, "shown": shown}}
        yield Block("section", section["title"], section["order"], data)
    if manifest.get("plugins"):
        yield Block("plugins", "Plugins", 60, {"plugins": manifest["plugins"]})
    if manifest.get("sites"):
        yield Block("sites", "Attention sites", 70, _sites(manifest))
    yield Block("origin", "Machine and model", 80)
    yield Block("config", "Config", 90, {"config": _text(folder / "config.yaml"),
                                         "resolved": _text(folder / "resolved.yaml")})  # fmt: skip


def _pictures_title(gallery: Gallery) -> str:
    return "Pictures" if len(gallery.variants) == 1 else "Pictures side by side"


def _metrics(manifest: Mapping[str, Any]) -> dict[str, Any]:
    variants = list(manifest["metrics"])
    names = dict.fromkeys(name for row in manifest["metrics"].values() for name in row)
    rows = []
    for name in names:
        cells = [manifest["metrics"][variant].get(name) for variant in variants]
        # A bar is drawn where all values are shares of a whole.
        bars = all(v is None or 0 <= v <= 1 for v in cells)
        rows.append((name, cells, bars))
    return {"variants": variants, "rows": rows}


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


def origin_rows(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say on what the run depends, beside its config: (label, value)."""
    machine, model = manifest.get("machine", {}), manifest.get("model", {})
    if machine:
        cpu = machine["cpu"]
        yield "processor", f"{cpu['model']}, {cpu['cores']} cores, {cpu['threads']} threads"
        for gpu in machine["gpus"]:
            yield "GPU", f"{gpu['name']}, {size(gpu['memory_bytes'])}"
        yield "system", f"{machine['system']}, Python {machine['python']}"
        yield "libraries", ", ".join(f"{n} {v}" for n, v in machine["versions"].items())
    if model:
        revision = f" at {model['revision']}" if model.get("revision") else ""
        dtype = model.get("dtype", "")
        yield "model", f"{model['source']}{revision}, {model['pipeline']} {dtype}".strip()
        weights = sum(file["bytes"] for file in model["files"].values())
        if weights:
            yield "size of the model", size(weights)
    repository = manifest.get("repository")
    if repository:
        changed = " with uncommitted changes" if repository["dirty"] else ""
        yield "repository", f"{repository['commit']}{changed}"
    yield "seed", str(manifest.get("seed", NOTHING))
    yield "command", str(manifest.get("command", NOTHING))


def _curves(folder: Path) -> Iterator[Block]:
    """Draw every figure that was logged again and again, such as a loss over steps."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for number_of_line, line in enumerate(_lines(folder / "metrics.jsonl")):
        x = line.pop("step", number_of_line)
        variant = line.pop("variant", "main")
        for name, value in line.items():
            if isinstance(value, int | float):
                series.setdefault(name, {}).setdefault(variant, []).append((x, value))
    figures = [
        lines_figure(by_variant, "step", name)
        for name, by_variant in series.items()
        if max(map(len, by_variant.values())) >= FEWEST_POINTS
    ]
    if figures:
        yield Block("curves", "Curves", 40, {"figures": figures})


def _sites(manifest: Mapping[str, Any]) -> dict[str, Any]:
    held: dict[str, dict[str, str]] = {}
    variants = [v for v, about in manifest["variants"].items() if about.get("sites_held")]
    for variant in variants:
        for label, paths in manifest["variants"][variant]["sites_held"].items():
            for path in paths:
                held.setdefault(path, {})[variant] = label
    return {"sites": manifest["sites"], "variants": variants, "held": held}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError):  # a line that a kill cut short
                yield dict(json.loads(line))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _duration(manifest: Mapping[str, Any]) -> float | None:
    if "ended" not in manifest:
        return None
    began, ended = (datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
    return (ended - began).total_seconds()


def number(value: float | None) -> str:
    """Write a figure with four digits."""
    return NOTHING if value is None else f"{value:.4g}"


def seconds(value: float) -> str:
    """Write a duration as a person would say it."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def size(value: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
