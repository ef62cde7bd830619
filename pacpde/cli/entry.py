"""The console entry: calls a command, and turns whatever goes wrong into one sentence."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from pacpde.cli.commands import app
from pacpde.cli.output import complain
from pacpde.errors import PacpdeError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The console entry: 0 done, 2 the input was wrong, 1 it ran and failed, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(words or ["--help"], prog_name="pacpde", standalone_mode=False)
        status = result if isinstance(result, int) else 0
        return _interrupted() if status == INTERRUPTED else status  # typer's way to say it
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:  # a reader such as `head` that has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        return _explain(error)


def _interrupted() -> int:
    complain("pacpde: interrupted; the same command again goes on where it can.")
    return INTERRUPTED


def _explain(error: Exception) -> int:
    """One sentence on stderr, and the exit status."""
    if isinstance(error, PacpdeError):
        complain(f"pacpde: {error}")
        return error.exit_status
    usage = getattr(error, "format_message", None)  # typer's own, of whatever version
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "pacpde"
        message = " ".join(str(usage()).split()).rstrip(".")
        complain(f"pacpde: {message}; see `{command} --help`.")
        return int(getattr(error, "exit_code", 2))
    complain(
        f"pacpde: internal error, {type(error).__name__}: {' '.join(str(error).split())}; use "
        "--debug for the traceback and report it."
    )
    return 1
