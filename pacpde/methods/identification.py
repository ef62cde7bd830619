"""Unknown coefficients from measurements: by a surrogate with its equation, and by scipy alone."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.optimize import least_squares

from pacpde.errors import InvalidValueError, SolverError
from pacpde.errors import unknown as unknown_name
from pacpde.keywords import checked_call
from pacpde.methods.arguments import Settings, check_arguments, config_after
from pacpde.methods.base import build_surrogate
from pacpde.methods.checks import check_source
from pacpde.methods.coefficient_errors import (
    collinear,
    collinearity_message,
    standard_errors,
)
from pacpde.methods.coefficient_search import CoefficientSearch
from pacpde.methods.measurements import Noise, WeightedMeasurements, given_values
from pacpde.methods.misfit import MisfitTest
from pacpde.networks.outcome import Outcome
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem, check_problem
from pacpde.reference import solve
from pacpde.renamed import renamed_names
from pacpde.residuals.identification import IdentificationTask, Unknowns
from pacpde.runtime import check_seed, gradients
from pacpde.training.callbacks import Progress, ProgressReport

__getattr__ = renamed_names(__name__, Identified="IdentificationResult")

REFERENCE = 1e-6  # tolerance of scipy's solutions
AT_BOUND = 1e-4  # share of a range within which a search ended at its end
STEP = 10.0  # of differences of them, in roots of their tolerance


@dataclass(frozen=True)
class IdentificationResult:
    """Coefficients from measurements.

    Attributes:
        problem: with the coefficients that were found.
        estimates: coefficient → (value, standard error). The error is that of least squares with
            independent noise, of the size that was given or that is estimated from what the fit
            leaves; it is infinite where the measurements do not depend on the coefficient, or tell
            only a combination of it and others.
        noise: that size, in scales of the fields, as a root mean square over the measurements.
        surrogate: of the problem; None from scipy.
        seconds: that the search took.
        outcome: "misfit" where the measurements do not fit the equation; else as of a fit, and
            "not_converged" where an error is infinite. For scipy "misfit", "converged" or
            "not_converged".
        remarks: why the coefficients may be wrong, a sentence each; see `doubts`.
        together: coefficients of which the measurements determine only a combination.
    """

    problem: Problem
    estimates: Mapping[str, tuple[float, float]]
    noise: float
    surrogate: Surrogate | None
    seconds: float
    outcome: Outcome
    remarks: tuple[str, ...] = ()
    together: tuple[str, ...] = ()

    def doubts(self) -> list[str]:
        """Why a value may be wrong, a sentence each."""
        sentences = list(self.remarks)
        for name, (value, error) in self.estimates.items():
            about = self.problem.declared()[name]
            if name in self.together:
                continue
            if not np.isfinite(error):
                sentences.append(
                    f"the measurements do not tell {name}: measure elsewhere, or more."
                )
            elif np.isclose(value, (about.lower, about.upper), rtol=1e-6, atol=0).any():
                sentences.append(
                    f"{name} ended at its bound, {value:g}: no value between fits better."
                )
        return sentences


@checked_call
@gradients()
def identify(
    source: Surrogate,
    points: np.ndarray | None = None,
    values: np.ndarray | None = None,
    /,
    *,
    data: Any = None,
    unknown: Sequence[str] | None = None,
    noise: Noise | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **shorthand: Any,
) -> IdentificationResult:
    """Find coefficients of the source's equation from measurements of another solution.

    min over θ of Σ ((u(x_i; θ) − y_i) / σ_i)², u(·; θ) the surrogate that solves the equation for
    the coefficients θ: Gauss–Newton in θ, with slopes by the implicit function theorem, from the
    source's. No reference is needed.

    Args:
        points: where it was measured, [labels, axes].
        values: [labels, fields], or [labels] for one field.
        data: both, in place of points, values and noise: `Measurements(points, values, noise)`, or
            a file or table that `Measurements.of` takes.
        unknown: names of the coefficients; all by default.
        noise: standard deviation of the values, in their units: a number, one a field, or one a
            value. Without it, it is one number in scales of the fields, estimated from what the
            fit leaves.
        settings: of the fits, see `pacpde.TrainingConfig`; the network is the source's. Other
            keywords are settings too, as in identify(source, points, values, steps=20).

    Returns:
        Coefficients with standard errors, the surrogate of their problem, and doubts.

    Raises:
        InvalidValueError: measurements that cannot be used, or too few for the unknowns.

    Example:
        >>> result = identify(source, points, values, unknown=["alpha"])
        >>> value, standard_error = result.estimates["alpha"]
    """
    check_source(source)
    source = unrefined(source)
    check_arguments(progress=progress, settings=settings)
    problem = source.problem
    points, values, noise = given_values(problem, points, values, noise, data)
    measured, unknowns = _checked(problem, points, values, unknown, noise)
    config = config_after(source, problem, settings, shorthand)
    began = time.perf_counter()
    task = IdentificationTask(
        problem, seed=check_seed(seed), runtime=source.runtime, like=source.field_ansatz,
        measured=measured.labels,
    )  # fmt: skip
    search = CoefficientSearch(
        source.reset(),
        task,
        unknowns,
        measured,
        config,
        check_seed(seed),
        [ProgressReport(progress)] if progress else (),
    )
    ended = search.run()
    found = unknowns.problem_at(ended.theta)
    surrogate = build_surrogate(source.reset(), task.equation_at(found), search.fits, "identified")
    outcome = surrogate.outcome
    if outcome == Outcome.CONVERGED and not search.at_rest:
        outcome = Outcome.NOT_CONVERGED
    accuracy = float(np.sqrt((measured.weighted(ended.local.correction) ** 2).mean()))
    test = MisfitTest(measured, ended.residuals, ended.slopes, accuracy)
    return _result(unknowns, found, test, surrogate, began, outcome, search.doubts)


@checked_call
@gradients()
def identify_by_scipy(
    problem: Problem,
    points: np.ndarray | None = None,
    values: np.ndarray | None = None,
    /,
    *,
    data: Any = None,
    unknown: Sequence[str] | None = None,
    noise: Noise | None = None,
    tolerance: float = REFERENCE,
) -> IdentificationResult:
    """The same by `scipy.optimize.least_squares` through the reference solver, from `problem`.

    Raises:
        SolverError: no reference of `problem` certifies to `tolerance`.
    """
    check_problem(problem, "problem")
    points, values, noise = given_values(problem, points, values, noise, data)
    return identify_by_solver(
        _Solved(tolerance), problem, points, values, unknown=unknown, noise=noise
    )


class Forward(Protocol):
    """Solutions as a function of coefficients, for `identify_by_solver`.

    Attributes:
        tolerance: their relative error.
        slope_error: that of their slopes.
    """

    @property
    def tolerance(self) -> float: ...

    @property
    def slope_error(self) -> float: ...

    def values(self, problem: Problem, points: np.ndarray) -> np.ndarray:
        """The fields at points [points, axes], [points, fields].

        Raises:
            SolverError: there is no solution.
        """
        ...

    def slopes(self, unknowns: Unknowns, theta: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
        """Their slopes in each entry of θ, [points, fields]."""
        ...

    def bounds(self, unknowns: Unknowns) -> np.ndarray:
        """Bounds of θ, [2, unknowns]."""
        ...

    def surrogate(self, problem: Problem) -> Surrogate | None:
        """The surrogate of the result, if there is one."""
        ...


@dataclass(frozen=True)
class _Solved:
    """By scipy, of a tolerance; slopes are differences over steps well above it."""

    tolerance: float

    @property
    def slope_error(self) -> float:
        return STEP**2 * self.tolerance / 3  # twice the third order of a difference, h² / 6

    def values(self, problem: Problem, points: np.ndarray) -> np.ndarray:
        return solve(problem, tolerance=self.tolerance)(*points.T).T

    def slopes(self, unknowns: Unknowns, theta: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
        def at(theta: np.ndarray) -> np.ndarray:
            return self.values(unknowns.problem_at(theta), points)

        return [
            (at(ahead) - at(behind)) / (ahead - behind)[k]
            for k, (behind, ahead) in enumerate(unknowns.around(theta, STEP * self.tolerance**0.5))
        ]

    def bounds(self, unknowns: Unknowns) -> np.ndarray:
        return unknowns.bounds

    def surrogate(self, problem: Problem) -> Surrogate | None:
        return None


def identify_by_solver(
    forward: Forward,
    problem: Problem,
    points: np.ndarray,
    values: np.ndarray,
    *,
    unknown: Sequence[str] | None = None,
    noise: Noise | None = None,
) -> IdentificationResult:
    """`identify` by `scipy.optimize.least_squares` through a solver, from `problem`."""
    measured, unknowns = _checked(problem, points, values, unknown, noise)
    scales = np.asarray(problem.scales)
    at = measured.labels.points
    began = time.perf_counter()

    def residuals(theta: np.ndarray) -> np.ndarray:
        solution = forward.values(unknowns.problem_at(theta), at)
        return measured.weighted(((solution - measured.labels.values) / scales).T.ravel())

    def tried(theta: np.ndarray) -> np.ndarray:
        """Where there is no reference, a step is too long."""
        try:
            return residuals(theta)
        except SolverError:
            return np.full(measured.rows, np.inf)

    def slopes(theta: np.ndarray) -> np.ndarray:
        columns = forward.slopes(unknowns, theta, at)
        return np.stack([measured.weighted((own / scales).T.ravel()) for own in columns], -1)

    start = unknowns.start
    residuals(start)  # says why where there is no reference
    bounds = tuple(forward.bounds(unknowns))
    ended = least_squares(tried, start, slopes, bounds=bounds, x_scale=unknowns.units)
    test = MisfitTest(measured, ended.fun, np.asarray(ended.jac), forward.tolerance)
    outcome = Outcome.CONVERGED if ended.success else Outcome.NOT_CONVERGED
    found = unknowns.problem_at(ended.x)
    result = _result(
        unknowns, found, test, forward.surrogate(found), began, outcome,
        slope_error=forward.slope_error,
    )  # fmt: skip
    return _within(result, ended.x, np.stack(bounds), unknowns)


def _within(
    result: IdentificationResult, theta: np.ndarray, bounds: np.ndarray, unknowns: Unknowns
) -> IdentificationResult:
    """A result that says where the search ended at a bound of the solver, inside the family's."""
    at_bound = np.abs(theta - bounds) <= AT_BOUND * (bounds[1] - bounds[0])
    at_bound &= ~np.isclose(bounds, unknowns.bounds)  # of those `doubts` speaks
    names = [name for name, own in zip(unknowns.names, at_bound.any(0), strict=True) if own]
    if not names:
        return result
    sentences = [
        f"{name} ended at the end of the range that was searched, "
        f"{result.estimates[name][0]:g}: a value outside it may fit better."
        for name in names
    ]
    outcome = result.outcome
    if outcome == Outcome.CONVERGED:
        outcome = Outcome.NOT_CONVERGED
    return replace(result, outcome=outcome, remarks=(*result.remarks, *sentences))


