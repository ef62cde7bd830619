"""The solvers of references behind one protocol: the problem chooses."""

from typing import Protocol

from pacpde.errors import SolverError
from pacpde.physics import Problem
from pacpde.physics.dependence import warn_of_missing_conditions
from pacpde.reference.certificate import (
    LOOSEST,
    NoSolutionError,
    Progress,
    solve_by_lines,
    tolerances,
)
from pacpde.reference.exact import exact_reference, gives_exact
from pacpde.reference.solution import Reference
from pacpde.reference.steady import solve_by_collocation


class Solver(Protocol):
    """Solves problems of one kind."""

    def takes(self, problem: Problem) -> bool:
        """Whether it can try the problem."""
        ...

    def solve(
        self, problem: Problem, target: float, accepted: float, progress: Progress
    ) -> Reference:
        """The reference certified to `target`, or the best one up to `accepted`.

        Raises:
            SolverError: there is none.
        """
        ...


class MethodOfLinesSolver:
    """Evolutions: nodes in space, an integrator in time."""

    def takes(self, problem: Problem) -> bool:
        return problem.order > 0

    def solve(
        self, problem: Problem, target: float, accepted: float, progress: Progress
    ) -> Reference:
        return solve_by_lines(problem, target, accepted, progress)


class CollocationSolver:
    """Everything on a box: nodes on every axis, time among them, and Newton's method."""

    def takes(self, problem: Problem) -> bool:
        return problem.order == 0

    def solve(
        self, problem: Problem, target: float, accepted: float, progress: Progress
    ) -> Reference:
        warn_of_missing_conditions(problem, stacklevel=3)
        return solve_by_collocation(problem, target, accepted, progress)


WEAK = 1e-6  # a certificate above it does not tell good fits apart
SOLVERS: tuple[Solver, ...] = (MethodOfLinesSolver(), CollocationSolver())


def solve(
    problem: Problem,
    *,
    tolerance: float | None = None,
    loosest: float | None = None,
    progress: Progress | None = None,
) -> Reference:
    """The reference solution of a problem, certified to `tolerance` (relative L2).

    Evolutions are solved by the method of lines, other problems by collocation.

    Args:
        tolerance: 1e-10 by default, 1e-9 with two space axes or more.
        loosest: where `tolerance` is not met, the best certificate is taken if it is at most this;
            `certified_error` says what it is, and `tolerances["limit"]` why. By default 0.1, or
            `tolerance` where it is given.
        progress: called with a sentence after every level.

    Raises:
        SolverError: the solution does not reach the end of the span, no solution is found, or none
            is certified to so much.
    """
    target, accepted = tolerances(problem, tolerance, loosest)
    solver = next(one for one in SOLVERS if one.takes(problem))
    return solver.solve(problem, target, accepted, progress or (lambda message: None))


def solve_or_exact(problem: Problem, target: float, progress: Progress) -> Reference:
    """`solve`, to the best certificate there is; the family's exact solution where that is weak.

    An evolution whose solution ends before its span does has no exact solution there either.

    Raises:
        SolverError: there is neither.
    """
    solved, fault = None, None
    try:
        solved = solve(problem, tolerance=target, loosest=LOOSEST, progress=progress)
        if solved.certified_error <= max(target, WEAK):
            return solved
    except NoSolutionError:
        raise
    except SolverError as error:
        fault = error
    if gives_exact(problem):
        try:
            exact = exact_reference(problem, target)
            if solved is None or exact.certified_error < solved.certified_error:
                progress(f"{problem}: the exact solution that the family gives is taken")
                return exact
        except SolverError as error:
            fault = SolverError(f"{fault} {error}") if fault else None
            progress(str(error))
    if solved is not None:
        return solved
    assert fault is not None
    raise fault
