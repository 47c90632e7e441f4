"""Build the tokenizer of a world's captions: byte-pair merges that make each word one token.

Functions take the world's words; left out, they are those of the coloured shapes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from genhub.shapes import scenes

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 16  # tokens, start and end included

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words() -> list[str]:
    """List every word that a caption can hold."""
    text = (*scenes.COLOURS, *scenes.SHAPES, *scenes.SIZES, *scenes.PLACES, *scenes.BACKGROUNDS)
    return sorted({*text, *re.findall(r"\w+", " ".join(scenes.RELATIONS)), "a", "on", "the", "in"})


def _split(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """Run byte-pair encoding: the earliest merge that applies goes first, until none does."""
    parts = [*word[:-1], word[-1] + "</w>"]
    while True:
        present = set(pairwise(parts))
        merge = next((m for m in merges if m in present), None)
        if merge is None:
            return parts
        joined: list[str] = []
        for part in parts:
            if joined and (joined[-1], part) == merge:
                joined[-1] += part
            else:
                joined.append(part)
        parts = joined


def merges(world: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """List the merges in order of rank.

    Each word is split by the merges so far and only what is still missing is appended: an earlier
    word may already have claimed a part of a later one ("on" claims the end of "moon").
    """
    known: list[tuple[str, str]] = []
    for word in words() if world is None else world:
        while len(parts := _split(word, known)) > 1:
            known.append((parts[0], parts[1]))
    return known


def vocabulary(world: Sequence[str] | None = None) -> dict[str, int]:
    """Number the tokens: letters, letters that end a word, merges, start and end."""
    tokens = [*_LETTERS, *(letter + "</w>" for letter in _LETTERS)]
    tokens += dict.fromkeys(left + right for left, right in merges(world))
    return {token: number for number, token in enumerate([*dict.fromkeys(tokens), START, END])}


def build(world: Sequence[str] | None = None) -> Any:
    """Build the `transformers.CLIPTokenizer`; ValueError when a word is not one token."""
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer(
        vocab=vocabulary(world), merges=merges(world), pad_token=END, model_max_length=LENGTH
    )
    for word in words() if world is None else world:
        if len(tokenizer(word).input_ids) != 3:
            raise ValueError(f"the tokenizer splits {word!r}: {tokenizer.tokenize(word)}")
    return tokenizer
