"""Unknown coefficients from measurements: by a surrogate with its equation, and by scipy alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import least_squares

from pacpde.errors import InvalidValueError, SolverError
from pacpde.errors import unknown as unknown_name
from pacpde.methods.base import finish
from pacpde.methods.fitter import Fitter
from pacpde.methods.recipe import Recipe
from pacpde.methods.transfer import check_problem, check_source
from pacpde.networks.outputs import widen
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.identification import (
    IdentificationTask,
    logarithmic,
    to_constant,
    with_constants,
)
from pacpde.objective.task import Labels
from pacpde.optim.fit import CONVERGED, FitResult, Monitor
from pacpde.optim.update import Progress
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import stackable
from pacpde.reference import solve
from pacpde.runtime import check_seed, gradients

# Weights of the labels, one fit after the other: the equation must not bend to their noise, and a
# start far from the target needs their pull.
WEIGHTS = (1.0, 1e-2, 1e-4)
STEPS = 20  # of the last phase by default: noise hides a solver's last digits
POINTS = 2000  # at which the equation's slopes are taken for standard errors
REFERENCE = 1e-6  # tolerance of scipy's solutions
MUTE = 1e-6  # slope of the labels, in scales of the fields, below which they tell nothing


@dataclass(frozen=True)
class Identified:
    """Coefficients from measurements.

    Attributes:
        problem: with the coefficients that were found.
        estimates: coefficient → (value, standard error). The error is that of least squares with
            independent noise of one size, which is estimated from what the fit leaves; it is
            infinite where the labels do not depend on the coefficient.
        noise: that size, in scales of the fields.
        surrogate: of the problem; None from scipy.
        seconds: it took.
        outcome: as of a fit; for scipy "converged" or "not_converged".
    """

    problem: Problem
    estimates: Mapping[str, tuple[float, float]]
    noise: float
    surrogate: Surrogate | None
    seconds: float
    outcome: str

    def doubts(self) -> list[str]:
        """Why a value is none to rely on, a sentence each."""
        found = []
        for name, (value, error) in self.estimates.items():
            about = self.problem.declared()[name]
            if not np.isfinite(error):
                found.append(f"the measurements do not tell {name}: measure elsewhere, or more.")
            elif np.isclose(value, (about.lower, about.upper), rtol=1e-6, atol=0).any():
                found.append(f"{name} ended at its bound, {value:g}: no value between fits better.")
        return found


@gradients()
def identify(
    source: Surrogate,
    points: np.ndarray,
    values: np.ndarray,
    /,
    *,
    unknown: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    weights: Sequence[float] = WEIGHTS,
    **settings: object,
) -> Identified:
    """Find coefficients of the source's equation from measurements of another solution.

    The unknown coefficients join the weights in one least-squares problem of equation and labels
    (Raissi, Perdikaris & Karniadakis 2019, doi:10.1016/j.jcp.2018.10.045), from the source's.

    Args:
        points: where it was measured, [labels, axes].
        values: [labels, fields], or [labels] for one field.
        unknown: names of the coefficients; all by default.
        weights: of the labels' mean square beside the equation's, one fit after the other.
        settings: see `pacpde.methods.recipe.Recipe`; at most 20 steps of the last phase by default.
    """
    check_source(source)
    problem, labels = source.problem, _labels(source.problem, points, values)
    names = _names(problem, unknown, len(labels.points) * len(problem.fields))
    recipe = Recipe.after(source, problem, **{"steps": STEPS, **settings})
    constants = source.weights.new_tensor([to_constant(problem, name) for name in names])
    none = constants.new_zeros(
        len(names), source.network.widths[-1]
    )  # constants depend on no feature
    wide = widen(source.network, source.weights, none, constants)
    network, start, own, places = wide.network, wide.weights, wide.own, wide.constants
    free = torch.zeros_like(start, dtype=torch.bool)
    free[own] = free[places] = True
    blank = source.fresh(network=network, weights=start)
    fitter = Fitter(blank, recipe, check_seed(seed), Monitor(progress), free)
    began, task = time.perf_counter(), None
    fits: list[FitResult] = []
    for number, weight in enumerate(weights):
        task = IdentificationTask(
            problem, labels, seed=check_seed(seed), runtime=source.runtime, like=source.basis,
            unknown=names, weight=weight,
        )  # fmt: skip
        last = number == len(weights) - 1
        phases = recipe.again(task) if last else (recipe.correction(task, 0.35, 0.0),)
        reached = fits[-1].weights if fits else None
        fits.append(fitter.fit(task, phases, f"identify.{number}", reached))
    if task is None:
        raise InvalidValueError("weights is empty: give at least one weight of the labels.")
    ended, draw = fits[-1].weights, phases[-1].draw
    order = torch.cat([own.sort().values, places])
    r, slopes = task.sensitivity(network, ended, order, draw, POINTS)
    noise, errors = standard_errors(r.cpu().numpy(), slopes.cpu().numpy())
    surrogate = finish(blank, task, phases, fits, "identified")
    found = surrogate.problem
    return Identified(
        found,
        _estimates(found, names, errors),
        noise,
        surrogate,
        time.perf_counter() - began,
        surrogate.outcome,
    )


@gradients()
def identify_by_scipy(
    problem: Problem,
    points: np.ndarray,
    values: np.ndarray,
    /,
    *,
    unknown: Sequence[str] | None = None,
    tolerance: float = REFERENCE,
) -> Identified:
    """The same by `scipy.optimize.least_squares` through the reference solver, from `problem`."""
    check_problem(problem, "problem")
    labels = _labels(problem, points, values)
    names = _names(problem, unknown, len(labels.points) * len(problem.fields))
    scales = np.asarray(problem.scales)
    began = time.perf_counter()

    def at(constants: np.ndarray) -> Problem:
        return with_constants(problem, names, torch.from_numpy(constants))

    def misfit(constants: np.ndarray) -> np.ndarray:
        solution = solve(at(constants), tolerance=tolerance)
        return ((solution(*labels.points.T).T - labels.values) / scales).ravel()

    start = [to_constant(problem, name) for name in names]
    bounds = np.array([_bounds(problem, name) for name in names]).T
    # steps of the differences well above the error of a solution
    made = least_squares(misfit, start, bounds=tuple(bounds), diff_step=tolerance**0.5)
    noise, errors = standard_errors(made.fun, np.asarray(made.jac))
    found = at(made.x)
    return Identified(
        found,
        _estimates(found, names, errors),
        noise,
        None,
        time.perf_counter() - began,
        CONVERGED if made.success else "not_converged",
    )


def standard_errors(r: np.ndarray, slopes: np.ndarray) -> tuple[float, np.ndarray]:
    """Noise and standard errors from residuals [rows] and slopes [rows, constants]."""
    rows, count = slopes.shape
    noise = float(np.sqrt((r**2).sum() / max(1, rows - count)))
    if not np.isfinite(slopes).all():
        return noise, np.full(count, np.inf)
    sizes, directions = np.linalg.eigh(slopes.T @ slopes)
    mute = sizes <= rows * MUTE**2
    errors = noise * np.sqrt((directions[:, ~mute] ** 2 / sizes[~mute]).sum(1))
    errors[(np.abs(directions[:, mute]) > MUTE).any(1)] = np.inf
    return noise, errors


def _estimates(
    found: Problem, names: Sequence[str], errors: np.ndarray
) -> dict[str, tuple[float, float]]:
    estimates = {}
    for name, error in zip(names, errors, strict=True):
        value = found.coefficients[name]
        spread = value * error if logarithmic(found, name) else error
        estimates[name] = (value, float(spread))
    return estimates


def _labels(problem: Problem, points: np.ndarray, values: np.ndarray) -> Labels:
    at, found = np.asarray(points, float), np.asarray(values, float)
    found = found[:, None] if found.ndim == 1 else found
    axes, fields = len(problem.axes), len(problem.fields)
    if at.ndim != 2 or at.shape[1] != axes or found.shape != (len(at), fields):
        raise InvalidValueError(
            f"the measurements have points {at.shape} and values {found.shape}, expected "
            f"[labels, {axes}] ({', '.join(problem.domain.names)}) and [labels, {fields}]."
        )
    if not (np.isfinite(at).all() and np.isfinite(found).all()):
        raise InvalidValueError("the measurements hold nan or inf: remove those rows.")
    at = problem.domain.clipped(at)
    for axis, column in zip(problem.axes, at.T, strict=True):
        lower, upper = problem.domain.axis(axis.name).lower, problem.domain.axis(axis.name).upper
        if len(column) and (column.min() < lower or column.max() > upper):
            raise InvalidValueError(
                f"a measurement lies outside the domain: {axis.name} goes from {lower:g} to "
                f"{upper:g}."
            )
    return Labels(at, found)


def _names(problem: Problem, unknown: Sequence[str] | None, rows: int) -> tuple[str, ...]:
    known = list(problem.declared())
    names = (unknown,) if isinstance(unknown, str) else tuple(known if unknown is None else unknown)
    for name in names:
        if name not in known:
            raise unknown_name(f"coefficient of {problem.name}", name, known)
    if not names or len(set(names)) < len(names):
        raise InvalidValueError(f"unknown is {list(names)}, expected some names, each once.")
    if rows <= len(names):
        raise InvalidValueError(
            f"{rows} measured numbers cannot tell {len(names)} coefficients and their errors: "
            "measure more."
        )
    if not stackable(type(problem)):
        raise SolverError(
            f"the right-hand side of {problem.name!r} does not take its coefficients as arrays "
            "(an `if` or a function of `math` on one of them): write it as plain arithmetic."
        )
    return names


def _bounds(problem: Problem, name: str) -> tuple[float, float]:
    about = problem.declared()[name]
    if logarithmic(problem, name):
        return float(np.log(about.lower)), float(np.log(about.upper))
    return about.lower, about.upper
