from __future__ import annotations

import logging
import sys

import pytest

from genhub.api import AttentionMixer, PluginConfig
from genhub.errors import PluginBroken, PluginConflict, PluginNotFound
from genhub.registry import KINDS, Registries, Registry
from toys import FAULTS, MIXER, ToySite


def mixers() -> Registry:
    return Registries().get("attention_mixers")


def entry_of(registry: Registry, name: str) -> dict[str, str]:
    return {e.dist: e.status for e in registry.entries() if e.name == name}


def test_listing_imports_no_plugin(toys: ToySite) -> None:
    module = toys.mixer("plg-good", "alpha")
    listed = [e for e in mixers().entries() if e.name == "alpha"]
    assert [(e.dist, e.version, e.value) for e in listed] == [("plg-good", "1.0", "plg_good:Toy")]
    assert module not in sys.modules


def test_loading_imports_only_the_named_module(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    toys.mixer("plg-other", "beta")
    loaded = mixers().load("alpha")
    assert issubclass(loaded, AttentionMixer)
    assert "plg_good" in sys.modules and "plg_other" not in sys.modules


def test_a_registry_gives_the_same_class_again(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    registry = mixers()
    assert registry.load("alpha") is registry.load("alpha") is registry.load("plg-good:alpha")


def test_hyphen_and_underscore_are_one_letter(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha-wave")
    registry = mixers()
    assert registry.find("alpha_wave") == registry.find("alpha-wave")
    assert registry.find("plg_good:alpha_wave").name == "alpha-wave"


def test_listing_is_sorted_by_name_then_distribution(toys: ToySite) -> None:
    for dist, name in [
        ("plg-z", "beta"),
        ("plg-a", "gamma"),
        ("plg-m", "alpha"),
        ("plg-b", "beta"),
    ]:
        toys.mixer(dist, name)
    ours = [(e.name, e.dist) for e in mixers().entries() if e.dist.startswith("plg-")]
    assert ours == sorted(ours)
    assert ours == [("alpha", "plg-m"), ("beta", "plg-b"), ("beta", "plg-z"), ("gamma", "plg-a")]


def test_one_installation_seen_twice_counts_once(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.mixer("plg-good", "alpha")
    second = ToySite(toys.folder.parent / "second")
    second.mixer("plg-good", "alpha")
    monkeypatch.syspath_prepend(str(second.folder))
    assert entry_of(mixers(), "alpha") == {"plg-good": "ok"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_that_fails_at_import_is_listed_and_named_when_used(
    toys: ToySite, fault: str
) -> None:
    source, cause = FAULTS[fault]
    toys.mixer("plg-bad", "omega", source)
    toys.mixer("plg-good", "alpha")
    registry = mixers()
    assert {"alpha", "omega"} <= set(registry.names())
    assert registry.load("alpha").summary == "scales attention"
    with pytest.raises(PluginBroken) as caught:
        registry.load("omega")
    message = caught.value.problems[0].message
    assert caught.value.code == "GH203"
    assert "attention mixer 'omega' of plg-bad 1.0" in message and cause in message
    assert "\n" not in message


def test_ctrl_c_during_an_import_is_not_a_broken_plugin(toys: ToySite) -> None:
    toys.mixer("plg-slow", "omega", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        mixers().load("omega")


WRONG = {
    "no class": ("Toy = 3", "GH203", "not a subclass of genhub.api.AttentionMixer"),
    "another class": ("class Toy: ...", "GH203", "not a subclass of genhub.api.AttentionMixer"),
    "no such attribute": ("", "GH203", "has no attribute 'Toy'"),
    "newer contract": (MIXER + "    Toy.api = '2'\n", "GH206", "for contract 2, this is 1"),
    "foreign Config": (MIXER + "    Toy.Config = dict\n", "GH203", "its Config is not a subclass"),
    "reserved field": (
        "from genhub.api import AttentionMixer, PluginConfig\n"
        "class Toy(AttentionMixer):\n"
        "    class Config(PluginConfig):\n"
        "        where: int = 0\n",
        "GH203",
        "declares 'where'",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_class_that_breaks_the_contract_is_refused(toys: ToySite, wrong: str) -> None:
    source, code, reason = WRONG[wrong]
    toys.mixer("plg-wrong", "omega", source)
    with pytest.raises(PluginBroken) as caught:
        mixers().load("omega")
    assert caught.value.code == code
    assert reason in caught.value.problems[0].message
    assert "plg-wrong 1.0" in caught.value.problems[0].message


def test_a_minor_version_of_the_contract_is_accepted(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha", MIXER + "    Toy.api = '1.4'\n")
    assert mixers().load("alpha").api == "1.4"


def test_a_name_that_no_config_can_spell_is_refused(toys: ToySite) -> None:
    toys.mixer("plg-wrong", "Bad.Name")
    with pytest.raises(PluginBroken, match="its name must be"):
        mixers().load("Bad.Name")


def test_kernels_are_named_by_operation_and_implementation(toys: ToySite) -> None:
    toys.install(
        "plg-kernels",
        {"kernels": {"blur.reference": "plg_kernels:Blur", "blur": "plg_kernels:Blur"}},
        {"plg_kernels": "from genhub.api import Kernel\nclass Blur(Kernel): reference = True\n"},
    )
    kernels = Registries().get("kernels")
    assert kernels.load("blur.reference").reference is True
    with pytest.raises(PluginBroken, match=r"op\.impl"):
        kernels.load("blur")


def test_two_owners_of_a_name_are_found_before_either_is_imported(toys: ToySite) -> None:
    toys.mixer("plg-one", "alpha")
    toys.mixer("plg-two", "alpha")
    registry = mixers()
    with pytest.raises(PluginConflict) as caught:
        registry.load("alpha")
    assert caught.value.code == "GH204"
    assert "plg-one 1.0 and plg-two 1.0" in caught.value.problems[0].message
    assert "'plg-one:alpha' or 'plg-two:alpha'" in caught.value.problems[0].hint
    assert not {"plg_one", "plg_two"} & set(sys.modules)
    assert {"plg-one:alpha", "plg-two:alpha"} <= set(registry.names())
    assert entry_of(registry, "alpha") == {"plg-one": "duplicate", "plg-two": "duplicate"}


def test_the_qualified_spelling_chooses_between_two_owners(toys: ToySite) -> None:
    toys.mixer("plg-one", "alpha")
    toys.mixer("plg-two", "alpha")
    assert mixers().load("plg-two:alpha").__module__ == "plg_two"
    assert "plg_one" not in sys.modules


def test_one_distribution_that_offers_a_name_twice_is_at_fault(toys: ToySite) -> None:
    toys.install("plg-one", {"attention_mixers": {"al-pha": "one:Toy", "al_pha": "two:Toy"}})
    for spelling in ("al-pha", "plg-one:al-pha"):
        with pytest.raises(PluginConflict, match=r"plg-one offers .* twice: one:Toy and two:Toy"):
            mixers().load(spelling)


def test_disabling_one_of_two_owners_settles_the_conflict(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.mixer("plg-one", "alpha")
    toys.mixer("plg-two", "alpha")
    monkeypatch.setenv("GENHUB_DISABLE", "PLG_one")
    assert mixers().load("alpha").__module__ == "plg_two"
    assert entry_of(mixers(), "alpha") == {"plg-one": "disabled", "plg-two": "ok"}


@pytest.mark.parametrize(
    ("variable", "value"), [("GENHUB_DISABLE", "x, plg.good"), ("GENHUB_PLUGINS", "plg-other")]
)
def test_a_disabled_plugin_is_not_imported_and_the_variable_is_named(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    toys.mixer("plg-good", "alpha")
    monkeypatch.setenv(variable, value)
    registry = mixers()
    with pytest.raises(PluginNotFound) as caught:
        registry.load("alpha")
    assert caught.value.code == "GH205" and variable in caught.value.problems[0].message
    assert "plg_good" not in sys.modules
    assert "alpha" not in registry.names() and entry_of(registry, "alpha")["plg-good"] == "disabled"


def test_the_allow_list_never_leaves_out_the_host(
    toys: ToySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENHUB_PLUGINS", "plg-good")
    assert "generate" in Registries().get("tasks").names()


def test_an_entry_point_added_to_an_installed_distribution_is_seen(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    assert "beta" not in mixers().names()
    toys.offer("plg-good", {"attention_mixers": {"alpha": "plg_good:Toy", "beta": "plg_good:Toy"}})
    assert mixers().load("beta").__module__ == "plg_good"


def test_unreadable_entry_points_of_one_distribution_hide_no_other(
    toys: ToySite, caplog: pytest.LogCaptureFixture
) -> None:
    toys.mixer("plg-good", "alpha")
    toys.install("plg-torn", {})
    info = toys.folder / "plg_torn-1.0.dist-info"
    (info / "entry_points.txt").write_bytes(b"[genhub.attention_mixers]\nno equals sign\n")
    with caplog.at_level(logging.WARNING, "genhub"):
        assert "alpha" in mixers().names()
    assert "plg-torn" in caplog.text


@pytest.mark.parametrize(
    ("kind", "name", "code", "words"),
    [
        ("attention_mixers", "alpah", "GH201", "did you mean 'alpha'?"),
        ("tasks", "alpha", "GH201", "is the name of an attention mixer"),
        ("parallel_schedulers", "asyncdiff", "GH202", "package genhub-asyncdiff, which is not"),
        ("kernels", "focus_attention.triton", "GH202", "pip install genhub-litefocus"),
        ("search_strategies", "local_search", "GH202", "pip install genhub-advnas"),
    ],
)
def test_an_unknown_name_is_explained(
    toys: ToySite, kind: str, name: str, code: str, words: str
) -> None:
    toys.mixer("plg-good", "alpha")
    with pytest.raises(PluginNotFound) as caught:
        Registries().get(kind).load(name)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_an_old_version_of_our_own_package_is_told_from_none(toys: ToySite) -> None:
    toys.install("genhub-asyncdiff", {}, version="0.0.1")
    with pytest.raises(PluginNotFound) as caught:
        Registries().get("parallel_schedulers").load("asyncdiff")
    assert caught.value.code == "GH202"
    assert "but not by the installed 0.0.1" in caught.value.problems[0].message
    assert "--upgrade" in caught.value.problems[0].hint


def test_a_kernel_that_no_version_has_is_answered_by_those_there_are(toys: ToySite) -> None:
    toys.install(
        "genhub-litefocus",
        {"kernels": {"focus_attention.rows": "a:B", "focus_attention.merge": "a:C"}},
    )
    with pytest.raises(PluginNotFound) as caught:
        Registries().get("kernels").load("focus_attention.flex")
    assert caught.value.code == "GH201"
    told = str(caught.value)
    assert "genhub-litefocus offers no kernel 'focus_attention.flex'" in told
    assert "it offers: focus_attention.merge, focus_attention.rows" in told
    assert "upgrade" not in told


class Local(AttentionMixer):
    Config = PluginConfig


def test_a_class_of_this_process_can_be_added(toys: ToySite) -> None:
    registry = mixers()
    registry.add("mine", Local)
    assert registry.load("mine") is Local
    assert registry.find("mine").dist == "local" and "mine" in registry.names()
    assert "mine" not in mixers().names()


def test_adding_neither_shadows_a_name_nor_takes_a_wrong_class(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha-wave")
    registry = mixers()
    with pytest.raises(PluginConflict):
        registry.add("alpha_wave", Local)
    with pytest.raises(PluginBroken):
        registry.add("other", object)
    assert "other" not in registry.names()


def test_kinds_share_one_reading_and_go_in_a_fixed_order(toys: ToySite) -> None:
    registries = Registries()
    assert [registry.kind for registry in registries] == list(KINDS)
    assert registries.get("tasks") is registries.get("tasks")
    with pytest.raises(ValueError, match="'task' is no kind of plugin"):
        registries.get("task")
