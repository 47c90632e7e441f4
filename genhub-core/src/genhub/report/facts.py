"""What a manifest says in a few words: headline, verdict, the figures at the top, the origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from genhub.report.words import NOTHING, count_of, number, seconds, size

__all__ = ["cards", "headline", "origin_rows", "verdict"]

MOST_CARDS = 12
NOUNS = {
    "image": "picture",
    "audio": "sound",
    "video": "video",
    "text": "text",
    "data": "data file",
}


def headline(manifest: Mapping[str, Any]) -> str:
    """Say in one sentence what was made, of what, where and how long it took."""
    kinds = Counter(entry["kind"] for entry in manifest.get("artifacts", []))
    made = " and ".join(count_of(n, NOUNS[kind]) for kind, n in kinds.items())
    model = manifest.get("model", {}).get("source")
    task = f"task {manifest.get('task', 'unknown')}"
    what = f"{made} with {model}" if made and model else made or model or task
    machine = manifest.get("machine", {})
    where = [gpu["name"] for gpu in machine.get("gpus", [])][:1]
    if not where and machine:
        where = [f"{machine['cpu']['model']}, {machine['cpu']['cores']} cores"]
    took = _duration(manifest)
    return f"{what}{f' on {where[0]}' if where else ''}" + (
        f" in {seconds(took)}" if took is not None else ""
    )


def verdict(manifest: Mapping[str, Any]) -> str:
    """Say in one sentence how it ended."""
    status, made = manifest["status"], len(manifest.get("artifacts", []))
    kept = f"; what it made until then is kept ({count_of(made, 'file')})" if made else ""
    problems = len(manifest.get("problems", []))
    if status == "done":
        noted = f", {count_of(problems, 'problem')} noted below" if problems else ""
        return f"It ran to its end{noted}."
    if status == "running":
        return f"It is under way, or was killed{kept}."
    if status == "interrupted":
        return f"It was interrupted{kept}."
    during = next((p["code"] for p in manifest.get("error") or []), "an error")
    return f"It was ended by {during}{kept}."


def cards(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give the figures at the top: (label, value, unit or note)."""
    found = []
    variants = manifest.get("variants", {})
    in_turns = (manifest.get("timing") or {}).get("variants", {})
    for variant, about in variants.items():
        time = in_turns.get(variant, {}).get("ms_per_step") or about["steps"].get("p50_ms")
        if time is not None:
            label = variant if len(variants) > 1 else "time"
            found.append((label, number(time), "ms per step"))
    metrics = manifest.get("metrics", {})
    for variant, figures in metrics.items():
        name = next((n for n, v in figures.items() if v is not None), None)
        if name is not None and (variant in variants or not variants):
            label = variant if len(metrics) > 1 else "measured"
            found.append((label, number(figures[name]), name))
    peak = manifest.get("peak_memory_bytes", {})
    if peak:
        device = next((d for d in peak if d != "cpu" and peak[d]), "cpu")
        found.append(("peak memory", size(peak[device]), device))
    return found[:MOST_CARDS]


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
    variants = manifest.get("variants", {})
    for variant, about in variants.items():
        for note in about.get("notes", ()):
            yield f"note on {variant}" if len(variants) > 1 else "note", note
    repository = manifest.get("repository")
    if repository:
        changed = " with uncommitted changes" if repository["dirty"] else ""
        yield "repository", f"{repository['commit']}{changed}"
    yield "seed", str(manifest.get("seed", NOTHING))
    yield "command", str(manifest.get("command", NOTHING))
    yield "run", str(manifest["run"])


def _duration(manifest: Mapping[str, Any]) -> float | None:
    if "ended" not in manifest:
        return None
    began, ended = (datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
    return (ended - began).total_seconds()
