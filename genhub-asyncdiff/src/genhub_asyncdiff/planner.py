"""Which schedule for how many devices: predicted latency, and how old what devices read is.

The latency of a generation of T calls is W w t + R (max_c t_c + g + x): w the cost of a full call
in a warm-up mode, t the time of one on one device, R the parallel rounds, t_c the units of
component c, g what every device computes outside the units, x what transfers add where nothing
is left to compute meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from genhub_asyncdiff.graph import Graph
from genhub_asyncdiff.profile import Profile
from genhub_asyncdiff.schedule import Form, Mode
from genhub_asyncdiff.split import Split, auto_split, owners

__all__ = ["Choice", "Link", "Machine", "choices", "predict", "recommended_warmup"]


@dataclass(frozen=True)
class Link:
    """What a transfer between two devices takes: seconds to begin, and bytes per second."""

    latency: float
    bandwidth: float

    def seconds(self, size: float) -> float:
        """Give the time of a message of some bytes; none takes no time."""
        return self.latency + size / self.bandwidth if size else 0.0


@dataclass(frozen=True)
class Machine:
    """A denoiser on a kind of device: its graph, times of a call, and the link between devices.

    `batch` is the number of samples of a call, both branches of guidance counted.
    """

    graph: Graph
    times: Profile
    link: Link
    batch: int


@dataclass(frozen=True)
class Choice:
    """A schedule and what to expect of it.

    `age` is the mean age, in calls, of what the units of all devices read, over all calls: 0 is
    serial. `exact` schedules change no picture.
    """

    devices: int
    form: Form
    split: Split | None  # None: every device computes the whole denoiser
    cfg: bool  # guidance over two groups of devices
    seconds: float
    speedup: float
    age: float
    bytes: int  # that pass a round's cut, all devices together
    dearest: float  # share of the dearest component
    settings: dict[str, Any] = field(compare=False)  # of the block `parallel`

    @property
    def exact(self) -> bool:
        """Say whether pictures are those of one device."""
        return self.age == 0


def recommended_warmup(form: Form, steps: int) -> int:
    """Give the full calls to begin with: a tenth of all at stride 1, a fifth beyond; at least 1."""
    share = 10 if form.stride == 1 else 5
    return max(1, min(steps - 1, round(steps / share)))


def choices(
    machine: Machine, devices: int, steps: int, *, guidance: bool, warmup: int | None = None
) -> list[Choice]:
    """List what can be done with up to so many devices, the fastest first.

    `guidance` says that a call has two branches, which two devices may compute without changing
    anything. `warmup` fixes the full calls; left out, they are the recommended ones.
    """
    found = []
    for cfg in (False, True) if guidance else (False,):
        groups = 2 if cfg else 1
        for form in _forms(devices // groups, steps, warmup):
            if groups * form.world == 1 or (form.components == 1 and form.stride > 1):
                continue
            found += [
                predict(machine, form, split, steps, cfg=cfg) for split in _splits(machine, form)
            ]
    return sorted(found, key=lambda choice: (choice.seconds, choice.age, choice.devices))


def predict(
    machine: Machine,
    form: Form,
    split: Split | None,
    steps: int,
    *,
    cfg: bool = False,
    warmup_mode: str = "replicate",
) -> Choice:
    """Predict the latency of a generation of `steps` calls under one schedule."""
    times, graph, link = machine.times, machine.graph, machine.link
    half = 0.5 if cfg else 1.0
    batch = machine.batch * half
    per_unit = [half * t for t in times.units]
    glue = half * times.glue
    serial = half * times.whole
    output = batch * graph.output_size[0] * graph.output_size[1]
    swap = link.seconds(output) if cfg else 0.0
    calls = list(form.calls(steps))
    rounds = sum(call.phase == "parallel" for call in calls)
    full = sum(call.phase == "sync" for call in calls)
    n = form.components
    if split is None or n == 1:
        seconds = steps * (serial + swap)
        age, cut, dearest = 0.0, 0, 1.0
    else:
        of = owners(graph, split)
        own = [sum(t for t, o in zip(per_unit, of, strict=True) if o == c) for c in range(n)]
        edges = graph.cut(of)
        sizes = [
            batch * graph.units[e.leaf.unit].sizes[e.leaf.index]
            * graph.units[e.leaf.unit].itemsizes[e.leaf.index]
            for e in edges
        ]  # fmt: skip
        # Only what is made last waits for the link; the noise prediction goes beside it.
        last = max((size for e, size in zip(edges, sizes, strict=True)
                    if _is_boundary(e.leaf.unit, of)), default=0.0)  # fmt: skip
        round_ = max(own) + glue + link.seconds(max(last, output))
        begin = {"cfg": 0.5, "pipeline": (n + 1) / (2 * n)}.get(warmup_mode, 1.0)
        seconds = full * (begin * serial + swap) + rounds * round_ + steps * swap
        age = _age(graph, of, form) * rounds * form.stride / steps
        cut = int(sum(size * len(form.devices(e.consumer))
                      for e, size in zip(edges, sizes, strict=True)))  # fmt: skip
        dearest = max(own) / sum(per_unit)
    settings: dict[str, Any] = {"components": n, "warmup": form.warmup}
    if form.stride > 1:
        settings |= {"stride": form.stride, "stride_mode": form.mode}
    if split is not None and n > 1:
        settings |= {"wrap": split.wrap, "split_metric": "time"}
    if cfg:
        settings["cfg_parallel"] = True
    return Choice(
        form.world * (2 if cfg else 1), form, split, cfg, seconds,
        steps * times.whole / seconds, age, cut, dearest, settings,
    )  # fmt: skip


def _forms(devices: int, steps: int, warmup: int | None) -> Iterator[Form]:
    """List schedules for one group of devices."""
    if devices >= 1:
        yield Form(1)
    modes: Sequence[tuple[int, Mode]] = ((1, "two_eval"), (2, "two_eval"), (2, "reuse"))
    for n in range(2, min(devices, 8) + 1):
        for stride, mode in modes:
            form = Form(n, stride, mode)
            began = warmup or recommended_warmup(form, steps)
            if form.world <= devices and began < steps:
                yield Form(n, stride, mode, warmup=began)


def _splits(machine: Machine, form: Form) -> list[Split | None]:
    if form.components == 1:
        return [None]
    graph, costs = machine.graph, machine.times.units
    straight = auto_split(graph, form.components, wrap=False, costs=costs)
    wrapped = auto_split(graph, form.components, wrap=True, costs=costs)
    return [straight, wrapped]


def _is_boundary(unit: int, of: Sequence[int]) -> bool:
    """Say whether a unit is the last of a run of its component."""
    return unit + 1 == len(of) or of[unit + 1] != of[unit]


def _age(graph: Graph, of: Sequence[int], form: Form) -> float:
    """Give the mean age of what units read in the calls of rounds: what is their own is new."""
    ages = []
    for unit, own in zip(graph.units, of, strict=True):
        for leaf in unit.reads:
            other = of[leaf.unit] != own
            ages.append(form.stride + (form.stride - 1) / 2 if other else (form.stride - 1) / 2)
    return sum(ages) / max(1, len(ages))
