"""Fits side by side: what they ask of an optimiser at the same time is computed in one batch.

Every fit stays a plain sequence of calls, in a thread of its own. Where one asks an optimiser for
steps it waits until all others ask too, or have ended. Then requests that are the same are
computed once, the others on all cores: each alone, or those of one kind as a stack (see
`LeastSquares.stack`), which sums in another order.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from pacpde.errors import SolverError, check_count
from pacpde.optim.base import Optimiser, Progress, State
from pacpde.optim.free import LeastSquares
from pacpde.optim.update import Progress as Told
from pacpde.optim.update import Update, prefixed
from pacpde.runtime import one_thread

T = TypeVar("T")
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
CACHE = 12 * 2**20  # bytes of matrices in one stack on a CPU: more leaves the cache, and is slower


class StoppedError(Exception):
    """A fit ends because the computation it is part of was interrupted."""


class BatchError(SolverError):
    """Some fits of a batch failed; the others are kept.

    Attributes:
        results: of every fit, in order; None where it failed.
        errors: number of a fit → what it raised.
    """

    def __init__(self, results: Sequence[Any], errors: dict[int, BaseException]) -> None:
        numbers = ", ".join(map(str, errors))
        first = next(iter(errors.values()))
        why = f"{type(first).__name__}: {str(first).rstrip('.')}"
        super().__init__(
            f"{len(errors)} of {len(results)} fits failed (number {numbers}, from 0), the first "
            f"with {why}. The others have ended: they are in the `results` of this error, in "
            "order, with None for those that failed."
        )
        self.results, self.errors = list(results), errors


@dataclass(frozen=True)
class Ended(Generic[T]):
    """How jobs ended.

    Attributes:
        results: in order; None where one failed.
        errors: number of a job → what it raised.
    """

    results: list[T]
    errors: dict[int, BaseException]

    def all(self) -> list[T]:
        """The results; where some jobs failed a `BatchError` with the others, else their error."""
        if not self.errors:
            return self.results
        first = next(iter(self.errors.values()))
        if len(self.errors) == len(self.results) or not isinstance(first, Exception):
            raise first
        raise BatchError(self.results, self.errors) from first


@dataclass
class _Request:
    """Steps that one fit asks for, and what came of them."""

    optimiser: Optimiser
    problem: LeastSquares
    x: torch.Tensor
    steps: int
    state: State | None
    number: int  # of the fit
    made: Progress | None = None
    failed: BaseException | None = None
    seconds: float = 0.0

    @property
    def kind(self) -> Hashable:
        return self.optimiser, self.steps, self.problem.kind

    @property
    def start(self) -> str:
        return _digest([self.x])

    @property
    def whole(self) -> str:
        return _digest([self.x, self.problem, self.state])


@dataclass
class _Own(threading.local):
    """What a thread knows of the fit it runs."""

    number: int = 0
    ran: float = 0.0
    since: float = 0.0


@dataclass
class Together:
    """Runs fits side by side.

    A result does not depend on timing, and without stacks on the company that a fit is in: it has
    the bits that it has alone with the same number of threads of torch, one where there are
    several workers. In a stack every step is the same to rounding, which the steps of a whole fit
    may grow to another solution of the same quality.

    Attributes:
        workers: requests or stacks computed at once, each by one thread; on a GPU one is best.
        stacked: compute requests of one kind as a stack: quicker for small networks and on a GPU.
        lock: for what the fits share beside their steps.
    """

    workers: int = field(default_factory=torch.get_num_threads)
    stacked: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _own: _Own = field(default_factory=_Own, init=False)
    _change: threading.Condition = field(default_factory=threading.Condition, init=False)
    _waiting: list[_Request] = field(default_factory=list, init=False)
    _running: int = field(default=0, init=False)
    _stopped: bool = field(default=False, init=False)

    @classmethod
    def of(cls, workers: int | None, device: str, stacked: bool | None = None) -> "Together":
        """What is not given: one worker and stacks on a GPU, else as many as torch has threads."""
        if workers is None:
            workers = torch.get_num_threads() if device == "cpu" else 1
        check_count("workers", workers, 1)
        if stacked is None:
            stacked = device != "cpu"
        return cls(workers, stacked)

    def relay(self, name: object, told: Told | None) -> Told | None:
        """`told` for one of the fits: the stage starts with its name, and calls come singly."""
        if told is None:
            return None

        def relay(update: Update) -> None:
            with self.lock:
                told(update)

        return prefixed(name, relay)

    def each(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """The results of jobs, in order; the first error, once all others have ended."""
        ended: Ended[T] = self.settled(jobs)
        for error in ended.errors.values():
            raise error
        return ended.results

    def settled(self, jobs: Sequence[Callable[[], T]]) -> Ended[T]:
        """How jobs ended, once all have."""
        results: list[Any] = [None] * len(jobs)
        errors: list[BaseException | None] = [None] * len(jobs)
        self._turns = threading.Semaphore(self.workers)
        self._running, self._stopped = len(jobs), False

        def work(number: int) -> None:
            self._alone()
            self._own.number = number
            with self._turns:
                self._own.ran, self._own.since = 0.0, time.perf_counter()
                try:
                    results[number] = jobs[number]()
                except BaseException as error:
                    errors[number] = error
            with self._change:
                self._running -= 1
            self._serve()

        threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(len(jobs))]
        with ThreadPoolExecutor(self.workers, initializer=self._alone) as self._pool:
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            except BaseException:
                with self._change:
                    self._stopped = True
                    self._change.notify_all()
                for thread in threads:
                    thread.join()
                raise
        return Ended(results, {k: error for k, error in enumerate(errors) if error is not None})

    def _alone(self) -> None:
        """Of several workers each computes with one thread."""
        if self.workers > 1:
            one_thread()

    def run(
        self,
        optimiser: Optimiser,
        problem: LeastSquares,
        x: torch.Tensor,
        steps: int,
        state: State | None,
    ) -> Progress:
        """What `optimiser.run` gives; called from inside a job."""
        own = self._own
        own.ran += time.perf_counter() - own.since
        request = _Request(optimiser, problem, x, steps, state, own.number)
        self._turns.release()
        with self._change:
            self._waiting.append(request)
        self._serve()
        with self._change:
            self._change.wait_for(lambda: self._stopped or request.made or request.failed)
        self._turns.acquire()
        own.ran += request.seconds
        own.since = time.perf_counter()
        if request.failed is not None:
            raise request.failed
        if request.made is None:
            raise StoppedError
        return request.made

    def clock(self) -> float:
        """Seconds that a fit took so far: its own, and its share of what was computed for many."""
        return self._own.ran + time.perf_counter() - self._own.since

    def _serve(self) -> None:
        """Compute what is asked for, if nobody is left who might ask for more."""
        with self._change:
            if self._stopped or not self._waiting or len(self._waiting) < self._running:
                return
            requests, self._waiting = self._waiting, []
        try:
            self._compute(sorted(requests, key=lambda request: request.number))
        except BaseException as error:
            for request in requests:
                if request.made is None:
                    request.failed = request.failed or error
        with self._change:
            self._change.notify_all()

    def _compute(self, requests: Sequence[_Request]) -> None:
        """Fill in what comes of requests, and the seconds that are their shares."""
        clock = time.perf_counter()
        stacks = list(_stacks(requests, self.workers, self.stacked))
        spent = list(self._pool.map(self._computed, stacks))
        pace = (time.perf_counter() - clock) / max(sum(spent), 1e-9)
        for stack, seconds in zip(stacks, spent, strict=True):
            count = sum(len(alike) for alike in stack)
            for request in (request for alike in stack for request in alike):
                request.seconds = pace * seconds / count

    def _computed(self, stack: "_Stack") -> float:
        """Fill in what came of a stack; returns the seconds it took."""
        clock = time.perf_counter()
        try:
            made = _run([alike[0] for alike in stack])
        except BaseException as error:
            if len(stack) > 1:  # one of them may have failed: the others are computed alone
                return sum(self._computed([alike]) for alike in stack)
            for request in stack[0]:
                request.failed = error
        else:
            for alike, one in zip(stack, made, strict=True):
                for request in alike:
                    request.made = one
        return time.perf_counter() - clock


_Stack = list[list[_Request]]  # of one kind; requests of an inner list are the same


def _run(requests: Sequence[_Request]) -> list[Progress]:
    """As a stack, in halves where a device has no memory for it."""
    first = requests[0]
    if len(requests) == 1:
        return [first.optimiser.run(first.problem, first.x, first.steps, first.state)]
    try:
        together: Any = first.optimiser
        return together.run_together(
            [request.problem for request in requests],
            [request.x for request in requests],
            first.steps,
            [request.state for request in requests],
        )
    except torch.OutOfMemoryError:
        half = len(requests) // 2
        return _run(requests[:half]) + _run(requests[half:])


def _stacks(requests: Sequence[_Request], workers: int, stacked: bool) -> Iterable[_Stack]:
    """Requests of one kind, as many as pay and leave work for every worker; long stacks first."""
    found: list[_Stack] = []
    for alike in _grouped(requests, _kind):
        same = [
            group
            for near in _grouped(alike, lambda request: request.start)
            for group in (_grouped(near, lambda request: request.whole) if near[1:] else [near])
        ]
        first = same[0][0]
        size = 1
        if stacked and hasattr(first.optimiser, "run_together"):
            size = max(1, min(_room(first) // _bytes(first.problem), -(-len(same) // workers)))
        found += [same[start : start + size] for start in range(0, len(same), size)]
    return sorted(found, key=lambda stack: -len(stack) * _bytes(stack[0][0].problem))


def _kind(request: _Request) -> Hashable:
    """That of the request, or of no other where the user's own things have none."""
    try:
        hash(kind := request.kind)
    except Exception:
        return object()
    return kind


