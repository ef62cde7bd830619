"""Ctrl-C: the command ends with one sentence and status 130, whatever it is doing.

While a command runs, Ctrl-C raises KeyboardInterrupt, so that files, locks and workers are left in
order. While the package is being imported, and where Ctrl-C comes a second time, there is nothing
to put in order or no time for it: the process ends at once.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

TYPE_CHECKING = False  # importing typing takes as long as all the rest
if TYPE_CHECKING:
    from typing import Any

INTERRUPTED = 130
SENTENCE = "pacpde: interrupted; the same command again goes on where it can."
SOON = 0.02  # seconds until Ctrl-C is raised again, outside the code that could not pass it on
SHOW_CURSOR = "\x1b[?25h"  # which a progress bar hides


class Interruption:
    """What became of Ctrl-C during a command.

    Attributes:
        own_process: whether the process is the command's own, which may be ended.
        seen: whether Ctrl-C was pressed.
        loading: whether the package is being imported.
    """

    def __init__(self, own_process: bool) -> None:
        self.own_process = own_process
        self.seen, self.loading = False, True
        self.hook = sys.unraisablehook

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.own_process and (self.loading or self.seen):
            self._end_at_once()
        self.seen = True
        raise KeyboardInterrupt

    def report(self) -> int:
        """Say that the command was interrupted; its exit status."""
        from pacpde.cli.streams import print_stderr

        if _ours(self):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        print_stderr(SENTENCE)
        return INTERRUPTED

    def _end_at_once(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with suppress(Exception):  # the stream may be in the middle of a write
            if sys.stderr.isatty():
                os.write(2, SHOW_CURSOR.encode())
        with suppress(OSError):
            os.write(2, f"{SENTENCE}\n".encode())
        os._exit(INTERRUPTED)

    def ignored_exception(self, args: "Any") -> None:
        """For `sys.unraisablehook`: Ctrl-C in code that cannot pass it on is raised again."""
        if self.seen and isinstance(args.exc_value, KeyboardInterrupt):
            self.seen = False
            threading.Timer(SOON, _thread.interrupt_main).start()
        else:
            self.hook(args)


@contextmanager
def watched(own_process: bool) -> Iterator[Interruption]:
    """Ctrl-C is handled as this module says while the block runs.

    Left as it is where the caller ignores or handles Ctrl-C, or is not in the main thread.
    """
    interruption = Interruption(own_process)
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption)
    sys.unraisablehook = interruption.ignored_exception
    try:
        yield interruption
    finally:
        sys.unraisablehook = interruption.hook
        if not own_process:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours(interruption: Interruption) -> bool:
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is interruption
    )


def leave(status: int) -> int:
    """`status`, once nothing is left that Ctrl-C or a thread could disturb at the end.

    Threads that still run, such as those of an interrupted fit, would make the interpreter wait,
    or abort where they return from torch to an interpreter that is gone.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threading.active_count() > 1:
        os._exit(status)
    return status
