"""Find the checkpoint that a config means: shipped, cached, a folder, or a hub id."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from genhub.api import GenHubError
from genhub_linfusion import published, weights

__all__ = ["find", "shipped"]

SHIPPED = Path(__file__).with_name("checkpoints")


def find(
    name: str | None, revision: str | None, unet: nn.Module, *, offline: bool = False
) -> weights.Checkpoint | None:
    """Give the checkpoint for `unet` that `name` means, None for None.

    `auto` looks into the package, then into the local hub cache, and never downloads; a folder or
    file is read; anything of the form `owner/name` is fetched from the hub, or from its cache
    alone when `offline`. Raises GenHubError.
    """
    is_hub_id = (
        name not in (None, "auto")
        and not Path(name).expanduser().exists()
        and name.count("/") == 1
        and not name.startswith((".", "/", "~"))
    )
    if revision is not None and not is_hub_id:
        raise GenHubError(
            "GH305",
            f"attention.revision is '{revision}', but attention.checkpoint is "
            f"{'null' if name is None else repr(name)} and has no revisions",
            hint="remove revision, or name a hub id",
        )
    if name is None:
        return None
    try:
        if name == "auto":
            return _automatic(unet)
        if is_hub_id:
            return weights.load(_from_hub(name, revision, offline=offline))
        if Path(name).expanduser().exists():
            return weights.load(Path(name).expanduser())
    except weights.CheckpointError as error:
        raise GenHubError("GH305", str(error), hint="see attention.checkpoint") from error
    raise GenHubError(
        "GH305",
        f"attention.checkpoint is '{name}', which is no folder, file or hub id",
        hint=f"looked at {Path(name).absolute()}; write auto, a folder, owner/name, or null",
    )


def shipped() -> Iterator[Path]:
    """List the checkpoints that the package brings along."""
    yield from sorted(path.parent for path in SHIPPED.glob("*/config.json"))


def _automatic(unet: nn.Module) -> weights.Checkpoint:
    eligible = {
        path: (layer.query_dim, layer.heads)
        for path, layer in published.self_attention_layers(unet).items()
    }
    for checkpoint in map(weights.load, shipped()):
        if {x.name: (x.channels, x.heads) for x in checkpoint.layers} == eligible:
            return checkpoint
    hub_id = published.fingerprint(unet)
    if hub_id is None:
        raise GenHubError(
            "GH305",
            "no linear-attention weights are known for this denoiser: "
            f"{len(eligible)} self-attention layers, "
            f"cross_attention_dim {unet.config.cross_attention_dim}",
            hint="write attention.checkpoint: FOLDER for your own, or train some with "
            "task: distill and checkpoint: null",
        )
    try:
        return weights.load(_fetched(hub_id, None, cached=True))
    except LookupError as error:
        raise GenHubError(
            "GH503",
            f"the weights made for this denoiser, '{hub_id}', are not in the local cache",
            hint=f"to download them, write attention.checkpoint: {hub_id}",
        ) from error


def _from_hub(hub_id: str, revision: str | None, *, offline: bool) -> Path:
    offline = offline or os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes")
    if not offline:  # whoever looks on shall know what comes from where
        sys.stderr.write(f"checkpoint {hub_id}, revision {revision or 'main'}, from the hub\n")
    try:
        return _fetched(hub_id, revision, cached=offline)
    except LookupError as error:
        raise GenHubError(
            "GH503",
            f"the checkpoint '{hub_id}' is not in the local cache, and the hub may not be asked",
            hint="allow it (model.offline: false, HF_HUB_OFFLINE unset), or give a folder",
        ) from error


def _fetched(hub_id: str, revision: str | None, *, cached: bool) -> Path:
    """Give the folder of a checkpoint; LookupError where only the cache is asked and lacks it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    files = [weights.CONFIG, weights.WEIGHTS]
    try:
        found = snapshot_download(
            hub_id, revision=revision, allow_patterns=files, local_files_only=cached
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if cached:
            raise LookupError(hub_id) from error
        raise GenHubError(
            "GH503",
            f"'{hub_id}' could not be fetched from the hub: {str(error).splitlines()[0]}",
            hint="check the id and the connection, or give a folder",
        ) from error
    return Path(found)
