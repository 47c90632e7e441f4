"""Look at a config's own model on this device, and say which schedule suits how many devices."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from genhub.api import PluginConfig, Run, Task

if TYPE_CHECKING:
    from genhub_asyncdiff.planner import Choice, Link

__all__ = ["Advice", "PlanTask", "recommended"]

_PING = 16 * 2**20  # bytes that go there and back
_NEARLY = 1.1  # what changes pictures must be faster by so much than what does not
_FEW_STEPS = 10


@dataclass(frozen=True)
class Advice:
    """What is asked: how many devices at most, and the link between them where it is known."""

    devices: int
    bandwidth: float | None = None  # GB/s
    latency: float | None = None  # microseconds

    def settings(self) -> dict[str, Any]:
        """Give them as fields of a task."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class PlanTaskConfig(PluginConfig):
    """Block `task` of a run that plans."""

    devices: int = Field(4, ge=1, description="devices at most")
    bandwidth: float | None = Field(None, gt=0, description="of the link, in GB/s")
    latency: float | None = Field(None, gt=0, description="of a message, in microseconds")


class PlanTask(Task):
    """Time the denoiser and write a table of schedules to advice.txt."""

    Config = PlanTaskConfig
    summary = "compare schedules of asyncdiff"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"model", "attention", "kernels", "input", "sampling"}
    )

    def run(self, run: Run) -> None:
        """Write advice.txt into the run's folder."""
        with run.pipeline() as attached:
            text = _advice(self.config, run.config.sampling, attached.context)
        (run.folder / "advice.txt").write_text(text, encoding="utf-8")


def recommended(choices: list[Choice], steps: int) -> Choice | None:
    """Choose: what changes no picture, unless stride 1 is clearly faster; None: nothing helps."""
    exact = min(
        (c for c in choices if c.exact and c.speedup > 1), key=lambda c: c.seconds, default=None
    )
    if steps < _FEW_STEPS:
        return exact
    near = min(
        (c for c in choices if c.form.stride == 1 and c.speedup > _NEARLY),
        key=lambda c: c.seconds, default=None,
    )  # fmt: skip
    if exact is None or near is None:
        return near or exact
    return near if near.seconds * _NEARLY < exact.seconds else exact


def _advice(config: PlanTaskConfig, sampling: Any, ctx: Any) -> str:
    from genhub_asyncdiff.plan import traced
    from genhub_asyncdiff.planner import Machine, choices
    from genhub_asyncdiff.profile import example_batch, profile

    name, denoiser = next(iter(ctx.denoisers.items()))
    parameter = next(denoiser.parameters())
    graph = traced(ctx.facts, name, denoiser)
    guidance = (sampling.guidance or 0) > 1 and not denoiser.config.get("guidance_embeds")
    batch = (2 if guidance else 1) * (sampling.batch or 1)
    call = example_batch(ctx.facts.example_call(name), batch, parameter.device, parameter.dtype)
    times = profile(denoiser, *call, [unit.path for unit in graph.units])
    link = _link(config, parameter.device.type)
    steps = sampling.steps
    found = choices(Machine(graph, times, link, batch), config.devices, steps, guidance=guidance)
    lines = [
        f"{type(denoiser).__name__} on {parameter.device}, {parameter.dtype}: a call of "
        f"{batch} samples takes {1000 * times.whole:.1f} ms, {len(graph.units)} units; "
        f"link {link.bandwidth / 1e9:.2f} GB/s, {1e6 * link.latency:.0f} us"
        f"{'' if config.bandwidth else ' (measured here)'}",
        f"predicted for {steps} calls, one generation:",
        "",
        *_table(found),
        "",
        *_words(recommended(found, steps), found, steps, guidance, ctx.facts.family),
    ]
    return "\n".join(lines) + "\n"


