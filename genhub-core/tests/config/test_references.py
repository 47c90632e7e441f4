"""`${env:NAME}` and `${here}`: what they give, and that a secret stays where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from genhub.config import load, redact, to_map, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries

Write = Callable[..., Path]
SECRET = "s3cr3t/model"


def test_a_variable_gives_its_value_and_its_name_is_what_is_written(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_MODEL", SECRET)
    path = write('genhub: 1\nmodel: {source: "${env:TOY_MODEL}"}\n')
    loaded = load(path, registries=registries)
    assert loaded.config.model.source == SECRET
    text = to_yaml(loaded.config)
    assert SECRET not in text
    assert 'source: "${env:TOY_MODEL}"' in text
    again = load(write(text, "resolved.yaml"), registries=registries)
    assert again.config == loaded.config
    assert to_yaml(again.config) == text


def test_an_unquoted_variable_may_be_a_number(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_STEPS", "12")
    loaded = load(write("genhub: 1\nsampling:\n  steps: ${env:TOY_STEPS}\n"), registries=registries)
    assert loaded.config.sampling.steps == 12
    text = to_yaml(loaded.config)
    assert "steps: ${env:TOY_STEPS}" in text
    assert load(write(text, "r.yaml"), registries=registries).config == loaded.config


@pytest.mark.parametrize(
    "text",
    [
        'genhub: 1\nname: ${env:TOY_NUMBER}\nsampling: {steps: "${env:TOY_NUMBER}"}\n',
        "genhub: 1\nname: '${env:TOY_NUMBER}'\nsampling:\n  steps: ${env:TOY_NUMBER}\n",
    ],
)
def test_a_variable_takes_the_type_of_its_field(
    text: str, write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_NUMBER", "24")
    config = load(write(text), registries=registries).config
    assert (config.name, config.sampling.steps) == ("24", 24)
    again = load(json.loads(json.dumps(to_map(config))), registries=registries).config
    assert again == config
    assert "24" not in to_yaml(again)


def test_a_quoted_variable_is_text(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_NAME", "2024")
    loaded = load(write('genhub: 1\nname: "${env:TOY_NAME}"\n'), registries=registries)
    assert loaded.config.name == "2024"


def test_references_mix_with_text(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOY_USER", "someone")
    path = write("genhub: 1\noutput: {dir: '${here}/runs of ${env:TOY_USER}, $${plain}'}\n")
    loaded = load(path, registries=registries)
    assert loaded.config.output.dir == f"{tmp_path}/runs of someone, ${{plain}}"
    text = to_yaml(loaded.config)
    assert "someone" not in text
    assert load(write(text, "elsewhere/r.yaml"), registries=registries).config == loaded.config


@pytest.mark.parametrize("value", ["${env:HOME}", "$${here}", "a ${ b", "$$", "${", "$${$${x}"])
def test_a_text_that_looks_like_a_reference_survives(
    value: str, write: Write, registries: Registries
) -> None:
    literal = value.replace("${", "$${")
    loaded = load({"genhub": 1, "input": {"prompts": [literal]}}, registries=registries)
    assert loaded.config.input.prompts == [value]
    again = load(write(to_yaml(loaded.config)), registries=registries)
    assert again.config.input.prompts == [value]


def test_the_value_of_a_variable_is_not_read_for_references(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_TEXT", "${env:HOME} and ${nothing}")
    loaded = load({"genhub": 1, "name": "${env:TOY_TEXT}"}, registries=registries)
    assert loaded.config.name == "${env:HOME} and ${nothing}"


@pytest.mark.parametrize(
    "text",
    [
        'genhub: 1\nmodel: {dtype: "${env:TOY_SECRET}"}\n',
        'genhub: 1\nsampling: {steps: "${env:TOY_SECRET}"}\n',
        'genhub: 1\nmodel: {source: "tiny:shapes", offline: "${env:TOY_SECRET}"}\n',
        'genhub: 1\ninput: {prompts: "${env:TOY_SECRET}"}\n',
        'genhub: 1\nlaunch: {devices: "${env:TOY_SECRET}"}\n',
        'genhub: 1\nattention: [{type: focus, rank: 2, chunk: "${env:TOY_SECRET}"}]\n',
    ],
)
def test_no_message_repeats_a_secret(
    text: str, write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECRET", "hunter22")
    with pytest.raises(GenHubError) as caught:
        load(write(text), registries=registries)
    assert "hunter22" not in str(caught.value)
    assert "${env:TOY_SECRET}" in caught.value.problems[0].message


def test_a_secret_in_a_set_stays_hidden_wherever_it_is_sorted_to(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECRET", "zz-last")
    parts = '["${env:TOY_SECRET}", alpha, middle]'
    path = write(f"genhub: 1\nattention:\n  - {{type: focus, rank: 2, parts: {parts}}}\n")
    loaded = load(path, registries=registries)
    assert loaded.config.attention[0].parts == {"zz-last", "alpha", "middle"}
    text = to_yaml(loaded.config)
    assert "zz-last" not in text
    assert load(write(text, "r.yaml"), registries=registries).config.attention[0].parts == {
        "zz-last",
        "alpha",
        "middle",
    }


def test_redact_hides_what_came_from_the_environment(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_WHO", "Ada Lovelace")
    config = load(
        {"genhub": 1, "input": {"prompts": ["portrait of ${env:TOY_WHO}"]}}, registries=registries
    ).config
    assert config.input.prompts == ["portrait of Ada Lovelace"]
    assert redact(config, "drew a portrait of Ada Lovelace") == "drew a portrait of ${env:TOY_WHO}"


def test_text_of_a_loaded_file_keeps_references(
    write: Write, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_MODEL", SECRET)
    text = 'genhub: 1\nmodel: {source: "${env:TOY_MODEL}"}\n'
    assert load(write(text), registries=registries).text == text
    given = {"genhub": 1, "model": {"source": "${env:TOY_MODEL}"}}
    assert SECRET not in load(given, registries=registries).text
