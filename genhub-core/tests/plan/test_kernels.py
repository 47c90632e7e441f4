"""Kernels against their reference: right ones pass, and each wrong one fails the named check."""

from __future__ import annotations

import itertools

import pytest
import torch

from genhub.api import Availability, Kernel, KernelCase
from genhub.cli import main
from genhub.doctor.kernels import look_at_kernels, verify_kernels
from genhub.plan.agreement import Call, race, share_apart
from genhub.plan.kernels import Kernels
from genhub.registry import Registries
from genhub.testing import KernelTests

CHECKS = [name for name in dir(KernelTests) if name.startswith("test_")]


def draw(generator):
    x, y = torch.randn(2, 3, 4, generator=generator)
    return (x, y), {"scale": torch.rand(4, generator=generator) + 0.5}


class Reference(Kernel):
    """x * y * scale + x"""

    reference = True

    def cases(self):
        yield KernelCase("small", draw, 1e-6)

    def __call__(self, x, y, *, scale):
        return x * y * scale + x


class Right(Kernel):
    def __call__(self, x, y, *, scale):
        return torch.addcmul(x, x * y, scale)


class WrongResult(Right):
    def __call__(self, x, y, *, scale):
        return super().__call__(x, y, scale=scale) + 1e-4


class WrongDtype(Right):
    differentiable = False

    def __call__(self, x, y, *, scale):
        return super().__call__(x, y, scale=scale).double()


class NotFinite(Right):
    differentiable = False

    def __call__(self, x, y, *, scale):
        return super().__call__(x, y, scale=scale) * float("nan")


class WrongGradient(Right):
    def __call__(self, x, y, *, scale):
        found = super().__call__(x, y, scale=scale)
        return found.detach() + x - x.detach() + 0 * y


class WithoutGradient(Right):
    def __call__(self, x, y, *, scale):
        return super().__call__(x, y, scale=scale).detach()


class NeverTwiceTheSame(Right):
    calls = itertools.count()

    def __call__(self, x, y, *, scale):
        return super().__call__(x, y, scale=scale) * (1 + 2e-7 * (next(self.calls) % 2))


class WritesIntoInputs(Right):
    differentiable = False

    def __call__(self, x, y, *, scale):
        return x.add_(x * y * scale)


class WritesIntoAttributes(Right):
    differentiable = False

    def __call__(self, x, y, *, scale):
        found = super().__call__(x, y, scale=scale)
        scale.zero_()
        return found


class ReadsMemoryInOrder(Right):
    def __call__(self, x, y, *, scale):
        return super().__call__(x.as_strided(x.shape, (4, 1)), y, scale=scale)


class ThrowsDice(Right):
    def __call__(self, x, y, *, scale):
        torch.rand(1)
        return super().__call__(x, y, scale=scale)


class RaisesWhereAbsent(Right):
    def available(self):
        raise ImportError("no compiler")


class AbsentWithoutReason(Right):
    def available(self):
        return Availability(False)


class RaisesOnOddQuestions(Right):
    def supports(self, **what):
        return None if what["dtype"] == torch.float32 else "it serves only float32"


class RefusesWithoutWords(Right):
    def supports(self, **what):
        return None if what.get("dtype") == torch.float32 else False


class SecondReference(Reference):
    def __call__(self, x, y, *, scale):
        return x * y * scale + x


class AbsentReference(Reference):
    def available(self):
        return Availability(False, "there is no GPU")


class WithoutCases(Reference):
    def cases(self):
        return ()


class TwoCasesOfOneName(Reference):
    def cases(self):
        return [KernelCase("small", draw), KernelCase("small", draw)]


class DrawnFromTheGlobalGenerator(Reference):
    def cases(self):
        yield KernelCase("small", lambda _: draw(torch.default_generator))


class RefusesItsOwnCases(Reference):
    def supports(self, **what):
        return "it serves only float64" if what.get("dtype") == torch.float32 else None


def failures(**kernels):
    """Give the names of the checks that fail for these implementations, with what they say."""
    registries = Registries()
    for impl, cls in kernels.items():
        registries.get("kernels").add(f"toy_blend.{impl}", cls)

    class Tests(KernelTests):
        op = "toy_blend"
        _registries = registries

    failed = {}
    for name in CHECKS:
        torch.manual_seed(0)
        try:
            getattr(Tests(), name)()
        except pytest.skip.Exception:
            pass
        except pytest.fail.Exception as failure:
            failed[name] = str(failure)
    return failed


