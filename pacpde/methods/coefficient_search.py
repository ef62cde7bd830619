"""Least squares in the coefficients alone; the network is the solver for each coefficient."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.optimize import lsq_linear

from pacpde.methods.coefficient_errors import MIN_SLOPE, standard_errors
from pacpde.methods.continuation_strategy import accepted_residual
from pacpde.methods.measurements import WeightedMeasurements
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.sensitivity import Sensitivity, sensitivity
from pacpde.residuals.identification import IdentificationTask, Unknowns
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.continuation import StepControl, follow
from pacpde.training.path import SolutionPath
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer

MAX_MOVES = 40  # of the unknowns by short fits, at most
RADIUS = 0.7  # of the first move, in units of the unknowns: a factor of 2 in a positive coefficient
LAST_RADIUS = 0.1  # of a move by long fits: longer ones are left over where no data fit
MIN_RADIUS = 1e-3  # radius below which the search is over
COARSE, FINE = 0.3, 0.05  # shares of a standard error below which a step counts as none
MIN_STEP = 1e-4  # of a unit of the unknowns, below which a step counts as none in any case
SHARES = (0.35, 0.6, 1.0)  # of the points: while the unknowns move, and where they come to rest
FIT_STEPS = 5  # steps of a fit between two steps of the unknowns
TINY = 1e-12  # by which bounds are loosened, so that there is room between them


@dataclass(frozen=True)
class Point:
    """A value of the unknowns θ, the solution there, and the residuals of the measurements.

    Attributes:
        theta: θ, [unknowns]; see `Unknowns`.
        weights: of the solution, [size].
        residuals: r, solution minus measured values, weighted, [rows].
        slopes: dr/dθ, [rows, unknowns].
        local: first-order expansion of the solution in θ, without the weights of the measurements.
    """

    theta: np.ndarray
    weights: torch.Tensor
    residuals: np.ndarray
    slopes: np.ndarray
    local: Sensitivity

    @property
    def cost(self) -> float:
        """½‖r‖²."""
        return float((self.residuals**2).sum() / 2)


@dataclass
class CoefficientSearch:
    """min over θ of ½‖r(θ)‖² by Gauss–Newton; r(θ): residuals of the solution for the unknowns θ.

    The weights are no unknowns of this problem: they solve the equation for every θ, along the path
    of solutions. Fits are short while θ moves, and long where it comes to rest.

    Attributes:
        start: a solver of the problem that the unknowns start from.
        fits: every fit so far; the last one is of the point that `run` returns.
        at_rest: whether θ has come to rest.
    """

    start: Surrogate
    task: IdentificationTask
    unknowns: Unknowns
    measured: WeightedMeasurements
    config: TrainingConfig
    seed: int
    callbacks: Sequence[Callback]
    fits: list[FitResult] = field(default_factory=list)
    at_rest: bool = False

    def run(self) -> Point:
        """The point of the last fit, at which θ has come to rest if `at_rest`."""
        here = self._coarse_search(self._point(self.unknowns.start, self.start.weights, SHARES[0]))
        rounds = max(len(SHARES) - 1, self.phase().steps // FIT_STEPS)
        for number in range(rounds):
            step = self._step(here, here.residuals, LAST_RADIUS)
            here = self._refined(here, step, SHARES[1 + (len(SHARES) - 1) * number // rounds])
            self.at_rest = self._is_at_rest(here)
            if self.at_rest:
                break
        return here

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the coefficients have not come to rest, if they have not."""
        if self.at_rest:
            return ()
        if self.fits[-1].outcome != Outcome.CONVERGED:
            return (
                "the network has not converged for the coefficients that were found, so that they "
                "may still move: give it more steps or points.",
            )
        return (
            "the coefficients still moved when the steps ran out: give it more steps, and more "
            "points if they are few.",
        )

    def _coarse_search(self, here: Point) -> Point:
        """Steps with short fits, until they are small beside the standard errors."""
        radius = RADIUS
        for _ in range(MAX_MOVES):
            step = self._step(here, here.residuals, radius)
            if self._is_small(here, step, COARSE) or radius < MIN_RADIUS:
                break
            trial = self._solved_ahead(here, step)
            if trial is None or not trial.cost < here.cost:
                radius = self._length(step) / 4
                continue
            hoped = here.cost - float(((here.residuals + here.slopes @ step) ** 2).sum() / 2)
            if here.cost - trial.cost > 0.5 * hoped:
                radius = max(radius, 2 * self._length(step))
            here = trial
        return here

    def _solved_ahead(self, here: Point, step: np.ndarray) -> Point | None:
        """A solution a step ahead; None where no path of solutions leads there."""
        theta = here.theta + step
        problem = self.unknowns.problem_at(theta)
        start = self.start.reset(weights=here.weights).with_problem(
            self.unknowns.problem_at(here.theta)
        )
        path = SolutionPath(self._trainer(start), self.task, self.config.tolerance)
        accept = accepted_residual(self.config)
        reached = path.correct(here.weights + here.local.weight_step(step), problem, len(self.fits))
        self.fits.append(reached)
        if not (reached.held_out <= accept or path.is_near(reached, problem)):
            control = StepControl(
                first_step=1 / 2, min_step=1 / 4, max_residual=accept
            )  # else a shorter move
            attempts, there = follow(start.problem, problem, path, control)
            self.fits += attempts
            if there is None or there is not attempts[-1]:
                return None
            reached = there
        return self._point(theta, reached.weights, SHARES[0])

    def _refined(self, here: Point, step: np.ndarray, share: float) -> Point:
        """A solution a small step ahead, by some steps of a fit on more points."""
        theta, weights = here.theta + step, here.weights + here.local.weight_step(step)
        phase = self.phase(share)
        phase = replace(phase, steps=min(FIT_STEPS, phase.steps), refresh=FIT_STEPS)
        fit = self._trainer(self.start).fit(
            self.task.equation_at(self.unknowns.problem_at(theta)),
            [phase],
            f"identify.{len(self.fits)}",
            weights,
        )
        self.fits.append(fit)
        return self._point(theta, fit.weights, share)

    def _is_at_rest(self, here: Point) -> bool:
        """Whether neither the residuals nor the error of the solver still move θ."""
        solved = self.fits[-1].outcome == Outcome.CONVERGED
        return solved and all(
            self._is_small(here, self._step(here, rows, RADIUS), FINE)
            for rows in (here.residuals, self.measured.weighted(here.local.correction))
        )

    def _point(self, theta: np.ndarray, weights: torch.Tensor, share: float) -> Point:
        sampling = self.phase(share).sampling
        memory = int(self.config.step_memory_gib * 2**29)
        local = sensitivity(
            self.task, self.unknowns, theta, self.start.network, weights, sampling, memory
        )
        residuals = self.measured.weighted(local.residuals)
        return Point(theta, weights, residuals, self.measured.weighted(local.slopes), local)

    def phase(self, share: float = 1.0) -> Phase:
        """The last phase of a fit, on a share of the points."""
        last = self.config.phases.warm_start(self.task)[-1]
        points = max(1, round(share * last.sampling.points))
        return replace(last, sampling=replace(last.sampling, points=points))

    def _trainer(self, start: Surrogate) -> Trainer:
        return Trainer(start, self.config, self.seed, self.callbacks, stage="identify")

    def _step(self, here: Point, residuals: np.ndarray, radius: float) -> np.ndarray:
        """The step that reduces some residuals most, within a radius and the bounds."""
        lower, upper = self.unknowns.bounds - here.theta
        reach = radius * self.unknowns.units
        rows, count = here.slopes.shape
        damping = MIN_SLOPE * rows**0.5 * np.eye(count) / self.unknowns.units
        found = lsq_linear(
            np.vstack([here.slopes, damping]),
            np.concatenate([-residuals, np.zeros(count)]),
            (np.maximum(lower, -reach) - TINY, np.minimum(upper, reach) + TINY),
            method="bvls",
        )
        return np.asarray(found.x)

    def _is_small(self, here: Point, step: np.ndarray, share: float) -> bool:
        """Whether a step is none beside the standard errors, or in any case."""
        rows, count = here.slopes.shape
        noise = self.measured.noise or np.sqrt(2 * here.cost / max(1, rows - count))
        _, errors = standard_errors(here.residuals, here.slopes, float(noise))
        errors = np.minimum(errors, self.unknowns.units)
        least = np.maximum(share * errors, MIN_STEP * self.unknowns.units)
        return bool((np.abs(step) <= least).all())

    def _length(self, step: np.ndarray) -> float:
        return float(np.max(np.abs(step) / self.unknowns.units))
