"""Concurrent fits: steps that several fits request at the same time are computed together.

Every fit is a generator (see `stepwise`), and one plain loop serves what they ask for. Steps are
computed once every fit that is left asks for some: requests that are the same once, the others on
all cores, each alone or those of one batch key as a stack (see `LeastSquares.stack`), which sums in
another order. No fit runs in a thread; with several workers, threads do what the fits ask for.
"""

import hashlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from pacpde.checks import check_count, check_flag
from pacpde.errors import SolverError
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import Answer, Request, StepRequest, Steps, Work, without_stop_iteration
from pacpde.runtime import gradients, one_thread

T = TypeVar("T")
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
CACHE = 12 * 2**20  # bytes of matrices in one stack on a CPU: more leaves the cache, and is slower

stacking: ContextVar[bool] = ContextVar("stacking", default=False)  # whether fits run in stacks now


class BatchError(SolverError):
    """Some fits of a batch failed; the results of the others are in `results`.

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
class BatchResult(Generic[T]):
    """Results and errors of several jobs.

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

    def each(self) -> list[T]:
        """The results; the first error, whatever there is beside it."""
        for error in self.errors.values():
            raise error
        return self.results


@dataclass
class _Pending:
    """A request of one fit, and what came of it."""

    fit: int  # its number
    request: Request
    answer: Answer | None = None
    error: BaseException | None = None

    @property
    def step(self) -> StepRequest:
        assert isinstance(self.request, StepRequest)
        return self.request

    @property
    def batch_key(self) -> Hashable:
        """What requests of one stack have in common; nothing where the user's own has no hash."""
        key = self.step.optimiser, self.step.steps, self.step.problem.batch_key
        try:
            hash(key)
        except Exception:
            return object()
        return key


_Stack = list[list[_Pending]]  # of one batch key; the requests of an inner list are the same


@dataclass
class BatchScheduler:
    """Runs fits side by side.

    A result does not depend on timing, and without stacks on the company that a fit is in: it has
    the bits that it has alone with the same number of threads of torch, one where there are
    several workers. In a stack every step is the same to rounding, which the steps of a whole fit
    may grow to another solution of the same quality.

    Attributes:
        workers: requests or stacks computed at once, each by one thread; on a GPU one is best.
        stacked: compute requests of one batch key as a stack: quicker for small networks, on a GPU.

    Example:
        >>> from pacpde import fit
        >>> from pacpde.optim.stepwise import steps_of
        >>> from pacpde.problems import Heat
        >>> small = dict(width=4, depth=1, points=20, steps=2)
        >>> fits = [steps_of(fit)(Heat(alpha=alpha), **small) for alpha in (0.2, 0.3)]
        >>> [made.problem.alpha for made in BatchScheduler(workers=1).run(fits).all()]
        [0.2, 0.3]
    """

    workers: int = field(default_factory=torch.get_num_threads)
    stacked: bool = False

    @classmethod
    def of(cls, workers: int | None, device: str, stacked: bool | None = None) -> "BatchScheduler":
        """Defaults: on a GPU one worker and stacks, on a CPU one worker for each torch thread."""
        if workers is None:
            workers = torch.get_num_threads() if device == "cpu" else 1
        if stacked is None:
            stacked = device != "cpu"
        return cls(workers, stacked)

    def __post_init__(self) -> None:
        check_count("workers", self.workers, 1)
        check_flag("stacked", self.stacked)

    def run(self, fits: Sequence[Steps[T]]) -> BatchResult[T]:
        """Run all fits and return their results; a fit that fails does not stop the others."""
        results: list[Any] = [None] * len(fits)
        errors: dict[int, BaseException] = {}

        def proceed(fit: int, served: _Pending | None = None) -> _Pending | None:
            """The next request of a fit; None once it has ended."""
            try:
                if served is not None and served.error is not None:
                    return _Pending(fit, fits[fit].throw(served.error))
                answer: Any = None if served is None else served.answer
                return _Pending(fit, fits[fit].send(answer))
            except StopIteration as ended:
                results[fit] = ended.value
            except Exception as error:
                errors[fit] = error
            return None

        with self._pool() as compute:
            waiting = [pending for k in range(len(fits)) if (pending := proceed(k))]
            while waiting:
                # steps wait until every fit asks for some: only then are the stacks complete
                works = [pending for pending in waiting if isinstance(pending.request, Work)]
                compute([[[work]] for work in works] or list(self._stacks(waiting)))
                proceeded = [
                    pending
                    if works and isinstance(pending.request, StepRequest)
                    else proceed(pending.fit, pending)
                    for pending in waiting
                ]
                waiting = [pending for pending in proceeded if pending is not None]
        return BatchResult(results, dict(sorted(errors.items())))

    @contextmanager
    def _pool(self) -> Iterator[Callable[[Sequence[_Stack]], None]]:
        """What computes stacks; of several workers each, and the loop, has one thread of torch."""
        before = torch.get_num_threads()
        token = stacking.set(self.stacked)
        try:
            with gradients():
                if self.workers == 1:
                    yield lambda stacks: _share_time(stacks, map(_compute, stacks))
                else:
                    one_thread()
                    with ThreadPoolExecutor(self.workers, initializer=one_thread) as pool:
                        yield lambda stacks: _share_time(stacks, pool.map(_compute, stacks))
        finally:
            stacking.reset(token)
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)

    def _stacks(self, waiting: Sequence[_Pending]) -> Iterable[_Stack]:
        try:
            return _stacks(waiting, self.workers, self.stacked)
        except Exception as error:  # of the user's own things
            for pending in waiting:
                pending.error = error
            return []


