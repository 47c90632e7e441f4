"""What happens before every call of a denoiser: lengths, draws, and whether to take part."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genhub.api import Clock, GenHubError
from genhub_litefocus.grid import Settings, count_drawn, level_grid
from genhub_litefocus.indices import focus_indices
from genhub_litefocus.kernels.drivers import RowsKernel
from genhub_litefocus.processor import FocusProcessor

__all__ = ["TRAINED_SECONDS", "Focus"]

log = logging.getLogger("genhub")

Key = tuple[int | str, ...]  # what a draw is a function of, beside the seed

TRAINED_SECONDS = 10.24  # clips that AudioLDM, AudioLDM2 and MusicLDM were trained on


class Focus:
    """The processors of one denoiser, and the hook that readies them for each of its calls.

    A copy of the denoiser, or one that was pickled, has a copy of this, which readies the copied
    processors. No clock tells it the step, so its draws are functions of the timestep.
    """

    def __init__(self, settings: Settings, clock: Clock, component: str) -> None:
        self.settings = settings
        self.clock: Clock | None = clock  # None in a copy
        self.component = component
        self.processors: list[FocusProcessor] = []  # in order of execution
        self._buffers: dict[str, Tensor] = {}
        self._drawn: dict[str, tuple[Any, ...]] = {}  # what the content of a buffer was drawn for
        self._said: set[str] = set()
        self._served: tuple[str, torch.dtype] | None = None

    @contextmanager
    def watching(self, denoiser: nn.Module) -> Iterator[None]:
        """Look at every call of the denoiser while the context lasts."""
        handle = denoiser.register_forward_pre_hook(self, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def add(self, processor: FocusProcessor) -> None:
        """Take one more processor along; they are added in order of execution."""
        self.processors.append(processor)

    def begin(self) -> None:
        """Begin a generation."""
        if self.settings.reseed is not None:
            torch.manual_seed(self.settings.reseed)

    # Outside compiled graphs, whether the user compiles before or after attaching.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, denoiser: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Ready the processors for a call with this sample."""
        if not self.processors:
            return
        sample = kwargs["sample"] if "sample" in kwargs else args[0]
        frames, freq_bins = self._grid(sample)
        active = self._takes_part(frames)
        self._check_in_place(denoiser)
        self._choose_kernels(sample)
        moment, share = self._moment(args, kwargs), self.settings.share(frames)
        for processor in self.processors:
            processor.active = active
            processor.share = share
            processor.frames, processor.freq_bins = level_grid(frames, freq_bins, processor.level)
            if active:
                processor.calls += 1
                processor.indices = self._indices(processor, moment, sample.device)

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the clock, which stands still when the copy runs."""
        return {**vars(self), "clock": None}

    def _grid(self, sample: Tensor) -> tuple[int, int]:
        frames, freq_bins = self.settings.oriented(*sample.shape[-2:])
        wanted = self.settings.freq_bins
        if wanted is not None and wanted != freq_bins:
            raise GenHubError(
                "GH302",
                f"litefocus.freq_bins is {wanted}, and the latent {list(sample.shape)} has "
                f"{freq_bins} frequency bins (layout {self.settings.layout})",
                hint="leave freq_bins out, or turn layout round",
            )
        return frames, freq_bins

    def _takes_part(self, frames: int) -> bool:
        settings = self.settings
        if not self._in_step_range():
            return False
        if settings.rate is None:
            return True
        seconds = frames / settings.rate
        if settings.too_short(frames):
            self._say(
                logging.INFO, f"litefocus steps aside: {seconds:.2f} s of sound are below "
                f"min_seconds ({settings.min_seconds:g})",
            )  # fmt: skip
            return False
        if seconds < TRAINED_SECONDS - 1e-9:
            self._say(
                logging.INFO, f"{seconds:.2f} s of sound: below {TRAINED_SECONDS} s full attention "
                f"is as good and as fast; min_seconds: {TRAINED_SECONDS} leaves it in place",
            )  # fmt: skip
        return True

    def _in_step_range(self) -> bool:
        span, clock = self.settings.step_range, self.clock
        if clock is None:
            if span != (0.0, 1.0):
                self._say(
                    logging.WARNING, f"a copy of {self.component} does not know its step, so "
                    f"litefocus takes part in all, whatever step_range ({list(span)}) says: attach "
                    "to the copy, or to its pipeline",
                )  # fmt: skip
            return True
        first, last = (round(share * clock.steps) for share in span)
        first = min(first, clock.steps - 1)  # a range that is too short for a step has one
        return first <= clock.step < max(last, first + 1)

    def _check_in_place(self, denoiser: nn.Module) -> None:
        core = getattr(denoiser, "_orig_mod", denoiser)
        found = [(p, core.get_submodule(p.path).processor) for p in self.processors]
        lost = [(p, now) for p, now in found if not isinstance(now, FocusProcessor)]
        if lost:
            first, now = lost[0]
            self._say(
                logging.WARNING,
                f"litefocus is gone from {len(lost)} of {len(found)} sites of {self.component} "
                f"(first: {first.path}): {type(now).__name__} was put there after it was attached; "
                "enable slicing, xformers or other processors before attaching",
            )

    def _choose_kernels(self, sample: Tensor) -> None:
        """Fall back to rows where the chosen kernel does not serve where the model is now."""
        now = sample.device.type, sample.dtype
        if now == self._served:
            return
        self._served = now
        for processor in self.processors:
            why_not = processor.chosen.supports(
                device=now[0], dtype=now[1], head_dim=processor.head_dim,
                time_window=self.settings.time_window,
            )  # fmt: skip
            processor.kernel = processor.chosen if why_not is None else RowsKernel()
            if why_not is not None:
                name = type(processor.chosen).__name__
                self._say(logging.WARNING, f"litefocus computes by rows, not {name}: {why_not}")

    def _indices(
        self, processor: FocusProcessor, moment: Key, device: torch.device
    ) -> Tensor | None:
        """Give the buffer of a processor's shared tokens, drawn anew where that is due."""
        settings = self.settings
        if not settings.cross_frequency:
            return None
        frames, freq_bins = processor.frames, processor.freq_bins
        tokens = frames * freq_bins
        count = count_drawn(settings, tokens)
        if count == 0 and not settings.same_frequency:
            raise GenHubError(
                "GH302",
                f"litefocus.sparse_ratio is {settings.sparse_ratio:g}, which draws none of the "
                f"{tokens} tokens of {processor.path}, and same_frequency is off: a token would "
                "see nothing",
                hint="raise sparse_ratio, or leave same_frequency on",
            )
        each = settings.resample == "call"
        name = processor.path if each else f"{frames}x{freq_bins}"
        due = (*moment, frames, freq_bins, device)
        if settings.sampler != "reference" and self._drawn.get(name) == due:
            return self._buffers[name]
        drawn = self._draw(processor, count, (*moment, processor.path) if each else moment)
        self._drawn[name] = due
        self._buffers[name] = _written(self._buffers.get(name), drawn, device)
        return self._buffers[name]

    def _draw(self, processor: FocusProcessor, count: int, key: Key) -> Tensor:
        settings = self.settings
        tokens = processor.frames * processor.freq_bins
        if settings.indices is not None:
            if count and max(settings.indices) >= tokens:
                raise GenHubError(
                    "GH302",
                    f"litefocus.indices hold token {max(settings.indices)}, and {processor.path} "
                    f"(level {processor.level}) has {tokens}: tokens are numbered from 0",
                    hint=f"give numbers up to {tokens - 1}, or make the sound longer",
                )
            return torch.tensor(settings.indices, dtype=torch.int64)
        return focus_indices(
            processor.frames, processor.freq_bins, count, sampler=settings.sampler,
            seed=settings.seed, key=key, layout=settings.layout,
        )  # fmt: skip

    def _moment(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        """Name the step, by which draws differ; without scheduler or clock, the timestep."""
        if self.settings.resample == "run" or not self.settings.cross_frequency:
            return ()
        clock = self.clock
        if clock is not None:
            return (clock.step,) if clock.timesteps is not None else (f"t={float(clock.t):g}",)
        timestep = torch.as_tensor(kwargs["timestep"] if "timestep" in kwargs else args[1])
        return (f"t={float(timestep.reshape(-1)[0]):g}",)

    def _say(self, level: int, text: str) -> None:
        """Log a sentence once."""
        if text not in self._said:
            self._said.add(text)
            log.log(level, "%s", text)


def _written(buffer: Tensor | None, drawn: Tensor, device: torch.device) -> Tensor:
    """Overwrite a buffer in place, so that captured graphs read the new draw; else make one."""
    if buffer is None or buffer.shape != drawn.shape or buffer.device != device:
        with torch.inference_mode(False):  # an inference tensor could not be overwritten later
            return drawn.clone().to(device)  # a slice would keep the whole permutation
    buffer.copy_(drawn, non_blocking=True)
    return buffer
