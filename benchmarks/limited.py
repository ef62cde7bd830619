"""Work in a process of its own, ended after some CPU seconds without an answer."""

import time
import warnings
from collections.abc import Callable, Generator
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection
from resource import RLIMIT_CPU, getrlimit, setrlimit
from signal import SIGXCPU
from typing import Any

import torch

Message = dict[str, Any]
Tell = Callable[[Message], None]


def messages_of(
    work: Callable[..., None], *arguments: Any, limit: float
) -> tuple[list[Message], str]:
    """All that `work(*arguments, tell)` tells, and why it ended early; see `streamed`."""
    messages, telling = [], streamed(work, *arguments, limit=limit)
    while True:
        try:
            messages.append(next(telling))
        except StopIteration as end:
            return messages, end.value


def streamed(
    work: Callable[..., None], *arguments: Any, limit: float
) -> Generator[Message, None, str]:
    """What `work(*arguments, tell)` tells, when it does; returns why it ended early, "" if not.

    Args:
        work: a function of a module.
        limit: CPU seconds between two messages; other work on the machine makes nothing fail.
    """
    context = get_context("forkserver")  # which has imported all once
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, arguments, limit, there))
    process.start()
    there.close()
    ended = ""
    try:
        while (message := here.recv()) is not None:
            yield message
    except EOFError:
        ended = "unfinished"
    process.join()
    if ended and process.exitcode == -SIGXCPU:
        ended = "time_limit"
    return ended


def _work(
    work: Callable[..., None], arguments: tuple[Any, ...], limit: float, pipe: Connection
) -> None:
    def tell(message: Message | None) -> None:
        """Send a message; None is the last one."""
        pipe.send(message)
        allow()

    def allow() -> None:
        """Time until the next message; then the system ends the process."""
        most = ceil(time.process_time() + limit)
        setrlimit(RLIMIT_CPU, (most, getrlimit(RLIMIT_CPU)[1]))

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    allow()
    work(*arguments, tell)
    tell(None)
