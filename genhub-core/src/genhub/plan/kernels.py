"""Choose an implementation for each operation that a driver asks for, and remember why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genhub.api import Kernel
from genhub.errors import GenHubError, PluginNotFound

if TYPE_CHECKING:
    from genhub.registry import Registry

__all__ = ["Choice", "Kernels", "refusal", "unusable"]

AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """Which implementation an operation got, why, and what spoke against the others."""

    op: str
    impl: str
    reason: str
    rejected: Mapping[str, str]


class Kernels:
    """The kernels of one attachment.

    `wanted` is the config's `kernels:` block, operation to implementation. Each answer is kept in
    `choices`, which goes into the manifest.
    """

    def __init__(self, wanted: Mapping[str, str], registry: Registry) -> None:
        self._registry = registry
        self._wanted = {op: impl for op, impl in wanted.items() if impl != AUTO}
        self._made: dict[str, Kernel] = {}
        self.choices: dict[str, Choice] = {}
        for op in self._wanted:
            self._require(op)

    @property
    def operations(self) -> dict[str, list[str]]:
        """List the installed implementations of every operation."""
        ops = sorted({_op_of(name) for name in self._registry.names()})
        return {op: self._implementations(op) for op in ops}

    @property
    def unused(self) -> tuple[str, ...]:
        """List the operations that the config chose a kernel for and that no driver asked for."""
        return tuple(op for op in self._wanted if op not in self.choices)

    def choose(self, op: str, **what: Any) -> Kernel:
        """Give the kernel of `op` for `what` (device, dtype, shapes).

        The config's choice comes first, then the highest priority among those that run here and
        serve `what`, the reference last. Raises PluginNotFound (GH201) for an unknown operation,
        GH505 where the config's choice cannot run here or nothing can, GH408 where the config's
        choice does not serve `what`.
        """
        self._require(op)
        if op in self._wanted:
            return self._chosen_by_config(op, self._wanted[op], what)
        rejected: dict[str, str] = {}
        usable: list[tuple[str, Kernel]] = []
        for impl in self._implementations(op):
            try:
                kernel = self.make(op, impl)
            except GenHubError as error:  # a broken package must not take the reference along
                rejected[impl] = error.problems[0].message
                continue
            why_not = unusable(kernel) or refusal(kernel, what)
            if why_not is None:
                usable.append((impl, kernel))
            else:
                rejected[impl] = why_not
        if not usable:
            said = "; ".join(f"{impl}: {why}" for impl, why in rejected.items())
            raise GenHubError("GH505", f"no kernel of '{op}' can run here: {said}")
        impl, best = min(usable, key=lambda pair: (pair[1].reference, -pair[1].priority, pair[0]))
        reason = "reference" if best.reference else f"highest priority ({best.priority})"
        self.choices[op] = Choice(op, impl, reason, rejected)
        return best

    def _chosen_by_config(self, op: str, impl: str, what: Mapping[str, Any]) -> Kernel:
        kernel = self.make(op, impl)
        hint = f"take '{op}' out of kernels, or choose another: {self._listed(op)}"
        if (why_not := unusable(kernel)) is not None:
            message = f"kernel '{op}.{impl}' cannot run here: {why_not}"
            raise GenHubError("GH505", message, hint=hint)
        if (why_not := refusal(kernel, what)) is not None:
            message = f"kernel '{op}.{impl}' would have no effect: {why_not}"
            raise GenHubError("GH408", message, hint=hint)
        self.choices[op] = Choice(op, impl, "chosen by the config", {})
        return kernel

    def _require(self, op: str) -> None:
        if not self._implementations(op):
            known = self.operations
            raise PluginNotFound(
                "GH201",
                f"no installed package offers a kernel for '{op}'",
                hint=f"known operations: {', '.join(known)}" if known else "",
            )

    def _implementations(self, op: str) -> list[str]:
        names = [name for name in self._registry.names() if _op_of(name) == op]
        return [name.rpartition(".")[2] for name in names]

    def _listed(self, op: str) -> str:
        return ", ".join([AUTO, *self._implementations(op)])

    def make(self, op: str, impl: str) -> Kernel:
        """Give one implementation, whatever would be chosen; raises what `Registry.load` raises."""
        name = f"{op}.{impl}"
        if name not in self._made:
            self._made[name] = self._registry.load(name)()
        return self._made[name]


def unusable(kernel: Kernel) -> str | None:
    """Give None where this machine can run the kernel, else why not; never raises."""
    try:
        available = kernel.available()
        return None if available.ok else str(available.reason or "not available")
    except Exception as error:
        return f"available() raised {type(error).__name__}: {error}"


def refusal(kernel: Kernel, what: Mapping[str, Any]) -> str | None:
    """Give None where the kernel serves `what`, else why not; never raises."""
    try:
        return kernel.supports(**what)
    except Exception as error:
        return f"supports() raised {type(error).__name__}: {error}"


def _op_of(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[0]
