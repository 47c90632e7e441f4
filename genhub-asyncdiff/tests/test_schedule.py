"""The tables of phases, times and sources, against the symbolic schedules of the golden data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genhub_asyncdiff.schedule import Form, Pacer

TABLES = json.loads((Path(__file__).with_name("golden") / "schedule.json").read_text())


def form_of(name: str) -> tuple[Form, int]:
    n, stride, warmup, total, anchor = name.split("_")
    return (
        Form(
            int(n[1:]),
            int(stride[1:]),
            anchor={"reference": "odd", "warmup": "warmup"}[anchor],
            warmup=int(warmup[1:]),
        ),
        int(total[1:]),
    )


@pytest.mark.parametrize("name", TABLES)
def test_symbolic_schedule_is_the_golden_one(name):
    form, total = form_of(name)
    published = None
    for call, golden in zip(form.calls(total), TABLES[name], strict=True):
        assert (call.index, call.phase) == (golden["call"], golden["phase"])
        eps = golden["eps"]
        assert eps["from_call"] == call.start
        if call.phase == "parallel":
            for device in golden["devices"]:
                number = device["device"]
                assert form.component(number) == device["computes"]
                assert form.time(number, call, total) == device["t"]
                assert set(device["reads"].values()) == {published}
        if call.phase != "sync" and "device" in eps:
            assert form.supplier(call.offset) == eps["device"]
        if call.phase != "free":
            published = call.index


@given(
    st.integers(1, 6), st.integers(1, 4), st.integers(1, 12), st.integers(1, 40),
    st.sampled_from(["two_eval", "reuse", "reuse_next"]),
)  # fmt: skip
def test_every_call_is_served_once(n, stride, warmup, total, mode):
    form = Form(n, stride, mode, warmup=warmup)
    calls = list(form.calls(total))
    assert [call.phase for call in calls[:warmup]] == ["sync"] * min(warmup, total)
    assert sum(call.phase == "parallel" for call in calls) == form.rounds(total)
    served = [i for c in calls if c.phase == "parallel" for i in range(c.index, c.index + c.covers)]
    assert served == list(range(warmup, total))
    for call in calls:
        if call.phase == "free":
            assert calls[call.start].phase == "parallel" and call.offset < stride
            assert 0 <= form.supplier(call.offset) < form.world


def test_refresh_is_a_full_call_after_so_many_rounds():
    phases = [call.phase for call in Form(2, 2, warmup=1, refresh_every=2).calls(11)]
    round_, full = ["parallel", "free"], ["sync"]
    assert phases == full + 2 * round_ + full + 2 * round_ + full


def test_refresh_on_demand_waits_for_the_end_of_a_round():
    pacer = Pacer(Form(2, 3, warmup=1), 8)
    phases = [pacer.next(refresh=i == 2).phase for i in range(4)]
    assert phases == ["sync", "parallel", "free", "free"]
    assert pacer.next(refresh=True).phase == "sync"
    assert pacer.next().phase == "parallel"


def test_time_shift_takes_the_time_before():
    form = Form(2, 2, warmup=1, time_shift=True)
    call = list(form.calls(10))[3]
    assert [form.time(device, call, 10) for device in range(3)] == [3, 3, 2]
    call = list(Form(2, warmup=1, time_shift=True).calls(10))[3]
    assert Form(2, warmup=1, time_shift=True).time(0, call, 10) == 2


def test_reuse_needs_no_twin_and_runs_the_tail_at_the_first_call():
    form = Form(3, 2, "reuse", warmup=1)
    call = list(form.calls(10))[1]
    assert form.world == 3
    assert [form.time(device, call, 10) for device in range(3)] == [2, 2, 1]
    assert [form.supplier(offset) for offset in (0, 1)] == [2, 2]
