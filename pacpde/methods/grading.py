"""How wrong a surrogate is: relative L2 errors on the grid of a reference."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pacpde.networks.surrogate import Surrogate, relative_l2
from pacpde.physics.domain import mesh
from pacpde.reference import Reference, field_errors


@dataclass(frozen=True)
class Errors:
    """Relative L2 errors of a surrogate.

    Attributes:
        total: of all fields taken together, as they are. A field that is small beside another
            hardly counts in it.
        by_field: field → error in its own size.
    """

    total: float
    by_field: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest of any field."""
        return max(self.by_field.values())


def errors_of(surrogate: Surrogate, reference: Reference | None) -> Errors | None:
    """The errors on the reference's grid; None without a reference."""
    if reference is None:
        return None
    problem = reference.problem
    points = mesh(list(reference.axes.values()))
    found = surrogate.at(surrogate.runtime.tensor(points.reshape(-1, points.shape[-1])))
    fields = found.cpu().numpy()
    expected = np.stack([field.ravel() for field in reference.fields.values()], -1)
    apart = field_errors(fields.T, expected.T, problem.scales)
    return Errors(relative_l2(fields, expected), dict(zip(problem.fields, apart, strict=True)))


def error_of(surrogate: Surrogate, reference: Reference | None) -> float | None:
    """Of all fields taken together; None without a reference."""
    errors = errors_of(surrogate, reference)
    return None if errors is None else errors.total
