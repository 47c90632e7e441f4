"""A plan drawn in plain characters: devices over calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from genhub_asyncdiff.schedule import Call

if TYPE_CHECKING:
    from genhub_asyncdiff.plan import AsyncPlan

__all__ = ["timeline"]

_SHOWN = 3  # rounds, after warm-up


def timeline(plan: AsyncPlan) -> str:
    """Draw warm-up and the first rounds: `B2(A1)` is component B at call 2 on what A gave at 1.

    `;t3` after that says that a device computes at the time of another call.
    """
    form, cutting = plan.form, plan.first
    total = form.warmup + _SHOWN * form.stride + 1
    calls = list(form.calls(total))[:-1]
    rows = [["call", *(str(call.index) for call in calls)]]
    rows += [[f"rank {device}", *_row(plan, device, calls, total)] for device in range(form.world)]
    sources = (
        "all" if call.phase == "sync" else f"rank {form.supplier(call.offset)}" for call in calls
    )
    rows.append(["eps from", *sources])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    held = "; ".join(
        f"{_letter(c)} {share:.1%} of the work" for c, share in enumerate(cutting.shares)
    )
    lines.append(f"{'wrap' if cutting.split.wrap else 'straight'} split: {held}")
    if plan.guidance_split:
        first, last = form.world, 2 * form.world - 1
        lines.append(f"guidance split: ranks {first} to {last} do the same for the other branch")
    elif form.world == 2:
        lines.append("with guidance, cfg-parallel uses two ranks without changing a picture")
    return "\n".join(lines)


def _row(plan: AsyncPlan, device: int, calls: Sequence[Call], total: int) -> Iterator[str]:
    """Say what a device computes in each call."""
    form = plan.form
    component = form.component(device)
    read = 0  # the call at which what is read was computed
    for call in calls:
        if call.phase == "free":
            yield "-"
            continue
        if call.phase == "sync":
            yield "full"
        else:
            inputs = "".join(f"{_letter(c)}{read}" for c in sorted(_sources(plan, component)))
            time = form.time(device, call, total)
            at = "" if time == call.index else f";t{time}"
            yield f"{_letter(component)}{call.index}({inputs}{at})"
        read = call.index


def _letter(component: int) -> str:
    return chr(ord("A") + component)


def _sources(plan: AsyncPlan, component: int) -> set[int]:
    """Give the components that one reads from."""
    cutting = plan.first
    return {cutting.owner[path] for path, _ in cutting.reads[component]}
