"""Evolutions and steady problems with solutions that are known, by a source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Axis, Evolution, Problem
from pacpde.physics.derivatives import AutogradDerivative
from pacpde.physics.elementary import cos
from tests.residuals.given import given

Fields = Callable[..., Any]  # coordinates by name → the fields
Terms = Callable[[tuple[Any, ...], Any], tuple[Any, ...]]  # (fields, d) → rates or rows


def parts_of(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def source(problem: Problem, exact: Fields, terms: Terms, d: Any) -> list[Any]:
    """What `terms` give for the exact solution, at the coordinates of `d`."""
    names = problem.domain.names
    columns = [torch.as_tensor(d.coordinates[name], dtype=torch.float64) for name in names]
    columns = list(torch.broadcast_tensors(*columns))
    with torch.enable_grad():
        at = {
            name: column.detach().reshape(-1).clone().requires_grad_(True)
            for name, column in zip(names, columns, strict=True)
        }
        fields = tuple(part + 0 * at[names[0]] for part in parts_of(exact(**at)))
        found = terms(fields, AutogradDerivative(fields, at))
    shaped = [part.detach().reshape(columns[0].shape) for part in found]
    if isinstance(d.coordinates[names[0]], torch.Tensor):
        return list(shaped)
    return [part.numpy() for part in shaped]


def evolution(
    axes: Sequence[Axis],
    exact: Fields,
    rates: Terms,
    conditions: Sequence[Any],
    order: int = 1,
    start: Callable[..., Any] | None = None,
) -> Problem:
    """∂ᵏu/∂tᵏ = rates + source, with this solution; `start` gives its initial values."""
    first = axes[0].lower

    @dataclass(frozen=True)
    class Made(Evolution):
        def rhs(self, u: Any, d: Any) -> Any:
            fields = parts_of(u)

            def missing(values: Any, own: Any) -> Any:
                given_rates = rates(values, own)
                return tuple(
                    own(value, "t" * order) - rate
                    for value, rate in zip(values, given_rates, strict=True)
                )

            extra = source(self, exact, missing, d)
            result = tuple(r + s for r, s in zip(rates(fields, d), extra, strict=True))
            return result if len(result) > 1 else result[0]

        def initial(self, *space: Any) -> Any:
            if start is not None:
                return start(*space)
            return exact(first, *space)

        def conditions(self) -> Any:
            return list(conditions)

    return _named(Made, axes, exact, order)


def steady(axes: Sequence[Axis], exact: Fields, rows: Terms, conditions: Sequence[Any]) -> Problem:
    """rows = source, with this solution."""

    @dataclass(frozen=True)
    class Made(Problem):
        def residual(self, u: Any, d: Any) -> Any:
            extra = source(self, exact, rows, d)
            return tuple(r - s for r, s in zip(rows(parts_of(u), d), extra, strict=True))

        def conditions(self) -> Any:
            return list(conditions)

    return _named(Made, axes, exact, 0)


def _named(family: Any, axes: Sequence[Axis], exact: Fields, order: int) -> Problem:
    """The problem of a family that is given its class attributes late, so as not to register."""
    middle = {axis.name: torch.full((1,), (axis.lower + axis.upper) / 2) for axis in axes}
    count = len(parts_of(exact(**middle)))
    family.axes = tuple(axes)
    family.fields = tuple("uvpq"[:count])
    family.scales = (1.0,) * count
    family.order = order
    family.name = "made"
    problem: Problem = family()
    return problem


def disturbed(
    problem: Problem, exact: Fields, size: float = 1e-3, seed: int = 0
) -> tuple[Surrogate, float]:
    """The exact solution with a random smooth error that meets nothing, and its relative size."""
    rng = np.random.default_rng(seed)
    axes, periodic = problem.axes, problem.boundary.periodic
    waves = [
        [
            (
                rng.normal(),
                {a.name: 2 * rng.integers(0, 3) if a.name in periodic else rng.uniform(0, 4)
                 for a in axes},
                rng.uniform(0, 2 * pi),
            )
            for _ in range(6)
        ]
        for _ in problem.fields
    ]  # fmt: skip

    def error(own: Any, **x: Any) -> Any:
        unit = {axis.name: pi * (x[axis.name] - axis.lower) / axis.length for axis in axes}
        return size * sum(
            height * cos(sum(number[name] * unit[name] for name in unit) + phase)
            for height, number, phase in own
        )

    def wrong(**x: Any) -> Any:
        return tuple(
            field + error(own, **x) for field, own in zip(parts_of(exact(**x)), waves, strict=True)
        )

    return given(problem, wrong), true_error(problem, exact, wrong)


def true_error(problem: Problem, exact: Fields, found: Fields) -> float:
    """Relative L2 of the worst field."""
    count = {1: 1001, 2: 101, 3: 31}[len(problem.axes)]
    mesh = np.meshgrid(*[axis.grid(count) for axis in problem.axes], indexing="ij")
    at = {
        name: torch.from_numpy(part.ravel())
        for name, part in zip(problem.domain.names, mesh, strict=True)
    }
    shares = [
        float(
            (a - b + 0 * at[problem.axes[0].name]).norm()
            / (a + 0 * at[problem.axes[0].name]).norm()
        )
        for a, b in zip(parts_of(exact(**at)), parts_of(found(**at)), strict=True)
    ]
    return max(shares)
