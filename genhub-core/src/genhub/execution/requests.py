"""From `input` and `sampling` to calls of the pipeline: samples, seeds, batches, arguments.

Sample i is drawn from a CPU generator of its own, seeded with `seed` + i: neither the batch size
nor the device changes it. Its first noise is made on the CPU in fp32, as diffusers would make it
from the same generator.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from math import ceil, lcm
from typing import Any

from genhub.api import Facts, GenHubError, Problem, Request, Sample
from genhub.config.files import MOST_PROMPTS, read_bounded
from genhub.errors import Mark

__all__ = ["Caller", "read_prompts", "samples_of", "steps_of", "warn_of_cut_prompts"]

# What a field of `sampling` is called by pipelines; the first that a pipeline takes is used.
ARGUMENTS = {
    "steps": ("num_inference_steps",),
    "guidance": ("guidance_scale", "max_guidance_scale"),
    "height": ("height",),
    "width": ("width",),
    "frames": ("num_frames",),
    "seconds": ("audio_length_in_s", "audio_end_in_s"),
}
# Arguments that other fields of the config stand for, or that the run itself needs.
RESERVED = {
    **{name: f"sampling.{field}" for field, names in ARGUMENTS.items() for name in names},
    "prompt": "input.prompts",
    "negative_prompt": "input.negative",
    "image": "input.images",
    "generator": "seed",
    "num_images_per_prompt": "sampling.samples",
    "num_waveforms_per_prompt": "sampling.samples",
    "num_videos_per_prompt": "sampling.samples",
    **dict.fromkeys(("latents", "output_type", "return_dict", "callback_on_step_end", "self")),
}
# Pipelines of these families take first noise of the latent's shape and scale it themselves.
FREE_LATENTS = {"unet2d", "unet3d", "motion", "audioldm", "audioldm2", "sd3"}
DIT_FAMILIES = {"sd3", "flux", "wan", "qwenimage"}  # patches of 2x2 latent cells

Marker = Callable[[tuple[str, ...]], Mark | None]

log = logging.getLogger("genhub")


class Caller:
    """Builds the calls of one pipeline for one variant of a config.

    Raises GenHubError with every field that the pipeline cannot serve.
    """

    def __init__(
        self,
        config: Any,
        pipeline: Any,
        facts: Facts,
        source: Any = None,  # genhub.api.ModelSource
        mark: Marker = lambda loc: None,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._facts = facts
        self._takes = inspect.signature(type(pipeline).__call__).parameters
        self._special = {} if source is None else source.request(config.input, config.sampling)
        problems = [*self._sizes(mark), *self._extras(mark), *self._fields(mark)]
        if problems:
            raise GenHubError.several(problems)
        self._common = self._arguments()

    def batches(self, samples: Sequence[Sample]) -> Iterator[Request]:
        """Give one request per `sampling.batch` samples; generators are fresh in each."""
        size = self._config.sampling.batch
        for start in range(0, len(samples), size):
            batch = tuple(samples[start : start + size])
            yield Request(batch, {**self._common, **self._of(batch)})

    def _of(self, batch: Sequence[Sample]) -> dict[str, Any]:
        import torch

        generators = [torch.Generator().manual_seed(sample.seed) for sample in batch]
        call: dict[str, Any] = {"generator": generators}
        if "prompt" in self._takes:
            call["prompt"] = [sample.prompt for sample in batch]
        elif "batch_size" in self._takes:
            call["batch_size"] = len(batch)
        if "negative_prompt" in self._takes and self._config.input.negative is not None:
            call["negative_prompt"] = [sample.negative for sample in batch]
        if self._config.input.images:
            call["image"] = [_picture(self._config.input.images, s, self._config) for s in batch]
        shape = self._facts.latent.shape
        if "latents" in self._takes and self._facts.family in FREE_LATENTS and shape:
            noise = [torch.randn(shape, generator=g, dtype=torch.float32) for g in generators]
            denoiser = getattr(self._pipeline, "unet", None) or self._pipeline.transformer
            call["latents"] = torch.cat(noise).to(denoiser.dtype)
        return call

    def _arguments(self) -> dict[str, Any]:
        """Give the arguments that all batches share."""
        sampling = self._config.sampling
        call = {}
        for field, names in ARGUMENTS.items():
            value = getattr(sampling, field)
            name = self._argument(names)
            if value is not None and name is not None:
                call[name] = value
        return call | dict(self._special) | dict(sampling.extra)

    def _argument(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self._takes), None)

    def _fields(self, mark: Marker) -> Iterator[Problem]:
        """Find fields that are set and that this pipeline has no argument for."""
        config, pipeline = self._config, type(self._pipeline).__name__
        for field, names in ARGUMENTS.items():
            default = type(config.sampling).model_fields[field].default
            served = self._argument(names) or self._special
            if getattr(config.sampling, field) != default and not served:
                yield Problem(
                    "GH305",
                    f"sampling.{field} means nothing to {pipeline}: its call has no {names[0]}",
                    "remove it",
                    mark(("sampling", field)),
                )
        for field, name in (("images", "image"), ("negative", "negative_prompt")):
            if getattr(config.input, field) and name not in self._takes:
                yield Problem(
                    "GH305",
                    f"input.{field} means nothing to {pipeline}: its call has no {name}",
                    "remove it",
                    mark(("input", field)),
                )
        for field in ("signals", "subject"):
            if getattr(config.input, field) is not None and config.decoder is None:
                yield Problem(
                    "GH305",
                    f"input.{field} is for a decoder, and this run has none",
                    "remove it, or add 'decoder: {type: ...}'",
                    mark(("input", field)),
                )
        if "prompt" in self._takes and not config.input.prompts:
            yield Problem("GH304", "input.prompts is empty", "write at least one", mark(("input",)))
        if "image" in self._takes and not config.input.images and _required(self._takes["image"]):
            yield Problem(
                "GH304",
                f"input.images is empty, but {pipeline} starts from pictures",
                "",
                mark(("input",)),
            )

    def _extras(self, mark: Marker) -> Iterator[Problem]:
        free = [name for name in self._takes if name not in RESERVED and name != "kwargs"]
        for name in self._config.sampling.extra:
            place = mark(("sampling", "extra", name))
            if name in free:
                continue
            if name in RESERVED and RESERVED[name] is not None:
                hint = f"use {RESERVED[name]}"
            elif name in RESERVED:
                hint = "the run sets it itself"
            else:
                close = get_close_matches(name, free, n=2)
                known = f"it takes {', '.join(free)}"
                hint = f"did you mean {' or '.join(close)}?" if close else known
            pipeline = type(self._pipeline).__name__
            yield Problem(
                "GH301", f"sampling.extra.{name} is no free argument of {pipeline}", hint, place
            )

    def _sizes(self, mark: Marker) -> Iterator[Problem]:
        """Find heights and widths that the model cannot make."""
        cell = self._facts.latent.factor
        # Pipelines refuse what 8 does not divide, even where the autoencoder's factor is 4.
        step = cell * 2 if self._facts.family in DIT_FAMILIES else lcm(8, cell)
        for field in ("height", "width"):
            value = getattr(self._config.sampling, field)
            if value is None or value % step == 0:
                continue
            below = value // step * step
            near = f"{below} or {below + step}" if below else f"{step}"
            yield Problem(
                "GH305",
                f"sampling.{field} is {value}, not a multiple of {step}",
                f"nearest: {near}",
                mark(("sampling", field)),
            )


def samples_of(config: Any, variant: str = "main") -> tuple[Sample, ...]:
    """List what a config asks for: every prompt (or picture) `sampling.samples` times, in order.

    Raises GH305 where prompts and pictures do not pair.
    """
    prompts: list[tuple[str | None, int | None]] = [
        (given, None) if isinstance(given, str) else (given.text, given.start)
        for given in read_prompts(config.input.prompts)
    ]
    images = len(config.input.images)
    cases = prompts or [(None, None)]
    if len(cases) == 1:
        cases = cases * max(1, images)
    if images not in (0, 1, len(cases)):
        raise GenHubError(
            "GH305",
            f"input has {len(cases)} prompts and {images} images, which do not pair",
            hint="give one image, or one for each prompt",
        )
    repeated = [case for case in cases for _ in range(config.sampling.samples)]
    return tuple(
        Sample(i, config.seed + i, prompt, config.input.negative or "", variant, start)
        for i, (prompt, start) in enumerate(repeated)
    )


def steps_of(config: Any) -> int:
    """Count the steps of all batches; raises what `samples_of` raises."""
    return int(config.sampling.steps * ceil(len(samples_of(config)) / config.sampling.batch))


def read_prompts(prompts: Any) -> list[Any]:
    """Give the prompts of a config; a text is a file with one per line (GH106 if unreadable)."""
    if not isinstance(prompts, str):
        return list(prompts)
    try:
        lines = read_bounded(prompts, MOST_PROMPTS).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        message = f"the file of prompts {prompts} cannot be read: {error}"
        raise GenHubError("GH106", message) from None
    return [line.strip() for line in lines if line.strip()]


def warn_of_cut_prompts(
    pipeline: Any, samples: Sequence[Sample], redact: Callable[[str], str] = str
) -> None:
    """Warn of every prompt of which the tokenizer drops the end, with the text that is lost.

    Of a prompt that `redact` changes no part is told.
    """
    tokenizers: list[Any] = [getattr(pipeline, n, None) for n in ("tokenizer", "tokenizer_2")]
    for prompt in dict.fromkeys(s.prompt for s in samples if s.prompt):
        for tokenizer in tokenizers:
            lost = _cut(tokenizer, prompt)
            if lost:
                shown = redact(prompt)
                part = f"'{lost}'" if shown == prompt else "its end"
                log.warning(
                    "the model reads %d tokens of a prompt and does not see %s in '%s'",
                    tokenizer.model_max_length, part, shown,
                )  # fmt: skip
                break


def _cut(tokenizer: Any, prompt: str) -> str:
    """Give the end of a prompt that does not fit beside the start and end tokens."""
    if "CLIP" not in type(tokenizer).__name__:
        return ""
    kept = tokenizer.model_max_length - 2
    tokens = tokenizer(
        prompt, add_special_tokens=False, verbose=False, return_offsets_mapping=tokenizer.is_fast
    )
    if len(tokens.input_ids) <= kept:
        return ""
    if tokenizer.is_fast:
        return prompt[tokens.offset_mapping[kept][0] :]
    return str(tokenizer.decode(tokens.input_ids[kept:])).strip()


def _picture(paths: Sequence[str], sample: Sample, config: Any) -> Any:
    from PIL import Image

    path = paths[sample.index // config.sampling.samples % len(paths)]
    if os.path.exists(path) and not os.path.isfile(path):
        raise GenHubError("GH106", f"input.images: {path} is no file")
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GenHubError("GH106", f"input.images: {path} cannot be read: {error}") from error


def _required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty
