"""Fits side by side: what they ask for at the same time is computed together.

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
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from pacpde.errors import SolverError, check_count
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import Answer, Request, StepRequest, Steps, Work
from pacpde.runtime import gradients, one_thread

T = TypeVar("T")
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
CACHE = 12 * 2**20  # bytes of matrices in one stack on a CPU: more leaves the cache, and is slower

stacking: ContextVar[bool] = ContextVar("stacking", default=False)  # whether fits run in stacks now


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
class BatchResult(Generic[T]):
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

    def each(self) -> list[T]:
        """The results; the first error, whatever there is beside it."""
        for error in self.errors.values():
            raise error
        return self.results


@dataclass
class _Pending:
    """What one fit asks for, and what came of it."""

    number: int  # of the fit
    request: Request
    answer: Answer | None = None
    failed: BaseException | None = None

    @property
    def steps(self) -> StepRequest:
        assert isinstance(self.request, StepRequest)
        return self.request

    @property
    def batch_key(self) -> Hashable:
        """What requests of one stack have in common; nothing where the user's own has no hash."""
        key = self.steps.optimiser, self.steps.steps, self.steps.problem.batch_key
        try:
            hash(key)
        except Exception:
            return object()
        return key

    @property
    def start(self) -> str:
        return _digest([self.steps.x])

    @property
    def whole(self) -> str:
        return _digest([self.steps.x, self.steps.problem, self.steps.state])


_Stack = list[list[_Pending]]  # of one batch key; requests of an inner list are the same


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
        """What is not given: one worker and stacks on a GPU, else as many as torch has threads."""
        if workers is None:
            workers = torch.get_num_threads() if device == "cpu" else 1
        check_count("workers", workers, 1)
        if stacked is None:
            stacked = device != "cpu"
        return cls(workers, stacked)

    def run(self, fits: Sequence[Steps[T]]) -> BatchResult[T]:
        """How the fits ended, once all have; one that fails leaves the others alone."""
        results: list[Any] = [None] * len(fits)
        errors: dict[int, BaseException] = {}

        def proceed(number: int, asked: _Pending | None) -> _Pending | None:
            """What a fit asks for next; None once it has ended."""
            fit = fits[number]
            try:
                if asked is not None and asked.failed is not None:
                    return _Pending(number, fit.throw(asked.failed))
                answer: Any = None if asked is None else asked.answer
                return _Pending(number, fit.send(answer))
            except StopIteration as ended:
                results[number] = ended.value
            except Exception as error:
                errors[number] = error
            return None

        with self._pool() as compute:
            waiting = [one for k in range(len(fits)) if (one := proceed(k, None))]
            while waiting:
                # steps wait until every fit asks for some: only then do stacks have all members
                works = [one for one in waiting if isinstance(one.request, Work)]
                served = works or waiting
                compute([[[one]] for one in works] or list(self._stacks(waiting)))
                left = [] if served is waiting else [one for one in waiting if one not in works]
                answered = [one for old in served if (one := proceed(old.number, old))]
                waiting = sorted([*left, *answered], key=lambda one: one.number)
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

    def _stacks(self, asked: Sequence[_Pending]) -> Iterable[_Stack]:
        try:
            return _stacks(asked, self.workers, self.stacked)
        except Exception as error:  # of the user's own things
            for one in asked:
                one.failed = error
            return []


def _share_time(stacks: Sequence[_Stack], spent: Iterable[float]) -> None:
    """Give each request its share of the seconds that all took."""
    clock = time.perf_counter()
    each = list(spent)
    pace = (time.perf_counter() - clock) / max(sum(each), 1e-9)
    for stack, seconds in zip(stacks, each, strict=True):
        members = [one for alike in stack for one in alike]
        for one in members:
            if one.answer is not None:
                one.answer = Answer(one.answer.value, pace * seconds / len(members))


def _compute(stack: _Stack) -> float:
    """Fill in what came of a stack; returns the seconds it took."""
    clock = time.perf_counter()
    try:
        with gradients():
            made = _run([alike[0].request for alike in stack])
    except BaseException as error:
        if len(stack) > 1:  # one of them may have failed: the others are computed alone
            return sum(_compute([alike]) for alike in stack)
        for one in stack[0]:
            one.failed = error
    else:
        for alike, value in zip(stack, made, strict=True):
            for one in alike:
                one.answer = Answer(value, 0.0)
    return time.perf_counter() - clock


def _run(requests: Sequence[Any]) -> list[Any]:
    """What came of requests of one batch key; a stack is halved where a device is too small."""
    first = requests[0]
    if len(requests) == 1:
        return [first.compute()]
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


def _stacks(requests: Sequence[_Pending], workers: int, stacked: bool) -> Iterable[_Stack]:
    """Stacks as long as pays and leaves work for every worker; the long ones first."""
    found: list[_Stack] = []
    for alike in _group_by(requests, lambda request: request.batch_key):
        same = [
            group
            for near in _group_by(alike, lambda request: request.start)
            for group in (_group_by(near, lambda request: request.whole) if near[1:] else [near])
        ]
        first = same[0][0].steps
        size = 1
        if stacked and hasattr(first.optimiser, "run_together"):
            size = max(
                1,
                min(_stack_memory(first) // _matrix_bytes(first.problem), -(-len(same) // workers)),
            )
        found += [same[start : start + size] for start in range(0, len(same), size)]
    return sorted(found, key=lambda stack: -len(stack) * _matrix_bytes(stack[0][0].steps.problem))


def _group_by(
    requests: Iterable[_Pending], key: Callable[[_Pending], Hashable]
) -> list[list[_Pending]]:
    groups: dict[Hashable, list[_Pending]] = {}
    for request in requests:
        groups.setdefault(key(request), []).append(request)
    return list(groups.values())


def _stack_memory(request: StepRequest) -> int:
    """Bytes for the matrices of one stack."""
    if request.x.device.type == "cpu":
        return CACHE
    return int(getattr(request.optimiser, "memory_gib", 1.0) * 2**30)


def _matrix_bytes(problem: LeastSquares) -> int:
    """Of the Jacobian, and of a normal matrix with its factor."""
    rows = sum(term.batch.size for term in problem.terms) * problem.network.outputs
    free = int(problem.trainable_mask.sum())
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
