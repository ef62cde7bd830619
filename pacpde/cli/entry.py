"""The console entry: calls a command, and turns whatever goes wrong into one sentence."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from pacpde.cli.commands import app
from pacpde.cli.explain import explain
from pacpde.cli.output import complain

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
    except (Exception, SystemExit) as error:
        if "--debug" in words:
            traceback.print_exc()
        sentence, status = explain(error, next(iter(words), ""))
        complain(f"pacpde: {sentence}")
        return status


def _interrupted() -> int:
    complain("pacpde: interrupted; the same command again goes on where it can.")
    return INTERRUPTED