def _result(
    unknowns: Unknowns,
    problem: Problem,
    test: MisfitTest,
    surrogate: Surrogate | None,
    began: float,
    outcome: Outcome,
    doubts: Sequence[str] = (),
    slope_error: float = 0.0,
) -> IdentificationResult:
    """With standard errors, and with what the measurements say against it.

    Args:
        problem: with the coefficients at the end of the search.
        slope_error: relative error of slopes that are differences.
    """
    measured, names = test.measured, unknowns.names
    known = None if measured.noise is None else float(np.hypot(measured.noise, test.accuracy))
    noise, errors = standard_errors(test.residuals, test.slopes, known)
    dependent = collinear(test.slopes, slope_error)
    errors = np.where(dependent, np.inf, errors)
    remarks = measured.remarks(len(names))
    # along a combination of coefficients a search has nowhere to rest
    test = replace(test, at_rest=outcome == Outcome.CONVERGED or not dependent.any())
    misfit = test.message()
    if misfit:
        outcome = Outcome.MISFIT
        remarks.append(misfit)
    elif outcome == Outcome.CONVERGED and not np.isfinite(errors).all():
        outcome = Outcome.NOT_CONVERGED
    together = [name for name, own in zip(names, dependent, strict=True) if own]
    if together:
        remarks.append(collinearity_message(together))
    elif not misfit:
        remarks += doubts
    estimates = {}
    for name, error in zip(names, errors, strict=True):
        value = problem.coefficients[name]
        estimates[name] = (value, float(value * error if unknowns.logarithmic(name) else error))
    seconds = time.perf_counter() - began
    return IdentificationResult(
        problem, estimates, noise, surrogate, seconds, outcome, tuple(remarks), tuple(together)
    )


