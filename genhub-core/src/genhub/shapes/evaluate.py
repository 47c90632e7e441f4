"""Measure how well a model obeys captions: `python -m genhub.shapes.evaluate FOLDER`."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genhub.shapes.judge import caption_accuracy
from genhub.shapes.scenes import prompts

STEPS, GUIDANCE = 20, 3.0
BATCH = 50


@dataclass(frozen=True)
class Evaluation:
    """Captions, the pictures made for them [N, 64, 64, 3], and the accuracies."""

    captions: list[str]
    pictures: NDArray[np.uint8]
    figures: dict[str, float]


def sample(pipeline: Any, captions: list[str], first_seed: int = 0) -> NDArray[np.uint8]:
    """Draw one picture per caption, [N, H, W, 3]; caption i starts from noise of its own seed."""
    parts = []
    for start in range(0, len(captions), BATCH):
        chosen = captions[start : start + BATCH]
        seeds = range(first_seed + start, first_seed + start + len(chosen))
        made = pipeline(
            chosen,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="np",
        ).images
        parts.append(np.rint(made * 255).astype(np.uint8))
    return np.concatenate(parts)


def evaluate(pipeline: Any, singles: int = 200, pairs: int = 100, seed: int = 1) -> Evaluation:
    """Draw captions by lot, let the pipeline draw them, and judge what it drew."""
    captions = [*prompts(singles, seed), *prompts(pairs, seed, pairs=True)]
    pictures = sample(pipeline, captions)
    return Evaluation(captions, pictures, caption_accuracy(list(pictures), captions))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure a model folder, and print its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m genhub.shapes.evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, help="a model folder of the shapes world")
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--grid", type=Path, help="also save the first pictures as a PNG sheet")
    chosen = parser.parse_args(arguments)
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        chosen.folder, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    evaluation = evaluate(pipeline, chosen.singles, chosen.pairs)
    print(json.dumps(evaluation.figures, indent=2))
    if chosen.grid is not None:
        sheet(evaluation.pictures).save(chosen.grid)


def sheet(pictures: NDArray[np.uint8], columns: int = 10, scale: int = 2) -> Any:
    """Lay pictures [N, H, W, 3] out as one PIL image, enlarged without smoothing."""
    from PIL import Image

    rows = len(pictures) // columns
    height, width = pictures.shape[1:3]
    laid = pictures[: rows * columns].reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    image = Image.fromarray(laid.reshape(rows * height, columns * width, 3))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
