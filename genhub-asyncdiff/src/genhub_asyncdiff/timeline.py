"""A plan drawn in plain characters: devices over calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genhub_asyncdiff.plan import AsyncPlan

__all__ = ["timeline"]

_SHOWN = 3  # rounds, after warm-up


def timeline(plan: AsyncPlan) -> str:
    """Draw warm-up and the first rounds: `B2(A1)` is component B at call 2 on what A gave at 1."""
    form, cutting = plan.form, plan.first
    total = form.warmup + _SHOWN * form.stride + 1
    calls = list(form.calls(total))[:-1]
    letters = [chr(ord("A") + component) for component in range(form.components)]
    rows = [["call", *(str(call.index) for call in calls)]]
    for device in range(form.world):
        component = form.component(device)
        row = [f"rank {device}"]
        last = form.warmup - 1
        for call in calls:
            if call.phase == "sync":
                row.append("full")
            elif call.phase == "free":
                row.append("-")
            else:
                read = "".join(f"{letters[c]}{last}" for c in sorted(_sources(plan, component)))
                time = form.time(device, call, total)
                at = "" if time == call.index else f";t{time}"
                row.append(f"{letters[component]}{call.index}({read}{at})")
            if call.phase != "free" and device == form.world - 1:
                pass
            last = call.index if call.phase != "free" else last
        rows.append(row)
    supplier = [form.supplier(call.offset) for call in calls]
    rows.append(["eps from", *("all" if call.phase == "sync" else f"rank {rank}"
                               for call, rank in zip(calls, supplier, strict=True))])  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    kind = "wrap" if cutting.split.wrap else "straight"
    held = "; ".join(
        f"{letter} {share:.1%} of the work"
        for letter, share in zip(letters, cutting.shares, strict=True)
    )
    lines.append(f"{kind} split: {held}")
    if plan.guidance_split:
        lines.append(
            f"guidance split: ranks {form.world} to {2 * form.world - 1} do the same for the "
            "other branch"
        )
    return "\n".join(lines)


def _sources(plan: AsyncPlan, component: int) -> set[int]:
    """Give the components that one reads from."""
    cutting = plan.first
    return {cutting.owner[path] for path, _ in cutting.reads[component]}
