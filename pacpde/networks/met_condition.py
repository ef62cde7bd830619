"""How a surrogate meets a condition of its problem."""

from collections.abc import Iterator
from dataclasses import dataclass

from pacpde.errors import named_numbers
from pacpde.physics.boundary import Boundary, EdgeCondition
from pacpde.physics.problem import Problem


@dataclass(frozen=True)
class MetCondition:
    """A condition of a problem, and how an ansatz meets it.

    Attributes:
        where: as in "x-" for the lower end of x, "t-" for the start; the point of a `PointValue`;
            the name of a periodic axis.
        field: whose; empty for the fields of a periodic axis.
        what: "value", "normal derivative", "mix" of both; "rate" at the start; "periodic".
        exactly: whether every network meets it; else a residual term does, beside the equation's.

    Example:
        >>> str(MetCondition("x-", "u", "value", exactly=False))
        'value of u at x-, by residual'
    """

    where: str
    field: str
    what: str
    exactly: bool

    def __str__(self) -> str:
        return f"{self.name}, {'exact' if self.exactly else 'by residual'}"

    @property
    def name(self) -> str:
        """As in "value of u at x-"."""
        if not self.field:
            return f"{self.where} {self.what}"
        return f"{self.what} of {self.field} at {self.where}"


def met_conditions(
    problem: Problem, exactly: Boundary, by_residual: Boundary
) -> Iterator[MetCondition]:
    """The conditions of a problem, of which some are met exactly and the others by residuals."""
    for name in problem.boundary.periodic:
        yield MetCondition(name, "", "periodic", True)
    for boundary, exact in ((exactly, True), (by_residual, False)):
        for one in boundary.edges:
            yield MetCondition(one.where, problem.fields[one.field], _what(one), exact)
        for point in boundary.points:
            place = named_numbers(dict(zip(problem.domain.names, point.point, strict=True)), " = ")
            yield MetCondition(place, problem.fields[point.field], "value", exact)


def _what(one: EdgeCondition) -> str:
    if not one.b:
        return "value"
    if one.a:
        return "mix"
    return "rate" if one.where == "t-" else "normal derivative"
