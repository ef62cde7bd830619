"""What the import of somebody's Python file raised, as one sentence with the line in that file."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pacpde.errors import DataFileError, PacpdeError


@contextmanager
def located(what: str, file: Path) -> Iterator[None]:
    """Name `what`, and the line in `file`, in each `PacpdeError` of the block."""
    try:
        yield
    except PacpdeError as error:
        raise type(error)(f"{what}{_at_line(file, error)}: {error}") from error


@contextmanager
def import_errors(what: str, file: Path | None = None) -> Iterator[None]:
    """Turn whatever the block raises into a sentence that begins with `what` and the line.

    Args:
        what: is imported, as in "plugin 'mine.py'".
        file: that is imported, whose lines are named; None for an installed package.

    Raises:
        PacpdeError: of the kind that the block raised.
        DataFileError: for any other exception, and for a call of `sys.exit`.
    """
    try:
        with nullcontext() if file is None else located(what, file):
            yield
    except PacpdeError:
        raise
    except SystemExit as error:
        raise DataFileError(
            f"{what} calls sys.exit on import: remove it, plugins only define classes."
        ) from error
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        beside = file and missing and file.with_name(f"{missing.partition('.')[0]}.py")
        if beside and beside.is_file():
            raise DataFileError(
                f"{what}{_at_line(file, error)}: imports {missing!r} from the file {beside.name} "
                "beside it, and a plugin is one file that is read alone: move what it needs into "
                "it, or install both as a package."
            ) from error
        where = _at_line(file, error)
        raise DataFileError(
            f"{what}{where and f'{where},'} failed on import with {type(error).__name__}: {error}"
        ) from error


def _at_line(file: Path | None, error: BaseException) -> str:
    """The line of a file in which an error was raised, as ", line 7"; "" where none of it is."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    line = next((frame.lineno for frame in frames if frame.filename == str(file)), None)
    return "" if line is None else f", line {line}"
