"""Find out what is known of a pipeline before it runs: family, latent, attention sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from genhub.api import Facts, GenHubError, Latent, Site
from genhub.plan.observe import Architecture, attention_paths, core_of, probed
from genhub.plan.probe import Call, Family, family_of
from genhub.plan.sites import sites_of
from genhub.plan.size import Asked, Fit, default_of, fit
from genhub.plan.step import one_real_step

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["denoisers_of", "facts_of"]

COMPONENTS = ("unet", "transformer", "transformer_2")

Modality = Literal["image", "audio", "video"]


def denoisers_of(pipeline: Any) -> dict[str, Module]:
    """Give the denoisers of a pipeline by component name; a bare module is its own denoiser."""
    from torch.nn import Module

    if isinstance(pipeline, Module):
        word = "transformer" if "Transformer" in type(core_of(pipeline)).__name__ else "unet"
        return {word: pipeline}
    found = {name: getattr(pipeline, name, None) for name in COMPONENTS}
    denoisers = {name: module for name, module in found.items() if isinstance(module, Module)}
    if not denoisers:
        raise GenHubError(
            "GH407",
            f"{type(pipeline).__name__} has no denoiser: none of {', '.join(COMPONENTS)}",
            hint="give a diffusers pipeline that has one, or the denoiser itself",
        )
    return denoisers


def facts_of(
    pipeline: Any,
    *,
    height: int | None = None,
    width: int | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    modality: str = "auto",
) -> Facts:
    """Probe a pipeline or a bare denoiser at the size of a run.

    Sizes are in pixels, frames and seconds of audio; what is left out is the pipeline's default.
    A class that the table of example calls knows is probed on meta, without memory or arithmetic;
    another one by one real step of the pipeline. Where neither works, sites come from what the
    modules declare, without tokens or order. `Facts.probed_by` and `Facts.note` say which.
    """
    denoisers = {name: core_of(module) for name, module in denoisers_of(pipeline).items()}
    first = next(iter(denoisers.values()))
    family = family_of(first)
    asked = Asked(height, width, frames, seconds)
    fitted = fit(pipeline, first, family, asked) if family is not None else None
    probe = _Probe()
    for name, module in denoisers.items():
        probe.on_meta(name, module, fitted)
    if probe.unknown:
        probe.for_real(pipeline, asked)
    made = modality if modality != "auto" else _modality(pipeline, family)
    return Facts(
        modality=cast(Modality, made),
        family=family.name if family is not None else "other",
        latent=_latent(first, family, fitted, probe, made),
        sites=tuple(site for name in denoisers for site in probe.sites[name]),
        probed_by=probe.by,
        note="; ".join(([fitted.note] if fitted and fitted.note else []) + probe.notes),
        _example=probe.example,
    )


@dataclass
class _Probe:
    """What is found out about each denoiser, and how."""

    sites: dict[str, list[Site]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    unknown: dict[str, Module] = field(default_factory=dict)  # still to be probed
    notes: list[str] = field(default_factory=list)
    by: Literal["meta", "real step", "declaration"] = "meta"

    def example(self, component: str) -> Call:
        if component not in self.calls:
            raise LookupError(f"no example call is known for component '{component}'")
        return self.calls[component]

    def on_meta(self, name: str, module: Any, fitted: Fit | None) -> None:
        """Probe one denoiser without memory; one that resists joins `unknown`."""
        family = family_of(module)
        if family is None or fitted is None:
            self.unknown[name] = module
            return
        size = fitted.size
        try:
            twin, seen = probed(Architecture.of(module), family, size)
            self.calls[name] = family.example(module.config, size, module.dtype)
        except Exception as error:  # any architecture may fail on meta in its own way
            self.notes.append(f"{name} cannot be probed on meta: {_cause(error)}")
            self.unknown[name] = module
            return
        paths = self._shared_paths(name, twin, module)
        lattice = (size.rows, size.cols)
        self.sites[name] = sites_of(name, twin, paths, seen, latent=lattice, patch=family.patch)

    def for_real(self, pipeline: Any, asked: Asked) -> None:
        """Probe what is unknown by one step of the pipeline, or take the modules' own word."""
        from torch.nn import Module

        found = {}
        if isinstance(pipeline, Module):
            if family_of(core_of(pipeline)) is None:
                name = type(pipeline).__name__
                self.notes.append(f"{name} is not in the table of example calls")
        else:
            try:
                found = one_real_step(pipeline, self.unknown, asked)
            except Exception as error:  # a pipeline of an unknown class, called by guesswork
                self.notes.append(f"one step of {type(pipeline).__name__} failed: {_cause(error)}")
        for name, module in self.unknown.items():
            seen, call = found.get(name, ({}, None))
            if call is not None:
                self.calls[name] = call
            self.sites[name] = sites_of(
                name, module, attention_paths(module), seen, latent=_lattice(call)
            )
        self.by = "real step" if set(found) == set(self.unknown) else "declaration"

    def _shared_paths(self, name: str, twin: Module, module: Module) -> list[str]:
        """List the twin's sites that the model has too; a changed architecture is noted."""
        present = dict(module.named_modules())
        paths = attention_paths(twin)
        absent = [path for path in paths if path not in present]
        if absent:
            self.notes.append(
                f"{name} lacks {len(absent)} attention modules of its config (first: {absent[0]})"
            )
        return [path for path in paths if path in present]


def _lattice(call: Call | None) -> tuple[int, int] | None:
    """Take rows and columns of the latent from a call that was seen."""
    for value in (*call[0], *call[1].values()) if call is not None else ():
        if hasattr(value, "ndim") and value.ndim in (4, 5):
            return int(value.shape[-2]), int(value.shape[-1])
    return None


def _latent(
    denoiser: Any, family: Family | None, fitted: Fit | None, probe: _Probe, modality: str
) -> Latent:
    if family is not None and fitted is not None:
        shape = family.shape(denoiser.config, fitted.size)
        mel = family.axes == "BCHW" and modality == "audio"
        return Latent("BCTF" if mel else family.axes, shape, fitted.factor)
    for args, kwargs in probe.calls.values():
        for value in (*args, *kwargs.values()):
            if hasattr(value, "ndim") and value.ndim in (4, 5):
                axes: Literal["BCHW", "BCFHW"] = "BCHW" if value.ndim == 4 else "BCFHW"
                return Latent(axes, (1, *(int(n) for n in value.shape[1:])), 8)
    return Latent("BCHW", (), 8)


def _modality(pipeline: Any, family: Family | None) -> str:
    if getattr(pipeline, "vocoder", None) is not None:
        return "audio"
    if family is not None:
        return family.modality
    return "video" if default_of(pipeline, "num_frames") is not None else "image"


def _cause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
