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
    """Whether Ctrl-C was pressed during a command.

    Attributes:
        own_process: whether the process is the command's own, which may be ended.
        pressed: whether Ctrl-C was pressed.
        loading: whether the package is being imported.
    """

    def __init__(self, own_process: bool) -> None:
        self.own_process = own_process
        self.pressed, self.loading = False, True
        self.hook = sys.unraisablehook

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.own_process and (self.loading or self.pressed):
            self._end_at_once()
        self.pressed = True
        raise KeyboardInterrupt

    def report(self) -> int:
        """Say that the command was interrupted; its exit status."""
        from pacpde.cli.streams import print_stderr

        if _handles(self):
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
        """A `sys.unraisablehook` that raises Ctrl-C again, from code that cannot pass it on."""
        if self.pressed and isinstance(args.exc_value, KeyboardInterrupt):
            self.pressed = False
            threading.Timer(SOON, _thread.interrupt_main).start()
        else:
            self.hook(args)


@contextmanager
def handled_interruptions(own_process: bool) -> Iterator[Interruption]:
    """Ctrl-C is handled as this module says while the block runs.

    Left as it is where the caller ignores or handles Ctrl-C, or is not in the main thread.
    """
    interruption = Interruption(own_process)
    if not _handles(signal.default_int_handler):
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


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _handles(handler: "Any") -> bool:
    """Whether Ctrl-C is handled by `handler`, and in this thread."""
    return _in_main_thread() and signal.getsignal(signal.SIGINT) is handler


def leave(status: int) -> int:
    """`status`, once nothing is left that Ctrl-C or a thread could disturb at the end.

    Threads that still run, such as those of an interrupted fit, would make the interpreter wait,
    or abort where they return from torch to an interpreter that is gone.
    """
    if _in_main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # `python -m` ends by the signal, not by the status, where Ctrl-C ended the latest code that was
    # compiled from a text, as that of a dataclass is
    exec("")
    if threading.active_count() > 1:
        os._exit(status)
    return status
