"""Where jobs run: in this process, alone or in batches, or on the workers of a Dask cluster.

An executor takes jobs from an iterator as it goes, so that memory does not grow with their number,
and hands back each result, or the failure in its place, as soon as it is there.
"""

import logging
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
    """The exception that a job raised, in place of its result.

    Attributes:
        error: where the job ran in this process.
    """

    message: str
    error: Exception | None = field(default=None, compare=False)

    @classmethod
    def of(cls, error: Exception, *, local: bool) -> "JobFailure":
        return cls(f"{type(error).__name__}: {error}", error if local else None)


Job = tuple[Any, ...]
Done = Callable[[Job, Any], None]


class Executor(Protocol):
    """Something that carries out jobs."""

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        """Call `done(job, result or JobFailure)` once for each job, in any order, one at a time."""
        ...


class SerialExecutor:
    """Runs jobs in this process, one after another, each on all threads of torch."""

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        for job in jobs:
            done(job, _run(function, job, local=True))


@dataclass(frozen=True)
class LocalExecutor:
    """Runs many fits concurrently in this process; their steps are computed in batches.

    Attributes:
        device: that the fits run on.
        side_by_side: fits at a time; None takes all.
    """

    device: str = "cpu"
    side_by_side: int | None = 16

    def each(self, function: Callable[..., Any], jobs: Iterable[Job], done: Done) -> None:
        waiting = iter(jobs)
        while batch := list(islice(waiting, self.side_by_side)):
            fits = [_steps(function, job, done) for job in batch]
            BatchScheduler.of(None, self.device).run(fits).each()


@dataclass(frozen=True)
class DaskExecutor:
    """On Dask workers.

    Attributes:
        client: a `distributed.Client`.
        plugins: files with families, methods or networks, that workers find under the same paths.
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
            # it is silent until it is closed, and remarks later on connections that ended with it
            logging.getLogger("distributed").setLevel(logging.WARNING)
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
    """On a worker: a function's result, or its failure. One thread, so that bits do not differ."""
    one_thread()
    for plugin in plugins:
        load_plugin(plugin)
    function, job = pickle.loads(blob)
    return _run(function, job, local=False)


def _steps(function: Callable[..., Any], job: Job, done: Done) -> Steps[None]:
    """One of several jobs side by side."""
    try:
        result = yield from steps_of(function)(*job)
    except Exception as error:
        result = JobFailure.of(error, local=True)
    done(job, result)


def _run(function: Callable[..., Any], job: Job, *, local: bool) -> Any:
    """The result of a job, or its failure."""
    try:
        return function(*job)
    except Exception as error:
        return JobFailure.of(error, local=local)


def _result(future: Any) -> Any:
    """The result of a finished Dask job; a failure if its workers were lost repeatedly.

    A result that was lost with its worker before it got here is made anew while this waits.
    """
    try:
        return future.result()
    except CancelledError as error:  # by a client that lost its scheduler
        raise _lost() from error
    except OSError:
        raise
    except Exception as error:
        return JobFailure.of(error, local=False)


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
