"""Carries out a study into a folder, as far as it is not there yet.

```
FOLDER/study.toml           the file; study.json and plugins/ hold what else makes its cells
FOLDER/records/             a row a cell, see `ResultsStore`
FOLDER/.cells/<key>         sources, see `FitStore`
FOLDER/surrogates/<key>     of the targets, for each variant and pair of problems from one seed
FOLDER/.lock                held while a study runs
```
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pacpde.renamed import renamed_keywords
from pacpde.studies.cells import Cell, Training, trainings
from pacpde.studies.executors import Executor, LocalExecutor
from pacpde.studies.fit_store import FitStore
from pacpde.studies.folder import RECORDS, check_place
from pacpde.studies.results_store import SURROGATES, ResultsStore
from pacpde.studies.runner import CarryOut, Runner, Status, StatusCallback, Train
from pacpde.studies.study import Study


def status(study: Study, folder: str | Path) -> Status:
    """The status of a study in a folder; nothing is written."""
    fits, finished = FitStore(Path(folder)), ResultsStore(Path(folder)).keys()
    sources = trainings(study.cells)
    trained = sum(map(fits.holds, sources))
    done = sum(name in finished for name in study.names)
    return Status(len(study.cells), len(sources), done, trained)


@renamed_keywords(workers="executor", tell="callback")
def run_study(
    study: Study,
    folder: str | Path,
    executor: Executor | None = None,
    *,
    callback: StatusCallback = lambda status: None,
    train: Train = Training.run,
    carry_out: CarryOut = Cell.run,
    overwrite: bool = False,
) -> Status:
    """Carry out what is missing of a study; the same call again goes on where it stopped.

    Args:
        executor: where its jobs run; in this process by default.
        callback: called with the status after every source and cell.
        train: (training) → source surrogate.
        carry_out: (cell, source) → (row, target surrogate).
        overwrite: replace files of the user in the folder that are called as a study's.

    Raises OutputError where the folder cannot be written, or another process is at work in it.
    """
    place = Path(folder)
    fits, results = FitStore(place), ResultsStore(place)
    fits.check()
    check_place(place, study.contents(), overwrite=overwrite)
    with fits.locked(RECORDS, SURROGATES):
        results.make()
        study.keep(place, overwrite=overwrite)
        executor = executor or LocalExecutor(study.device)
        runner = Runner(study.cells, fits, results, executor, _first_cells(study.cells), callback)
        runner.run(train, carry_out)
        results.tidy()
    return runner.status


def _first_cells(cells: Sequence[Cell]) -> set[str]:
    """The first cell of each variant and pair of problems: what a report shows of it."""
    first: dict[Any, str] = {}
    for cell in cells:
        transfer = (cell.source, cell.target, cell.target.until, cell.variant,
                    cell.labels, cell.noise, cell.physics)  # fmt: skip
        first.setdefault(transfer, cell.key)
    return set(first.values())
