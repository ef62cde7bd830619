"""Options and settings that are numbers, words or switches: refused in one way everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isinf
from numbers import Integral, Real
from sys import float_info
from typing import SupportsFloat

from pacpde.errors import InvalidValueError, short, unknown

MAX = float_info.max


def check_count(
    name: str, value: object, least: int, most: float = inf, *, expected: str | None = None
) -> None:
    """Refuse what is no whole number from `least` to `most`.

    Args:
        expected: the range in other words.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        bounds = f"from {least}" if most == inf else f"from {least} to {most}"
        expected = expected or f"a whole number {bounds}"
        raise InvalidValueError(f"{name} is {short(value)}, expected {expected}.")


def check_number(
    name: str, value: object, least: float, most: float = MAX, *, expected: str
) -> float:
    """`value` as a float; refuses what is no finite number from `least` to `most`.

    Args:
        expected: the range in words, as in "a number above 0".
    """
    if (
        not isinstance(value, Real)
        or isinstance(value, bool)
        or not least <= as_float(value) <= most
        or (isinf(as_float(value)) and not isinstance(value, float))  # an integer beyond all floats
    ):
        raise InvalidValueError(f"{name} is {short(value)}, expected {expected}.")
    return as_float(value)


def check_nonnegative(name: str, value: object) -> float:
    """`value` as a float; refuses what is no finite number of at least 0, such as a weight."""
    return check_number(name, value, 0.0, expected="a finite number of at least 0")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is none of `choices`, with the near ones or all of them."""
    if value not in choices:
        raise unknown(name, value, choices)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise InvalidValueError(f"{name} is {short(value)}, expected true or false.")


def check_unused(
    given: Iterable[str], unused: Mapping[str, str], written: str = "the setting {}"
) -> None:
    """Refuse what was given and has no effect.

    Args:
        given: names of options or settings.
        unused: name → why it has no effect.
        written: how the user writes one.
    """
    for name in given:
        if name in unused:
            raise InvalidValueError(
                f"{written.format(name)} has no effect here, {unused[name]}: leave it out."
            )


def as_float(value: SupportsFloat) -> float:
    """A number as a float; infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf  # type: ignore[operator]
