"""Carries out a study into a folder, as far as it is not there yet.

```
FOLDER/study.toml           the file; study.json and plugins/ hold what else makes its cells
FOLDER/records/             a row a cell
FOLDER/.cells/<hash>        sources, each trained once
FOLDER/surrogates/<key>     of the targets, for each way and pair of problems from one seed
FOLDER/.lock                held while a study runs
```
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.studies import work
from pacpde.studies.executors import Executor, Job, JobFailure, LocalExecutor
from pacpde.studies.folder import check_place
from pacpde.studies.grid import Cell, trainings
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.single import Training
from pacpde.studies.store import Store
from pacpde.studies.study import Study

SURROGATES = "surrogates"

Train = Callable[..., Surrogate]
CarryOut = Callable[..., Any]


@dataclass
class Status:
    """How far a study is.

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


Callback = Callable[[Status], None]


def status(study: Study, folder: str | Path) -> Status:
    """How far a study is in a folder; reads only."""
    store, kept = Store(Path(folder)), ResultsStore(Path(folder)).keys()
    sources = trainings(study.cells)
    there = sum(store.cell(training.inputs()).finished for training in sources.values())
    done = sum(name in kept for name in study.names)
    return Status(len(study.cells), len(sources), done, there)


def kept_surrogates(folder: Path, names: Iterable[str]) -> dict[str, Surrogate]:
    """Name of a cell → the surrogate of its target, where a study's folder keeps it undamaged."""
    found = {}
    for name in names:
        place = folder / SURROGATES / name
        if place.is_dir():
            with suppress(DataFileError):
                found[name] = checkpoint.load(place)
    return found


def run_study(
    study: Study,
    folder: str | Path,
    executor: Executor | None = None,
    *,
    callback: Callback | None = None,
    train: Train = work.train,
    carry_out: CarryOut = work.carry_out,
    overwrite: bool = False,
) -> Status:
    """Carry out what is missing of a study; the same call again goes on where it stopped.

    Args:
        executor: where its jobs run; in this process by default.
        callback: called with the status after every source and cell.
        train: (training) → source surrogate.
        carry_out: (cell, source) → (row, target surrogate).
        overwrite: replace files of the user in the folder that are called as a study's.
    """
    place = Path(folder)
    store = Store(place)
    store.check([])
    check_place(place, study.contents(), overwrite=overwrite)
    with store.locked():
        ResultsStore(place).make()
        study.keep(place, overwrite=overwrite)
        run = _Run(study, place, store, executor or LocalExecutor(), callback or (lambda now: None))
        return run.whole(train, carry_out)


@dataclass
class _Run:
    study: Study
    folder: Path
    store: Store
    executor: Executor
    callback: Callback

    def __post_init__(self) -> None:
        self.results = ResultsStore(self.folder)
        kept = self.results.keys()
        self.missing = [cell for cell in self.study.cells if cell.key not in kept]
        sources, needed = trainings(self.study.cells), trainings(self.missing)
        self.now = Status(
            len(self.study.cells),
            len(sources),
            len(self.study.cells) - len(self.missing),
            sum(key not in needed or self._there(training) for key, training in sources.items()),
        )
        self.shown = _shown(self.study.cells)
        self.faults: dict[str, JobFailure] = {}

    def whole(self, train: Train, carry_out: CarryOut) -> Status:
        self.callback(self.now)
        try:
            needed = trainings(self.missing).values()
            absent = [(training,) for training in needed if not self._there(training)]
            self.executor.each(train, absent, self._trained)
            self.executor.each(carry_out, self._jobs(), self._carried_out)
        finally:
            self.results.flush()
        self.results.tidy()
        return self.now

    def _there(self, training: Training) -> bool:
        return self.store.cell(training.inputs()).finished

    def _trained(self, job: Job, made: Any) -> None:
        training: Training = job[0]
        if isinstance(made, JobFailure):
            self.faults[training.key] = made
        else:
            self.store.cell(training.inputs()).save({"outcome": made.outcome}, made)
            self.now.trained += 1
        self.callback(self.now)

    def _jobs(self) -> Iterator[Job]:
        """The missing cells with their sources, each source read once."""
        key, source = "", None
        for cell in self.missing:
            training = cell.training
            if training.key != key and training.key not in self.faults:
                key, kept = training.key, self.store.cell(training.inputs())
                found = kept.load()
                if found is None:
                    self.faults[key] = JobFailure(f"{kept.folder} is damaged, remove it")
                else:
                    source = replace(found[1], history=())
            if training.key in self.faults:
                told = self.faults[training.key].told
                self._carried_out((cell,), JobFailure(f"its source has no result: {told}"))
            else:
                yield cell, source

    def _carried_out(self, job: Job, made: Any) -> None:
        cell: Cell = job[0]
        if isinstance(made, JobFailure):
            self.results.add(work.failed(cell, made.told))
            self.now.failed += 1
        else:
            row, surrogate = made
            if cell.key in self.shown and surrogate is not None:
                checkpoint.save(surrogate, self.folder / SURROGATES / cell.key)
            self.results.add(row)
            self.now.done += 1
        self.callback(self.now)


def _shown(cells: Sequence[Cell]) -> set[str]:
    """The first cell of each way and pair of problems: what a report shows of it."""
    first: dict[Any, str] = {}
    for cell in cells:
        what = (str(cell.source), str(cell.target), cell.target.until, cell.variant,
                cell.labels, cell.noise, cell.physics)  # fmt: skip
        first.setdefault(what, cell.key)
    return set(first.values())
