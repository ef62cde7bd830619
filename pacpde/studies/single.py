"""One fit or one transfer into a folder of its own, resumed where it was cut off."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pacpde.datasets.grading import AUTO, Choice
from pacpde.methods import Recipe, TransferResult, fit, methods, transfer
from pacpde.methods.transfer import check_transfer
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.journal import Journal, key_of
from pacpde.optim.update import Progress
from pacpde.physics import Problem
from pacpde.runtime import Runtime
from pacpde.studies.identity import identity


@dataclass(frozen=True)
class Training:
    """A fit from random weights, checked when it is made."""

    problem: Problem
    seed: int = 0
    runtime: Runtime = Runtime()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs()

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on."""
        return {
            "family": self.problem.name,
            "coefficients": self.problem.coefficients,
            "until": self.problem.until,
            "seed": self.seed,
            "fit": dataclasses.asdict(Recipe.of(self.problem, **self.settings)),
            "runtime": dataclasses.asdict(self.runtime),
            "made_by": identity(type(self.problem)),
        }

    @cached_property
    def key(self) -> str:
        """A name for these inputs; any that changes makes another source."""
        return key_of(self.inputs())

    def journal(self, output: Path) -> Journal:
        """Beside the folder, which is replaced whole at the end."""
        return _journal(output, self.inputs())

    def run(self, output: Path, progress: Progress | None = None) -> Surrogate:
        return fit(
            self.problem,
            seed=self.seed,
            runtime=self.runtime,
            progress=progress,
            journal=self.journal(output),
            **self.settings,
        )


@dataclass(frozen=True)
class Transfer:
    """A transfer of a source surrogate, checked when it is made."""

    source: Surrogate
    target: Problem
    method: str = "pac"
    seed: int = 0
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_transfer(self.source, self.target, self.labels, self.noise, self.physics)
        methods.get(self.method).make(self.options).check(self.source.network, self.physics)
        self.inputs()

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on."""
        return {
            "source": key_of(self.source.weights.tolist()),
            "family": self.target.name,
            "from": self.source.problem.coefficients,
            "coefficients": self.target.coefficients,
            "until": self.target.until,
            "method": self.method,
            "options": dataclasses.asdict(methods.get(self.method).make(self.options)),
            "seed": self.seed,
            "labels": self.labels,
            "noise": self.noise,
            "physics": self.physics,
            "fit": dataclasses.asdict(Recipe.of(self.target, **self.settings)),
            "runtime": dataclasses.asdict(self.source.runtime),
            "made_by": identity(type(self.target), methods.get(self.method)),
        }

    def journal(self, output: Path) -> Journal:
        """Beside the folder, which is replaced whole at the end."""
        return _journal(output, self.inputs())

    def run(
        self, output: Path, progress: Progress | None = None, reference: Choice = AUTO
    ) -> TransferResult:
        return transfer(
            self.source,
            self.target,
            method=self.method,
            seed=self.seed,
            labels=self.labels,
            noise=self.noise,
            physics=self.physics,
            progress=progress,
            journal=self.journal(output),
            settings=self.settings,
            reference=reference,
            **self.options,
        )


def _journal(output: Path, inputs: dict[str, Any]) -> Journal:
    return Journal(output.parent / f".{output.name}.journal", key_of(inputs))
