"""Watch one call of the pipeline step by step: times, progress, and latents that go astray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from genhub.api import GenHubError, Request

__all__ = ["NonFinite", "Watch", "first_non_finite", "non_finite_error", "rewinder"]


class NonFinite(Exception):
    """Latents hold NaN or infinity after step `step` (from 1) for some samples of the batch."""

    def __init__(self, step: int, steps: int, rows: list[int]) -> None:
        super().__init__(f"latents are not finite after step {step} of {steps}")
        self.step, self.steps, self.rows = step, steps, rows


class Watch:
    """A listener of the clock for one call of the pipeline.

    `told` is called after every step with the clock's StepEnd. `wall` and `cpu` are when the last
    step ended. Where `strict` is false, `strays` keeps what would have been raised.
    """

    def __init__(self, told: Callable[[Any], None], strict: bool) -> None:
        self._told = told
        self._strict = strict
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.strays: NonFinite | None = None

    def __call__(self, end: Any) -> None:
        """Take one finished step; raises NonFinite."""
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self._told(end)
        if self.strays is None:
            rows = stray_rows(end.latents)
            if rows:
                self.strays = NonFinite(end.index + 1, end.steps, rows)
                if self._strict:
                    raise self.strays


def stray_rows(latents: Any) -> list[int]:
    """List the rows of a batch that hold NaN or infinity."""
    import torch

    if not isinstance(latents, torch.Tensor) or latents.ndim == 0:
        return []
    if torch.isfinite(latents.sum()):  # one pass, one number off the device; overflow is looked at
        return []
    finite = torch.isfinite(latents).reshape(len(latents), -1).all(dim=1)
    return [row for row, fine in enumerate(finite.tolist()) if not fine]


def first_non_finite(denoisers: Mapping[str, Any], again: Callable[[], None]) -> str | None:
    """Generate again and give the path of the first module that puts out NaN or infinity."""
    from torch.utils._pytree import tree_leaves

    found: list[str] = []

    def hook_for(path: str) -> Callable[[Any, Any, Any], None]:
        def look(module: Any, args: Any, output: Any) -> None:
            if any(stray_rows(held) for held in tree_leaves(output)):
                found.append(path)
                raise _Found

        return look

    with ExitStack() as stack:
        for component, denoiser in denoisers.items():
            for name, module in denoiser.named_modules():
                path = f"{component}.{name}" if name else component
                stack.callback(module.register_forward_hook(hook_for(path)).remove)
        with suppress(_Found, NonFinite):
            again()
    return found[0] if found else None


def non_finite_error(stray: NonFinite, request: Request, attached: Any, path: str | None) -> Any:
    """Put into words which samples went astray, when, and where it began."""
    samples = [request.samples[row] for row in stray.rows if row < len(request.samples)]
    who = ", ".join(str(sample.index) for sample in samples) or "this batch"
    plural = "s" if len(samples) > 1 else ""
    message = (
        f"the latents of sample{plural} {who} are not finite after step {stray.step} of "
        f"{stray.steps}; {_place(attached, path)}"
    )
    return GenHubError(
        "GH604",
        message,
        hint="compute in more precision (model: {dtype: fp32}) or with less sampling.guidance, "
        "or keep such samples: output: {allow_nan: true}",
    )


def _place(attached: Any, path: str | None) -> str:
    if path == "":
        return "with several ranks the first module that put them out is not looked for"
    if path is None:
        return "no module of the denoiser put them out, so they come from the scheduler's step"
    for site in attached.plan.facts.sites:
        if path == site.path or path.startswith(f"{site.path}."):
            holder = next((c.label for c in attached.plan.claims if site in c.sites), None)
            held = f" (held by '{holder}')" if holder else ""
            return f"the first site with non-finite output is {site.path}{held}"
    return f"the first module with non-finite output is {path}"


class _Found(Exception):
    """Ends the second generation where the culprit is known."""


def rewinder(request: Request) -> Callable[[], None]:
    """Give a function that sets the request's generators back to where they stand now."""
    generators = request.call.get("generator") or []
    states = [generator.get_state() for generator in generators]

    def rewind() -> None:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)

    return rewind
