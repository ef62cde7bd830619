"""Carries out the cells that have no result yet, and trains each source once."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pacpde.networks.surrogate import Surrogate
from pacpde.studies.cells import Cell, Training, trainings
from pacpde.studies.executors import Executor, Job, JobFailure
from pacpde.studies.fit_store import FitStore
from pacpde.studies.records import Row
from pacpde.studies.rows import failed_row


@dataclass
class Status:
    """The status of a study.

    Attributes:
        cells, sources: of the study.
        done, trained: of them finished, in this run or before.
        failed: cells that were tried in this run and have no result.
    """

    cells: int
    sources: int
    done: int = 0
    trained: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        return self.cells - self.done


StatusCallback = Callable[[Status], None]
Train = Callable[[Training], Surrogate]
CarryOut = Callable[[Cell, Surrogate], tuple[Row, Surrogate | None]]


class Results(Protocol):
    """A store for the rows of finished cells."""

    def finished(self, keys: Iterable[str]) -> set[str]:
        """The keys of cells that have a result."""
        ...

    def add(self, row: Row, surrogate: Surrogate | None = None) -> None:
        """Store the row of a cell, after its surrogate if that is to be stored."""
        ...

    def flush(self) -> None:
        """Write what waits."""
        ...


@dataclass
class Runner:
    """Carries out cells.

    Attributes:
        fits: where trained sources are kept.
        results: where rows of cells are kept.
        executor: where the jobs run.
        surrogate_keys: of the cells whose surrogates are kept.
        callback: called with the status after every source and cell.
        every_source: train also the sources whose cells all have a result.
        stop_at_failure: a source or cell that raises ends the run, instead of leaving a row that
            says why.
    """

    cells: Sequence[Cell]
    fits: FitStore
    results: Results
    executor: Executor
    surrogate_keys: Collection[str]
    callback: StatusCallback = lambda status: None
    every_source: bool = False
    stop_at_failure: bool = False
    failures: dict[str, JobFailure] = field(default_factory=dict, init=False)  # of sources

    def __post_init__(self) -> None:
        finished = self.results.finished(cell.key for cell in self.cells)
        self.missing = [cell for cell in self.cells if cell.key not in finished]
        sources = trainings(self.cells)
        needed = sources if self.every_source else trainings(self.missing)
        trained = self.fits.finished(needed)
        self.untrained = [training for key, training in needed.items() if key not in trained]
        done, there = len(self.cells) - len(self.missing), len(sources) - len(self.untrained)
        self.status = Status(len(self.cells), len(sources), done, there)

    def run(self, train: Train = Training.run, carry_out: CarryOut = Cell.run) -> Status:
        """Train the sources that are missing, then carry out the cells that are missing.

        Args:
            train: (training) → source surrogate.
            carry_out: (cell, source) → (row, target surrogate).
        """
        self.callback(self.status)
        try:
            sources = ((training,) for training in self.untrained)
            self.executor.each(train, sources, self._keep_source)
            self.executor.each(carry_out, self._jobs(), self._keep_cell)
        finally:
            self.results.flush()
        return self.status

    def _keep_source(self, job: Job, result: Any) -> None:
        training: Training = job[0]
        if isinstance(result, JobFailure):
            self._stop(result)
            self.failures[training.key] = result
        else:
            self.fits.save(training.key, result, {"outcome": result.outcome})
            self.status.trained += 1
        self.callback(self.status)

    def _jobs(self) -> Iterator[Job]:
        """The missing cells with their sources, each source read once."""
        key, source = "", None
        for cell in self.missing:
            if cell.training.key in self.failures:
                message = self.failures[cell.training.key].message
                self._keep_cell((cell,), JobFailure(f"its source has no result: {message}"))
                continue
            if cell.training.key != key:
                key, stored = cell.training.key, self.fits.load(cell.training.key)
                assert stored is not None  # it was trained, or could be read, in this run
                source = replace(stored[0], history=())
            yield cell, source

    def _keep_cell(self, job: Job, result: Any) -> None:
        cell: Cell = job[0]
        if isinstance(result, JobFailure):
            self._stop(result)
            self.results.add(failed_row(cell, result.message))
            self.status.failed += 1
        else:
            row, surrogate = result
            self.results.add(row, surrogate if cell.key in self.surrogate_keys else None)
            self.status.done += 1
        self.callback(self.status)

    def _stop(self, failure: JobFailure) -> None:
        if self.stop_at_failure and failure.error is not None:
            raise failure.error
