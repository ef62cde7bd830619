"""`compare`: a study of one source and one target, whose surrogates are all kept and shown."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pacpde.checks import check_flag
from pacpde.datasets import References, transfer_references
from pacpde.datasets.grading import AUTO, check_label_source
from pacpde.errors import InvalidValueError, short, unknown
from pacpde.keywords import checked_call
from pacpde.methods import Method
from pacpde.methods.arguments import Settings, as_mapping
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Problem
from pacpde.reference import Reference
from pacpde.renamed import renamed_keywords
from pacpde.runtime import Runtime
from pacpde.studies.cells import Cell, Training, trainings, with_seeds
from pacpde.studies.comparison_store import ComparisonStore
from pacpde.studies.executors import Executor, LocalExecutor, SerialExecutor
from pacpde.studies.records import Record, Row, record_of
from pacpde.studies.runner import Runner
from pacpde.training.callbacks import Progress, prefixed

Log = Callable[[str], None]


@dataclass(frozen=True)
class Compared:
    """The result of one method with one seed: its record, and the surrogate with its history."""

    record: Record
    surrogate: Surrogate
    reused: bool = False


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        sources: seed → source surrogate.
        cells: one a seed and method, in that order.
        references: what graded them.
    """

    source: Problem
    target: Problem
    sources: Mapping[int, Surrogate]
    cells: Sequence[Compared]
    references: References

    @property
    def records(self) -> list[Record]:
        return [cell.record for cell in self.cells]

    def surrogates(self, seed: int | None = None) -> dict[str, Surrogate]:
        """method → surrogate of a seed, the first by default."""
        chosen = next(iter(self.sources)) if seed is None else seed
        return {
            cell.record["method"]: cell.surrogate
            for cell in self.cells
            if cell.record["seed"] == chosen
        }

    @property
    def fitted(self) -> dict[str, Surrogate]:
        """ "source (seed 0)", "METHOD (seed 0)", ... → surrogate."""
        sources = {f"source (seed {seed})": source for seed, source in self.sources.items()}
        return sources | {self._name(cell.record): cell.surrogate for cell in self.cells}

    @property
    def errors(self) -> dict[str, float | None]:
        """ "METHOD (seed 0)", ... → error of the worst field on the target, if it is graded."""
        return {self._name(record): record["worst_field_error"] for record in self.records}

    @staticmethod
    def _name(record: Mapping[str, Any]) -> str:
        return f"{record['method']} (seed {record['seed']})"

    @property
    def outcomes(self) -> dict[str, str]:
        """ "source (seed 0)", "METHOD (seed 0)", ... → outcome."""
        return {name: surrogate.outcome for name, surrogate in self.fitted.items()}


