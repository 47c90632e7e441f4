"""Load the pretrained pipeline that `model:` names: shipped with a package, a folder, or the hub.

Only safetensors are read, and code from a model's repository is never run.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from genhub.errors import GenHubError, Mark
from genhub.execution.faults import sentence
from genhub.registry import Registries

__all__ = ["Source", "choose_device", "load", "locate", "require_libraries"]

INSTALL = 'pip install "genhub-core[run]"'
LIBRARIES = {
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "accelerate": "accelerate",
    "safetensors": "safetensors",
    "numpy": "numpy",
    "PIL": "pillow",
    "rich": "rich",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

Marker = Callable[[tuple[str, ...]], Mark | None]

log = logging.getLogger("genhub")


@dataclass(frozen=True)
class Source:
    """Where a model comes from: a shipped `model`, a local `folder`, or a `hub_id`."""

    text: str  # as the config has it
    model: Any = None  # genhub.api.ModelSource
    folder: Path | None = None
    hub_id: str | None = None
    revision: str | None = None


@dataclass
class LoadedModel:
    """A pipeline ready to run, and where it came from."""

    pipeline: Any
    source: Source
    device: Any
    dtype: str = ""
    known: dict[Any, Any] = field(default_factory=dict)  # its Facts, by what was asked


def require_libraries() -> None:
    """Raise GH505 unless the libraries that a run needs are installed; imports none of them."""
    missing = [name for module, name in LIBRARIES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise GenHubError(
            "GH505",
            f"this run needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed",
            hint=INSTALL,
        )


def locate(model: Any, registries: Registries, mark: Marker = lambda loc: None) -> Source:
    """Find out what `model.source` means, without torch and without the network.

    Raises GH501 for a folder that is missing, GH502 for one that holds no pipeline, GH305 for a
    field that means nothing for this source; `mark` tells where it is written.
    """
    text, place = model.source, mark(("model", "source"))
    if text.startswith("tiny:"):
        idle = ("revision", "variant", "pipeline")
        _refuse_idle(model, "a model that ships with a package", idle, mark)
        return Source(text, model=registries.get("models").load(text.removeprefix("tiny:"))())
    folder = Path(text).expanduser()
    try:
        exists, whole = folder.exists(), (folder / "model_index.json").is_file()
    except (OSError, ValueError) as error:
        message = f"the model folder {text} cannot be read: {error}"
        raise GenHubError("GH501", message, mark=place) from None
    if exists:
        if not whole:
            what = "a file" if folder.is_file() else "a folder without model_index.json"
            raise GenHubError(
                "GH502",
                f"{folder.resolve()} is no diffusers pipeline: it is {what}",
                hint="give the folder that save_pretrained() wrote",
                mark=place,
            )
        _refuse_idle(model, "a folder", ("revision",), mark)
        return Source(text, folder=folder.resolve())
    # `models/mine` with a folder `models` is a slip of the pen, not a repository of the hub.
    if not _HUB_ID.fullmatch(text) or folder.parent.is_dir():
        raise GenHubError(
            "GH501",
            f"the model folder {folder.resolve()} does not exist",
            hint="model.source is tiny:NAME, an existing folder, or a hub id 'owner/name'",
            mark=place,
        )
    return Source(text, hub_id=text, revision=model.revision)


def _refuse_idle(model: Any, kind: str, fields: Sequence[str], mark: Marker) -> None:
    """Raise GH305 where a field is set that means nothing for this kind of source."""
    for name in fields:
        if getattr(model, name) != type(model).model_fields[name].default:
            raise GenHubError(
                "GH305",
                f"model.{name} means nothing for {kind}, and model.source is '{model.source}'",
                hint="remove it",
                mark=mark(("model", name)),
            )


def choose_device(devices: str, local: int = 0) -> Any:
    """Give the torch device of the `local`-th rank of this machine, from `launch.devices`.

    Raises GH504 where it is absent, GH406 where there are fewer GPUs than ranks.
    """
    import torch

    if devices == "cpu" or (devices == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise GenHubError(
            "GH504",
            f"launch.devices is '{devices}', but torch {torch.__version__} sees no CUDA device",
            hint="write launch: {devices: cpu}, or install torch for your driver",
        )
    present = torch.cuda.device_count()
    named = devices.partition(":")[2]
    indices = [int(index) for index in named.split(",")] if named else list(range(present))
    if local >= len(indices):
        raise GenHubError(
            "GH406",
            f"rank {local} of this machine has no GPU: launch.devices is '{devices}', which is "
            f"{len(indices)} of them",
            hint="write launch: {devices: cpu}, or launch: {simulate: true} for ranks that share "
            "one device",
        )
    if indices[local] >= present:
        raise GenHubError(
            "GH504",
            f"launch.devices is '{devices}', but torch sees {present} CUDA devices",
            hint="they are numbered from 0",
        )
    return torch.device("cuda", indices[local])


def load(model: Any, source: Source, device: Any) -> LoadedModel:
    """Load the pipeline in evaluation mode on `device`, with dtype and scheduler as configured.

    Raises GH503 for the hub while offline, GH506 for whatever else cannot be loaded.
    """
    loaded = LoadedModel(None, source, device)
    loaded.dtype = _choose_dtype(model.dtype, device)
    dtype = _torch_dtype(loaded.dtype)
    try:
        if source.model is not None:
            loaded.pipeline = source.model.load(dtype, device)
        else:
            folder = source.folder or _download(model, source, loaded)
            loaded.pipeline = _pipeline_class(model.pipeline).from_pretrained(
                str(folder),
                dtype=dtype,
                variant=model.variant,
                use_safetensors=True,
                local_files_only=True,
            )
    except (GenHubError, MemoryError):
        raise
    except Exception as error:  # every way in which a file, a class or a config can be wrong
        raise GenHubError(
            "GH506",
            f"the model '{source.text}' cannot be loaded: {sentence(error)}",
            hint=_remedy(error),
        ) from error
    loaded.pipeline.set_progress_bar_config(disable=True)
    swap_scheduler(loaded.pipeline, model.scheduler, model.scheduler_args)
    loaded.pipeline.to(device)
    return loaded


def swap_scheduler(pipeline: Any, name: str | None, args: dict[str, Any]) -> None:
    """Give the pipeline a scheduler of class `name`, with the old one's config and `args`.

    Raises GH207 for an unknown class and GH301 for an unknown argument.
    """
    if name is None and not args:
        return
    old = pipeline.scheduler
    cls = type(old) if name is None else _diffusers_class(name, "model.scheduler", "Scheduler")
    known = [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "kwargs")]
    for key in args:
        if key not in known:
            raise GenHubError(
                "GH301",
                f"model.scheduler_args.{key} is no argument of {cls.__name__}",
                hint=_suggest(key, known),
            )
    try:
        pipeline.scheduler = cls.from_config(old.config, **args)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise GenHubError(
            "GH305", f"{cls.__name__} refuses model.scheduler_args: {sentence(error)}"
        ) from error


def _choose_dtype(wanted: str, device: Any) -> str:
    import torch

    if device.type == "cpu":
        if wanted == "fp16":
            log.warning("model.dtype fp16 is not used: this run is on a CPU and computes in fp32")
        return "bf16" if wanted == "bf16" else "fp32"
    if wanted == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return wanted


def _torch_dtype(name: str) -> Any:
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]


def _download(model: Any, source: Source, loaded: LoadedModel) -> Path:
    """Bring a repository of the hub into the local cache and give its folder."""
    from diffusers import DiffusionPipeline

    offline = model.offline or os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes")
    if not offline:  # whoever looks on shall know what comes from where
        revision = source.revision or "main"
        sys.stderr.write(f"model {source.hub_id}, revision {revision}, from the hub\n")
        if source.revision is None:
            log.warning(
                "model.revision is not given: '%s' may change under its name; "
                "a commit of 40 hex digits is reproducible",
                source.hub_id,
            )
    try:
        folder = Path(
            DiffusionPipeline.download(
                source.hub_id,
                revision=source.revision,
                variant=model.variant,
                use_safetensors=True,
                local_files_only=offline,
            )
        )
    except Exception as error:
        raise _hub_trouble(error, source, offline) from error
    # The cache keeps every commit in a folder of its name.
    loaded.source = Source(source.text, hub_id=source.hub_id, revision=folder.name, folder=folder)
    return folder


def _hub_trouble(error: Exception, source: Source, offline: bool) -> GenHubError:
    what = f"'{source.hub_id}'" + (f" at revision {source.revision}" if source.revision else "")
    if offline:
        return GenHubError(
            "GH503",
            f"the model {what} is not whole in the local cache, and this run is offline",
            hint="load it once with model: {offline: false} and HF_HUB_OFFLINE unset, "
            "or give a folder",
        )
    text = f"{type(error).__name__} {error}"
    for sign, reason in (
        ("RepositoryNotFound", "the hub has no such repository, or it is private"),
        ("GatedRepo", "its owner asks you to accept conditions on its page first"),
        ("RevisionNotFound", "the hub has no such revision"),
    ):
        if sign in text:
            return GenHubError("GH506", f"the model {what} cannot be loaded: {reason}")
    if re.search(r"connect|resolve|timed? ?out|offline|outgoing|metadata from the Hub", text, re.I):
        return GenHubError(
            "GH503",
            f"the model {what} is not whole in the local cache, and the hub cannot be reached",
            hint="a mistyped folder is taken for a hub id; tiny:shapes needs no network",
        )
    return GenHubError("GH506", f"the model {what} cannot be loaded: {sentence(error)}")


def _remedy(error: Exception) -> str:
    text = str(error)
    if ".safetensors" in text or "safetensors" in text:
        return "only safetensors are read: convert the weights first"
    if "trust_remote_code" in text or "custom_pipeline" in text:
        return "this model brings its own code, which GenHub never runs"
    return ""


def _pipeline_class(name: str) -> Any:
    import diffusers

    if name == "auto":
        return diffusers.DiffusionPipeline
    return _diffusers_class(name, "model.pipeline", "Pipeline")


def _diffusers_class(name: str, where: str, ending: str) -> Any:
    import diffusers

    known = [n for n in dir(diffusers) if n.endswith(ending) and not n.startswith(("_", "Flax"))]
    if name not in known:
        raise GenHubError(
            "GH207",
            f"{where} is '{name}', which is no class of diffusers",
            hint=_suggest(name, known),
        )
    return getattr(diffusers, name)


def _suggest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    shown = ", ".join(sorted(known)[:12])
    return f"known: {shown}" + (", ..." if len(known) > 12 else "")
