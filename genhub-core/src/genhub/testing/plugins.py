"""What holds for every plugin: a light module, and for drivers a Config that explains itself."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NoReturn

import pytest
from pydantic import BaseModel, ValidationError

from genhub.api import GenHubError, PluginConfig
from genhub.kinds import noun
from genhub.registry import Entry, Registries

__all__ = ["EntryTests", "PluginTests", "complain", "one_line"]

MOST_MODULES = 400  # what a light module may bring in; torch alone brings over a thousand
_ALONE = (sys.executable, "-m", "genhub.testing.alone")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const")
_STRANGE: tuple[Any, ...] = (None, "nonsense", "", -1, 0, 3, 1.5, True, [], {}, ["a"], {"a": 1})


def complain(message: str) -> NoReturn:
    """Fail a check with one sentence, without a traceback."""
    raise pytest.fail.Exception(message, pytrace=False)


def one_line(error: BaseException) -> str:
    """Name an error in one line."""
    text = error.problems[0].message if isinstance(error, GenHubError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".rstrip(": ")


class EntryTests:
    """Checks of anything that an entry point names; `plugin` is the name of the entry point."""

    plugin: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    configs: ClassVar[Sequence[Mapping[str, Any]]] = ()

    @classmethod
    @cache
    def registries(cls) -> Registries:
        """Give what is installed, read once per class."""
        return Registries()

    @classmethod
    def entry(cls) -> Entry:
        """Give the entry point under test."""
        if not cls.plugin:
            complain(f"say which {noun(cls.kind)} is tested: plugin = 'NAME' in {cls.__name__}")
        return cls.registries().get(cls.kind).find(cls.plugin)

    @classmethod
    def driver_class(cls) -> Any:
        """Give the class that the entry point names."""
        return cls.registries().get(cls.kind).load(cls.entry().qualified)

    @classmethod
    def settings(cls) -> list[dict[str, Any]]:
        """Give the blocks of YAML to try."""
        return [dict(each) for each in cls.configs]

    @classmethod
    @cache
    def alone(cls) -> dict[str, Any]:
        """Tell what the module does in a fresh interpreter, asked once per class."""
        done = subprocess.run(
            [*_ALONE, cls.entry().value, json.dumps(cls.settings())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            complain(f"importing {cls.entry().value} failed: {done.stderr.splitlines()[-1]}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    def test_import_is_light(self) -> None:
        """The module of the entry point imports nothing heavy: `genhub plugins` stays quick."""
        module, heavy = self.entry().value.partition(":")[0], self.alone()["heavy"]
        if heavy:
            complain(
                f"importing {module} imports {', '.join(heavy)}: "
                "move these imports into the methods that need them"
            )
        if self.alone()["modules"] > MOST_MODULES:
            complain(
                f"importing {module} imports {self.alone()['modules']} modules, above "
                f"{MOST_MODULES}: move imports into the methods that need them"
            )

    def test_import_can_be_repeated(self) -> None:
        """Importing the module a second time works: every process of a run imports it."""
        if trouble := self.alone()["again"]:
            complain(
                f"importing {self.entry().value} a second time raised {trouble}: "
                "a module must change nothing outside itself when it is imported"
            )

    def test_summary_is_one_line(self) -> None:
        """`summary` is what `genhub plugins --check` shows."""
        summary = getattr(self.driver_class(), "summary", "")
        if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
            complain(f"summary is {summary!r}: say in one line what the {noun(self.kind)} does")


class PluginTests(EntryTests):
    """Checks of a driver: entry point, Config, `needs()`.

    `configs` are blocks of YAML without `type`, each of which is tried; left out, they are the
    `examples` of the Config's JSON Schema, or else the defaults.
    """

    @classmethod
    def settings(cls) -> list[dict[str, Any]]:
        """Give the blocks to try."""
        extra: Any = cls.config_class().model_config.get("json_schema_extra")
        examples = extra.get("examples") if isinstance(extra, dict) else None
        return [dict(each) for each in cls.configs or examples or ({},)]

    @classmethod
    def config_class(cls) -> type[PluginConfig]:
        """Give the driver's Config."""
        found: type[PluginConfig] = cls.driver_class().Config
        return found

    @classmethod
    def config(cls, settings: Mapping[str, Any]) -> Any:
        """Validate a block as the host does: as JSON, strictly."""
        return cls.config_class().model_validate_json(json.dumps(dict(settings)), strict=True)

    def valid(self) -> list[tuple[dict[str, Any], Any]]:
        """Give the blocks that are valid with their configs, or skip where there is none."""
        found = []
        for settings in self.settings():
            try:
                found.append((settings, self.config(settings)))
            except Exception:
                continue
        return found or pytest.skip("no valid settings: see test_settings_are_valid")

    def use(self, config: Any) -> None:
        """Make a driver and bring it as far as the config alone can; kinds go further."""
        self.driver_class()(config).needs()

    def test_settings_are_valid(self) -> None:
        """The given configs and every default are valid."""
        for settings in self.settings():
            try:
                self.config(settings)
            except ValidationError as error:
                first = error.errors()[0]
                if first["type"] == "missing" and not settings:
                    pytest.skip(
                        f"{first['loc'][0]} must be given: say configs = [...] in a test class, "
                        "or json_schema_extra={'examples': [...]} in the Config"
                    )
                where = ".".join(str(step) for step in first["loc"])
                complain(f"{settings or 'the defaults'}: {where} is invalid: {first['msg']}")
            except Exception as error:
                complain(f"validating {settings or 'the defaults'} raised {one_line(error)}")
        if not self.config_class().model_config.get("validate_default"):
            complain("validate_default is switched off: a wrong default would pass unseen")

    def test_unknown_keys_are_refused(self) -> None:
        """A misspelt key is an error, never silence."""
        for settings, _ in self.valid():
            try:
                self.config({**settings, "no_such_key": 1})
            except ValidationError:
                continue
            complain("an unknown key is accepted: leave extra='forbid' in the Config as it is")

    def test_fields_are_described(self) -> None:
        """Every field has a description: it is the documentation."""
        for name, field in self.config_class().model_fields.items():
            if not (field.description or "").strip():
                complain(f"{name} has no description: Field(..., description='what it means')")

    def test_numbers_have_bounds(self) -> None:
        """Every number has a bound, so that a slip of the pen is told before anything runs."""
        schema = self.config_class().model_json_schema()
        for name, field in schema.get("properties", {}).items():
            if any(_boundless(field, schema.get("$defs", {}))):
                complain(f"{name} is a number without bounds: Field(..., ge=..., le=...)")

    def test_settings_survive_yaml(self) -> None:
        """Written to a file and read again, a config is the same."""
        from genhub.config import as_written
        from genhub.config.reader import read
        from genhub.config.tree import plain

        for settings, config in self.valid():
            root, _ = read(as_written(config.model_dump(mode="json")), "block.yaml")
            read_back = self.config(plain(root))
            if read_back != config:
                complain(f"{settings} is {read_back!r} after a round trip through YAML")

    def test_settings_match_their_json_schema(self) -> None:
        """Editors that know the JSON Schema accept what the host accepts."""
        jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
        schema = self.config_class().model_json_schema()
        for settings, _ in self.valid():
            for error in jsonschema.Draft202012Validator(schema).iter_errors(settings):
                complain(f"the JSON Schema refuses {settings}: {error.message}")

    def test_settings_survive_pickling(self) -> None:
        """Other processes get the config by pickle."""
        for _, config in self.valid():
            try:
                same = pickle.loads(pickle.dumps(config)) == config
            except Exception as error:
                complain(f"the Config cannot be pickled: {one_line(error)}")
            if not same:
                complain("a pickled Config comes back as another one")

    def test_needs_are_pure(self) -> None:
        """`needs()` answers from the config alone, without torch: the launcher asks it."""
        if heavy := self.alone()["heavy_config"]:
            complain(f"checking a Config imports {', '.join(heavy)}: check it with less")
        for trouble in filter(None, self.alone()["needs"]):
            complain(f"{trouble}: it may depend on the config alone")
        if heavy := self.alone()["heavy_needs"]:
            complain(f"needs() imports {', '.join(heavy)}: answer from the config alone")

    def test_bad_settings_are_told_to_the_user(self) -> None:
        """Whatever is written into a field is accepted or refused in words, never a crash."""
        for settings, _ in self.valid():
            for name, value in _mistakes(self.config_class(), settings):
                try:
                    self.use(self.config({**settings, name: value}))
                except (ValidationError, GenHubError) as error:
                    if isinstance(error, ValidationError) or error.code != "GH606":
                        continue
                    cause = error.__cause__ or error
                except Exception as error:
                    cause = error
                else:
                    continue
                complain(
                    f"{name}: {value!r} ends in {one_line(cause)}: refuse it in the Config "
                    "(Literal, ge, le, a validator that raises ValueError), or raise GenHubError"
                )


def _mistakes(config: type[BaseModel], settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in config.model_fields:
        for value in _STRANGE:
            if value != settings.get(name, object()):
                yield name, value


def _boundless(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Iterator[bool]:
    """Go through a field's schema and say of every number in it whether it lacks bounds."""
    if "$ref" in schema:
        named = defs.get(schema["$ref"].rpartition("/")[2], {})
        for inner in named.get("properties", {}).values():
            yield from _boundless(inner, {k: v for k, v in defs.items() if v is not named})
    if schema.get("type") in ("integer", "number"):
        yield not any(bound in schema for bound in _BOUNDS)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for inner in schema.get(key, ()):
            yield from _boundless(inner, defs)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _boundless(schema[key], defs)
