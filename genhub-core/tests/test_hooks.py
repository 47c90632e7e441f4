from __future__ import annotations

import logging
import sys
from textwrap import dedent

import pytest

from genhub.api import PlanRejected
from genhub.errors import GenHubError, PluginBroken
from genhub.hooks import Hooks
from genhub.registry import Registries
from toys import ToySite

HEAD = "from genhub.api import hookimpl, PlanRejected, GenHubError\n"


@pytest.fixture(autouse=True)
def only_toys_listen(toys: ToySite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENHUB_DISABLE", "genhub-core")


def listener(toys: ToySite, dist: str, source: str, name: str = "audit") -> None:
    module = dist.replace("-", "_")
    toys.install(dist, {"hooks": {name: module}}, {module: HEAD + dedent(source)})


def saying(word: str, options: str = "") -> str:
    return f"""
        @hookimpl({options})
        def genhub_metrics(run):
            run.append('{word}')
            return {{'{word}': 1}}
    """


def used(*dists: str, strict: bool = False) -> Hooks:
    return Hooks((), dists, Registries(), strict)


def test_installed_is_not_active(toys: ToySite) -> None:
    listener(toys, "plg-a", saying("a"))
    assert used("genhub-core", "plg-b").names() == []
    assert "plg_a" not in sys.modules


def test_a_plugin_is_active_when_its_distribution_is_used_or_it_is_named(toys: ToySite) -> None:
    listener(toys, "plg-a", saying("a"), name="first")
    listener(toys, "plg-b", saying("b"), name="second")
    assert used("PLG_a").names() == ["plg-a:first"]
    assert Hooks(["second"], ["plg-a"], Registries()).names() == ["plg-a:first", "plg-b:second"]
    assert Hooks(["plg-b:second"], ["plg-b"], Registries()).names() == ["plg-b:second"]


def test_the_cores_own_hooks_are_always_active(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENHUB_DISABLE")
    names = ("progress", "report", "rollout", "search")
    assert used().names() == [f"genhub-core:{name}" for name in names]


def test_calls_go_wrapper_first_normal_last(toys: ToySite) -> None:
    wrapper = """
        @hookimpl(wrapper=True)
        def genhub_metrics(run):
            run.append('enter')
            found = yield
            run.append('exit')
            return found
    """
    listener(toys, "plg-a", saying("last", "trylast=True"))
    listener(toys, "plg-b", saying("normal-b"))
    listener(toys, "plg-c", saying("normal-c"))
    listener(toys, "plg-d", saying("first", "tryfirst=True"))
    listener(toys, "plg-e", wrapper)
    calls: list[str] = []
    results = used("plg-e", "plg-d", "plg-c", "plg-b", "plg-a").call("genhub_metrics", run=calls)
    assert calls == ["enter", "first", "normal-c", "normal-b", "last", "exit"]
    assert results == [{"first": 1}, {"normal-c": 1}, {"normal-b": 1}, {"last": 1}]


def test_a_wrapper_may_change_the_results(toys: ToySite) -> None:
    listener(toys, "plg-a", saying("a"))
    listener(
        toys,
        "plg-b",
        "@hookimpl(wrapper=True)\ndef genhub_metrics(run): return [*(yield), {'more': 2}]\n",
    )
    assert used("plg-a", "plg-b").call("genhub_metrics", run=[]) == [{"a": 1}, {"more": 2}]


def test_a_plugin_takes_only_the_arguments_it_wants(toys: ToySite) -> None:
    listener(
        toys, "plg-a", "@hookimpl\ndef genhub_finished(error): raise PlanRejected(str(error))\n"
    )
    with pytest.raises(PlanRejected, match="boom"):
        used("plg-a").call("genhub_finished", run=None, error=ValueError("boom"))


def test_an_object_and_a_class_can_listen_too(toys: ToySite) -> None:
    source = """
        class Audit:
            word = "object"
            @hookimpl
            def genhub_metrics(self, run): return {self.word: len(run)}
        thing = Audit()
        thing.word = "thing"
    """
    toys.install(
        "plg-a",
        {"hooks": {"one": "plg_a:Audit", "two": "plg_a:thing"}},
        {"plg_a": HEAD + dedent(source)},
    )
    assert used("plg-a").call("genhub_metrics", run=[0]) == [{"thing": 1}, {"object": 1}]


def test_ranks_that_only_look_on_hear_of_the_hooks_that_are_kept(toys: ToySite) -> None:
    listener(toys, "plg-a", saying("a"))
    hooks = used("plg-a")
    hooks.keep_only("genhub_plan")
    assert hooks.call("genhub_metrics", run=[]) == [] and not hooks.listens("genhub_metrics")
    hooks.keep_only("genhub_metrics")
    assert hooks.call("genhub_metrics", run=[]) == [{"a": 1}] and hooks.listens("genhub_metrics")


def test_nobody_listens_without_plugins(toys: ToySite) -> None:
    hooks = used()
    assert not hooks.listens("genhub_step")
    assert hooks.call("genhub_step", step=None) == []


PLAIN = "@hookimpl\ndef genhub_metrics(run): "
WRAPPER = "@hookimpl(wrapper=True)\ndef genhub_metrics(run): "
FAILURES = {
    "exception": PLAIN + "raise ValueError('torn')",
    "sys.exit": PLAIN + "raise SystemExit('torn')",
    "user error": PLAIN + "raise GenHubError('GH602', 'torn')",
    "wrapper before": WRAPPER + "raise ValueError('torn'); yield",
    "wrapper after": WRAPPER + "yield; raise ValueError('torn')",
    "no yield": WRAPPER + "(yield) if len(run) == 99 else None",
    "two yields": WRAPPER + "yield; yield",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_kept_from_the_others_told_once_and_switched_off(
    toys: ToySite, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener(toys, "plg-a", saying("a"))
    listener(toys, "plg-b", FAILURES[failure])
    listener(toys, "plg-c", saying("c"))
    hooks = used("plg-a", "plg-b", "plg-c")
    with caplog.at_level(logging.WARNING, "genhub"):
        for _ in range(3):
            assert hooks.call("genhub_metrics", run=[]) == [{"c": 1}, {"a": 1}]
    assert len(hooks.problems) == len(caplog.records) == 1
    assert "'audit' of plg-b 1.0 failed in genhub_metrics" in hooks.problems[0]
    assert "torn" in hooks.problems[0] or "a wrapper must yield once" in hooks.problems[0]
    assert "plg-b:audit" not in hooks.names()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("how", ["named", "strict"])
def test_a_failure_of_a_named_plugin_or_in_strict_mode_ends_the_run(
    toys: ToySite, failure: str, how: str
) -> None:
    listener(toys, "plg-b", FAILURES[failure])
    hooks = used("plg-b", strict=True) if how == "strict" else Hooks(["audit"], (), Registries())
    with pytest.raises(
        GenHubError, match=r"'audit' of plg-b 1\.0 failed in genhub_metrics"
    ) as caught:
        hooks.call("genhub_metrics", run=[])
    assert caught.value.code == ("GH602" if failure == "user error" else "GH606")
    assert hooks.problems == []


def test_ctrl_c_in_a_hook_is_ctrl_c(toys: ToySite) -> None:
    listener(toys, "plg-a", "@hookimpl\ndef genhub_step(step): raise KeyboardInterrupt\n")
    hooks = used("plg-a")
    with pytest.raises(KeyboardInterrupt):
        hooks.call("genhub_step", step=None)
    assert hooks.problems == []


def test_any_listener_may_veto_the_plan(toys: ToySite) -> None:
    listener(toys, "plg-a", "@hookimpl\ndef genhub_plan(plan): raise PlanRejected('too dear')\n")
    with pytest.raises(PlanRejected) as caught:
        used("plg-a").call("genhub_plan", plan=None)
    assert caught.value.code == "GH412"


def test_an_error_that_passes_a_wrapper_is_not_the_wrappers_fault(toys: ToySite) -> None:
    listener(toys, "plg-a", "@hookimpl\ndef genhub_plan(plan): raise PlanRejected('too dear')\n")
    listener(
        toys,
        "plg-b",
        """
        @hookimpl(wrapper=True)
        def genhub_plan(plan):
            try:
                return (yield)
            finally:
                plan.append("left")
        """,
    )
    hooks, plan = used("plg-a", "plg-b"), []
    with pytest.raises(PlanRejected, match="too dear"):
        hooks.call("genhub_plan", plan=plan)
    assert plan == ["left"] and hooks.problems == []


MISTAKES = {
    "misspelt hook": ("@hookimpl\ndef genhub_stpe(step): ...", "genhub_stpe, .*meant: genhub_step"),
    "wrong argument": (
        "@hookimpl\ndef genhub_finished(run, eror): ...",
        "takes 'eror' in genhub_finished, which offers: run, error",
    ),
    "no hook": ("def genhub_step(step): ...", "implements no hook"),
    "old wrapper": ("@hookimpl(hookwrapper=True)\ndef genhub_step(): yield", "old style"),
    "no generator": ("@hookimpl(wrapper=True)\ndef genhub_step(): ...", "does not yield"),
    "broken import": ("import a_module_nobody_has", "No module named 'a_module_nobody_has'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_plugin_is_found_when_it_is_registered(toys: ToySite, mistake: str) -> None:
    source, words = MISTAKES[mistake]
    listener(toys, "plg-a", source)
    with pytest.raises(PluginBroken, match=words) as caught:
        Hooks(["audit"], (), Registries())
    assert caught.value.code == "GH203" and "'audit' of plg-a 1.0" in str(caught.value)
    lenient = used("plg-a")
    assert lenient.names() == [] and len(lenient.problems) == 1
    with pytest.raises(PluginBroken):
        used("plg-a", strict=True)


def test_an_optional_hook_of_another_version_is_passed_over(toys: ToySite) -> None:
    later = "@hookimpl(optionalhook=True)\ndef genhub_of_tomorrow(x): ...\n"
    listener(toys, "plg-a", later + dedent(saying("a")))
    assert Hooks(["audit"], (), Registries()).call("genhub_metrics", run=[]) == [{"a": 1}]


def test_a_hook_that_is_not_installed_is_an_unknown_name(toys: ToySite) -> None:
    with pytest.raises(GenHubError) as caught:
        Hooks(["adit"], (), Registries())
    assert caught.value.code == "GH201"


def test_tracing_shows_each_call_with_its_listeners(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listener(toys, "plg-a", saying("a"))
    monkeypatch.setenv("GENHUB_TRACE", "1")
    hooks = used("plg-a")
    hooks.call("genhub_metrics", run=[])
    hooks.call("genhub_step", step=3)
    assert capsys.readouterr().err.splitlines() == [
        "trace: genhub_metrics(run: list) -> plg-a:audit -> [{'a': 1}]",
        "trace: genhub_step(step: int) -> nobody -> []",
    ]
