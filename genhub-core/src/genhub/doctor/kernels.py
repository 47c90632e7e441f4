"""Kernels here: which can run, which would be chosen, and whether they compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genhub.errors import GenHubError, Problem
from genhub.plan.kernels import Kernels, refusal, unusable
from genhub.registry import Registries

__all__ = ["look_at_kernels", "verify_kernels"]


def look_at_kernels(
    registries: Registries, torch: Mapping[str, Any], problems: list[Problem]
) -> list[dict[str, Any]]:
    """List every implementation: can it run here, why not, and is it the one that is chosen.

    Nothing is asked of kernels where torch does not work: their answers may need it.
    """
    kernels = Kernels({}, registries.get("kernels"))
    device = "cuda" if torch.get("gpus") else "cpu"
    rows = []
    for op, implementations in kernels.operations.items():
        of_op = [
            _row(kernels, op, impl, device, bool(torch.get("version"))) for impl in implementations
        ]
        if any(row["available"] and row["reason"] is None for row in of_op):
            kernels.choose(op, device=device)
            for row in of_op:
                row["chosen"] = row["impl"] == kernels.choices[op].impl
        references = sum(row.get("reference", False) for row in of_op)
        if references != 1:
            message = f"{references} kernels of '{op}' say that they are its reference, not one"
            problems.append(Problem("GH507", message, "tell the authors of the package"))
        rows += of_op
    return rows


def _row(kernels: Kernels, op: str, impl: str, device: str, asked: bool) -> dict[str, Any]:
    """Describe one implementation; `reason` says why it would not be taken here."""
    row: dict[str, Any] = {"op": op, "impl": impl, "chosen": False, "available": False}
    try:
        kernel = kernels.make(op, impl)
    except GenHubError as error:  # told among the plugins
        return {**row, "reason": error.problems[0].message}
    row.update(priority=kernel.priority, reference=kernel.reference)
    if not asked:
        return {**row, "reason": "torch does not work here"}
    why_not = unusable(kernel)
    row["available"] = why_not is None
    return {**row, "reason": why_not or refusal(kernel, {"device": device})}


def verify_kernels(
    registries: Registries,
    rows: list[dict[str, Any]],
    torch: Mapping[str, Any],
    problems: list[Problem],
) -> None:
    """Hold every kernel that can run here against its reference; each row gets `Trial.run`'s."""
    from genhub.doctor.trial import Trial

    kernels = Kernels({}, registries.get("kernels"))
    devices = ["cpu", *(["cuda"] if torch.get("gpus") else [])]
    for op in kernels.operations:
        of_op = [row for row in rows if row["op"] == op and row["available"]]
        reference = next((row["impl"] for row in of_op if row["reference"]), None)
        if reference is None:
            continue
        for row in of_op:
            impl = row["impl"]
            trial = Trial(f"{op}.{impl}", kernels.make(op, impl), kernels.make(op, reference))
            row.update(trial.run(devices))
            hint = f"do without it: kernels: {{{op}: {reference}}}; and tell the package's authors"
            problems += [Problem("GH507", message, hint) for message in trial.troubles[:1]]
