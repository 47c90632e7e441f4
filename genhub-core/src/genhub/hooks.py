"""Tell hook plugins about moments of a run, in a fixed order, without letting one spoil it.

A hook plugin is active when it is the core's own, when the config lists it under `hooks:`, or when
its distribution offers a driver that the config uses. What fails in the last case is reported and
switched off; everything else that fails ends the run with the plugin's name.
"""

from __future__ import annotations

import logging
import os
import reprlib
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import wraps
from inspect import isclass, isgeneratorfunction, signature
from typing import Any

import pluggy

from genhub import hookspecs
from genhub.api.markers import PROJECT
from genhub.api.runtime import Section
from genhub.errors import GenHubError, PlanRejected, PluginBroken
from genhub.kinds import CORE
from genhub.registry import Entry, Registries, canonical, default

__all__ = ["Hooks", "implementations"]

TRACE = "GENHUB_TRACE"

log = logging.getLogger("genhub")


class _Listener:
    """What is registered with pluggy in a plugin's place: its implementations, each guarded."""

    def __init__(self, entry: Entry, named: bool) -> None:
        self.entry = entry
        self.named = named


class Hooks:
    """The hook plugins of one run.

    `problems` lists, in words, what was switched off and why. With GENHUB_TRACE=1 every call is
    shown on stderr with the plugins that listened.
    """

    def __init__(
        self,
        config_hooks: Sequence[str] = (),
        used_distributions: Iterable[str] = (),
        registries: Registries | None = None,
        strict: bool = False,
    ) -> None:
        self.problems: list[str] = []
        self._begun = False
        self._kept: frozenset[str] | None = None  # None: all
        self._strict = strict
        self._registry = (registries or default()).get("hooks")
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if os.environ.get(TRACE, "0") not in ("", "0"):
            self._manager.add_hookcall_monitoring(lambda *_: None, _show_call)
        named = {self._registry.find(name) for name in config_hooks}
        active = {canonical(dist) for dist in (CORE, *used_distributions)}
        for entry in sorted(self._registry.entries(), key=lambda e: (e.dist, e.name)):
            if entry in named:
                self._register(_Listener(entry, named=True))
            elif entry.status != "disabled" and canonical(entry.dist) in active:
                self._register(_Listener(entry, named=False))
        self._begun = True

    def call(self, name: str, **kwargs: Any) -> list[Any]:
        """Call every listener and give what they return, without the Nones.

        Raises PlanRejected from any listener, and GenHubError where one that may not fail fails.
        """
        if self._kept is not None and name not in self._kept:
            return []
        results = getattr(self._manager.hook, name)(**kwargs)
        return list(results)

    def listens(self, name: str) -> bool:
        """Say whether anybody listens; ask once per run before a call in a hot loop."""
        left = self._kept is None or name in self._kept
        return left and bool(getattr(self._manager.hook, name).get_hookimpls())

    def names(self) -> list[str]:
        """List the active plugins as `dist:name`, in order of registration."""
        return [name for name, _ in self._manager.list_name_plugin()]

    def mute(self, qualified: str) -> None:
        """Take a plugin out for the rest of the run; `qualified` is as `names()` gives it."""
        if self._manager.has_plugin(qualified):
            self._manager.unregister(name=qualified)

    def keep_only(self, *hooks: str) -> None:
        """Call nobody from now on, but for these hooks."""
        self._kept = frozenset(hooks)

    def _register(self, listener: _Listener) -> None:
        try:
            plugin = self._registry.load(listener.entry.qualified)
            for hook, impl in implementations(listener.entry, plugin):
                guard = self._guarded_wrapper if impl.wrapper else self._guarded
                guarded = guard(listener, hook, impl.function)
                setattr(guarded, f"{PROJECT}_impl", impl.opts)
                setattr(listener, hook, guarded)
            self._manager.register(listener, name=listener.entry.qualified)
        except GenHubError as error:
            if self._may_not_fail(listener):
                raise
            self._switch_off(listener, error.problems[0].message)

    def _guarded(
        self, listener: _Listener, hook: str, function: Callable[..., Any]
    ) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
                _check_result(hook, result)
            except (Exception, SystemExit) as error:
                self._failed(listener, hook, error)
                return None
            return result

        return call

    def _guarded_wrapper(
        self, listener: _Listener, hook: str, function: Callable[..., Generator[None, Any, Any]]
    ) -> Callable[..., Generator[None, Any, Any]]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Generator[None, Any, Any]:
            body = function(*args, **kwargs)
            try:
                body.send(None)
            except StopIteration:
                self._failed(listener, hook, RuntimeError("a wrapper must yield once"))
                return (yield)
            except (Exception, SystemExit) as error:
                self._failed(listener, hook, error)
                return (yield)
            result, raised = None, None
            try:
                result = yield
            except BaseException as error:
                raised = error
            try:
                if raised is None:
                    body.send(result)
                else:
                    body.throw(raised)
            except StopIteration as stop:
                return stop.value
            except (Exception, SystemExit) as error:
                if error is not raised:
                    self._failed(listener, hook, error)
            else:
                body.close()
                self._failed(listener, hook, RuntimeError("a wrapper must yield once"))
            if raised is not None:
                raise raised
            return result

        return call

    def _failed(self, listener: _Listener, hook: str, error: BaseException) -> None:
        """Raise what ends the run, or switch the plugin off."""
        if isinstance(error, PlanRejected) or canonical(listener.entry.dist) == CORE:
            raise error
        cause = error.problems[0].message if isinstance(error, GenHubError) else _words(error)
        message = f"the {listener.entry} failed in {hook}: {cause}"
        if not self._may_not_fail(listener):
            self._switch_off(listener, message)
        elif isinstance(error, GenHubError):
            raise GenHubError.several(
                [replace(error.problems[0], message=message), *error.problems[1:]]
            ) from error
        else:
            hint = f"take it out of `hooks:`, or tell the authors of {listener.entry.dist}"
            raise GenHubError("GH606", message, hint=hint) from error

    def _may_not_fail(self, listener: _Listener) -> bool:
        return self._strict or listener.named or canonical(listener.entry.dist) == CORE

    def _switch_off(self, listener: _Listener, message: str) -> None:
        if self._manager.is_registered(listener):
            self._manager.unregister(listener)
        problem = f"{message}; it is switched off for this run"
        if problem not in self.problems:
            self.problems.append(problem)
            if self._begun:  # the run that begins takes up what was found before
                log.warning("%s", problem)


