"""The console entry: calls a command, and turns whatever goes wrong into one sentence.

It imports little, so that it is ready for Ctrl-C before the commands and torch are imported.
"""

import os
import sys
from collections.abc import Sequence

from pacpde.cli.interruptions import INTERRUPTED, Interruption, handled_interruptions, leave


def main(arguments: Sequence[str] | None = None) -> int:
    """The console entry: 0 done, 2 the input was wrong, 1 it ran and failed, 130 interrupted.

    Args:
        arguments: those of the process where they are left out; then the process is the
            command's own, and ends with it.
    """
    if _is_starting_worker():  # that imports the script of whoever started it
        return 0
    own_process = arguments is None
    words = list(sys.argv[1:] if arguments is None else arguments)
    with handled_interruptions(own_process) as interruption:
        from pacpde.cli.streams import flush_at_exit, tolerant_streams

        with tolerant_streams():
            status = _status(words, interruption)
        if own_process:
            flush_at_exit()
            leave(status)
    return status


def _is_starting_worker() -> bool:
    """Whether this is a worker process that is importing the main module of its parent.

    A script that calls a command without `if __name__ == "__main__":` would run it there again.
    """
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and getattr(processes.current_process(), "_inheriting", False)


def _status(words: Sequence[str], interruption: Interruption) -> int:
    from pacpde.cli.explain import explain
    from pacpde.cli.streams import plain_warnings, print_note

    try:
        os.getcwd()  # without a working folder torch's libraries end the process
        with plain_warnings():
            status = _call(words, interruption)
        if sys.stdout is not None:
            sys.stdout.flush()
        return interruption.report() if status == INTERRUPTED else status
    except BaseException as error:
        if interruption.pressed or isinstance(error, KeyboardInterrupt):
            return interruption.report()
        if "--debug" in words:
            import traceback

            traceback.print_exc()
        sentence, status = explain(error, next(iter(words), ""))
        print_note(sentence)
        return status


def _call(words: Sequence[str], interruption: Interruption) -> int:
    import typer

    from pacpde.cli.commands import app, imported

    imported(words)
    interruption.loading = False
    try:
        result = app(list(words) or ["--help"], prog_name="pacpde", standalone_mode=False)
    except typer.Abort as error:  # the end of an input that something asked for
        raise KeyboardInterrupt from error
    return result if isinstance(result, int) else 0  # typer's 130 is an interruption, too
