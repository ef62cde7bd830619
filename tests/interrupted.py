"""Interrupts a call inside the package, as Ctrl-C does."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pacpde

PACKAGE = str(Path(pacpde.__file__).parent)


def calls_of(work: Callable[[], object], interrupted: int | None = None) -> int:
    """How many functions of the package are called in `work`.

    Args:
        interrupted: KeyboardInterrupt is raised at the start of the call with this number.
    """
    count = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            count += 1
            if count == interrupted:
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
