"""Split classifier-free guidance over two ranks: each computes one branch, both have the result.

It stands between a pipeline and the forward of its denoiser, so it serves both habits that
pipelines have. Most put both branches into one batch: each rank computes half of it. Others call
the denoiser once per branch, inside `cache_context("cond")` and `("uncond")`: each rank computes
its own call, and the other's output arrives with the second call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MethodType
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from genhub.api import Communicator, Context, GenHubError
from genhub.comm.ranks import fill
from genhub.plan.observe import core_of
from genhub.plan.probe import family_of

__all__ = ["GuidanceSplit"]

_BRANCHES = ("uncond", "cond")  # of ranks 0 and 1, as in a batch of both
_TAG = 408


class GuidanceSplit:
    """Splits guidance while the `with` block lasts; `comm` is an axis of length 2.

        with GuidanceSplit(ctx, ctx.comm.split(cfg=2, stage=4)["cfg"]):
            ...

    After every denoiser call both ranks hold what one process would: samples of a batch must not
    see each other in the denoiser. Nothing is left behind: the denoisers have their own forward
    again, and copies made meanwhile are ordinary denoisers.

    Raises GenHubError when the denoiser is called: GH408 where no guidance is in effect, GH407
    where there are more than two branches or the pipeline's calls cannot be split, GH609 where
    the ranks denoise different things.
    """

    def __init__(self, ctx: Context, comm: Communicator) -> None:
        if comm.world != 2:
            raise ValueError(f"guidance has two branches; the axis has {comm.world} ranks")
        self.ctx = ctx
        self.comm = comm
        self._forwards: list[_Forward] = []
        self._listeners: list[Any] = getattr(ctx.clock, "listeners", [])

    def __enter__(self) -> Self:
        for denoiser in self.ctx.denoisers.values():
            self._forwards.append(_Forward(core_of(denoiser), self))
        self._listeners.append(self._step_ended)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._step_ended in self._listeners:
            self._listeners.remove(self._step_ended)
        while self._forwards:
            self._forwards.pop().remove()

    @property
    def first_call(self) -> bool:
        """Say whether the call under way is the first of its generation."""
        return self.ctx.clock.step == 0 and self.ctx.clock.call == 0

    def _step_ended(self, end: Any) -> None:
        if any(forward.half_done for forward in self._forwards):
            raise _no_guidance(self.ctx.pipeline)

    def check(self, sample: Tensor) -> None:
        """Hold before each call that there are two branches, and equal ones on both ranks."""
        pipeline = self.ctx.pipeline
        if getattr(pipeline, "do_classifier_free_guidance", None) is False:
            raise _no_guidance(pipeline)
        three = getattr(pipeline, "do_perturbed_attention_guidance", False)
        if three or hasattr(type(pipeline), "image_guidance_scale"):
            raise _unsplittable(pipeline, "its guidance has more than two branches")
        if self.first_call:
            data = sample.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy()
            self.comm.same(**{"what the denoiser is given": sha256(data).hexdigest()[:12]})


@dataclass
class _Turn:
    """One call of a denoiser on this rank."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    branch: str | None = None  # None: both are in the batch
    rows: frozenset[int] = frozenset()  # lengths of a batch with both branches
    shape: Any = None  # of the call, by which the shape of its output is remembered
    skip: bool = False