def _table(found: list[Choice]) -> list[str]:
    rows = [["devices", "schedule", "seconds", "speed-up", "age", "MiB/round", "largest share"]]
    for choice in found:
        rows.append(
            [
                str(choice.devices), _named(choice), f"{choice.seconds:.2f}",
                f"{choice.speedup:.2f}", "exact" if choice.exact else f"{choice.age:.2f}",
                f"{choice.bytes / 2**20:.1f}", f"{choice.dearest:.1%}",
            ]
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(w) if i != 1 else cell.ljust(w)
                  for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip


def _named(choice: Choice) -> str:
    form = choice.form
    if choice.split is None:
        return "cfg-parallel"
    words = [f"{form.components} components", f"stride {form.stride}", f"warm-up {form.warmup}"]
    if form.stride > 1:
        words[1] += f" {form.mode}"
    words += ["wrap"] * choice.split.wrap + ["x cfg"] * choice.cfg
    return ", ".join(words)


def _words(
    best: Choice | None, found: list[Choice], steps: int, guidance: bool, family: str
) -> list[str]:
    """Say what to write into the config, and what else there is."""
    lines = []
    if steps < _FEW_STEPS:
        lines.append(
            f"{steps} calls are few: neighbouring ones are not alike, and asyncdiff, which lives "
            "on that, is not recommended; guidance over two devices changes nothing."
        )
    if best is None:
        return [*lines, "recommended: one device"]
    if best.split is None:
        block = "parallel: {type: cfg-parallel}"
        lines.append("recommended: guidance over two devices; it changes no picture")
    else:
        fields = ", ".join(f"{k}: {_yaml(v)}" for k, v in best.settings.items())
        block = f"parallel: {{type: asyncdiff, {fields}}}"
        lines.append(f"recommended: {_named(best)}")
    lines += ["", block, f"launch: {{processes: {best.devices}}}"]
    fast = found[0]
    if best is not fast and not fast.exact and steps >= _FEW_STEPS:
        lines += ["", f"fastest, and further from the serial picture: {_named(fast)}"]
    if family in ("sd3", "flux", "wan", "qwenimage"):
        lines += ["", "transformers with many tokens on fast links: see the context parallelism of "
                  "diffusers, which changes nothing, either"]  # fmt: skip
    return lines


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _link(config: PlanTaskConfig, device: str) -> Link:
    from genhub_asyncdiff.planner import Link

    measured = None
    if config.bandwidth is None or config.latency is None:
        measured = _between_gpus() if device == "cuda" else _over_a_socket()
    bandwidth = config.bandwidth * 1e9 if config.bandwidth else measured.bandwidth
    latency = config.latency * 1e-6 if config.latency else measured.latency
    return Link(latency, bandwidth)


def _over_a_socket() -> Link:
    """Time 16 MiB, and one byte, there and back between two threads."""
    from genhub_asyncdiff.planner import Link

    here, there = socket.socketpair()
    with here, there:
        echo = threading.Thread(target=_echo, args=(there, (1, _PING)))
        echo.start()
        seconds = []
        for size in (1, _PING):
            begun = time.perf_counter()
            here.sendall(bytes(size))
            _receive(here, size)
            seconds.append((time.perf_counter() - begun) / 2)
        echo.join()
    return Link(seconds[0], _PING / max(seconds[1] - seconds[0], 1e-9))


def _echo(end: socket.socket, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        end.sendall(_receive(end, size))


def _receive(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += end.recv(min(size - len(data), 2**20))
    return bytes(data)


def _between_gpus() -> Link:
    """Time 16 MiB between the first two GPUs; with one, take a PCIe 4 link for it."""
    import torch

    from genhub_asyncdiff.planner import Link

    if torch.cuda.device_count() < 2:
        return Link(20e-6, 20e9)
    x = torch.empty(_PING, dtype=torch.uint8, device="cuda:0")
    y = torch.empty_like(x, device="cuda:1")
    seconds = []
    for size in (1, _PING, 1, _PING):
        torch.cuda.synchronize(0)
        torch.cuda.synchronize(1)
        begun = time.perf_counter()
        y[:size].copy_(x[:size])
        torch.cuda.synchronize(1)
        seconds.append(time.perf_counter() - begun)
    return Link(seconds[2], _PING / max(seconds[3] - seconds[2], 1e-9))
