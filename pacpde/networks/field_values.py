"""The fields of a surrogate on a grid, with what is known of it."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from pacpde.checks import check_count
from pacpde.datasets.named_values import NamedValues
from pacpde.errors import InvalidValueError, named_numbers, short, unknown
from pacpde.physics.attributes import equation_text
from pacpde.physics.numbers import as_floats
from pacpde.physics.problem import Problem
from pacpde.runtime import versions

if TYPE_CHECKING:
    from pacpde.networks.surrogate import Surrogate

POINTS = 101  # an axis by default; fewer where there are three axes or more
FEWER = 41
LARGEST = 10**8  # values of a field


def field_values(
    surrogate: "Surrogate",
    axes: Mapping[str, int | Sequence[float] | np.ndarray] | None = None,
    derivatives: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
) -> NamedValues:
    """Fields and derivatives on a grid; arguments as of `Surrogate.to_xarray`."""
    problem = surrogate.problem
    names = problem.domain.names
    for name in axes or {}:
        if name not in names:
            raise unknown("axis", name, names)
    grid = {name: _axis(problem, name, (axes or {}).get(name)) for name in names}
    size = np.prod([float(len(values)) for values in grid.values()])
    if size > LARGEST:
        raise InvalidValueError(
            f"the grid has {size:.3g} points, more than {LARGEST:g}: give fewer points an axis."
        )
    at = np.meshgrid(*grid.values(), indexing="ij")
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: ((name,), values) for name, values in grid.items()
    }
    for channel in ("", *derivatives):
        found = surrogate.derivative(channel)(*at) if channel else surrogate(*at)
        rows = found[None] if len(problem.fields) == 1 else found
        for name, values in zip(problem.fields, rows, strict=True):
            arrays[f"{name}_{channel}" if channel else name] = (names, values)
    about: dict[str, dict[str, str | float]] = {name: {} for name in arrays}
    for name, scale in zip(problem.fields, problem.scales, strict=True):
        about[name]["typical_size"] = float(scale)
    for name, unit in (units or {}).items():
        if name not in arrays:
            raise unknown("axis or field in units", name, [*arrays])
        about[name]["units"] = str(unit)
    return NamedValues(arrays, about, attributes_of(surrogate))


def attributes_of(surrogate: "Surrogate") -> dict[str, str | float]:
    """What is known of a surrogate, as attributes of a file.

    - `family`, `equation` and `coefficients`, and each coefficient as a number, as
      `coefficient_nu`; `until` where the time span is not the family's.
    - `stage` and `outcome` of its last fit, `residual` and `error_estimate` where they are known.
    - `source`: pacpde and its version.
    """
    problem = surrogate.problem
    numbers = problem.coefficients
    found: dict[str, str | float] = {
        "family": problem.name,
        "equation": equation_text(type(problem)),
        "coefficients": named_numbers(numbers),
        **{f"coefficient_{name}": float(value) for name, value in numbers.items()},
        "stage": surrogate.stage,
        "outcome": str(surrogate.outcome.value),
        "source": f"pacpde {versions()['pacpde']}",
    }
    if problem.until is not None:
        found["until"] = float(problem.until)
    assessment = surrogate.assessment
    if assessment is not None and isfinite(assessment.residual):
        found["residual"] = assessment.residual
    if surrogate.error_estimate is not None and isfinite(surrogate.error_estimate):
        found["error_estimate"] = surrogate.error_estimate
    return found


def _axis(problem: Problem, name: str, wanted: Any) -> np.ndarray:
    axis = problem.domain.axis(name)
    if wanted is None:
        wanted = POINTS if len(problem.domain.axes) < 3 else FEWER
    if isinstance(wanted, Integral):
        check_count(f"the number of points of {name}", wanted, 2, LARGEST)
        return axis.grid(int(wanted))
    values = as_floats(wanted, f"the points of {name}")
    if values.ndim != 1 or not len(values):
        raise InvalidValueError(
            f"the points of {name} are {short(wanted)}, expected a number of them or a list."
        )
    return values
