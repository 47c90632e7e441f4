"""What a good config gives: typed blocks, defaults, names as the registry spells them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from genhub.api import Range, Where
from genhub.config import Prompt, json_schema, load, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries
from toys import ToySite

Write = Callable[..., Path]


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path, monkeypatch) -> None:
    (tmp_path / "configs" / "mine").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "configs" / "run.yaml"
    file.write_text("genhub: 1\nmodel: {source: mine}\ninput: {images: [mine, not-there]}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load(file).config
    there = str(tmp_path / "configs" / "mine")
    assert config.model.source == there
    assert config.input.images == [there, "not-there"]
    assert there in to_yaml(config)
    assert load(file, set=["model.source=owner/name"]).config.model.source == "owner/name"


def test_the_shortest_config_is_complete(write: Write, registries: Registries) -> None:
    loaded = load(write("genhub: 1\n", "night.yaml"), registries=registries)
    config = loaded.config
    assert (config.name, config.task.type, config.seed) == ("night", "generate", 0)
    assert (config.model.source, config.sampling.steps) == ("tiny:shapes", 20)
    assert [(used.kind, used.name, used.loc) for used in loaded.drivers] == [
        ("tasks", "generate", ("task",))
    ]


def test_blocks_are_instances_of_their_drivers_config(registries: Registries) -> None:
    given = {
        "genhub": 1,
        "attention": [
            {"type": "scale", "where": {"level": {"min": 1}, "name": "*.attn1"}},
            {"type": "focus", "rank": 2, "window": [3, 4]},
        ],
    }
    loaded = load(given, registries=registries)
    scale, focus = loaded.config.attention
    assert isinstance(scale, loaded.drivers[1].cls.Config)
    assert scale.where == Where(level=Range(min=1), name="*.attn1")
    assert focus.where is None
    assert (focus.type, focus.window) == ("focus", (3, 4))


def test_two_blocks_of_one_driver_keep_their_own_fields(registries: Registries) -> None:
    blocks = [{"type": "scale", "factor": 2}, {"type": "scale", "factor": 3}]
    config = load({"genhub": 1, "attention": blocks}, registries=registries).config
    assert [block.factor for block in config.attention] == [2.0, 3.0]


def test_hyphen_and_underscore_are_one_letter(registries: Registries) -> None:
    given = {"genhub": 1, "attention": [{"type": "two_words"}], "metrics": ["caption_accuracy"]}
    loaded = load(given, registries=registries)
    assert loaded.config.attention[0].type == "two-words"
    assert loaded.drivers[1].name == "two-words"


def test_a_qualified_name_is_kept(registries: Registries) -> None:
    given = {"genhub": 1, "attention": [{"type": "local:scale"}]}
    assert load(given, registries=registries).config.attention[0].type == "local:scale"


def test_words_that_old_yaml_takes_for_booleans_are_text(
    write: Write, registries: Registries
) -> None:
    text = "genhub: 1\ninput:\n  negative: no\n  prompts: [on, 'yes']\n"
    config = load(write(text), registries=registries).config
    assert (config.input.negative, config.input.prompts) == ("no", ["on", "yes"])


def test_prompts_are_text_or_blocks(registries: Registries) -> None:
    prompts = ["a star", {"text": "a circle", "start": 8}, Prompt(text="a cross", start=9)]
    config = load({"genhub": 1, "input": {"prompts": prompts}}, registries=registries).config
    assert config.input.prompts == [
        "a star",
        Prompt(text="a circle", start=8),
        Prompt(text="a cross", start=9),
    ]


def test_a_search_holds_space_strategy_and_objectives(registries: Registries) -> None:
    search = {
        "type": "grid",
        "strategy": {"type": "random", "trials": 4},
        "objective": [{"metric": "psnr", "goal": "max"}],
    }
    loaded = load({"genhub": 1, "task": "search", "search": search}, registries=registries)
    assert loaded.config.search.strategy.trials == 4
    assert loaded.config.search.objective[0].weight == 1.0
    assert {used.loc for used in loaded.drivers} == {("task",), ("search",), ("search", "strategy")}


def test_places_of_blocks_and_fields_are_known(write: Write, registries: Registries) -> None:
    path = write("genhub: 1\nattention:\n  - type: scale\n    factor: 2\nparallel: {type: solo}\n")
    loaded = load(path, registries=registries)

    def where(*loc: str | int) -> tuple[int, int] | None:
        mark = loaded.mark(loc)
        return (mark.line, mark.column) if mark is not None else None

    assert where("attention", 0) == (3, 5)
    assert where("attention", 0, "factor") == (4, 13)
    assert where("attention", 0, "where") == (3, 5)
    assert where("parallel") == (5, 1)
    assert where() is None


def test_a_hole_in_a_list_does_not_shift_what_is_said_of_the_rest(
    write: Write, registries: Registries
) -> None:
    text = "genhub: 1\nattention:\n  - type: nope\n  - type: scale\n    factor: 0\n"
    with pytest.raises(GenHubError) as caught:
        load(write(text), registries=registries)
    assert [p.code for p in caught.value.problems] == ["GH201", "GH302"]
    assert caught.value.problems[1].message.startswith("attention.1.factor is 0")


def test_a_field_with_the_name_of_its_driver_is_not_taken_for_a_tag(
    write: Write, registries: Registries
) -> None:
    text = "genhub: 1\nattention: [{type: scale, scale: 0}, {type: focus, rank: 2}]\n"
    with pytest.raises(GenHubError) as caught:
        load(write(text), registries=registries)
    problem = caught.value.problems[0]
    assert problem.message == "attention.0.scale is 0; it must be at least 1"
    assert problem.mark is not None
    assert problem.mark.column == 34


def test_strict_follows_the_variable_that_build_servers_set(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert load({"genhub": 1}, registries=registries).config.strict is False
    monkeypatch.setenv("CI", "true")
    assert load({"genhub": 1}, registries=registries).config.strict is True
    assert load({"genhub": 1, "strict": False}, registries=registries).config.strict is False


@pytest.mark.parametrize(
    ("content", "phrase"),
    [(b"", "is empty"), (b"\n  \n", "is empty"), (b"\xff\xfe", "is not UTF-8")],
)
def test_a_file_of_prompts_is_looked_into(
    content: bytes, phrase: str, write: Write, registries: Registries, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_bytes(content)
    with pytest.raises(GenHubError) as caught:
        load(write("genhub: 1\ninput: {prompts: p.txt}\n"), registries=registries)
    assert (caught.value.code, phrase in caught.value.problems[0].message) == ("GH305", True)


def test_a_broken_plugin_is_told_at_its_name(toys: ToySite, write: Write) -> None:
    toys.mixer("plg-broken", "shaky", "import a_module_nobody_has\n")
    with pytest.raises(GenHubError) as caught:
        load(
            write("genhub: 1\nattention:\n  - type: shaky\n    factor: 2\n"),
            registries=Registries(),
        )
    (problem,) = [p for p in caught.value.problems if "shaky" in p.message]
    assert (problem.code, "a_module_nobody_has" in problem.message) == ("GH203", True)
    assert problem.mark is not None
    assert (problem.mark.line, problem.mark.column) == (3, 11)


def test_a_name_that_two_distributions_claim_is_told_at_its_place(
    toys: ToySite, write: Write
) -> None:
    toys.mixer("plg-one", "twice")
    toys.mixer("plg-two", "twice")
    path = write("genhub: 1\nattention: [{type: twice}]\n")
    with pytest.raises(GenHubError) as caught:
        load(path, registries=Registries())
    (problem,) = [p for p in caught.value.problems if p.code == "GH204"]
    assert problem.mark is not None
    assert (problem.mark.line, problem.mark.column) == (2, 20)


def test_a_disabled_plugin_names_the_variable(
    toys: ToySite, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.mixer("plg-off", "asleep")
    monkeypatch.setenv("GENHUB_DISABLE", "plg-off")
    with pytest.raises(GenHubError) as caught:
        load(write("genhub: 1\nattention: [{type: asleep}]\n"), registries=Registries())
    (problem,) = [p for p in caught.value.problems if p.code == "GH205"]
    assert "GENHUB_DISABLE" in problem.message


def test_importing_the_config_brings_in_nothing_heavy(toys: ToySite) -> None:
    done = toys.python(
        "import sys; import genhub.config\n"
        "genhub.config.load({'genhub': 1}, registries=None) if len(sys.argv) > 1 else None\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'transformers', 'PIL', 'rich', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert done.stdout == "[]\n", done.stderr


VALIDATOR = """
    from genhub.api import AttentionMixer, PluginConfig
    from pydantic import field_validator

    class Config(PluginConfig):
        scale: float = 1.0

        @field_validator("scale")
        @classmethod
        def _check(cls, scale):
            raise {error}

    class Toy(AttentionMixer):
        Config = Config
