"""The jobs of studies, comparisons and single commands: fits of sources, and cells.

A cell is one transfer from a source to a target. Both are checked when they are made, and are named
by all that their results depend on (`key`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from pacpde.datasets import transfer_references
from pacpde.datasets.grading import AUTO, References, check_choice, choice_inputs
from pacpde.files import key_of
from pacpde.methods import (
    Method,
    TrainingConfig,
    TransferResult,
    fit,
    provenance,
    transfer,
)
from pacpde.methods.arguments import method_of
from pacpde.methods.checks import check_transfer
from pacpde.methods.measurements import measurements_of
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Problem
from pacpde.physics.problem import check_problem
from pacpde.reference import Reference
from pacpde.runtime import Runtime, check_seed
from pacpde.studies.identity import identity
from pacpde.studies.records import Row
from pacpde.studies.rows import row_of
from pacpde.studies.variants import Variant
from pacpde.training.callbacks import Progress
from pacpde.training.resume import ResumeState

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Training:
    """A fit from random weights: the source of cells, or all that a command does.

    Attributes:
        settings: of the fit, see `pacpde.methods.TrainingConfig`.
        grading: which reference was asked for, see `choice_inputs`; empty for a source of cells.
        together: it runs in one batch with other fits, so that its last digits differ.
        trained: the surrogate of a source that is there already, in place of a fit.
        data: measurements that are fitted too, as of `fit`.
    """

    problem: Problem
    seed: int = 0
    runtime: Runtime = Runtime()
    settings: Mapping[str, Any] = field(default_factory=dict)
    grading: Mapping[str, Any] = field(default_factory=dict)
    together: bool = False
    trained: Surrogate | None = None
    data: Any = None

    def __post_init__(self) -> None:
        check_problem(self.problem, "source")
        check_seed(self.seed)
        object.__setattr__(self, "data", measurements_of(self.data, self.problem))
        if self.config.network is not None and self.trained is None:  # named by what it is
            config = self.config.with_built_network(PhysicsAnsatz(self.problem))
            object.__setattr__(self, "settings", {**self.settings, "network": config.network})
            vars(self)["config"] = config

    @cached_property
    def config(self) -> TrainingConfig:
        return TrainingConfig.of(self.problem, **self.settings)

    @classmethod
    def of_surrogate(cls, trained: Surrogate, seed: int, settings: Mapping[str, Any]) -> "Training":
        """A source that is there already.

        Args:
            seed, settings: of its transfers.
        """
        return cls(trained.problem, seed, trained.runtime, settings, trained=trained)

    @property
    def surrogate(self) -> Surrogate:
        """The source's surrogate; before it is trained, one without weights, for checks."""
        if self.trained is not None:
            return self.trained
        ansatz = PhysicsAnsatz(self.problem)
        network = self.config.build_network(ansatz)
        return Surrogate(network, ansatz, torch.zeros(0, device="cpu"))

    def provenance(self) -> dict[str, Any]:
        """The provenance of the fit's surrogate."""
        data = self.data and self.data.summary(self.problem)
        about = provenance.of_fit(self.problem, self.config, self.seed, self.runtime, data)
        return {**about, "grading": dict(self.grading)}

    def inputs(self) -> dict[str, Any]:
        """All that the key of this training depends on; equal in every run of the same training."""
        return {**self._seedless, "seed": self.seed}

    @cached_property
    def _seedless(self) -> dict[str, Any]:
        about = {
            **provenance.comparable(self.provenance()),
            "made_by": identity(type(self.problem), *self.config.network_classes),
        }
        del about["seed"]
        if self.together:
            about["together"] = True
        if self.trained is not None:
            about["origin"] = provenance.comparable(self.trained.provenance)
            about["weights"] = provenance.weights_hash(self.trained)
        return about

    @cached_property
    def shape(self) -> str:
        """A name for all of its inputs but the seed; what the time of a fit depends on."""
        return key_of(self._seedless)

    @cached_property
    def key(self) -> str:
        """A name for these inputs; any that changes makes another source."""
        return key_of(self.inputs())

    def with_seed(self, seed: int) -> "Training":
        """The same from another seed; what does not depend on it is not worked out again."""
        return _with_changes(self, seed=check_seed(seed))

    @stepwise
    def run(
        self, progress: Progress | None = None, resume_state: ResumeState | None = None
    ) -> Steps[Surrogate]:
        """The surrogate of the source."""
        return steps_of(fit)(
            self.problem, data=self.data, seed=self.seed, runtime=self.runtime, progress=progress,
            resume_state=resume_state, settings=self.config,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"source {self.problem}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Cell:
    """A source, and one way to transfer it.

    Attributes:
        training: of the source; its seed, runtime and settings are the transfer's too.
        method: an object, or a name.
        options: of a method that is named.
        reference, reference_tolerance: what grades it, as of `transfer`.
        data: measurements of the target, as of `transfer`.
    """

    training: Training
    target: Problem
    method: str | Method = "pac"
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    reference: Reference | str | Path | None = AUTO
    reference_tolerance: float | None = None
    data: Any = None

    def __post_init__(self) -> None:
        check_problem(self.target, "target")
        data = measurements_of(self.data, self.target, labels=self.labels, noise=self.noise)
        object.__setattr__(self, "data", data)
        check_choice(self.reference, self.reference_tolerance, of_source=self.source != self.target)
        choice_inputs(self.reference, self.reference_tolerance)
        source = self.training.surrogate
        self.transfer_method.rungs(self.source, self.target)  # or a sentence
        self.transfer_method.check(source.network, self.physics)
        check_transfer(source, self.target, self.labels, self.noise, self.physics, data)

    @cached_property
    def transfer_method(self) -> Method:
        """The object of the method."""
        return method_of(self.method, self.options)

    @property
    def method_name(self) -> str:
        return self.transfer_method.name

    @property
    def labelled(self) -> dict[str, Any]:
        """Number of labels and their noise; of `data` what `Measurements.summary` says."""
        drawn = {"labels": self.labels, "noise": self.noise}
        return drawn if self.data is None else self.data.summary(self.target)

    @property
    def source(self) -> Problem:
        return self.training.problem

    @property
    def seed(self) -> int:
        return self.training.seed

    def with_training(self, training: Training) -> "Cell":
        """The same from a source of another seed; no check depends on it."""
        return _with_changes(self, training=training)

    def provenance(self) -> dict[str, Any]:
        """The provenance of the result's surrogate; the source must be trained."""
        source = self.training.surrogate
        about = provenance.of_transfer(
            source, self.target, self.transfer_method,
            TrainingConfig.after(source, self.target, **self.training.settings),
            self.seed, source.runtime, **self.labelled, physics=self.physics,
        )  # fmt: skip
        return {**about, "grading": choice_inputs(self.reference, self.reference_tolerance)}

    def inputs(self) -> dict[str, Any]:
        """All that the key of this cell depends on."""
        return {**self._sourceless, "source": self.training.key}

    @cached_property
    def _sourceless(self) -> dict[str, Any]:
        return {
            "target": self.target.coefficients,
            "until": self.target.until,
            "method": self.method_name,
            "options": self.transfer_method.options,
            **self.labelled,
            "physics": self.physics,
            **choice_inputs(self.reference, self.reference_tolerance),
            "fit": TrainingConfig.of(self.target, **self.training.settings).as_json(),
            "made_by": identity(type(self.target), type(self.transfer_method)),
        }

    @cached_property
    def key(self) -> str:
        """A name for these inputs; any that changes makes another cell."""
        return key_of(self.inputs())

    @cached_property
    def variant(self) -> str:
        """The method, with the options that were given to it."""
        return self.method_variant.name

    @cached_property
    def method_variant(self) -> Variant:
        options = self.options or self.transfer_method.changed_options
        return Variant(self.source.name, self.method_name, options)

    @stepwise
    def transfer(
        self,
        source: Surrogate,
        references: References,
        progress: Progress | None = None,
        resume_state: ResumeState | None = None,
    ) -> Steps[TransferResult]:
        """Carry out the transfer of a trained source.

        Args:
            references: what grades it, in place of `reference`.
        """
        return steps_of(transfer)(
            source, self.target, method=self.transfer_method, seed=self.seed,
            data=self.data, labels=self.labels, noise=self.noise, physics=self.physics,
            runtime=self.training.runtime, progress=progress, resume_state=resume_state,
            settings=TrainingConfig.after(source, self.target, **self.training.settings),
            reference=references,
        )  # fmt: skip

    @stepwise
    def run(
        self,
        source: Surrogate,
        references: References | None = None,
        progress: Progress | None = None,
        resume_state: ResumeState | None = None,
    ) -> Steps[tuple[Row, Surrogate]]:
        """The row of the transfer, and the surrogate of its target; see `transfer`."""
        references = references or transfer_references(
            self.source, self.target, self.reference, self.reference_tolerance
        )
        result = yield from steps_of(self.transfer)(source, references, progress, resume_state)
        return row_of(self, result, references), result.surrogate

    def __str__(self) -> str:
        return f"{self.variant}, {self.source} to {self.target}, seed {self.seed}"


def trainings(cells: Iterable[Cell]) -> dict[str, Training]:
    """Every source that cells need, once: its key → how it is trained."""
    return {cell.training.key: cell.training for cell in cells}


def with_seeds(cells: Sequence[Cell], seeds: Iterable[int]) -> Iterator[Cell]:
    """Cells of one training, for every seed; what was checked depends on none."""
    for seed in seeds:
        training = cells[0].training.with_seed(seed)
        yield from (cell.with_training(training) for cell in cells)


def _with_changes(checked: Checked, **changes: Any) -> Checked:
    """A copy of what was checked when it was made, with changes that no check concerns."""
    copied = copy(checked)
    vars(copied).pop("key", None)
    vars(copied).update(changes)
    return copied
