"""Where the jobs of a study run: in this process, in batches, or on the workers of a Dask cluster.

Both take jobs from an iterator as they go, so that memory does not grow with their number, and
hand back each result, or the fault in its place, as soon as it is there.
"""

import pickle
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import current_process, resource_tracker
from pathlib import Path
from typing import Any, Protocol

from pacpde.errors import InvalidValueError, PacpdeError, SolverError
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import Steps, steps_of
from pacpde.plugins import load_plugin
from pacpde.runtime import one_thread

AHEAD = 8  # jobs a Dask thread that wait at the scheduler
ADDRESS = re.compile(r"(\w+://)?[^/\s]+:\d+/?")
UNGUARDED = (
    "A script that starts workers is imported by each of them: put what it does beneath "
    '`if __name__ == "__main__":`.'
)
PATIENCE = 30  # seconds for a scheduler to answer


@dataclass(frozen=True)
class JobFailure:
    """In place of a result: what a job raised."""

    told: str


Job = tuple[Any, ...]
Done = Callable[[Job, Any], None]


class Executor(Protocol):
    """Something that carries out jobs."""

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        """Call `done(job, result or JobFailure)` once for each job, in any order, one at a time."""
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """In this process, so many fits side by side that their steps are computed in batches.

    Attributes:
        device: that the fits run on.
        side_by_side: fits at a time.
    """

    device: str = "cpu"
    side_by_side: int = 16

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        for some in _batched(jobs, self.side_by_side):
            served = [_served(function, job, done) for job in some]
            BatchScheduler.of(None, self.device).run(served).each()


@dataclass(frozen=True)
class DaskExecutor:
    """On Dask workers.

    Attributes:
        client: a `distributed.Client`.
        plugins: files with families or methods, that workers find under the same paths.
    """

    client: Any
    plugins: Sequence[Path] = ()
    _submitted: dict[str, Job] = field(default_factory=dict, init=False)

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        from distributed import as_completed

        waiting, finished = iter(jobs), as_completed(loop=self.client.loop)
        self._submitted.clear()
        with _connected():
            room = AHEAD * max(1, sum(self.client.nthreads().values()))
            self._submit(function, islice(waiting, room), finished)
            while self._submitted:
                batch = finished.next_batch(block=True)
                for future in batch:
                    done(self._submitted.pop(future.key), _result(future))
                free = max(room - len(self._submitted), 0)
                self._submit(function, islice(waiting, free), finished)

    def _submit(self, function: Callable[..., Any], jobs: Iterable[Job], finished: Any) -> None:
        import cloudpickle

        plugins = tuple(str(plugin.resolve()) for plugin in self.plugins)
        for job in jobs:
            blob = cloudpickle.dumps((function, job))
            future = self.client.submit(_remote, plugins, blob, pure=False)
            self._submitted[future.key] = job
            finished.add(future)


@contextmanager
def cluster(
    scheduler: str | None = None, local: int | None = None, plugins: Sequence[Path] = ()
) -> Iterator[DaskExecutor]:
    """Workers of the cluster at an address, or of one of so many processes on this machine."""
    from distributed import Client, LocalCluster

    if (scheduler is None) == (local is None):
        raise InvalidValueError("give either the address of a scheduler or a number of workers.")
    if scheduler is not None and not ADDRESS.fullmatch(scheduler):
        raise InvalidValueError(
            f"the scheduler's address is {scheduler!r}, expected one like tcp://host:8786: start "
            "one with `dask scheduler`, and give the address that it prints."
        )
    if local is not None and local < 1:
        raise InvalidValueError(f"the number of local workers is {local}, expected at least 1.")
    own = None
    if local is not None and getattr(current_process(), "_inheriting", False):
        raise InvalidValueError(UNGUARDED)
    try:
        if scheduler is None:
            with _without_interruptions():
                own = LocalCluster(
                    n_workers=local,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs="CRITICAL",  # a heartbeat that an interruption cuts off is no news
                )
        client = Client(own or scheduler, timeout=PATIENCE, set_as_default=False)
    except RuntimeError as error:
        raise SolverError(
            f"the workers did not start ({error}): see what they said above. {UNGUARDED}"
        ) from error
    except (OSError, ValueError, TimeoutError) as error:
        raise InvalidValueError(
            f"no Dask scheduler answers at {scheduler!r} ({error}): start one with `dask "
            "scheduler`, and give the address that it prints."
        ) from error
    try:
        yield DaskExecutor(client, plugins)
    finally:
        client.close()
        if own is not None:
            own.close()


@contextmanager
def _without_interruptions() -> Iterator[None]:
    """Threads and processes that start in the block, and theirs, never hear of Ctrl-C.

    A terminal sends it to a whole group of processes; only the one that the user called answers,
    and ends the others. Here it waits until the block is left.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    _start_tracker()  # it would let Ctrl-C through again where it starts later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start Python's process that removes what workers left, where none runs.

    It remarks on every interruption that there is something to remove, which is its task.
    """
    before = list(sys.warnoptions)  # it takes them over
    sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions[:] = before


def _remote(plugins: Sequence[str], blob: bytes) -> Any:
    """On a worker: a function's result, or its fault. One thread, so that bits do not differ."""
    one_thread()
    for plugin in plugins:
        load_plugin(plugin)
    function, job = pickle.loads(blob)
    return _made(function, job)


def _served(function: Callable[..., Any], job: Job, done: Done) -> Steps[None]:
    """One of several jobs side by side."""
    try:
        made = yield from steps_of(function)(*job)
    except Exception as error:
        made = _fault(error)
    done(job, made)


def _made(function: Callable[..., Any], job: Job) -> Any:
    try:
        return function(*job)
    except Exception as error:
        return _fault(error)


def _fault(error: Exception) -> JobFailure:
    return JobFailure(f"{type(error).__name__}: {error}")


def _result(future: Any) -> Any:
    """Of a finished Dask job; the fault where the worker itself was lost again and again.

    A result that was lost with its worker before it got here is made anew while this waits.
    """
    try:
        return future.result()
    except CancelledError as error:  # by a client that lost its scheduler
        raise _lost() from error
    except OSError:
        raise
    except Exception as error:
        return _fault(error)


@contextmanager
def _connected() -> Iterator[None]:
    """Says in one sentence that the scheduler is gone."""
    try:
        yield
    except PacpdeError:
        raise
    except OSError as error:  # Dask's own CommClosedError and TimeoutError are some, too
        raise _lost() from error


def _lost() -> SolverError:
    return SolverError(
        "the Dask scheduler is gone: what is finished is kept; start it again and give the same "
        "command."
    )


def _batched(jobs: Iterable[Job], size: int) -> Iterator[tuple[Job, ...]]:
    left = iter(jobs)
    return iter(lambda: tuple(islice(left, size)), ())
