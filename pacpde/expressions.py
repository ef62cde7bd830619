"""Arithmetic on numbers, pi and e, read from text and never evaluated as Python."""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

from pacpde.errors import InvalidValueError, short

LONGEST = 200  # characters
DEEPEST = 40  # nested operations
# Python would read 0.1_5 as 0.15, leave out what follows a #, and take other scripts' letters for e
GROUPED = re.compile(r"(?<![\d._])\d{1,3}(?:_\d{3})+(?![\d_])")  # 1_000_000
ALPHABET = re.compile(r"[0-9.+\-*/() \tA-Za-z]*")
CONSTANTS = {"pi": math.pi, "e": math.e}
BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # floats only: no huge integers, no complex results
}
UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
ALLOWED = "write a number, or numbers, pi and e with + - * / ** and parentheses, like 0.01/pi"


def evaluate(text: str) -> float:
    """The finite value of an expression such as `0.01/pi`.

    Raises:
        InvalidValueError: it is empty, too long or too deep, holds anything but arithmetic, or
            has no finite real value.
    """
    stripped = text.strip()
    if not stripped:
        raise InvalidValueError(f"the value is empty: {ALLOWED}.")
    if len(stripped) > LONGEST:
        raise InvalidValueError(
            f"the expression {_shown(stripped)} has {len(stripped)} characters, at most {LONGEST} "
            f"are read: {ALLOWED}."
        )
    plain = GROUPED.sub(lambda match: match[0].replace("_", ""), stripped)
    if not ALPHABET.fullmatch(plain):
        raise InvalidValueError(f"{_shown(stripped)} is not arithmetic: {ALLOWED}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own remarks about odd literals
            tree = ast.parse(plain, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidValueError(f"{_shown(stripped)} is not arithmetic: {ALLOWED}.") from error
    try:
        value = _value(tree.body, plain, 0)
    except ZeroDivisionError as error:
        raise InvalidValueError(f"{_shown(stripped)} divides by zero: {ALLOWED}.") from error
    except (OverflowError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise _not_finite(stripped) from error
    if not math.isfinite(value):
        raise _not_finite(stripped)
    return value


def named_options(
    what: str, text: str, example: str, value_of: Callable[[str], Any] = evaluate
) -> dict[str, Any]:
    """A name with options, as "adam:lr=1e-3,eps=1e-8", as a mapping with the name as "name".

    Args:
        what: is written so, for the error.
        example: of what it may be.
        value_of: gives the value of an option from its text.

    Raises:
        InvalidValueError: an option has no value, or is given twice.

    Example:
        >>> named_options("the optimiser", "adam:lr=1/100", "adam:lr=1e-3")
        {'name': 'adam', 'lr': 0.01}
    """
    name, colon, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not key or key == "name":
            raise InvalidValueError(
                f"{what} is {short(text)}, expected a name with options, each once, as in "
                f'"{example}".'
            )
        if key in options:
            raise InvalidValueError(f"{key} is given twice in {short(text)}: give one.")
        options[key] = value_of(value)
    return {"name": name.strip(), **options}


def _value(node: ast.expr, text: str, depth: int) -> float:
    if depth > DEEPEST:
        raise InvalidValueError(
            f"{_shown(text)} is nested more than {DEEPEST} deep: write it more simply."
        )
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        left, right = _value(node.left, text, depth + 1), _value(node.right, text, depth + 1)
        return BINARY[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
        return UNARY[type(node.op)](_value(node.operand, text, depth + 1))
    part = ast.get_source_segment(text, node) or text
    raise InvalidValueError(f"{_shown(part)} is not arithmetic: {ALLOWED}.")


def _not_finite(text: str) -> InvalidValueError:
    return InvalidValueError(f"{_shown(text)} has no finite real value: {ALLOWED}.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
