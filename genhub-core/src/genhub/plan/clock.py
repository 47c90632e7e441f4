"""Tell drivers where a generation stands, without touching how it is computed.

Two things move the clock: a forward-pre-hook on the denoisers, and a subclass that takes the place
of the scheduler object's class. Methods of the instance stay as they are, so a copy of the
scheduler is an ordinary scheduler: it steps itself and moves no clock.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch

from genhub.plan.observe import core_of

__all__ = ["Clock", "StepEnd", "StepListener", "Ticker"]


@dataclass(frozen=True)
class StepEnd:
    """One denoising step that has just ended: what it took, and what the scheduler made of it."""

    index: int
    steps: int
    seconds: float  # since the end of the step before
    latents: Any


StepListener = Callable[[StepEnd], None]


class Clock:
    """What `genhub.api.Clock` promises.

    `step` counts finished denoising steps: the evaluations of a Heun step are calls 0 and 1 of one
    step, and evaluations 2s and 2s + 1 of the generation. `t` is the timestep as the denoiser
    receives it. Without a scheduler (a bare denoiser) step stays 0 of 1 and `call` counts on.
    """

    def __init__(self) -> None:
        self.step = 0
        self.steps = 1
        self.call = 0
        self.evaluation = 0
        self.timesteps: torch.Tensor | None = None
        self.branch: str | None = None
        self.t = torch.zeros(())
        self.listeners: list[StepListener] = []

    def set_time(self, timestep: Any, device: torch.device) -> None:
        """Overwrite `t` in place; only a denoiser that has moved gets a new tensor."""
        if self.t.device != device:
            with torch.inference_mode(False):  # an inference tensor could not be updated later
                self.t = torch.zeros((), device=device)
        if isinstance(timestep, torch.Tensor):
            now = timestep.detach()
            self.t.copy_(now if now.ndim == 0 else now.reshape(-1)[0])
        elif timestep is not None:
            self.t.fill_(timestep)

    def __deepcopy__(self, memo: dict[int, Any]) -> Clock:
        # A copied processor goes on reading the clock of its run.
        return self


class Ticker:
    """Moves one clock while a pipeline, or a bare denoiser, runs.

    `before_call` is called once per denoiser forward, `new_generation` when a generation starts.
    """

    def __init__(
        self,
        clock: Clock,
        pipeline: Any,
        denoisers: Mapping[str, torch.nn.Module],
        before_call: Callable[[], None],
        new_generation: Callable[[], None],
    ) -> None:
        self.clock = clock
        self._pipeline = pipeline
        self._denoisers = denoisers
        self._before_call = before_call
        self._new_generation = new_generation
        self.owner: Any = None  # lives as long as the hooks: who attaches need not keep a name
        self._scheduler: Any = None
        self._hooks: list[tuple[Any, _DenoiserHook]] = []
        self._branches: list[_BranchTeller] = []
        self._fresh = True  # no denoiser call of this generation yet
        self._finished = 0  # steps of this generation
        self._calls = 0  # denoiser calls of this step
        self._since = 0.0
        self._left = 0  # calls of `scheduler.step` to come

    def start(self) -> None:
        """Put hooks and scheduler class in place."""
        self._follow(getattr(self._pipeline, "scheduler", None))
        for denoiser in self._denoisers.values():
            hook = _DenoiserHook(self, denoiser)
            handle = denoiser.register_forward_pre_hook(hook, with_kwargs=True)
            self._hooks.append((handle, hook))
            if hasattr(core_of(denoiser), "cache_context"):
                self._branches.append(_BranchTeller(core_of(denoiser), self.clock))

    def stop(self) -> None:
        """Take everything away again; the scheduler object has its own class back."""
        for branch in reversed(self._branches):
            branch.remove()
        for handle, _ in self._hooks:
            handle.remove()
        self._follow(None)
        self._hooks, self._branches, self.owner = [], [], None

    @property
    def in_place(self) -> bool:
        """Say whether every hook is where `start` put it."""
        hooked = all(hook in _hooks_of(hook.denoiser) for _, hook in self._hooks)
        return hooked and len(self._hooks) == len(self._denoisers)

    @property
    def innermost(self) -> bool:
        """Say whether no later ticker sits on the same denoisers."""
        return not any(hook in _hooks_of(hook.denoiser)[:-1] for _, hook in self._hooks)

    def denoiser_called(self, like: torch.Tensor | None, timestep: Any) -> None:
        """Note one denoiser forward that is about to run; `like` is on the denoiser's device."""
        current: Any = getattr(self._pipeline, "scheduler", None)
        if current is not self._scheduler:  # replaced by the user since the last call
            self._follow(current)
            self._begin()
            self._new_generation()
        if self._fresh:
            self._fresh = False
            self._since = time.perf_counter()
            self.clock.timesteps = _evaluations(current, timestep)
            self._left = 1 if self.clock.timesteps is None else len(self.clock.timesteps)
            several = hasattr(current, "state_in_first_order")
            self.clock.steps = -(-self._left // current.order) if several else self._left
        clock = self.clock
        if self._calls == 0:
            clock.step = self._finished
        clock.call = self._calls
        self._calls += 1
        if like is not None:
            clock.set_time(timestep, like.device)
        self._before_call()

    def timesteps_set(self) -> None:
        """Note that a generation begins."""
        self._begin()
        self._new_generation()

    def stepped(self, scheduler: Any, result: Any) -> None:
        """Note one call of `scheduler.step`; between two evaluations of a step nothing ends."""
        self._left -= 1
        self.clock.evaluation += 1
        if self._left != 0 and not getattr(scheduler, "state_in_first_order", True):
            return  # another evaluation follows; the very last step has only one
        self._finished += 1
        self._calls = 0
        if self.clock.listeners:
            seconds = time.perf_counter() - self._since
            latents = result[0] if isinstance(result, tuple) else result.prev_sample
            end = StepEnd(self._finished - 1, self.clock.steps, seconds, latents)
            for listener in tuple(self.clock.listeners):
                listener(end)
        self._since = time.perf_counter()

    def _begin(self) -> None:
        self._fresh = True
        self._finished = self._calls = 0
        self.clock.step = self.clock.call = self.clock.evaluation = 0
        self.clock.timesteps = None

    def _follow(self, scheduler: Any) -> None:
        if self._scheduler is not None:
            _release(self._scheduler, self)
        if hasattr(scheduler, "set_timesteps") and hasattr(scheduler, "step"):
            scheduler.__class__ = _ticking(type(scheduler), self)
        self._scheduler = scheduler


class _DenoiserHook:
    """The forward-pre-hook; a copied denoiser has a silent one, which belongs to no clock."""

    def __init__(self, ticker: Ticker, denoiser: torch.nn.Module) -> None:
        self.ticker = ticker
        self.denoiser = denoiser
        names = list(inspect.signature(type(core_of(denoiser)).forward).parameters)[1:]
        self._position = names.index("timestep") if "timestep" in names else None

    # Outside compiled graphs, whether the user compiles before or after attaching.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        tensors = (v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor))
        timestep = kwargs.get("timestep")
        if timestep is None and self._position is not None and len(args) > self._position:
            timestep = args[self._position]
        self.ticker.denoiser_called(next(tensors, None), timestep)

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_silent, ()


def _make_silent() -> Callable[..., None]:
    return _silent


def _silent(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Do nothing: what a hook becomes in a copy."""


def _hooks_of(denoiser: torch.nn.Module) -> list[_DenoiserHook]:
    hooks: Iterable[Any] = denoiser._forward_pre_hooks.values()
    return [hook for hook in hooks if isinstance(hook, _DenoiserHook)]


class _BranchTeller:
    """Stands in for `cache_context`, by which pipelines name the guidance branch of a call."""

    def __init__(self, denoiser: Any, clock: Clock) -> None:
        self._denoiser, self._clock = denoiser, clock
        self._inner = denoiser.cache_context
        self._was_own = "cache_context" in vars(denoiser)
        denoiser.cache_context = self

    @contextmanager
    def __call__(self, name: str, **where: Any) -> Iterator[None]:
        before, self._clock.branch = self._clock.branch, name
        try:
            with self._inner(name, **where):
                yield
        finally:
            self._clock.branch = before

    def remove(self) -> None:
        if self._was_own:
            self._denoiser.cache_context = self._inner
        else:
            del self._denoiser.cache_context

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A module enters `memo` before its attributes are copied: give the copy its own method.
        return MethodType(type(self._denoiser).cache_context, memo[id(self._denoiser)])


def _ticking(cls: Any, ticker: Ticker) -> type:
    """Derive a class of the same name whose objects move the clock."""
    plain = getattr(cls, "_genhub_plain", cls)

    @functools.wraps(cls.step)  # pipelines look at the signature
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = cls.step(self, *args, **kwargs)
        ticker.stepped(self, result)
        return result

    @functools.wraps(cls.set_timesteps)
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = cls.set_timesteps(self, *args, **kwargs)
        ticker.timesteps_set()
        return result

    def reduce(self: Any, protocol: Any) -> Any:
        """Copy and pickle as the class that the user chose."""
        _, _, *state = cls.__reduce_ex__(self, protocol)
        return copyreg._reconstructor, (plain, object, None), *state  # type: ignore[attr-defined]

    return type(
        cls.__name__,
        (cls,),
        {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
            "__reduce_ex__": reduce,
            "_genhub_plain": plain,
            "_genhub_ticker": ticker,
            "step": step,
            "set_timesteps": set_timesteps,
        },
    )


def _release(scheduler: Any, ticker: Ticker) -> None:
    """Take one ticker off a scheduler; those of other attachments stay, in their order."""
    cls = getattr(type(scheduler), "_genhub_plain", type(scheduler))
    for base in reversed(type(scheduler).__mro__):
        other = vars(base).get("_genhub_ticker", ticker)
        if other is not ticker:
            cls = _ticking(cls, other)
    scheduler.__class__ = cls


def _evaluations(scheduler: Any, timestep: Any) -> torch.Tensor | None:
    """Give the timesteps that are really used: image-to-image starts in the middle."""
    timesteps = getattr(scheduler, "timesteps", None)
    if timesteps is None:
        return None
    listed = torch.as_tensor(timesteps)
    begin = getattr(scheduler, "begin_index", None)
    if begin is None and timestep is not None:  # some schedulers are not told where they begin
        now = float(torch.as_tensor(timestep).reshape(-1)[0])
        values = listed.tolist()
        begin = values.index(now) if now in values else 0
    return listed[int(begin or 0) :]