def _check_result(hook: str, result: Any) -> None:
    """Raise TypeError for what the host cannot use of an implementation's answer."""
    if result is None:
        return
    if hook == "genhub_metrics":
        numbers = isinstance(result, dict) and all(
            isinstance(name, str) and isinstance(value, int | float)
            for name, value in result.items()
        )
        if not numbers:
            raise TypeError(f"it gave {result!r:.80}, not numbers by name")
    if hook == "genhub_report" and not (
        isinstance(result, list | tuple) and all(isinstance(one, Section) for one in result)
    ):
        raise TypeError(f"it gave {result!r:.80}, not a list of genhub.api.Section")


def implementations(entry: Entry, plugin: Any) -> list[tuple[str, Any]]:
    """List a plugin's implementations by hook; raises PluginBroken (GH203) for a wrong one."""
    collector = pluggy.PluginManager(PROJECT)
    try:
        found = plugin() if isclass(plugin) else plugin
        collector.register(found)
    except (Exception, SystemExit) as error:
        raise PluginBroken("GH203", f"the {entry} is broken: {_words(error)}") from error
    listed = [
        (caller.name, impl)
        for caller in collector.get_hookcallers(found) or []
        for impl in caller.get_hookimpls()
        if hasattr(hookspecs, caller.name) or not impl.optionalhook
    ]
    faults = [fault for hook, impl in listed if (fault := _fault(hook, impl))]
    if not listed:
        faults = ["implements no hook: functions are marked with genhub.api.hookimpl"]
    if faults:
        hint = "genhub.hookspecs lists the hooks and their arguments"
        raise PluginBroken("GH203", f"the {entry} {'; it '.join(faults)}", hint=hint)
    return listed


def _fault(hook: str, impl: Any) -> str | None:
    """Say in words what pluggy would refuse, or notice only when it is too late."""
    spec = getattr(hookspecs, hook, None)
    if spec is None:
        close = get_close_matches(hook, [n for n in vars(hookspecs) if n.startswith(PROJECT)], n=1)
        return f"implements {hook}, which is no hook" + (f" (meant: {close[0]}?)" if close else "")
    offered = list(signature(spec).parameters)
    unknown = [name for name in (*impl.argnames, *impl.kwargnames) if name not in offered]
    if unknown:
        return f"takes '{unknown[0]}' in {hook}, which offers: {', '.join(offered)}"
    if impl.hookwrapper:
        return f"wraps {hook} in the old style: write hookimpl(wrapper=True)"
    if impl.wrapper and not isgeneratorfunction(impl.function):
        return f"wraps {hook} with a function that does not yield"
    return None


def _words(error: BaseException) -> str:
    """Give an exception's type and text on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _show_call(
    outcome: pluggy.Result[Any], hook: str, impls: Sequence[Any], kwargs: Mapping[str, object]
) -> None:
    arguments = ", ".join(f"{key}: {type(value).__name__}" for key, value in kwargs.items())
    names = ", ".join(impl.plugin_name for impl in reversed(impls)) or "nobody"
    ended = (
        f"raised {_words(outcome.exception)}"
        if outcome.exception is not None
        else reprlib.repr(outcome.get_result())
    )
    sys.stderr.write(f"trace: {hook}({arguments}) -> {names} -> {ended}\n")