"""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("ZeroDivisionError('by\\nnought')", "ZeroDivisionError: by nought"),
        ("SystemExit(3)", "SystemExit: 3"),
        ("RuntimeError('x' * 400)", "RuntimeError: " + "x" * 286),
    ],
)
def test_a_config_class_that_fails_is_blamed_at_its_block(
    error: str, shown: str, toys: ToySite, write: Write
) -> None:
    toys.mixer("plg-fails", "fails", VALIDATOR.format(error=error))
    with pytest.raises(GenHubError) as caught:
        load(
            write("genhub: 1\nattention: [{type: fails, scale: 2}]\nmetrics: [nope]\n"),
            registries=Registries(),
        )
    first, second = caught.value.problems
    assert (first.code, first.message) == (
        "GH203",
        f"the attention mixer 'fails' fails with this block: {shown}",
    )
    assert first.hint == "this is a fault of plg-fails, or of the block's values"
    assert first.mark is not None
    assert (first.mark.line, first.mark.column) == (2, 13)
    assert second.code == "GH201"


def test_a_config_class_without_meaning_is_a_broken_plugin(toys: ToySite, write: Write) -> None:
    toys.mixer("plg-odd", "odd", VALIDATOR.replace("float = 1.0", "'Nowhere' = 1").format(error=0))
    registries = Registries()
    with pytest.raises(GenHubError) as caught:
        load(write("genhub: 1\nattention: [{type: odd}]\nmetrics: [nope]\n"), registries=registries)
    first, second = sorted(caught.value.problems, key=lambda problem: problem.code, reverse=True)
    assert (first.code, second.code) == ("GH203", "GH201")
    assert first.message.startswith(
        "the attention mixer 'odd' is broken: its Config has no meaning to pydantic: "
    )
    assert first.hint == "this is a fault of its package: update it, or tell its authors"
    known = json_schema(registries, "attention_mixers")
    assert "odd" not in str(known)


def test_the_hosts_own_fault_is_not_put_on_a_plugin(
    registries: Registries, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake of the host")

    monkeypatch.setattr(import_module("genhub.config.load"), "_checked", fail)
    with pytest.raises(ZeroDivisionError):
        load(write("genhub: 1\nattention: [{type: scale}]\n"), registries=registries)
