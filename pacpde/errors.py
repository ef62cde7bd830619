"""The exception tree: every fault of a user is a `PacpdeError` with one helpful sentence.

Messages say what was wrong, what was given, what is allowed and what to do. The command line
prints them without a traceback and exits with `exit_status`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from math import inf, isinf
from numbers import Integral, Real
from sys import float_info
from typing import SupportsFloat

MAX = float_info.max


class PacpdeError(Exception):
    """Base of everything pacpde raises on purpose."""

    exit_status = 2

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class UnknownNameError(PacpdeError, KeyError):
    """A family, method, optimiser, coefficient or option that does not exist."""


class InvalidValueError(PacpdeError, ValueError):
    """A value outside what its meaning allows."""


class DataFileError(PacpdeError, ValueError):
    """A file or folder that is missing, truncated, altered or of another kind."""


class UntrustedCodeError(PacpdeError):
    """Somebody's plug-in that would run although nobody asked for it."""


class UnreadableError(DataFileError):
    """A file or folder that is there, and that the system does not let us read."""


class OutputError(PacpdeError, OSError):
    """A place that cannot be written to."""


class MissingPackageError(PacpdeError, ImportError):
    """An optional package that is not installed."""


class SolverError(PacpdeError, RuntimeError):
    """A computation that ran and failed: no certificate, no descent, no memory."""

    exit_status = 1


class ContradictionWarning(UserWarning):
    """Start and edges of a problem contradict each other, or its start is not smooth."""


class ChangedFamilyWarning(UserWarning):
    """A family's file differs from what something stored was made with, its values do not."""


class TransferWarning(UserWarning):
    """A transfer goes on from weights, or with a mask, that may be of no use."""


class RenamedWarning(FutureWarning):
    """An old name was used, which a later release will refuse."""


class ExtrapolationWarning(UserWarning):
    """A surrogate was asked outside the domain of its problem, where nothing holds its values."""


def unknown(kind: str, got: object, known: Iterable[str]) -> UnknownNameError:
    """An error for a name that is not there, with the near ones or all of them."""
    names = sorted(known)
    near = get_close_matches(str(got), names, n=3) if isinstance(got, str) else []
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}."
    return UnknownNameError(f"unknown {kind} {short(got)}: {hint}")


def unreadable(place: object, error: OSError) -> UnreadableError:
    """An error for what is there, maybe whole, and cannot be read."""
    return UnreadableError(
        f"{str(place)!r} cannot be read ({error.strerror or error}): it may be whole; see to its "
        "permissions or its disk, and give the same command again."
    )


def check_count(name: str, value: object, least: int, most: float = inf) -> None:
    """Refuse what is no whole number, a smaller one or a larger one."""
    if (
        not isinstance(value, Integral)
        or isinstance(value, bool)
        or not least <= int(value) <= most
    ):
        said = f"from {least}" if most == inf else f"from {least} to {most}"
        raise InvalidValueError(f"{name} is {short(value)}, expected a whole number {said}.")


def as_float(value: SupportsFloat) -> float:
    """A number as a float; infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf  # type: ignore[operator]


def check_number(
    name: str, value: object, least: float, most: float = MAX, *, expected: str
) -> None:
    """Refuse what is no finite number from `least` to `most`; `expected` says so in words."""
    if (
        not isinstance(value, Real)
        or isinstance(value, bool)
        or not least <= as_float(value) <= most
        or (isinf(as_float(value)) and not isinstance(value, float))  # an integer beyond all floats
    ):
        raise InvalidValueError(f"{name} is {short(value)}, expected {expected}.")


def short(value: object) -> str:
    """`value` for a sentence, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
