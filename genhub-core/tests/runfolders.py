"""Folders of runs that were never run: what a page can be made of, in all its kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from genhub.api import Request, Sample
from genhub.execution.artifacts import artifact_json
from genhub.execution.sinks import AudioSink, PictureSink, VideoSink

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "</style><style>*{display:none}</style>",
    "javascript:alert(1)",
    "\u202eright to left\u202c \u200f \u2066isolated\u2069",
    "\x00\x01\x1b[31m\x7f\x85\ufdd0\uffff\ud800",
    "{{ 7 * 7 }} {% raw %} ${env:HOME} $x^2$ &amp; &#x3c;b&#x3e;",
    "<!-- --> ]]> <![CDATA[ </title></textarea></svg></pre>",
    "x" * 10_000,
    "' onmouseover='alert(1)' `",
)
ALL_HOSTILE = " ".join(HOSTILE)

MACHINE = {
    "python": "3.11.9",
    "system": "Linux-6.1-x86_64",
    "cpu": {"model": "Example CPU 3000", "cores": 2, "threads": 2},
    "memory_bytes": 8 << 30,
    "gpus": [],
    "cuda": None,
    "versions": {"genhub-core": "0.1.0", "torch": "2.13.0"},
}


def write_folder(folder: Path, manifest: Mapping[str, Any], config: str = "genhub: 1\n") -> Path:
    """Write what every run folder has."""
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config, encoding="utf-8", errors="replace")
    (folder / "resolved.yaml").write_text(config * 3, encoding="utf-8", errors="replace")
    whole = {
        "genhub": 1, "name": folder.name, "run": f"{folder.name}-20260102-030405-abcdef",
        "status": "done", "started": "2026-01-02T03:04:05.000+00:00",
        "ended": "2026-01-02T03:05:11.250+00:00", "task": "generate", "machine": MACHINE,
        "command": "genhub run x.yaml", "seed": 0, "artifacts": [], "problems": [],
        **manifest,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(whole))
    return folder


def scene(seed: int, side: int = 64, shift: int = 0) -> Image.Image:
    """Draw a blob on a gradient."""
    rng = np.random.default_rng(seed)
    tint, spot = rng.integers(90, 255, 3), tuple(int(v) for v in rng.integers(0, 255, 3))
    ramp = np.linspace(0.35, 1, side)[:, None, None] * np.ones((1, side, 1))
    image = Image.fromarray((ramp * tint).astype(np.uint8))
    x, y = rng.uniform(0.3, 0.7, 2) * side
    r = side * 0.22
    ImageDraw.Draw(image).ellipse((x - r + shift, y - r, x + r + shift, y + r), fill=spot)
    return image


def samples_of(prompts: list[str], variant: str = "main") -> list[Sample]:
    return [Sample(i, 100 + i, prompt, variant=variant) for i, prompt in enumerate(prompts)]


def _written(
    folder: Path, sink_of: Callable[[Request], Any], pieces: list[Any], samples: list[Sample]
) -> list[dict[str, Any]]:
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    sink = sink_of(Request(tuple(samples), {}))
    for place, piece in enumerate(pieces):
        sink.write(piece, place)
    return [artifact_json(a) for a in sink.close()]


def tone(seconds: float = 1.0, rate: int = 16_000, start: float = 220.0) -> Any:
    t = np.arange(int(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (start * t + 300 * t**2))
    return (0.6 * sweep * np.exp(-1.5 * t) + 0.05 * np.sin(2 * np.pi * 3000 * t)).astype(np.float32)


def clip(frames: int = 12, side: int = 64) -> list[Image.Image]:
    return [scene(3, side, shift=2 * i - frames) for i in range(frames)]


def pictures(folder: Path) -> Path:
    prompts = ["a large red star in the center on white"] * 2 + ["a small blue ring on black"]
    samples = samples_of(prompts)
    made = _written(
        folder, lambda r: PictureSink(folder, r, None), [scene(i) for i in range(3)], samples
    )
    steps = {"count": 60, "p50_ms": 12.1, "p95_ms": 15.2}
    steps["median_ms"] = [12 + (i % 5) for i in range(20)]
    phases = {"load": {"wall": 1.2, "cpu": 1.1}, "steps": {"wall": 3.5, "cpu": 6.8}}
    phases["decode"] = {"wall": 0.2, "cpu": 0.3}
    return write_folder(folder, {
        "artifacts": made, "variants": {"main": {"steps": steps}}, "phases": phases,
        "metrics": {"main": {"caption-accuracy/joint": 0.667, "loss": 3.25}},
        "peak_memory_bytes": {"cpu": 1_300_000_000},
        "model": {"source": "tiny:shapes", "revision": None, "pipeline": "StableDiffusionPipeline",
                  "dtype": "fp32", "files": {"a": {"bytes": 11_000_000}}},
        "plugins": [{"kind": "tasks", "name": "generate", "dist": "genhub-core", "version": "0.1.0",
                     "summary": "pictures from prompts", "paper": None}],
    })  # fmt: skip


def compared(folder: Path, side: int = 64) -> Path:
    prompts = ["a large red star in the center on white", "a green square", "a yellow dot"]
    made = []
    for variant, shift in (("baseline", 0), ("main", 2)):
        pieces = [scene(i, side, shift * (i < 2)) for i in range(3)]
        samples = samples_of(prompts, variant)
        made += _written(folder, lambda r: PictureSink(folder, r, None), pieces, samples)
    sites = [
        {"path": f"unet.down_blocks.{i}.attentions.0.transformer_blocks.0.attn{j}", "kind": kind,
         "axis": "spatial", "tokens": 1024 >> i, "context_tokens": 77 if j == 2 else None,
         "channels": 320}
        for i in range(3) for j, kind in ((1, "self"), (2, "cross"))
    ]  # fmt: skip
    held = {"linfusion": [site["path"] for site in sites if site["kind"] == "self"]}
    return write_folder(folder, {
        "artifacts": made, "sites": sites,
        "variants": {
            v: {"steps": {"count": 20, "p50_ms": p, "p95_ms": p + 4,
                          "median_ms": [p + (i * 7) % 3 for i in range(10)]}, "sites_held": h}
            for v, p, h in (("baseline", 31.0, {}), ("main", 22.0, held))
        },
        "metrics": {"baseline": {"caption-accuracy/joint": 0.95},
                    "main": {"caption-accuracy/joint": 0.91, "psnr": 27.31, "ssim": 0.912}},
        "timing": {"reference": "baseline", "rounds": 8, "variants": {
            "baseline": {"ms_per_step": 31.2, "ms_per_sample": 640.0},
            "main": {"ms_per_step": 22.4, "ms_per_sample": 455.0,
                     "speedup": {"ratio": 1.41, "low": 1.36, "high": 1.45}}}},
        "plugins": [{"kind": "attention_mixers", "name": "linfusion", "dist": "genhub-linfusion",
                     "version": "0.1.0", "summary": "linear attention",
                     "paper": "Liu et al. (2024), LinFusion, arXiv:2409.02097"}],
        "problems": ["two prompts were cut to what the tokenizer reads"],
    })  # fmt: skip


def audio(folder: Path) -> Path:
    samples = samples_of(["a rising tone over a quiet whistle", "two tones"])
    pieces = [tone(2.0), np.stack([tone(1.5, start=330), tone(1.5, start=500)])]
    made = _written(folder, lambda r: AudioSink(folder, r, None, 16_000), pieces, samples)
    return write_folder(folder, {"artifacts": made})


def video(folder: Path, form: str = "webp") -> Path:
    samples = samples_of(["a ball that rolls to the right"] * 2)
    made = _written(
        folder, lambda r: VideoSink(folder, r, None, 8.0, form), [clip(), clip(6, 128)], samples
    )
    return write_folder(folder, {"artifacts": made})


def hostile(folder: Path) -> Path:
    """Put every hostile text into every field that holds text."""
    samples = [Sample(i, i, text) for i, text in enumerate((*HOSTILE, ALL_HOSTILE))]
    pieces = [scene(i) for i in range(len(samples))]
    made = _written(folder, lambda r: PictureSink(folder, r, None), pieces, samples)
    tones = [Sample(99, 0, ALL_HOSTILE)]
    made += _written(folder, lambda r: AudioSink(folder, r, None, 16_000), [tone(0.2)], tones)
    made += _written(folder, lambda r: VideoSink(folder, r, None, 8.0, "webp"), [clip(3)], tones)
    made += [
        {"path": path, "kind": "image", "sha256": "", "sample": {**made[0]["sample"], "index": i}}
        for i, path in enumerate(("javascript:alert(1)", "../../../etc/passwd", "/etc/passwd"), 50)
    ]
    steps = {"count": 3, "p50_ms": 1.0, "p95_ms": 2.0, "median_ms": [1, 2, 1]}
    about = {text[:200]: {"steps": steps, "sites_held": {text[:300]: ["p"]}} for text in HOSTILE}
    site = {key: ALL_HOSTILE for key in ("path", "kind", "axis", "channels")}
    return write_folder(folder, {
        "name": ALL_HOSTILE, "run": ALL_HOSTILE, "task": ALL_HOSTILE, "command": ALL_HOSTILE,
        "status": "failed", "artifacts": made, "problems": list(HOSTILE),
        "error": [{"code": ALL_HOSTILE, "message": ALL_HOSTILE, "hint": ALL_HOSTILE}],
        "machine": {**MACHINE, "system": ALL_HOSTILE, "versions": {ALL_HOSTILE: ALL_HOSTILE},
                    "gpus": [{"name": ALL_HOSTILE, "memory_bytes": 1}]},
        "model": {"source": ALL_HOSTILE, "revision": ALL_HOSTILE, "pipeline": ALL_HOSTILE,
                  "dtype": ALL_HOSTILE, "files": {}},
        "variants": about, "metrics": {text: {ALL_HOSTILE: 0.5} for text in HOSTILE},
        "phases": {ALL_HOSTILE: {"wall": 1.0, "cpu": 1.0}},
        "sites": [{**site, "tokens": 1, "context_tokens": 2}],
        "parallel": {"timeline": ALL_HOSTILE, "bytes": 3, "speedup": 1.5},
        "ranks": {"each": [{"device": ALL_HOSTILE, "steps": {ALL_HOSTILE: steps},
                            "sent": {ALL_HOSTILE: 1}, "peak_memory_bytes": {"cpu": 1}}]},
        "timing": {"reference": ALL_HOSTILE, "variants": {
            ALL_HOSTILE: {"ms_per_step": None, "ms_per_sample": 1.0}}},
        "plugins": [{key: ALL_HOSTILE for key in
                     ("kind", "name", "dist", "version", "summary", "paper")}],
        "sections": [{"title": ALL_HOSTILE, "text": ALL_HOSTILE, "order": 50,
                      "table": [list(HOSTILE), [list(HOSTILE)]],
                      "pictures": [["artifacts/000000.png", ALL_HOSTILE],
                                   ["artifacts/000099.wav", ALL_HOSTILE]],
                      "series": {ALL_HOSTILE: [[0, 1], [1, 2]]},
                      "axes": [ALL_HOSTILE, "$"], "joined": False}] * 2,
        "repository": {"commit": ALL_HOSTILE, "dirty": True},
    }, config=ALL_HOSTILE)  # fmt: skip


def empty(folder: Path) -> Path:
    """Make a run that was killed before it knew anything."""
    write_folder(folder, {"status": "running"})
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = ("genhub", "name", "run", "status", "started")
    (folder / "manifest.json").write_text(json.dumps({key: manifest[key] for key in kept}))
    for name in ("config.yaml", "resolved.yaml"):
        (folder / name).unlink()
    return folder


def failed(folder: Path) -> Path:
    message = "'linfusion' finds no weights for unet.mid_block"
    return write_folder(folder, {
        "status": "failed",
        "error": [{"code": "GH305", "message": message, "hint": "say checkpoint: FILE"}],
    })  # fmt: skip


def training(folder: Path) -> Path:
    """Make a run that logged figures and wrote no media, on two ranks."""
    write_folder(folder, {
        "task": "distill", "status": "interrupted",
        "metrics": {"main": {"loss": 0.021, "broken": None}},
        "parallel": {"timeline": "rank 0 |####....|\nrank 1 |....####|", "bytes": 123_456,
                     "speedup": 1.7},
        "ranks": {"world": 2, "simulated": True, "each": [
            {"device": "cpu", "sent": {"exchange": 61_728}, "peak_memory_bytes": {"cpu": 10**9},
             "steps": {"main": {"count": 9, "p50_ms": 20, "p95_ms": 30,
                                "median_ms": [20 + (i + 3 * rank) % 4 for i in range(9)]}}}
            for rank in range(2)]},
        "sections": [{"title": "Which layers", "text": "Added by a hook.", "order": 50,
                      "table": [["layer", "share"], [["mid", 0.5], [None, 1]]], "pictures": [],
                      "series": {"found": [[1, 3], [2, 1]], "best": [[1, 2], [3, 4]]},
                      "axes": ["FLOPs", "accuracy"], "joined": False}],
    })  # fmt: skip
    lines = [{"variant": "main", "step": s, "loss": 1 / (s + 1), "lr": 0.1} for s in range(2000)]
    text = "\n".join(map(json.dumps, lines)) + '\n{"cut'
    (folder / "metrics.jsonl").write_text(text)
    return folder


ALL: Mapping[str, Callable[[Path], Path]] = {
    make.__name__: make
    for make in (pictures, compared, audio, video, hostile, empty, failed, training)
}  # fmt: skip
