"""The exception tree: every fault of a user is a `PacpdeError` with one helpful sentence.

Messages say what was wrong, what was given, what is allowed and what to do. The command line
prints them without a traceback and exits with `exit_status`.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

OWN = (str(Path(__file__).parent), contextlib.__file__)  # whose frames are not the user's


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


class MissingConditionWarning(UserWarning):
    """A problem has fewer conditions than its derivatives ask for: it may have many solutions."""


class KinkWarning(UserWarning):
    """A network has kinks, and no point of a fit sees what an equation makes of them."""


class ChangedFamilyWarning(UserWarning):
    """A family's file differs from what something stored was made with, its values do not."""


class TransferWarning(UserWarning):
    """A transfer goes on from weights, or with a mask, that may be of no use."""


class RenamedWarning(FutureWarning):
    """An old name was used, which a later release will refuse."""


class ExtrapolationWarning(UserWarning):
    """A surrogate was asked outside the domain of its problem, where nothing holds its values."""


def warn_user(text: str, category: type[Warning]) -> None:
    """Warn at the line of the user's that called pacpde, however deep."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


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


def short(value: object) -> str:
    """`value` for a sentence, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def named_numbers(values: Mapping[str, float], equals: str = "=", digits: int = 6) -> str:
    """Numbers with their names for a sentence: "nu=0.02, k=1"."""
    return ", ".join(f"{name}{equals}{value:.{digits}g}" for name, value in values.items())
