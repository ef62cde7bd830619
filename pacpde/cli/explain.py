"""What went wrong, in one sentence, and the exit status that goes with it."""

import os
import re
import traceback
from pathlib import Path

from pacpde.errors import PacpdeError
from pacpde.import_errors import near_names
from pacpde.plugins import plugins

HERE = Path(__file__).resolve().parents[1]
TOO_LARGE = re.compile(
    r"DefaultCPUAllocator|out of memory|Unable to allocate|Storage size calculation overflowed"
    r"|Maximum allowed dimension exceeded|array is too big",
    re.IGNORECASE,
)
OTHER_KIND = re.compile(  # math on arrays, numpy on tensors, torch on numpy arrays
    r"converted to Python scalars|'numpy.ndarray' and 'Tensor'|numpy\(\) on Tensor|must be Tensor"
    r"|must be real number"
)
# package → the extra it comes with
EXTRAS = dict.fromkeys(("pydantic", "pyarrow", "dask", "distributed", "cloudpickle"), "studies")
EXTRAS |= dict.fromkeys(("jinja2", "plotly"), "report")
SMALLER = {
    **dict.fromkeys(("train", "check"), "lower --points, --width or --depth"),
    "identify": "lower --points, or give fewer measurements",
    "solve": "lower --labels",
    "predict": "give fewer points",
    "transfer": "lower --points or --labels, or what --set makes larger (grow, rank, features)",
}


def explain(error: BaseException, command: str = "") -> tuple[str, int]:
    """(sentence, exit status) for anything a command raised."""
    if isinstance(error, PacpdeError):
        return str(error), error.exit_status
    usage = getattr(error, "format_message", None)  # typer's own, of whatever version
    if usage is not None:
        return _usage(error, str(usage()))
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f"the package {error.name} is missing: pip install 'pacpde[{extra}]'.", 2
    if isinstance(error, MemoryError) or TOO_LARGE.search(str(error)):
        smaller = SMALLER.get(command, "lower --points, --width, --depth or --labels")
        return f"not enough memory for this {command or 'command'}: {smaller}.", 1
    blamed = _in_plugin(error)
    if blamed is not None:
        return blamed, 2
    refused = _by_system(error)
    if refused is not None:
        return refused
    return (
        f"internal error, {type(error).__name__}: {_line(error)}; use --debug for the traceback "
        "and report it."
    ), 1


def _by_system(error: BaseException) -> tuple[str, int] | None:
    """What the operating system refused; with the file, if it is about one that was named."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    reason = (error.strerror or os.strerror(error.errno)).rstrip(".")
    if error.filename is not None:
        place = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
        return f"{str(place)!r} cannot be used ({reason}): name another place.", 2
    try:
        os.getcwd()
    except OSError:
        return "the working folder does not exist any more: change to another one.", 2
    return f"the system refused what the command needs ({reason}).", 1


def _usage(error: BaseException, message: str) -> tuple[str, int]:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "pacpde"
    said = " ".join(message.split()).rstrip(".")
    return f"{said}; see `{command} --help`.", int(getattr(error, "exit_code", 2))


def _in_plugin(error: BaseException) -> str | None:
    """Names the line of a plugin that raised, itself or in what it called of other packages."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if frame.filename in plugins:
            where = f"plugin {plugins[frame.filename]}, line {frame.lineno}"
            if isinstance(error, SystemExit):
                return f"{where}: calls sys.exit: remove it, or raise an error instead."
            return f"{where}: {type(error).__name__}: {_line(error).rstrip('.')}{_hint(error)}"
        if HERE in file.parents and file.parent.name != "physics":
            return None
    return None


def _hint(error: BaseException) -> str:
    if "is ambiguous" in str(error):  # an array as a condition of `if`
        return "; functions take many points at once: write a switch as (t > 0.5) * 1.0."
    if not OTHER_KIND.search(str(error)):
        near = near_names(error)
        return near if near.endswith("?") else f"{near}."
    return (
        "; physics runs on arrays and on tensors: take sin, exp, ... from "
        "pacpde.physics.elementary, not from math, numpy or torch."
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
