"""What a plugin's module does in an interpreter of its own: `python -m genhub.testing.alone`.

Prints one JSON object. Runs where nothing but the host's light part has been imported, so that
whatever else is there afterwards came with the plugin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from typing import Any

import genhub.api
import genhub.registry

HEAVY = (
    *("torch", "numpy", "diffusers", "transformers", "accelerate", "tensorflow", "jax"),
    *("PIL", "scipy", "pandas", "sklearn", "matplotlib", "gymnasium", "torchvision", "triton"),
)

CHECKING = ("numpy", "gymnasium")  # small enough to check a config with


def look(value: str, settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Import `module:attribute`, ask its driver what it needs, and import it once more."""
    module, _, attribute = value.partition(":")
    before = set(sys.modules)
    found = reduce(getattr, attribute.split("."), import_module(module)) if attribute else None
    said: dict[str, Any] = {"modules": len(set(sys.modules) - before), "heavy": _heavy()}
    configs = [_config(found, each) for each in settings]
    checked = set(_heavy())  # what validators of a Config import
    said["heavy_config"] = sorted(checked - set(said["heavy"]) - set(CHECKING))
    said["needs"] = ["" if config is None else _needs(found, config) for config in configs]
    said["heavy_needs"] = sorted(set(_heavy()) - checked)
    said["again"] = _again(module, attribute)
    return said


def _heavy() -> list[str]:
    return sorted(name for name in HEAVY if name in sys.modules)


def _config(found: Any, settings: dict[str, Any]) -> Any:
    """Validate settings; gives None for settings that are wrong."""
    try:
        return found.Config.model_validate_json(json.dumps(settings))
    except Exception:
        return None


def _needs(found: Any, config: Any) -> str:
    """Say what is wrong with `needs`, if anything."""
    try:
        driver = found(config)
    except Exception:
        return ""
    try:
        once, twice, other = driver.needs(), driver.needs(), found(config).needs()
    except Exception as error:
        return f"needs() raised {type(error).__name__}: {error}"
    if not isinstance(once, genhub.api.Needs):
        return f"needs() gave {type(once).__name__}, which is no genhub.api.Needs"
    return "" if once == twice == other else "needs() answers differently when asked again"


def _again(module: str, attribute: str) -> str:
    """Import the module as if for the first time and say what went wrong."""
    package = module.partition(".")[0]
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        if package != "genhub":
            del sys.modules[name]
    try:
        reduce(getattr, attribute.split(".") if attribute else [], import_module(module))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(look(sys.argv[1], json.loads(sys.argv[2]))))
