"""What a plain scalar means: the core schema of YAML 1.2.

PyYAML's own resolver follows YAML 1.1, where `no` is a boolean, `12:30:00` the number 45000 and
`1e-4` a string.
"""

from __future__ import annotations

import re

__all__ = ["BadScalar", "Scalar", "resolve"]

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MOST_DIGITS = 100


class BadScalar(ValueError):
    """A scalar that looks like a number and cannot be one; the message says how to fix it."""


def resolve(text: str) -> Scalar:
    """Give the value of a plain scalar: null, boolean, number, or the text itself.

    >>> [resolve(text) for text in ("no", "1e-4", "0x1F", "12:30:00", "~")]
    ['no', 0.0001, 31, '12:30:00', None]
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _LEADING_ZERO.fullmatch(text):
        bare = text[0].strip("+0") + (text.lstrip("+-0") or "0")
        raise BadScalar(
            f"{_cut(text)} has a leading zero: write {_cut(bare)}, or put quotes around it"
        )
    if _INTEGER.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise BadScalar(f"{_cut(text)} has {len(text)} digits, more than {_MOST_DIGITS}")
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise BadScalar(f"{_cut(text)} is too large for a number: write .inf if you mean it")
        return number
    return text


def _cut(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}..."
