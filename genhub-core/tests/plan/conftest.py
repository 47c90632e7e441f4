from __future__ import annotations

import drivers
import pytest

from genhub.registry import Registries


@pytest.fixture
def registries() -> Registries:
    """The toy drivers of this folder beside whatever is installed."""
    found = Registries()
    mixers = found.get("attention_mixers")
    mixers.add("gain", drivers.Gain)
    mixers.add("mean", drivers.Mean)
    mixers.add("watch", drivers.Watch)
    mixers.add("wanting", drivers.Wanting)
    found.get("parallel_schedulers").add("own-loop", drivers.OwnLoop)
    kernels = found.get("kernels")
    kernels.add("double.plain", drivers.PlainDouble)
    kernels.add("double.fast", drivers.FastDouble)
    kernels.add("double.gpu", drivers.GpuDouble)
    return found