def _checked(
    problem: Problem,
    points: np.ndarray,
    values: np.ndarray,
    unknown: Sequence[str] | None,
    noise: Noise | None,
) -> tuple[WeightedMeasurements, Unknowns]:
    """Measurements and unknowns."""
    measured = WeightedMeasurements.of(problem, points, values, noise)
    known = list(problem.declared())
    if not isinstance(unknown, Iterable | None):
        raise InvalidValueError(f"unknown is {unknown!r}, expected names, as in {known}.")
    names = (unknown,) if isinstance(unknown, str) else tuple(known if unknown is None else unknown)
    for name in names:
        if name not in known:
            raise unknown_name(f"coefficient of {problem.name}", name, known)
    if not names or len(set(names)) < len(names):
        raise InvalidValueError(f"unknown is {list(names)}, expected some names, each once.")
    given = measured.rows + measured.copies * len(problem.fields)
    if given <= len(names):
        raise InvalidValueError(
            f"{given} measured numbers cannot tell {len(names)} coefficients and their errors: "
            "measure more."
        )
    unknowns = Unknowns(problem, names)
    for pair in unknowns.around(unknowns.start):
        for theta in pair:
            # refused here, not after a fit, where a symmetry does not hold
            unknowns.problem_at(theta)
    return measured, unknowns