def test_right_kernels_pass_every_check():
    assert len(CHECKS) >= 11
    assert failures(plain=Reference, quick=Right) == {}


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    [
        (WrongResult, "test_results_equal_the_reference", "apart, of 1.0e-06 allowed"),
        (WrongDtype, "test_results_equal_the_reference", "inf apart"),
        (WrongGradient, "test_gradients_equal_the_reference", "gradients are"),
        (WithoutGradient, "test_gradients_equal_the_reference", "differentiable = False"),
        (NeverTwiceTheSame, "test_calls_are_repeatable", "gives other numbers"),
        (WritesIntoInputs, "test_inputs_are_left_unchanged", "work on a copy"),
        (WritesIntoAttributes, "test_inputs_are_left_unchanged", "work on a copy"),
        (ReadsMemoryInOrder, "test_strides_are_free", "not contiguous"),
        (ThrowsDice, "test_shared_dice_are_left_alone", "global generator"),
        (RaisesWhereAbsent, "test_availability_is_an_answer", "raised ImportError: no compiler"),
        (AbsentWithoutReason, "test_availability_is_an_answer", "say why not"),
        (RaisesOnOddQuestions, "test_support_is_an_answer", "supports() of toy_blend.quick raised"),
        (RefusesWithoutWords, "test_support_is_an_answer", "gives False: None, or why not"),
    ],
)
def test_a_wrong_kernel_fails_the_named_check_and_no_other(wrong, check, said):
    failed = failures(plain=Reference, quick=wrong)
    assert list(failed) == [check]
    assert said in failed[check] and "toy_blend.quick" in failed[check]


def test_a_kernel_that_gives_no_numbers_agrees_with_nothing():
    assert "test_results_equal_the_reference" in failures(plain=Reference, quick=NotFinite)


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    [
        (AbsentReference, "test_there_is_one_reference", "cannot run here: there is no GPU"),
        (WithoutCases, "test_cases_are_declared", "declare some"),
        (TwoCasesOfOneName, "test_cases_are_declared", "distinct names"),
        (DrawnFromTheGlobalGenerator, "test_cases_are_declared", "drawn differently each time"),
        (RefusesItsOwnCases, "test_every_case_is_served_by_the_reference", "only float64"),
    ],
)
def test_a_wrong_reference_fails_the_named_check(wrong, check, said):
    assert said in failures(plain=wrong, quick=Right)[check]


def test_two_references_are_told():
    failed = failures(plain=Reference, other=SecondReference)
    assert list(failed) == ["test_there_is_one_reference"]
    assert "(other, plain)" in failed["test_there_is_one_reference"]


def test_an_operation_without_a_reference_is_told():
    failed = failures(quick=Right)
    assert list(failed) == ["test_there_is_one_reference"]


def test_a_race_gives_a_time_for_every_kernel():
    (case,) = Reference().cases()
    seconds = race([Reference(), Right()], Call.of(case))
    assert len(seconds) == 2 and all(taken > 0 for taken in seconds)


def test_a_kernel_that_raises_when_asked_does_not_take_the_reference_along(registries):
    kernels = registries.get("kernels")
    kernels.add("toy_blend.plain", Reference)
    kernels.add("toy_blend.broken", RaisesWhereAbsent)
    kernels.add("toy_blend.odd", RaisesOnOddQuestions)
    chosen = Kernels({}, kernels)
    assert isinstance(chosen.choose("toy_blend", device="cpu"), Reference)
    assert chosen.choices["toy_blend"].rejected == {
        "broken": "available() raised ImportError: no compiler",
        "odd": "supports() raised KeyError: 'dtype'",
    }


class Crashes(Right):
    def __call__(self, x, y, *, scale):
        raise RuntimeError("illegal\ninstruction")


def verified(**kernels):
    """Give the doctor's rows of these implementations, and its problems."""
    registries, problems = Registries(), []
    for impl, cls in kernels.items():
        registries.get("kernels").add(f"toy_blend.{impl}", cls)
    torch_works = {"version": torch.__version__}
    rows = [r for r in look_at_kernels(registries, torch_works, problems) if r["op"] == "toy_blend"]
    verify_kernels(registries, rows, torch_works, problems)
    return {row["impl"]: row for row in rows}, problems


def test_the_doctor_compares_and_times_every_kernel_that_runs_here():
    rows, problems = verified(plain=Reference, quick=Right, absent=RaisesWhereAbsent)
    assert problems == []
    assert rows["quick"]["cases"] == 1 and 0 <= rows["quick"]["worst"] <= 1
    assert rows["quick"]["on"] == "small on cpu"
    assert rows["quick"]["ms"] > 0 and rows["quick"]["ratio"] > 0
    assert "cases" not in rows["absent"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (WrongResult, "computes other numbers than its reference: case small on cpu is"),
        (WrongGradient, "computes other numbers than its reference"),
        (NotFinite, "inf times as far off as allowed"),
        (Crashes, "raised RuntimeError: illegal instruction"),
    ],
)
def test_the_doctor_names_a_kernel_that_computes_something_else(wrong, said):
    _, (problem,) = verified(plain=Reference, quick=wrong)
    assert problem.code == "GH507" and "kernel 'toy_blend.quick'" in problem.message
    assert said in problem.message
    assert "kernels: {toy_blend: plain}" in problem.hint


def test_verified_kernels_are_printed_with_their_figures(capsys):
    assert main(["doctor", "--verify"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("nothing is broken\n")
    if Registries().get("kernels").names():
        assert "the reference's speed" in shown and "of what is allowed" in shown


def test_nothing_is_no_distance_from_nothing():
    assert share_apart([torch.zeros(0)], [torch.zeros(0)]) == 0.0
    assert share_apart([torch.zeros(0)], [torch.zeros(1)]) == float("inf")
    assert share_apart([], []) == 0.0
