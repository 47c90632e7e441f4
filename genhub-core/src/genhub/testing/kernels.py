"""What holds for the kernels of an operation: they agree with its reference, and do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn

import pytest
import torch
from torch import Tensor

from genhub.api import Availability, GenHubError, Kernel, KernelCase
from genhub.plan.agreement import Call, asked, difference, gradient_difference, share_apart
from genhub.plan.kernels import Kernels, refusal, unusable
from genhub.registry import Registries

__all__ = ["KernelTests"]

_ODD: tuple[dict[str, Any], ...] = (
    {},
    {"device": "meta"},
    {"device": None, "dtype": None},
    {"device": 3, "dtype": "float7"},
    {"device": "cpu", "dtype": "torch.float32", "shapes": ()},
    {"surprise": object()},
)


class KernelTests:
    """Checks of all kernels of one operation; `op` is its name.

    Kernels that cannot run here, and cases that a kernel does not serve, are left out; `devices`
    names where to compute.
    """

    op: ClassVar[str] = ""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    @classmethod
    def registries(cls) -> Registries:
        """Give what is installed, read once per class."""
        if "_registries" not in vars(cls):
            cls._registries = Registries()  # type: ignore[attr-defined]
        return cls._registries  # type: ignore[attr-defined]

    @classmethod
    def kernels(cls) -> dict[str, Kernel]:
        """Give every implementation of the operation by its name."""
        kernels = Kernels({}, cls.registries().get("kernels"))
        found = {impl: kernels.make(cls.op, impl) for impl in kernels.operations.get(cls.op, ())}
        return found or _complain(f"no installed package offers a kernel for '{cls.op}'")

    @classmethod
    def reference(cls) -> Kernel:
        """Give the reference, or skip where there is not exactly one."""
        found = [kernel for kernel in cls.kernels().values() if kernel.reference]
        return found[0] if len(found) == 1 else pytest.skip("see test_there_is_one_reference")

    @classmethod
    def cases(cls) -> list[KernelCase]:
        """Give the cases that the reference declares."""
        return list(cls.reference().cases())

    def runs(self) -> Iterator[tuple[str, Kernel, KernelCase, str]]:
        """Go through kernels that run here, the cases they serve, and devices, with a label."""
        cases = self.cases()
        for impl, kernel in self.kernels().items():
            for device in self.devices if unusable(kernel) is None else ():
                for case in cases:
                    if refusal(kernel, asked(case, Call.of(case, device))) is None:
                        yield f"{self.op}.{impl}, {case.name} on {device}", kernel, case, device

    def test_there_is_one_reference(self) -> None:
        """Exactly one kernel of the operation says `reference = True`, and it runs everywhere."""
        found = {impl: kernel for impl, kernel in self.kernels().items() if kernel.reference}
        if len(found) != 1:
            _complain(
                f"{len(found)} kernels of '{self.op}' are its reference ({', '.join(found)}): "
                "one, in plain torch, says reference = True"
            )
        for impl, kernel in found.items():
            if (why_not := unusable(kernel)) is not None:
                _complain(f"the reference {self.op}.{impl} cannot run here: {why_not}")

    def test_cases_are_declared(self) -> None:
        """The reference declares cases, each with a name of its own and drawn from its seed."""
        cases = self.cases()
        names = [case.name for case in cases]
        if not cases or len(set(names)) != len(names):
            _complain(f"cases() of the reference gives {names}: declare some, with distinct names")
        for case in cases:
            one, other = Call.of(case), Call.of(case)
            if not _same(_tensors(one), _tensors(other)):
                _complain(f"case {case.name} is drawn differently each time: use the generator")

    def test_every_case_is_served_by_the_reference(self) -> None:
        """The reference serves all of its own cases: nothing is compared with a guess."""
        reference = self.reference()
        for case in self.cases():
            why_not = refusal(reference, asked(case, Call.of(case)))
            if why_not is not None:
                _complain(f"the reference does not serve its own case {case.name}: {why_not}")

    def test_availability_is_an_answer(self) -> None:
        """`available()` gives an Availability, with a reason where it is not; it never raises."""
        for impl, kernel in self.kernels().items():
            found = self._answer(f"available() of {self.op}.{impl}", kernel.available)
            if not isinstance(found, Availability) or not (found.ok or found.reason):
                _complain(f"available() of {self.op}.{impl} gives {found!r}: say why not")

    def test_support_is_an_answer(self) -> None:
        """`supports()` gives None or a reason, whatever it is asked; it never raises."""
        for impl, kernel in self.kernels().items():
            for what in _ODD:
                label = f"supports({', '.join(f'{k}={v!r}' for k, v in what.items())})"
                found = self._answer(f"{label} of {self.op}.{impl}", kernel.supports, **what)
                if found is not None and not (isinstance(found, str) and found):
                    _complain(f"{label} of {self.op}.{impl} gives {found!r}: None, or why not")

    def test_results_equal_the_reference(self) -> None:
        """Results agree with the reference within each case's tolerance."""
        reference = self.reference()
        for label, kernel, case, device in self.runs():
            if kernel is not reference:
                apart = difference(kernel, reference, case, device)
                _compare(label, "results", apart, case.tolerance)

    def test_gradients_equal_the_reference(self) -> None:
        """Gradients of what says `differentiable` agree within each case's tolerance."""
        reference = self.reference()
        for label, kernel, case, device in self.runs():
            if kernel is not reference and kernel.differentiable:
                try:
                    apart = gradient_difference(kernel, reference, case, device)
                except Exception as error:
                    _complain(
                        f"{label}: differentiating raised {type(error).__name__}: {error}; "
                        "say differentiable = False where it has no gradient"
                    )
                _compare(label, "gradients", apart, case.tolerance)

    def test_calls_are_repeatable(self) -> None:
        """The same call gives the same numbers, to the last bit."""
        for label, kernel, case, device in self.runs():
            if not _same(_run(kernel, case, device), _run(kernel, case, device)):
                _complain(f"{label}: a second call gives other numbers")

    def test_inputs_are_left_unchanged(self) -> None:
        """A call writes nothing into the tensors it is given."""
        for label, kernel, case, device in self.runs():
            call, fresh = Call.of(case, device), Call.of(case, device)
            with torch.no_grad():
                call.run(kernel)
            if not _same(_tensors(call), _tensors(fresh)):
                _complain(f"{label}: the call changes its inputs; work on a copy")

    def test_strides_are_free(self) -> None:
        """Tensors that are not contiguous in memory give the same results."""
        for label, kernel, case, device in self.runs():
            call = Call.of(case, device)
            spread = Call(tuple(map(_spread, call.tensors)), call.attrs)
            with torch.no_grad():
                found = spread.run(kernel)
            apart = share_apart(found, _run(kernel, case, device))
            _compare(label, "results of tensors that are not contiguous", apart, case.tolerance)

    def test_shared_dice_are_left_alone(self) -> None:
        """A call does not move the random generator that all of torch shares."""
        for label, kernel, case, device in self.runs():
            call, before = Call.of(case, device), torch.get_rng_state()
            with torch.no_grad():
                call.run(kernel)
            if not torch.equal(before, torch.get_rng_state()):
                _complain(f"{label}: the call draws from torch's global generator")

    def _answer(self, label: str, ask: Callable[..., Any], **what: Any) -> Any:
        try:
            return ask(**what)
        except Exception as error:
            text = error.problems[0].message if isinstance(error, GenHubError) else str(error)
            return _complain(f"{label} raised {type(error).__name__}: {text}; answer in words")


def _compare(label: str, what: str, apart: float, tolerance: float) -> None:
    if not apart <= tolerance:
        _complain(f"{label}: {what} are {apart:.1e} apart, of {tolerance:.1e} allowed")


def _run(kernel: Kernel, case: KernelCase, device: str) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return Call.of(case, device).run(kernel)


def _tensors(call: Call) -> tuple[Tensor, ...]:
    return tuple(x for x in (*call.tensors, *call.attrs.values()) if isinstance(x, Tensor))


def _same(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(some, others, strict=True))


def _spread(x: Any) -> Any:
    """Give an equal tensor whose numbers lie apart in memory."""
    return torch.stack([x, x], dim=-1)[..., 0] if isinstance(x, Tensor) else x


def _complain(message: str) -> NoReturn:
    raise pytest.fail.Exception(message, pytrace=False)
