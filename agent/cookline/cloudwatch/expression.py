"""Metric math, first part: arithmetic (+ - * / ^, parentheses, unary minus) over numbers and the ids of other queries.

A series is {epoch second: value}. Between two series only the seconds that both have count; where the result is not a finite
number (a division by zero) there is no datapoint, as in CloudWatch.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

Series = dict[int, float]
Operand = Series | float
Lookup = Callable[[str], Operand]

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|([a-z][A-Za-z0-9_]*)|([-+*/^()]))", re.ASCII)
_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
# loosest first
_LEVELS = ("+-", "*/")
_MAX_DEPTH = 50


class ExpressionError(ValueError):
    """An expression that cannot be read; the text is meant for its author."""


def evaluate(text: str, lookup: Lookup) -> Operand:
    """The value of an expression; `lookup` gives the series of an id (or raises ExpressionError).

    >>> evaluate("m1 * (2 + 1)", {"m1": {0: 1.0, 60: 2.0}}.__getitem__)
    {0: 3.0, 60: 6.0}
    """
    reader = _Reader(_tokens(text), lookup)
    value = reader.sum(0)
    if reader.at != len(reader.tokens):
        raise ExpressionError(f"{reader.tokens[reader.at]!r} is not expected here")
    return value


def _tokens(text: str) -> list[str]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        matched = _TOKEN.match(text, at)
        if matched is None:
            raise ExpressionError(f"{text[at : at + 20].strip()!r} is not understood")
        found.append(matched[0].strip())
        at = matched.end()
    return found


class _Reader:
    """Recursive descent: sums of products of powers of operands."""

    def __init__(self, tokens: list[str], lookup: Lookup) -> None:
        self.tokens, self.lookup, self.at = tokens, lookup, 0

    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next()
        if not token:
            raise ExpressionError("the expression ends early")
        self.at += 1
        return token

    def sum(self, depth: int, level: int = 0) -> Operand:
        if depth > _MAX_DEPTH:
            raise ExpressionError("the expression is nested too deep")
        if level == len(_LEVELS):
            return self.power(depth)
        value = self.sum(depth, level + 1)
        while self.next() and self.next() in _LEVELS[level]:
            value = combined(self.take(), value, self.sum(depth, level + 1))
        return value

    def power(self, depth: int) -> Operand:
        if depth > _MAX_DEPTH:
            raise ExpressionError("the expression is nested too deep")
        if self.next() == "-":
            self.take()
            return combined("*", -1.0, self.power(depth + 1))
        base = self.operand(depth)
        if self.next() == "^":
            self.take()
            return combined("^", base, self.power(depth + 1))
        return base

    def operand(self, depth: int) -> Operand:
        token = self.take()
        if token == "(":
            value = self.sum(depth + 1)
            if self.take() != ")":
                raise ExpressionError("a closing parenthesis is missing")
            return value
        if token[0].isdigit() or token[0] == ".":
            return float(token)
        if token in "+*/^)":
            raise ExpressionError(f"{token!r} is not expected here")
        return self.lookup(token)


def combined(sign: str, left: Operand, right: Operand) -> Operand:
    """`left` and `right` under an operator, second by second when either is a series."""
    if isinstance(left, float) and isinstance(right, float):
        value = _calculated(sign, left, right)
        if value is None:
            raise ExpressionError("a constant part has no finite value")
        return value
    if isinstance(left, dict) and isinstance(right, dict):
        seconds = [second for second in left if second in right]
    else:
        seconds = list(left if isinstance(left, dict) else right)  # type: ignore[arg-type]
    result = {}
    for second in seconds:
        one = left[second] if isinstance(left, dict) else left
        other = right[second] if isinstance(right, dict) else right
        value = _calculated(sign, one, other)
        if value is not None:
            result[second] = value
    return result


def _calculated(sign: str, left: float, right: float) -> float | None:
    """A finite float, or None."""
    try:
        value = _OPERATIONS[sign](left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None
