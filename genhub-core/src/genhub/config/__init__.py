"""Read, validate and write the config of a run; imports no torch.

`load` takes a YAML file (or a map of the same shape) and gives it validated by the Config classes
of the drivers that it names, or raises one GenHubError with every problem and its place.
"""

from __future__ import annotations

from genhub.config.load import Loaded, load
from genhub.config.model import (
    Block,
    Input,
    Launch,
    Model,
    Output,
    Prompt,
    RunConfig,
    Sampling,
)
from genhub.config.names import Used
from genhub.config.resolved import as_written, redact, to_map, to_yaml
from genhub.config.schema import json_schema

__all__ = [
    "Block",
    "Input",
    "Launch",
    "Loaded",
    "Model",
    "Output",
    "Prompt",
    "RunConfig",
    "Sampling",
    "Used",
    "as_written",
    "json_schema",
    "load",
    "redact",
    "to_map",
    "to_yaml",
]
