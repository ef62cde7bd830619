"""What somebody's Python file raised, as one sentence with the line in that file."""

import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path

from pacpde.errors import DataFileError, PacpdeError, unknown

WANTED = re.compile(r"cannot import name '(\w+)'")  # an ImportError has no attribute for it


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
        absent = _absent_name(error)
        if absent is not None:
            raise DataFileError(f"{what}{where}: {absent}") from error
        raise DataFileError(
            f"{what}{where and f'{where},'} failed on import with {type(error).__name__}: {error}"
            f"{near_names(error)}"
        ) from error


def near_names(error: BaseException) -> str:
    """What a misspelt name in somebody's code may have meant, as "; did you mean self.nu?".

    Coefficients of a problem come first. "" for other errors, and where nothing is near.
    """
    if not isinstance(error, AttributeError | NameError) or not error.name:
        return ""
    if isinstance(error, AttributeError):
        owner, known, before = error.obj, dir(error.obj), ""
    else:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        owner, known = frame.f_locals.get("self"), [*frame.f_locals, *frame.f_globals]
        before = "self."
        if error.name in getattr(frame.f_locals.get("d"), "coordinates", ()):
            return f'; did you mean d.coordinates["{error.name}"]?'
    coefficients = getattr(owner, "coefficients", None)
    own = list(coefficients) if isinstance(coefficients, Mapping) else []
    for names, prefix in ((own, before), (known, "")):
        near = get_close_matches(error.name, names, n=1)
        if near:
            return f"; did you mean {prefix}{near[0]}?"
    return f"; the coefficients are {', '.join(before + name for name in own)}" if own else ""


def _absent_name(error: Exception) -> str | None:
    """A sentence on a name that a module or package does not have; None for other errors."""
    if not isinstance(error, ImportError) or not error.name:
        return None
    if isinstance(error, ModuleNotFoundError):
        package, _, wanted_module = error.name.rpartition(".")
        if package not in sys.modules:
            return None
        modules = pkgutil.iter_modules(getattr(sys.modules[package], "__path__", ()))
        known = [module.name for module in modules]
        return str(unknown(f"module in {package}", wanted_module, known))
    wanted, module = WANTED.match(str(error)), sys.modules.get(error.name)
    if wanted is None or module is None:
        return None
    public = [name for name in dir(module) if not name.startswith("_")]
    return str(unknown(f"name in {module.__name__}", wanted[1], getattr(module, "__all__", public)))


def _at_line(file: Path | None, error: BaseException) -> str:
    """The line of a file in which an error was raised, as ", line 7"; "" where none of it is."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    line = next((frame.lineno for frame in frames if frame.filename == str(file)), None)
    return "" if line is None else f", line {line}"
