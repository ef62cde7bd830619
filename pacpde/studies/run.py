"""`compare`: one source and one target, several methods, every cell kept and reusable."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from pacpde.datasets import References, transfer_references
from pacpde.datasets.grading import AUTO, check_label_source, choice_inputs
from pacpde.errors import InvalidValueError, OutputError
from pacpde.methods import TrainingConfig, fit, methods, transfer
from pacpde.methods.checks import check_problem, check_transfer
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Problem
from pacpde.reference import Reference
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import records
from pacpde.studies.identity import identity
from pacpde.studies.records import Record
from pacpde.studies.store import PICTURES, RECORDS, Store
from pacpde.training.callbacks import Progress, prefixed

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Compared:
    """One method with one seed: its record, and the surrogate with its history."""

    record: Record
    surrogate: Surrogate
    reused: bool = False


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

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
        """What was fitted, in words → its surrogate."""
        found = {f"source (seed {seed})": made for seed, made in self.sources.items()}
        for cell in self.cells:
            found[f"{cell.record['method']} (seed {cell.record['seed']})"] = cell.surrogate
        return found

    @property
    def outcomes(self) -> dict[str, str]:
        """What was fitted, in words → how it ended."""
        return {name: made.outcome for name, made in self.fitted.items()}


@dataclass(frozen=True)
class Plan:
    """Everything a comparison depends on, checked when it is made.

    Attributes:
        names: methods, in the order in which they run.
        options: method → its options.
        settings: of every fit, see `pacpde.methods.TrainingConfig`.
        together: sources side by side, then all cells, each as alone on one thread; the cells'
            seconds are their shares of the time.
        reference, reference_tolerance: what grades the transfers, as of `transfer`.
    """

    source: Problem
    target: Problem
    names: Sequence[str] = ("pac", "warm_start", "scratch")
    seeds: Sequence[int] = (0,)
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    runtime: Runtime = Runtime()
    together: bool = False
    reference: Reference | str | Path | None = AUTO
    reference_tolerance: float | None = None

    def __post_init__(self) -> None:
        if not self.names or not self.seeds:
            raise InvalidValueError("a comparison needs at least one method and one seed.")
        for seed in self.seeds:
            check_seed(seed)
        check_problem(self.source, "source")
        config, ansatz = TrainingConfig.of(self.source, **self.settings), PhysicsAnsatz(self.source)
        network = network_for(ansatz, config.width, config.depth, config.activation)
        for name in self.names:
            methods.get(name).make(self.options.get(name, {})).check(network, self.physics)
        untrained = Surrogate(network, ansatz, torch.zeros(0, device="cpu"))
        check_transfer(untrained, self.target, self.labels, self.noise, self.physics)
        choice_inputs(self.reference, self.reference_tolerance)

    def place(self, seed: int, name: str) -> tuple[str, ...]:
        """Where a surrogate is shown inside the folder."""
        return (name,) if len(self.seeds) == 1 else (f"seed-{seed}", name)

    def places(self) -> Iterator[tuple[str, ...]]:
        for seed in self.seeds:
            for name in ("source", *self.names):
                yield self.place(seed, name)

    def source_inputs(self, seed: int) -> dict[str, Any]:
        """All that the source surrogate of a seed depends on."""
        return {
            **({"together": True} if self.together else {}),
            "family": self.source.name,
            "until": self.source.until,
            "source": self.source.coefficients,
            "seed": seed,
            "fit": TrainingConfig.of(self.source, **self.settings).as_json(),
            "device": self.runtime.device,
            "dtype": self.runtime.dtype,
            "made_by": identity(type(self.source)),
        }

    def cell_inputs(self, seed: int, name: str) -> dict[str, Any]:
        """All that the cell of a seed and method depends on."""
        return self.source_inputs(seed) | {
            "target": self.target.coefficients,
            "target_until": self.target.until,
            "method": name,
            "options": dataclasses.asdict(methods.get(name).make(self.options.get(name, {}))),
            "labels": self.labels,
            "noise": self.noise,
            "physics": self.physics,
            **choice_inputs(self.reference, self.reference_tolerance),
            "made_by": identity(type(self.source), methods.get(name)),
        }


def compare(
    source: Problem,
    target: Problem,
    names: Sequence[str] = ("pac", "warm_start", "scratch"),
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
    **settings: Any,
) -> Comparison:
    """Train a source once a seed and transfer it by every method.

    Args:
        names: methods.
        folder: where to keep all of it; the same call again resumes there and reuses what is
            finished. Without one, nothing is written.
        progress: called with an `Update` whose stage names the method.
        say: told in a sentence what starts and what is reused.
        settings: the other attributes of `Plan`.
    """
    plan = Plan(source, target, names, **settings)
    return carry_out(plan, folder, progress=progress, say=say)


def carry_out(
    plan: Plan,
    folder: str | Path | None = None,
    *,
    progress: Progress | None = None,
    say: Say | None = None,
    overwrite: bool = False,
) -> Comparison:
    """`compare` for a plan that is made.

    Args:
        overwrite: replace files and surrogates in the folder that no comparison wrote there.
    """
    say = say or (lambda sentence: None)
    if folder is None:
        return _carry_out(plan, None, progress, say)
    store = Store(Path(folder))
    store.check(plan.places(), (RECORDS, *PICTURES), overwrite=overwrite)
    with store.locked():
        store.check(plan.places(), (RECORDS, *PICTURES), overwrite=overwrite)
        return _carry_out(plan, store, progress, say, overwrite)


def check_shown(plan: Plan, store: Store) -> None:
    """Refuse a folder that shows transfers which the plan does not have: they would be lost there.

    Finished cells are kept apart and are reused, whatever the folder shows.
    """
    shown = (store.shown() or {"records": []})["records"]
    cells = (
        store.cell(plan.cell_inputs(s, name)).load() for s in plan.seeds for name in plan.names
    )
    mine = [found[0] for found in cells if found]
    if any(record not in mine for record in shown):
        raise OutputError(
            f"{store.folder} shows another comparison: name another folder, or add --overwrite to "
            "show this one (finished cells stay and are reused)."
        )


def _carry_out(
    plan: Plan,
    store: Store | None,
    progress: Progress | None,
    say: Say,
    overwrite: bool = False,
) -> Comparison:
    references = transfer_references(
        plan.source, plan.target, plan.reference, plan.reference_tolerance, say
    )
    check_label_source(plan.labels, references.target, plan.reference)
    work = _Work(
        plan,
        references,
        store,
        progress,
        say,
        BatchScheduler.of(None, plan.runtime.device) if plan.together else None,
        overwrite,
    )
    sources = dict(zip(plan.seeds, work.each(work.source, [(s,) for s in plan.seeds]), strict=True))
    asked = [(seed, name, sources[seed]) for seed in plan.seeds for name in plan.names]
    cells = work.each(work.cell, asked)
    if store is not None:
        store.tidy()
    return Comparison(plan.source, plan.target, sources, cells, references)


@dataclass
class _Work:
    """Sources and cells of a plan, one after the other or side by side."""

    plan: Plan
    references: References
    store: Store | None
    progress: Progress | None
    say: Say
    scheduler: BatchScheduler | None
    overwrite: bool = False
    done: dict[tuple[int, str], Compared] = dataclasses.field(default_factory=dict)

    def each(self, work: Callable[..., T], given: Sequence[tuple[Any, ...]]) -> list[T]:
        if self.scheduler is None:
            return [work(*inputs) for inputs in given]
        return self.scheduler.run([steps_of(work)(*inputs) for inputs in given]).each()

    @stepwise
    def source(self, seed: int) -> Steps[Surrogate]:
        plan, title = self.plan, f"source {self.plan.source}, seed {seed}"
        cell = None if self.store is None else self.store.cell(plan.source_inputs(seed))
        found = cell and cell.load()
        if found:
            self.say(f"{title}: reused")
            surrogate = found[1]
        else:
            self.say(title)
            surrogate = yield from steps_of(fit)(
                plan.source,
                seed=seed,
                runtime=plan.runtime,
                progress=self.named("source", seed),
                journal=None if cell is None else cell.journal,
                settings=plan.settings,
            )
            if cell:
                cell.save({"outcome": surrogate.outcome}, surrogate)
        if self.store is not None:
            self.store.show(surrogate, *plan.place(seed, "source"))
        return surrogate

    @stepwise
    def cell(self, seed: int, name: str, source: Surrogate) -> Steps[Compared]:
        made = yield from self.compared(seed, name, source)
        if self.store is not None:
            self.store.show(made.surrogate, *self.plan.place(seed, name))
        self.done[seed, name] = made
        if self.store is not None:
            order = [(seed, name) for seed in self.plan.seeds for name in self.plan.names]
            found = [self.done[place].record for place in order if place in self.done]
            self.store.write_records(found, overwrite=self.overwrite)
        return made

    def compared(self, seed: int, name: str, source: Surrogate) -> Steps[Compared]:
        plan, title = self.plan, f"{name} to {self.plan.target}, seed {seed}"
        cell = None if self.store is None else self.store.cell(plan.cell_inputs(seed, name))
        found = cell and cell.load()
        if found:
            self.say(f"{title}: reused")
            return Compared(found[0], found[1], reused=True)
        self.say(title)
        result = yield from steps_of(transfer)(
            source,
            plan.target,
            method=name,
            seed=seed,
            labels=plan.labels,
            noise=plan.noise,
            physics=plan.physics,
            runtime=plan.runtime,
            progress=self.named(name, seed),
            journal=None if cell is None else cell.journal,
            options=plan.options.get(name, {}),
            settings=TrainingConfig.after(source, plan.target, **plan.settings),
            reference=self.references,
        )
        record = dict(records.check(result.record()))
        if cell:
            cell.save(record, result.surrogate)
        return Compared(record, result.surrogate)

    def named(self, name: str, seed: int) -> Progress | None:
        """Progress whose stages start with the name of the method."""
        title = name if self.scheduler is None else f"{name} (seed {seed})"
        return self.progress and prefixed(title, self.progress)
