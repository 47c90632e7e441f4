"""The world of captioned shapes: what a scene is, how it is said, and how one is drawn by lot.

Eight colours, eight shapes, two sizes, five places and three backgrounds make 1,920 scenes with
one thing; two things of different colours stand above or left of each other. Every caption says
its scene completely, so the truth about a picture can be computed instead of guessed.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import product

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "moon")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
BACKGROUNDS = ("white", "black", "gray")
RELATIONS = ("above", "left of")

PAIR_SHARE = 0.22  # of the scenes drawn by lot


@dataclass(frozen=True)
class Thing:
    """A coloured shape. Size and place are known for single things only."""

    colour: str
    shape: str
    size: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Scene:
    """One thing, or two with the relation of the first to the second, on a background."""

    things: tuple[Thing, ...]
    background: str
    relation: str | None = None


def caption(scene: Scene) -> str:
    """Say the scene, for instance "a small red star on the left on white"."""
    if scene.relation is None:
        (thing,) = scene.things
        place = "in the center" if thing.place == "center" else f"on the {thing.place}"
        return f"a {thing.size} {thing.colour} {thing.shape} {place} on {scene.background}"
    first, second = scene.things
    return (
        f"a {first.colour} {first.shape} {scene.relation} "
        f"a {second.colour} {second.shape} on {scene.background}"
    )


def _one_of(name: str, words: tuple[str, ...]) -> str:
    return f"(?P<{name}>{'|'.join(words)})"


_SINGLE = re.compile(
    f"a {_one_of('size', SIZES)} {_one_of('colour', COLOURS)} {_one_of('shape', SHAPES)} "
    f"(?:on the {_one_of('side', PLACES[:4])}|in the center) on {_one_of('ground', BACKGROUNDS)}"
)
_PAIR = re.compile(
    f"a {_one_of('colour', COLOURS)} {_one_of('shape', SHAPES)} {_one_of('relation', RELATIONS)} "
    f"a {_one_of('colour2', COLOURS)} {_one_of('shape2', SHAPES)} "
    f"on {_one_of('ground', BACKGROUNDS)}"
)


def parse(text: str) -> Scene:
    """Read a caption back into its scene; letter case and extra spaces do not matter.

    Raises ValueError when the text is no caption of this world.
    """
    words = " ".join(text.lower().split())
    if found := _SINGLE.fullmatch(words):
        thing = Thing(found["colour"], found["shape"], found["size"], found["side"] or "center")
        return Scene((thing,), found["ground"])
    found = _PAIR.fullmatch(words)
    if found and found["colour"] != found["colour2"]:
        things = (Thing(found["colour"], found["shape"]), Thing(found["colour2"], found["shape2"]))
        return Scene(things, found["ground"], found["relation"])
    raise ValueError(
        f"{text!r} is no caption of the shapes world; write one like "
        "'a small red star on the left on white' or, with two different colours, "
        f"'a red star above a blue circle on black' (colours: {', '.join(COLOURS)}; "
        f"shapes: {', '.join(SHAPES)}; backgrounds: {', '.join(BACKGROUNDS)})"
    )


def singles() -> list[Scene]:
    """List every scene with one thing."""
    return [
        Scene((Thing(colour, shape, size, place),), background)
        for colour, shape, size, place, background in product(
            COLOURS, SHAPES, SIZES, PLACES, BACKGROUNDS
        )
    ]


def sample(rng: random.Random, pair_share: float = PAIR_SHARE) -> Scene:
    """Draw a scene by lot; two things with probability `pair_share`."""
    background = rng.choice(BACKGROUNDS)
    if rng.random() >= pair_share:
        thing = Thing(
            rng.choice(COLOURS), rng.choice(SHAPES), rng.choice(SIZES), rng.choice(PLACES)
        )
        return Scene((thing,), background)
    first, second = rng.sample(COLOURS, 2)
    things = (Thing(first, rng.choice(SHAPES)), Thing(second, rng.choice(SHAPES)))
    return Scene(things, background, rng.choice(RELATIONS))


def prompts(n: int, seed: int = 0, pairs: bool = False) -> list[str]:
    """Draw `n` captions for an evaluation: all single or all pairs, the same for the same seed."""
    rng = random.Random(seed)
    return [caption(sample(rng, pair_share=float(pairs))) for _ in range(n)]
