"""One fit or one transfer into a folder of its own, resumed where it was cut off."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from pacpde.datasets.grading import AUTO, Choice
from pacpde.errors import DataFileError, OutputError
from pacpde.files import follow, key_of
from pacpde.locks import locked
from pacpde.methods import TrainingConfig, TransferResult, fit, methods, provenance, transfer
from pacpde.methods.checks import check_transfer
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.runtime import Runtime, versions
from pacpde.studies.identity import identity
from pacpde.training.callbacks import Progress
from pacpde.training.resume import ResumeState

Seeded = TypeVar("Seeded")


@dataclass(frozen=True)
class Training:
    """A fit from random weights, checked when it is made.

    Attributes:
        grading: which reference was asked for, see `choice_inputs`.
    """

    problem: Problem
    seed: int = 0
    runtime: Runtime = Runtime()
    settings: Mapping[str, Any] = field(default_factory=dict)
    grading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        TrainingConfig.of(self.problem, **self.settings)

    def provenance(self) -> dict[str, Any]:
        """All that the surrogate depends on, as it will say itself."""
        config = TrainingConfig.of(self.problem, **self.settings)
        made = provenance.of_fit(self.problem, config, self.seed, self.runtime)
        return {**made, "grading": dict(self.grading)}

    def inputs(self) -> dict[str, Any]:
        """What another run of the same training has in common with this one."""
        return {**self._seedless, "seed": self.seed}

    @cached_property
    def _seedless(self) -> dict[str, Any]:
        made = {**provenance.essence(self.provenance()), "made_by": identity(type(self.problem))}
        del made["seed"]
        return made

    @cached_property
    def shape(self) -> str:
        """A name for all of its inputs but the seed; what the time of a fit depends on."""
        return key_of(self._seedless)

    def with_seed(self, seed: int) -> "Training":
        """The same from another seed; what does not depend on it is not worked out again."""
        return reseeded(self, seed=seed)

    @cached_property
    def key(self) -> str:
        """A name for these inputs; any that changes makes another source."""
        return key_of(self.inputs())

    def run(self, output: Path, progress: Progress | None = None) -> Surrogate:
        return fit(
            self.problem,
            seed=self.seed,
            runtime=self.runtime,
            progress=progress,
            journal=journal(output, self.inputs()),
            settings=self.settings,
        )


@dataclass(frozen=True)
class Transfer:
    """A transfer of a source surrogate, checked when it is made.

    Attributes:
        grading: which reference was asked for, see `choice_inputs`.
    """

    source: Surrogate
    target: Problem
    method: str = "pac"
    seed: int = 0
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    grading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_transfer(self.source, self.target, self.labels, self.noise, self.physics)
        methods.get(self.method).make(self.options).check(self.source.network, self.physics)
        self.provenance()

    def provenance(self) -> dict[str, Any]:
        """All that the result depends on, as it will say itself."""
        made = provenance.of_transfer(
            self.source,
            self.target,
            methods.get(self.method).make(self.options),
            TrainingConfig.after(self.source, self.target, **self.settings),
            self.seed,
            self.source.runtime,
            labels=self.labels,
            noise=self.noise,
            physics=self.physics,
        )
        return {**made, "grading": dict(self.grading)}

    def inputs(self) -> dict[str, Any]:
        """What another run of the same transfer has in common with this one."""
        made_by = identity(type(self.target), methods.get(self.method))
        return {**provenance.essence(self.provenance()), "made_by": made_by}

    def run(
        self, output: Path, progress: Progress | None = None, reference: Choice = AUTO
    ) -> TransferResult:
        return transfer(
            self.source,
            self.target,
            method=self.method,
            options=self.options,
            seed=self.seed,
            labels=self.labels,
            noise=self.noise,
            physics=self.physics,
            progress=progress,
            journal=journal(output, self.inputs()),
            settings=self.settings,
            reference=reference,
        )


@dataclass(frozen=True)
class Identification:
    """A search for coefficients that starts from a source surrogate."""

    source: Surrogate
    points: np.ndarray
    values: np.ndarray
    unknown: Sequence[str] | None
    seed: int
    settings: Mapping[str, Any]
    noise: float | None = None
    beside_scipy: bool = False

    def provenance(self) -> dict[str, Any]:
        """All that the result depends on."""
        return provenance.of_identification(
            self.source, self.points, self.values, self.unknown, self.seed, self.settings
        ) | {"noise": self.noise, "beside_scipy": self.beside_scipy, "grading": {}}


class Job(Protocol):
    """What makes one surrogate."""

    def provenance(self) -> dict[str, Any]:
        """As the surrogate will say itself."""
        ...


@dataclass(frozen=True)
class Finished:
    """What a folder holds where the same command has ended."""

    surrogate: Surrogate
    result: dict[str, Any]


@contextmanager
def at_work(job: Job, output: Path, *, overwrite: bool = False) -> Iterator[None]:
    """The folder `output` for one command alone, as long as the block runs.

    Raises OutputError where another process is at work in it, or where it holds another surrogate
    that is not to be overwritten.
    """
    place = follow(output)
    with locked(_hidden(place) / ".lock", output, remove=True):
        if not overwrite:
            finished(job, output)
        yield


def finished(job: Job, output: Path) -> Finished | None:
    """What the same command left in `output` when it ended; None if there is nothing.

    Raises OutputError where the folder holds another surrogate.
    """
    place = follow(output)
    if not checkpoint.holds_surrogate(place):
        return None
    told = ""
    try:
        surrogate, result = checkpoint.load(place), checkpoint.result(place)
    except DataFileError:
        told = " that cannot be read"
    else:
        if result is not None and provenance.same(surrogate.provenance, job.provenance()):
            return Finished(surrogate, result)
        other = provenance.differences(surrogate.provenance, job.provenance())
        if surrogate.provenance and set(other) <= {"code", *versions()}:
            told = " that another version of pacpde, or of what it stands on, made"
        elif "call" in other and "call" in surrogate.provenance:
            told = f" that came from {surrogate.provenance['call']}"
        elif surrogate.provenance:
            told = f" that differs in {', '.join(other)}"
    raise OutputError(
        f"{output} holds another surrogate{told}: name another folder, or add --overwrite to "
        "replace it."
    )


def store(job: Job, surrogate: Surrogate, output: Path, result: Mapping[str, Any]) -> None:
    """Keep what a command made and said, and forget what would have resumed it."""
    place = follow(output)
    told = {**surrogate.provenance, "grading": job.provenance().get("grading", {})}
    checkpoint.save(replace(surrogate, provenance=told), place, result=result)
    forget(output)


def forget(output: Path) -> None:
    """Remove what would resume a command whose result is stored."""
    ResumeState(_hidden(follow(output)), "").clear()


def journal(output: Path, inputs: Mapping[str, Any]) -> ResumeState:
    """Beside the folder, which is replaced whole at the end."""
    return ResumeState(_hidden(follow(output)), key_of(inputs))


def _hidden(place: Path) -> Path:
    return place.parent / f".{place.name}.journal"


def reseeded(made: Seeded, **changes: Any) -> Seeded:
    """A copy of what was checked when it was made, with changes that no check concerns."""
    copied = copy(made)
    vars(copied).pop("key", None)
    vars(copied).update(changes)
    return copied