class _Forward:
    """Stands in for the forward of one denoiser."""

    def __init__(self, denoiser: Any, split: GuidanceSplit) -> None:
        self.__wrapped__ = denoiser.forward  # pipelines look at the signature
        self._own = vars(denoiser).get("forward")
        self._denoiser = denoiser
        self._split: GuidanceSplit | None = split
        self._outputs: dict[Any, Any] = {}  # what a call of a shape gives, without memory
        self._first: tuple[str, Any] | None = None  # the branch called first, and its output
        self._guard: _Unread | None = None
        denoiser.forward = self

    # Only this frame stays outside compiled graphs; the denoiser's own forward may be compiled.
    @torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._split is None:
            return self.__wrapped__(*args, **kwargs)
        turn = self._begin(self._split, args, kwargs)
        output = None if turn.skip else self.__wrapped__(*turn.args, **turn.kwargs)
        return self._end(self._split, turn, output)

    @property
    def half_done(self) -> bool:
        """Say whether one branch ran and the other is still to come."""
        return self._first is not None

    def remove(self) -> None:
        """Give the denoiser its own forward back; where another covers this one, fall silent."""
        self._open(None)
        self._split = None
        if vars(self._denoiser).get("forward") is not self:
            return
        if self._own is not None:
            self._denoiser.forward = self._own
        else:
            del self._denoiser.forward

    def __reduce__(self) -> tuple[Any, ...]:
        # A copied denoiser has its own forward; it enters the memo before its attributes do.
        return _own_forward, (self._denoiser, self._own)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _begin(self, split: GuidanceSplit, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Turn:
        self._open(None)
        sample = _sample(args, kwargs)
        if sample is None:
            raise _unsplittable(split.ctx.pipeline, "its denoiser is given no batch as a tensor")
        split.check(sample)
        if split.first_call:
            self._first = None
        branch = split.ctx.clock.branch
        if branch in _BRANCHES:
            return self._begin_branch(split, branch, sample, args, kwargs)
        if branch not in (None, "cond_uncond"):
            raise _unsplittable(split.ctx.pipeline, f"it has a third guidance branch, '{branch}'")
        rows = self._rows(split, sample)

        def half(x: Any) -> Any:
            batch = isinstance(x, Tensor) and x.ndim > 0 and x.shape[0] in rows
            return x.chunk(2)[split.comm.rank] if batch else x

        return _Turn(tree_map(half, args), tree_map(half, kwargs), rows=rows)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _end(self, split: GuidanceSplit, turn: _Turn, output: Any) -> Any:
        if turn.branch is not None:
            return self._end_branch(split, turn, turn.branch, output)
        halves = {rows // 2 for rows in turn.rows}

        def whole(x: Any) -> Any:
            batch = isinstance(x, Tensor) and x.ndim > 0 and x.shape[0] in halves
            return torch.cat(split.comm.all_gather(x.contiguous())) if batch else x

        return tree_map(whole, output)

    def _rows(self, split: GuidanceSplit, sample: Tensor) -> frozenset[int]:
        """Give the first dimensions of tensors that hold both branches."""
        pipeline, batch = split.ctx.pipeline, sample.shape[0]
        told = getattr(pipeline, "do_classifier_free_guidance", None)
        if told is None and (batch % 2 or (split.first_call and not _twice_the_same(sample))):
            raise _no_guidance(pipeline)
        if batch % 2:
            raise _unsplittable(pipeline, f"it calls its denoiser with a batch of {batch}")
        family = family_of(self._denoiser)
        if family is not None and family.axes == "BCFHW":  # the prompt is repeated for each frame
            return frozenset({batch, batch * sample.shape[2]})
        return frozenset({batch})

    def _begin_branch(
        self,
        split: GuidanceSplit,
        branch: str,
        sample: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> _Turn:
        if self._first is not None and self._first[0] == branch:
            raise _no_guidance(split.ctx.pipeline)
        shape = (sample.shape, sample.dtype, sample.device, kwargs.get("return_dict"))
        mine = _BRANCHES[split.comm.rank] == branch
        # What a call of a new shape gives is learned by making it, on both ranks, once.
        return _Turn(args, kwargs, branch, shape=shape, skip=not mine and shape in self._outputs)

    def _end_branch(self, split: GuidanceSplit, turn: _Turn, branch: str, output: Any) -> Any:
        if turn.skip:
            device = turn.shape[2]
            output = tree_map(lambda x: _like(x, device), self._outputs[turn.shape])
        elif turn.shape not in self._outputs:
            self._outputs[turn.shape] = tree_map(lambda x: _like(x, "meta"), output)
        if self._first is None:
            self._first = branch, output
            if turn.skip:
                self._open(_Unread(_tensors(output), type(split.ctx.pipeline).__name__))
            return output
        pair = dict((self._first, (branch, output)))
        self._first = None
        mine = _BRANCHES[split.comm.rank]
        _swap(split.comm, _tensors(pair.pop(mine)), _tensors(*pair.values()))
        return output

    def _open(self, guard: _Unread | None) -> None:
        """Watch over an output that is still to arrive, or end watching."""
        if self._guard is not None:
            self._guard.__exit__(None, None, None)
        self._guard = guard
        if guard is not None:
            guard.__enter__()


class _Unread(TorchDispatchMode):
    """Lets tensors be looked at and sliced, but not read: what they shall hold is on its way."""

    def __init__(self, tensors: list[Tensor], pipeline: str) -> None:
        super().__init__()
        self._storages = {x.untyped_storage()._cdata for x in tensors}
        self._pipeline = pipeline

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not getattr(func, "is_view", False):
            for x in tree_leaves((args, kwargs)):
                if isinstance(x, Tensor) and x.untyped_storage()._cdata in self._storages:
                    said = f"{self._pipeline} reads one guidance branch before it runs the other"
                    raise GenHubError("GH407", said, hint="its guidance cannot be split over ranks")
        return func(*args, **kwargs)


def _swap(comm: Communicator, mine: list[Tensor], theirs: list[Tensor]) -> None:
    """Send this rank's branch and fill the other one in place: views of it see the values."""
    peer = 1 - comm.rank
    boxes = [x if x.is_contiguous() else torch.empty_like(x).contiguous() for x in theirs]
    pending = [
        comm.exchange({peer: x.contiguous()}, {peer: box}, tag=_TAG + i)
        for i, (x, box) in enumerate(zip(mine, boxes, strict=True))
    ]
    for one in pending:
        one.wait()
    for x, box in zip(theirs, boxes, strict=True):
        if box is not x:
            fill(x, box)


def _sample(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Find the tensor that is denoised."""
    given = (*(kwargs.get(name) for name in ("sample", "hidden_states")), *args[:1])
    return next((x for x in given if isinstance(x, Tensor) and x.ndim > 0), None)


def _twice_the_same(sample: Tensor) -> bool:
    first, second = sample.chunk(2)
    return torch.equal(first, second)


def _like(x: Any, device: Any) -> Any:
    return torch.empty_like(x, device=device) if isinstance(x, Tensor) else x


def _tensors(output: Any) -> list[Tensor]:
    return [x for x in tree_leaves(output) if isinstance(x, Tensor)]


def _own_forward(denoiser: Any, replaced: Callable[..., Any] | None) -> Callable[..., Any]:
    return replaced or MethodType(type(denoiser).forward, denoiser)


def _no_guidance(pipeline: Any) -> GenHubError:
    return GenHubError(
        "GH408",
        f"splitting guidance has no effect: {type(pipeline).__name__} runs without guidance",
        hint="set sampling.guidance above 1, or leave out what splits it over ranks",
    )


def _unsplittable(pipeline: Any, why: str) -> GenHubError:
    return GenHubError(
        "GH407",
        f"the guidance of {type(pipeline).__name__} cannot be split over two ranks: {why}",
        hint="leave out what splits guidance over ranks",
    )