@dataclass(frozen=True)
class Plan:
    """Everything a comparison depends on, checked when it is made.

    Attributes:
        methods: objects or names, in the order in which they run.
        options: name → options of a method that is named.
        settings: of every fit, see `pacpde.methods.TrainingConfig`.
        together: sources side by side, then all cells, each as alone on one thread; the cells'
            seconds are their shares of the time.
        reference, reference_tolerance: what grades the transfers, as of `transfer`.
        data: measurements of the target, as of `transfer`.
    """

    source: Problem
    target: Problem
    methods: Sequence[str | Method] = ("pac", "warm_start", "scratch")
    seeds: Sequence[int] = (0,)
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    settings: Settings = dataclasses.field(default_factory=dict)
    runtime: Runtime = Runtime()
    together: bool = False
    reference: Reference | str | Path | None = AUTO
    reference_tolerance: float | None = None
    data: Any = None

    def __post_init__(self) -> None:
        check_flag("together", self.together)
        if not self.methods or not self.seeds:
            raise InvalidValueError("a comparison needs at least one method and one seed.")
        names = [cell.method_name for cell in self.cells if cell.seed == self.seeds[0]]
        if len(set(names)) < len(names):
            raise InvalidValueError(f"a method is named twice in {', '.join(names)}: name it once.")
        for name in self.options:
            if name not in self.methods:
                raise InvalidValueError(
                    f"there are options of {name!r}, which the methods do not name: name it there, "
                    "or write them into its object."
                )

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells: one for each seed and method, in that order."""
        training = Training(
            self.source,
            self.seeds[0],
            self.runtime,
            as_mapping(self.settings),
            together=self.together,
        )
        first = [
            Cell(
                training, self.target, method, self.options.get(str(method), {}), self.labels,
                self.noise, self.physics, self.reference, self.reference_tolerance, self.data,
            )
            for method in self.methods
        ]  # fmt: skip
        return tuple(with_seeds(first, self.seeds))

    def store(self, folder: Path | None, *, overwrite: bool = False) -> ComparisonStore:
        """Its fits in a folder, or in memory."""
        names = {training.key: (training.seed, "source") for training in self.trainings.values()}
        names |= {cell.key: (cell.seed, cell.method_name) for cell in self.cells}
        several = len(self.seeds) > 1
        places = {
            key: (f"seed-{seed}", name) if several else (name,)
            for key, (seed, name) in names.items()
        }
        return ComparisonStore(folder, places, overwrite)

    @property
    def trainings(self) -> dict[str, Training]:
        """Key → source, one a seed."""
        return trainings(self.cells)


@renamed_keywords(say="log", names="methods")
@checked_call
def compare(
    source: Problem,
    target: Problem,
    methods: Sequence[str | Method] = ("pac", "warm_start", "scratch"),
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
    **settings: Any,
) -> Comparison:
    """Train a source once a seed and transfer it by every method.

    Args:
        methods: objects or names, as of `transfer`.
        folder: where to keep all of it; the same call again resumes there and reuses what is
            finished. Without one, nothing is written.
        progress: called with an `Update` whose stage names the method.
        log: called with a sentence on what starts and what is reused.
        settings: the other attributes of `Plan`.

    Raises OutputError where the folder cannot be written, holds files of the user under names of a
    comparison's, or another process is at work in it.
    """
    if isinstance(methods, str):
        raise InvalidValueError(
            f"methods is {short(methods)}, expected a list of methods: write [{methods!r}]."
        )
    known = {field.name for field in dataclasses.fields(Plan)} - {"source", "target", "methods"}
    for name in settings:
        if name not in known:
            raise unknown("argument of compare", name, known)
    plan = Plan(source, target, methods, **settings)
    return run_comparison(plan, folder, progress=progress, log=log)


def run_comparison(
    plan: Plan,
    folder: str | Path | None = None,
    *,
    progress: Progress | None = None,
    log: Log | None = None,
    overwrite: bool = False,
) -> Comparison:
    """`compare` for a plan that is made.

    Args:
        overwrite: replace files and surrogates in the folder that no comparison wrote there.
    """
    store = plan.store(None if folder is None else Path(folder), overwrite=overwrite)
    store.check()
    with store.locked():
        store.check()
        return _run(plan, store, progress, log or (lambda sentence: None))


def _run(plan: Plan, store: ComparisonStore, progress: Progress | None, log: Log) -> Comparison:
    references = transfer_references(
        plan.source, plan.target, plan.reference, plan.reference_tolerance, log
    )
    check_label_source(plan.labels, references.target, plan.reference)

    def progress_of(name: str, seed: int) -> Progress | None:
        title = f"{name} (seed {seed})" if plan.together else name
        return progress and prefixed(title, progress)

    @stepwise
    def train(training: Training) -> Steps[Surrogate]:
        log(str(training))
        return steps_of(training.run)(
            progress_of("source", training.seed), store.resume_state(training.key)
        )

    @stepwise
    def carry_out(cell: Cell, source: Surrogate) -> Steps[tuple[Row, Surrogate]]:
        log(_title(cell))
        progress = progress_of(cell.method_name, cell.seed)
        return steps_of(cell.run)(source, references, progress, store.resume_state(cell.key))

    titles = {key: str(training) for key, training in plan.trainings.items()}
    titles |= {cell.key: _title(cell) for cell in plan.cells}
    reused = store.loaded(titles)
    for key, fit in reused.items():
        log(f"{titles[key]}: reused")
        store.show(key, *fit)
    executor: Executor = SerialExecutor()
    if plan.together:
        executor = LocalExecutor(plan.runtime.device, side_by_side=None)
    Runner(plan.cells, store, store, executor, titles, every_source=True, stop_at_failure=True).run(
        train, carry_out
    )
    store.tidy(None if store.overwrite else titles)
    fits = reused | store.loaded(key for key in titles if key not in reused)
    sources = {
        training.seed: fits[key][0].to(plan.runtime) for key, training in plan.trainings.items()
    }
    cells = [
        Compared(record_of(row), surrogate.to(plan.runtime), cell.key in reused)
        for cell in plan.cells
        for surrogate, row in [fits[cell.key]]
    ]
    return Comparison(plan.source, plan.target, sources, cells, references)


def _title(cell: Cell) -> str:
    return f"{cell.method_name} to {cell.target}, seed {cell.seed}"