def _grouped(
    requests: Iterable[_Request], key: Callable[[_Request], Hashable]
) -> list[list[_Request]]:
    groups: dict[Hashable, list[_Request]] = {}
    for request in requests:
        groups.setdefault(key(request), []).append(request)
    return list(groups.values())


def _room(request: _Request) -> int:
    """Bytes for the matrices of one stack."""
    if request.x.device.type == "cpu":
        return CACHE
    return int(getattr(request.optimiser, "memory", 1.0) * 2**30)


def _bytes(problem: LeastSquares) -> int:
    """Of the Jacobian, and of a normal matrix with its factor."""
    rows = sum(block.batch.size for block in problem.blocks) * problem.network.outputs
    free = int(problem.free.sum())
    return problem.weights.element_size() * (rows * free + 2 * min(rows, free) ** 2)


def _digest(parts: Any) -> str:
    """A hash of all numbers in dataclasses, lists, tensors and arrays, and of which other things.

    Other things count as the same only where they are one object: how a user's own is written
    may leave out what makes it different.
    """
    hashed = hashlib.sha1(usedforsecurity=False)

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray) and part.dtype != object:
            hashed.update(f"{part.dtype}{part.shape}".encode())
            hashed.update(np.ascontiguousarray(part).tobytes())
        elif is_dataclass(part) and not isinstance(part, type):
            hashed.update(f"{type(part).__qualname__} {id(type(part))}".encode())
            for each in fields(part):
                add(getattr(part, each.name))
        elif isinstance(part, dict):
            add(list(part.items()))
        elif isinstance(part, list | tuple):
            hashed.update(f"{len(part)}".encode())
            for each in part:
                add(each)
        elif isinstance(part, PLAIN):
            hashed.update(repr(part).encode() + b";")
        else:
            hashed.update(f"{id(part)};".encode())

    add(parts)
    return hashed.hexdigest()
