"""`genhub litefocus estimate` and `genhub litefocus bench`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genhub.api import Command, GenHubError

if TYPE_CHECKING:
    from genhub_litefocus.bench import Shape

__all__ = ["LiteFocusCommand"]

_SECONDS = (10.0, 20.0, 40.0, 80.0)


class LiteFocusCommand(Command):
    """What a length of sound costs, and how fast this machine is, before anything is made."""

    summary = "estimate what long sound costs, or time kernels of sparse attention"

    def arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments of both."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        cost = actions.add_parser("estimate", help="count arithmetic and memory; reads no weights")
        cost.add_argument("--seconds", type=float, metavar="S", help="of sound; else the config's")
        cost.add_argument("--config", metavar="FILE", help="YAML file of a run with litefocus")
        cost.add_argument(
            "--set", action="append", default=[], metavar="FIELD=VALUE",
            help="override a field of the litefocus block",
        )  # fmt: skip
        speed = actions.add_parser("bench", help="time full attention and every kernel, in turns")
        speed.add_argument(
            "--seconds", type=float, nargs="+", default=list(_SECONDS), metavar="S",
            help=f"lengths of sound; else {' '.join(f'{s:g}' for s in _SECONDS)}",
        )  # fmt: skip
        speed.add_argument("--device", default="auto", metavar="D", help="cpu or cuda; else auto")
        speed.add_argument("--rounds", type=int, default=5, metavar="N", help="of taking turns")
        speed.add_argument("--ratio", type=float, default=0.1, metavar="R", help="sparse_ratio")
        for action, otherwise in ((cost, "the config's"), (speed, "the shapes of AudioLDM2")):
            action.add_argument(
                "--model", metavar="SOURCE",
                help=f"tiny:NAME, a folder, or a hub id; else {otherwise}",
            )  # fmt: skip

    def run(self, args: Namespace) -> int:
        """Do it and give the exit status."""
        return _estimate(args) if args.action == "estimate" else _bench(args)


def _estimate(args: Namespace) -> int:
    model, seconds, block = args.model, args.seconds, {}
    if args.config is not None:
        config = _read(args.config)
        block = _block_of(config, args.config)
        model = model or _at(config, "model", "source")
        seconds = seconds if seconds is not None else _at(config, "sampling", "seconds")
    if model is None:
        raise _bad("--model is missing", "give tiny:NAME, a folder, a hub id, or --config FILE")
    if seconds is None:
        raise _bad("--seconds is missing", "give the length of the sound, as in --seconds 80")
    _require_above_0("--seconds", seconds)
    _quieten()
    from genhub_litefocus.estimate import estimate

    made = estimate(model, seconds, {**block, **_changes(args.set)})
    sys.stdout.write(f"{made}\n")
    return 0


def _bench(args: Namespace) -> int:
    for length in args.seconds:
        _require_above_0("--seconds", length)
    if args.rounds < 1:
        raise _bad(f"--rounds is {args.rounds}", "give 1 or more")
    if not 0 <= args.ratio <= 1:
        raise _bad(f"--ratio is {args.ratio:g}", "give a share from 0 to 1")
    if args.device not in ("auto", "cpu", "cuda"):
        raise _bad(f"--device is {args.device!r}", "give cpu or cuda, or leave it out")
    _quieten()
    import torch

    from genhub_litefocus.bench import AUDIOLDM2, bench

    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = AUDIOLDM2 if args.model is None else _shape_of(args.model)
    _, text = bench(shape, args.seconds, ratio=args.ratio, device=device, rounds=args.rounds)
    sys.stdout.write(f"{text}\n")
    return 0


def _shape_of(model: str) -> Shape:
    from genhub_litefocus.counting import finest

    return finest(model)


def _read(file: str) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise GenHubError("GH101", f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GenHubError("GH102", f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, Mapping):
        raise GenHubError("GH102", f"{file} holds no mapping of keys, so it is no config of a run")
    return config


def _block_of(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    listed = config.get("attention") or []
    blocks = listed if isinstance(listed, list) else [listed]
    for block in blocks:
        if block == "litefocus":
            return {}
        if isinstance(block, Mapping) and block.get("type") == "litefocus":
            return {key: value for key, value in block.items() if key != "type"}
    raise GenHubError(
        "GH302",
        f"{file} has no litefocus under attention",
        hint="write attention: [{type: litefocus}], or leave --config out",
    )


def _at(config: Mapping[str, Any], block: str, key: str) -> Any:
    found = config.get(block)
    return found.get(key) if isinstance(found, Mapping) else None


def _changes(settings: list[str]) -> dict[str, Any]:
    import yaml

    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise _bad(f"--set is {setting!r}", "give FIELD=VALUE, as in time_window=128")
        changes[key.strip()] = yaml.safe_load(value)
    return changes


def _require_above_0(option: str, value: Any) -> None:
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise _bad(f"{option} is {value}", "give a number above 0")


def _quieten() -> None:
    """Keep the libraries' progress bars and remarks off the terminal."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    for library in (of_diffusers, of_transformers):
        library.set_verbosity_error()
        library.disable_progress_bar()


def _bad(message: str, hint: str) -> GenHubError:
    return GenHubError("GH302", message, hint=hint)
