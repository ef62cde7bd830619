"""Cells: one transfer each, and everything that its record depends on."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import torch

from pacpde.datasets.grading import AUTO, NONE, choice_inputs
from pacpde.errors import InvalidValueError
from pacpde.methods import TrainingConfig, methods
from pacpde.methods.checks import check_transfer
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.reference.certificate import check_tolerance
from pacpde.studies.identity import identity
from pacpde.studies.records import cell_hash
from pacpde.studies.single import Training, reseeded


@dataclass(frozen=True)
class Way:
    """A method with the options that were given, for a family."""

    family: str
    method: str
    options: Mapping[str, Any]

    @property
    def variant(self) -> str:
        """The method, with the options."""
        return self.named(self.options)

    def named(self, options: Iterable[str]) -> str:
        """The method, with those of its options."""
        told = ", ".join(f"{name}={_short(self.options[name])}" for name in options)
        return f"{self.method} ({told})" if told else self.method


@dataclass(frozen=True, eq=False)
class Cell:
    """A source to train, and one way to transfer it; checked when it is made.

    Attributes:
        training: of the source; its seed, runtime and settings are the transfer's too.
        options: of the method.
        reference, reference_tolerance: what grades it, "auto" or "none", as of `transfer`.
    """

    training: Training
    target: Problem
    method: str = "pac"
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: int = 0
    noise: float = 0.0
    physics: bool = True
    reference: str = AUTO
    reference_tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.reference not in (AUTO, NONE):
            raise InvalidValueError(
                f"reference is {self.reference!r}, expected {AUTO!r} or {NONE!r}."
            )
        if self.reference_tolerance is not None:
            check_tolerance(self.reference_tolerance, "reference_tolerance")
        if self.reference == NONE and self.labels:
            raise InvalidValueError(
                "labels are drawn from the reference, and reference is 'none': leave one of them "
                "out."
            )
        source = self.training.problem
        config, ansatz = TrainingConfig.of(source, **self.training.settings), PhysicsAnsatz(source)
        network = network_for(ansatz, config.width, config.depth, config.activation)
        methods.get(self.method).make(self.options).check(network, self.physics)
        untrained = Surrogate(network, ansatz, torch.zeros(0, device="cpu"))
        check_transfer(untrained, self.target, self.labels, self.noise, self.physics)

    @property
    def source(self) -> Problem:
        return self.training.problem

    @property
    def seed(self) -> int:
        return self.training.seed

    def with_training(self, training: Training) -> "Cell":
        """The same from a source of another seed; no check depends on it."""
        return reseeded(self, training=training)

    def inputs(self) -> dict[str, Any]:
        """All that the record depends on."""
        return {**self._sourceless, "source": self.training.key}

    @cached_property
    def _sourceless(self) -> dict[str, Any]:
        return {
            "target": self.target.coefficients,
            "until": self.target.until,
            "method": self.method,
            "options": dataclasses.asdict(methods.get(self.method).make(self.options)),
            "labels": self.labels,
            "noise": self.noise,
            "physics": self.physics,
            **choice_inputs(self.reference, self.reference_tolerance),
            "fit": TrainingConfig.of(self.target, **self.training.settings).as_json(),
            "made_by": identity(type(self.target), methods.get(self.method)),
        }

    @cached_property
    def key(self) -> str:
        """A name for these inputs; any that changes makes another cell."""
        return cell_hash(self.inputs())

    @cached_property
    def variant(self) -> str:
        """The method, with the options that were given."""
        return self.way.variant

    @property
    def way(self) -> Way:
        return Way(self.source.name, self.method, self.options)

    def __str__(self) -> str:
        return f"{self.variant}, {self.source} to {self.target}, seed {self.seed}"


def trainings(cells: Iterable[Cell]) -> dict[str, Training]:
    """Every source that cells need, once: its key → how it is trained."""
    return {cell.training.key: cell.training for cell in cells}


def variants(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Options, some of which are lists of values, as every combination of them."""
    columns = [value if isinstance(value, list) else [value] for value in options.values()]
    return [dict(zip(options, values, strict=True)) for values in product(*columns)]


def distinguishing_names(cells: Sequence[Cell]) -> list[str]:
    """Of each cell its method, with those options that tell it from others of its family."""
    return told_apart([cell.way for cell in cells])


def told_apart(ways: Sequence[Way]) -> list[str]:
    """Of each way its method, with those options that tell it from others of its family.

    What was tuned, for each family otherwise, would make several methods of one.
    """
    given: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for way in ways:
        given.setdefault((way.method, way.family), []).append(way.options)
    varying: dict[str, set[str]] = {}
    for (method, _), alike in given.items():
        names = {name for options in alike for name in options}
        varying.setdefault(method, set()).update(
            name for name in names if len({_short(options.get(name)) for options in alike}) > 1
        )
    return [way.named(name for name in way.options if name in varying[way.method]) for way in ways]


def several(value: Any) -> Sequence[Any]:
    """A list, or the one value as a list."""
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