def _share_time(stacks: Sequence[_Stack], seconds: Iterable[float]) -> None:
    """Give each request its share of the seconds that all took together."""
    clock = time.perf_counter()
    spent = list(seconds)
    pace = (time.perf_counter() - clock) / max(sum(spent), 1e-9)
    for stack, own in zip(stacks, spent, strict=True):
        members = [pending for equal in stack for pending in equal]
        for pending in members:
            if pending.answer is not None:
                pending.answer = Answer(pending.answer.value, pace * own / len(members))


def _compute(stack: _Stack) -> float:
    """Answer the requests of a stack; returns the seconds it took."""
    clock = time.perf_counter()
    try:
        with gradients():
            requests = [equal[0].request for equal in stack]
            values = without_stop_iteration(partial(_run, requests))
    except BaseException as error:
        if len(stack) > 1:  # one of them may have failed: each is computed alone
            return sum(_compute([equal]) for equal in stack)
        for pending in stack[0]:
            pending.error = error
    else:
        for equal, value in zip(stack, values, strict=True):
            for pending in equal:
                pending.answer = Answer(value, 0.0)
    return time.perf_counter() - clock


def _run(requests: Sequence[Any]) -> list[Any]:
    """The values of requests of one batch key; a stack is halved where a device is too small."""
    first = requests[0]
    if len(requests) == 1:
        return [first.compute()]
    try:
        return list(
            first.optimiser.run_together(
                [request.problem for request in requests],
                [request.x for request in requests],
                first.steps,
                [request.state for request in requests],
            )
        )
    except torch.OutOfMemoryError:
        half = len(requests) // 2
        return _run(requests[:half]) + _run(requests[half:])


def _stacks(waiting: Sequence[_Pending], workers: int, stacked: bool) -> Iterable[_Stack]:
    """Stacks as long as pays and leaves work for every worker; the long ones first."""
    stacks: list[_Stack] = []
    for similar in _group_by(waiting, lambda pending: pending.batch_key):
        # the start alone is hashed first: it is short, and differs nearly always
        groups = [
            equal
            for near in _group_by(similar, lambda pending: _digest([pending.step.x]))
            for equal in (_group_by(near, _digest_of_step) if near[1:] else [near])
        ]
        first = groups[0][0].step
        size = 1
        if stacked and hasattr(first.optimiser, "run_together"):
            most = _stack_memory(first) // _matrix_bytes(first.problem)
            size = max(1, min(most, -(-len(groups) // workers)))
        stacks += [groups[start : start + size] for start in range(0, len(groups), size)]
    return sorted(stacks, key=lambda stack: -len(stack) * _matrix_bytes(stack[0][0].step.problem))


def _group_by(
    waiting: Iterable[_Pending], key: Callable[[_Pending], Hashable]
) -> list[list[_Pending]]:
    groups: dict[Hashable, list[_Pending]] = {}
    for pending in waiting:
        groups.setdefault(key(pending), []).append(pending)
    return list(groups.values())


def _stack_memory(request: StepRequest) -> int:
    """Bytes for the matrices of one stack."""
    if request.x.device.type == "cpu":
        return CACHE
    return int(getattr(request.optimiser, "memory_gib", 1.0) * 2**30)


def _matrix_bytes(problem: LeastSquares) -> int:
    """Bytes of the Jacobian, and of a normal matrix with its factor."""
    rows = sum(term.batch.size for term in problem.terms) * problem.network.outputs
    columns = int(problem.trainable_mask.sum())
    return problem.weights.element_size() * (rows * columns + 2 * min(rows, columns) ** 2)


def _digest_of_step(pending: _Pending) -> str:
    return _digest([pending.step.x, pending.step.problem, pending.step.state])


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
