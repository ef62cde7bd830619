"""How solutions of a library change with the coefficients, by the implicit function theorem.

At its minimum a head obeys Jᵀ r(c, θ) = 0. So to first order, where residuals are small,

    dc/dθ = −(JᵀJ)⁻¹ Jᵀ ∂r/∂θ.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.methods.library.heads import HeadTerm, factors_of, gradients_of, solved
from pacpde.methods.library.solutions import LibrarySolutions, at_points
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.numbers import as_floats
from pacpde.physics.problem import Problem
from pacpde.residuals.identification import Unknowns

if TYPE_CHECKING:
    from pacpde.methods.library.library import Library

STEP = 1e-5  # of central differences in the coefficients, in shares of their ranges


def values_and_slopes(
    library: "Library",
    problem: Problem,
    points: torch.Tensor,
    names: Sequence[str],
    term: HeadTerm | None,
    heads: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The fields [points, fields], and their slopes in coefficients [names, points, fields].

    Args:
        term: at the points, see `term_of`.
        heads: of the problem, [1, fields, functions], where it is solved already.
    """
    if heads is None:
        heads = library.solve_many([problem]).heads
    backbone, equations = library.backbone, library.equations
    (terms,) = (own for _, own in equations.stacks([problem]))
    factors = factors_of(terms, heads)

    def fields(head: torch.Tensor) -> torch.Tensor:
        if term is None:
            return backbone.solver(problem, head).at(points)
        return term.fields(head[None])[0, 0]

    values, offset = fields(heads[0]), fields(torch.zeros_like(heads[0]))
    slopes = []
    for name in names:
        behind, ahead, width = _around(library, problem, name)
        rows = [equations.rows([one], heads) for one in (behind, ahead)]
        change = [(after - before) / width for before, after in zip(*rows, strict=True)]
        gradient = gradients_of(terms, heads, change)
        head = -solved(factors, gradient)
        own = fields(head.view_as(heads)[0]) - offset
        if not equations.alike:
            moved = [backbone.solver(one, heads[0]).at(points) for one in (behind, ahead)]
            own = own + (moved[1] - moved[0]) / width
        slopes.append(own)
    return values, torch.stack(slopes)


def term_of(library: "Library", points: torch.Tensor) -> HeadTerm | None:
    """The functions at points; None where each target has its own."""
    return at_points(library.backbone, points) if library.equations.alike else None


def _around(library: "Library", problem: Problem, name: str) -> tuple[Problem, Problem, float]:
    """A problem with a little less and more of a coefficient, inside its bounds, and the width."""
    about = problem.declared()[name]
    lower, upper = library.box.ranges.get(name, (about.lower, about.upper))
    value, step = getattr(problem, name), STEP * (upper - lower)
    ends = max(value - step, about.lower), min(value + step, about.upper)
    behind, ahead = (problem.with_coefficients(**{name: end}) for end in ends)
    return behind, ahead, ends[1] - ends[0]


class Values(torch.autograd.Function):
    """Coefficients [targets, coefficients] → fields [targets, points, fields]."""

    @staticmethod
    def forward(ctx: Any, coefficients: torch.Tensor, library: Any, points: Any) -> torch.Tensor:
        names, term = library.box.names, term_of(library, points)
        results = []
        for row in coefficients.detach().double().cpu().numpy():
            own = dict(zip(names, map(float, row), strict=True))
            problem = library.box.problem.with_coefficients(**own)
            results.append(values_and_slopes(library, problem, points, names, term))
        ctx.save_for_backward(torch.stack([slopes for _, slopes in results]))
        return torch.stack([values for values, _ in results])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return torch.einsum("bpnk,bnk->bp", slopes, gradients[0]), None, None


def as_rows(coefficients: Any, names: Sequence[str]) -> tuple[torch.Tensor, bool]:
    """Coefficients as rows [targets, coefficients], and whether one row was given without its axis.

    Args:
        coefficients: [targets] or a number where there is one coefficient; else [targets,
            coefficients], or [coefficients].
        names: of the coefficients.
    """
    is_tensor = isinstance(coefficients, torch.Tensor)
    rows = (
        coefficients if is_tensor else torch.as_tensor(as_floats(coefficients, "the coefficients"))
    )
    if len(names) == 1 and rows.dim() < 2:
        rows = rows.unsqueeze(-1)
    if rows.dim() not in (1, 2) or rows.shape[-1] != len(names):
        raise InvalidValueError(
            f"the coefficients have the shape {tuple(rows.shape)}, expected one row a target with "
            f"{', '.join(names)}."
        )
    single = rows.dim() == 1
    return (rows[None] if single else rows), single


class LibraryForward:
    """Solutions of a library as a function of coefficients, for `identify_by_solver`."""

    slope_error = STEP

    def __init__(self, library: "Library") -> None:
        self.library, self.tolerance = library, library.tolerance
        self._last: LibrarySolutions | None = None
        self._at: tuple[np.ndarray, torch.Tensor, HeadTerm | None] | None = None

    def _solved(self, problem: Problem) -> LibrarySolutions:
        """The solution of a problem; values and slopes are asked for at the same one."""
        if self._last is None or self._last.problems != (problem,):
            self._last = self.library.solve_many([problem])
        return self._last

    def _points(self, points: np.ndarray) -> tuple[torch.Tensor, HeadTerm | None]:
        """The points on the library's device, and the functions there: they are always the same."""
        if self._at is None or self._at[0] is not points:
            tensor = self.library.sources[0].runtime.tensor(points)
            self._at = points, tensor, term_of(self.library, tensor)
        return self._at[1:]

    def values(self, problem: Problem, points: np.ndarray) -> np.ndarray:
        solutions, (tensor, term) = self._solved(problem), self._points(points)
        fields = solutions[0].at(tensor) if term is None else term.fields(solutions.heads)[0, 0]
        return fields.double().cpu().numpy()

    def slopes(self, unknowns: Unknowns, theta: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
        problem = unknowns.problem_at(theta)
        tensor, term = self._points(points)
        heads = self._solved(problem).heads
        _, slopes = values_and_slopes(self.library, problem, tensor, unknowns.names, term, heads)
        each = slopes.double().cpu().numpy()
        return [
            own * (getattr(problem, name) if unknowns.logarithmic(name) else 1.0)
            for name, own in zip(unknowns.names, each, strict=True)
        ]

    def bounds(self, unknowns: Unknowns) -> np.ndarray:
        ranges = self.library.box.ranges
        ends = [
            [np.log(end) if unknowns.logarithmic(name) else end for end in ranges[name]]
            for name in unknowns.names
        ]
        return np.array(ends).T

    def surrogate(self, problem: Problem) -> Surrogate | None:
        return self._solved(problem)[0]
