"""Refinement: a solver that is right, but not to the tolerance, gets a correction on top of it.

See `pacpde.networks.correction`: random neurons on the last hidden layer, twice as many at every
try, and a head for them by Gauss–Newton steps with orthogonal factors. The solver's own weights
stay as they are, bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pacpde.networks.assessment import Assessment
from pacpde.networks.correction import can_be_refined, refinement
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.refined import enlarged_retained
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.gauss_newton import GaussNewton
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.restarts import after_given_up, with_given_up
from pacpde.training.schedule import Phase
from pacpde.training.trainer import DEVICE_ERRORS, FitResult, Trainer, regraded

FIRST, FIRST_IN_TIME = 500, 50  # random neurons of the first try; of equations in time alone
POINTS_A_NEURON = 16  # with 8 the correction overshoots between points of a front
STEPS = 2  # of a try, on one set of points
MATRICES = 4  # of unknowns², that a step holds
EPSILON = float(np.finfo(np.float64).eps)
ENDED = "the refinement ended since "
NONE_BETTER = "no try was better"
FAILED = {
    Outcome.DEVICE_LOST: "the device was lost",
    Outcome.DIVERGED: "values of the next try were no finite numbers",
}
SMALL_ERROR = 0.1  # estimated error up to which the equation is nearly linear around a solver
LEAST_GAIN = 0.01  # of the loss of a try, that a step is to take away for a further one
FAR = 10.0  # times the tolerance, of a try that is not assessed since the next one follows
GAIN = 0.7  # of the residual, that a try is to leave at most for a further one


@dataclass(frozen=True)
class Refined:
    """What refinements end in.

    Attributes:
        surrogate: with the network, the retained solvers and the weights of the best try.
        fits: of all tries up to the best one, which is the last, and has the seconds of those after
            it; empty where none was better.
        n_trainable: number of weights that were fitted.
        given_up: all tries where none was better; their seconds are in those of the surrogate.
    """

    surrogate: Surrogate
    fits: Sequence[FitResult] = ()
    n_trainable: int = 0
    given_up: Sequence[FitResult] = ()

    @property
    def assessment(self) -> Assessment:
        """Of the best try, or of the solver where none was better."""
        found = self.fits[-1].assessment if self.fits else self.surrogate.assessment
        assert found is not None
        return found


def may_refine(network: Network, task: Task, config: TrainingConfig) -> bool:
    """Whether what is fitted to a task is refined where it falls short of the tolerance.

    Not beside measurements, whose noise a correction would follow, and not in single precision,
    which ends before it begins.
    """
    return (
        config.refinements > 0
        and config.tolerance < TrainingConfig.tolerance
        and isinstance(task, PhysicsTask)
        and task.solves_equation
        and task.labels is None
        and can_be_refined(network)
        and task.runtime.dtype == "float64"
    )


def before_refinement(network: Network, task: Task, config: TrainingConfig) -> TrainingConfig:
    """The settings of fits that are refined afterwards: no smaller tolerance than the default.

    The same object where nothing is to be refined.
    """
    if not may_refine(network, task, config):
        return config
    return replace(config, tolerance=TrainingConfig.tolerance)


def reaches(assessment: Assessment, tolerance: float) -> bool:
    """Whether a tolerance is met, and by the estimated error too: it may exceed the residual."""
    error = assessment.error_estimate
    return assessment.meets(tolerance) and (error is None or error <= tolerance)


def is_reached(ended: FitResult | Surrogate, config: TrainingConfig) -> bool:
    """Whether a fit meets the tolerance of the settings, and by its estimated error too."""
    return ended.assessment is not None and reaches(ended.assessment, config.tolerance)


def fits_memory(unknowns: int, config: TrainingConfig) -> bool:
    """Whether a Gauss–Newton step in so many weights takes no more memory than it may."""
    return MATRICES * 8 * unknowns**2 <= config.step_memory_gib * 2**30


def wants_refinement(solver: Surrogate, task: Task, config: TrainingConfig) -> bool:
    """Whether a solver is right, but not to the tolerance of the settings, and can be refined.

    Right is what the default tolerance is met by. Near a resonance, or after a long time, a small
    residual causes an error that is not small: as long as it is estimated well, steps remove it.
    """
    assessment = solver.assessment
    return (
        may_refine(solver.network, task, config)
        and assessment is not None
        and not reaches(assessment, config.tolerance)
        and assessment.meets(TrainingConfig.tolerance)
        and (assessment.error_estimate is None or assessment.error_estimate <= SMALL_ERROR)
    )


@stepwise
def refine(
    solver: Surrogate,
    task: Task,
    config: TrainingConfig,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    stage: str = "refine",
) -> Steps[Refined]:
    """Refine a solver until the tolerance of the settings is met, or say why it is not.

    Args:
        task: that it solves.
        config: its tolerance, how many tries are made, and the memory that they may take.
        seed: of neurons and points.
    """
    if not wants_refinement(solver, task, config):
        return Refined(solver)
    assert solver.assessment is not None
    assert isinstance(task, PhysicsTask)
    odd, first = solver.field_ansatz.odd, FIRST if task.problem.domain.space else FIRST_IN_TIME
    own = TrainingConfig(
        optimiser=GaussNewton(memory_gib=config.step_memory_gib, least_gain=LEAST_GAIN),
        tolerance=float("inf"),
    )
    sizes = [first * 2**number for number in range(config.refinements)]
    fitting = [n for n in sizes if fits_memory((n + 1) * solver.network.outputs, config)]
    tries: list[FitResult] = []
    best, before, smaller, why = Refined(solver), solver.assessment, None, NONE_BETTER
    held_out, passed = solver.held_out, None  # of the last try that gained; one not assessed yet
    for number, neurons in enumerate(fitting, 1):
        made = refinement(
            solver.network, solver.weights, neurons, generator(seed, "refine"), smaller
        )
        start = replace(
            solver,
            network=made.network,
            weights=made.weights,
            retained=enlarged_retained(solver, made),
        )
        trainer = Trainer(start, own, seed, callbacks, made.heads)
        phase = Phase(STEPS, STEPS, SamplingSpec(POINTS_A_NEURON * neurons, odd=odd))
        same = (smaller[0].network, smaller[1]) if smaller else (solver.network, solver.weights)
        is_last = number == len(fitting)
        fit = yield from steps_of(trainer.fit)(
            replace(task, drawn_by=same),
            [phase],
            f"{stage}_{number}",
            assess_below=math.inf if is_last else _falls_short(solver, config.tolerance),
        )
        tries.append(fit)
        if fit.outcome in FAILED:
            why = FAILED[fit.outcome]
            break
        one = Refined(start, tuple(tries), int(made.heads.sum()))
        if fit.assessment is None and fit.held_out < GAIN * held_out:
            passed, held_out, smaller = one, fit.held_out, (made, fit.weights)
            continue
        one = yield from _assessed(one, task)
        about = one.assessment
        if reaches(about, config.tolerance):
            best, passed = _better(one, best), None
            break
        if passed is not None:
            passed = yield from _assessed(passed, task)
            best, before, passed = _better(passed, best), passed.assessment, None
        gained = about.residual < GAIN * before.residual
        best = _better(one, best)
        if number > 1 and not gained:  # few neurons may be too few to gain anything
            why = f"{neurons} neurons leave more than {GAIN:.0%} of the residual that fewer leave"
            break
        if gained:
            before, held_out, smaller = about, fit.held_out, (made, fit.weights)
    else:
        why = f"refinements={config.refinements} are all that the settings ask for"
        if len(fitting) < len(sizes):
            memory = f"{config.step_memory_gib:g} GiB of a step"
            why = f"{sizes[len(fitting)]} neurons need more than the {memory}"
    if passed is not None:
        best = _better((yield from _assessed(passed, task)), best)
    if not best.fits:
        told = noted(solver.assessment, config.tolerance, ENDED + why)
        solver = after_given_up(replace(solver, assessment=told), tries)
        return Refined(solver, given_up=tries)
    last = with_given_up(best.fits[-1], tries[len(best.fits) :])
    return replace(best, fits=[*best.fits[:-1], _graded(last, config.tolerance, why)])


def _falls_short(solver: Surrogate, tolerance: float) -> float:
    """Held-out residual above which a try falls short of the tolerance by far.

    It falls as much as the residual and the estimated error of the solver.
    """
    assert solver.assessment is not None
    residual, error = solver.assessment.residual, solver.assessment.error_estimate
    least = residual if error is None else min(residual, error)
    return FAR * tolerance * solver.held_out / least if least > 0 else math.inf


def _assessed(one: Refined, task: Task) -> Steps[Refined]:
    """The same with an assessment of its last fit; where the device is lost, the worst one."""
    *earlier, fit = one.fits
    if fit.assessment is None:
        network = one.surrogate.network
        try:
            work = yield Work(partial(task.assess, network, fit.weights, fit.sampling))
            assessment = work.value
        except DEVICE_ERRORS:
            assessment = Assessment(math.inf)
        fit = replace(fit, assessment=assessment, outcome=assessment.outcome(math.inf))
    return replace(one, fits=(*earlier, fit))


def _better(one: Refined, other: Refined) -> Refined:
    """The one that is less wrong by its residual and its estimated error."""
    return one if one.assessment.rank < other.assessment.rank else other


def noted(assessment: Assessment, tolerance: float, why: str) -> Assessment:
    """With a note of what is above the tolerance, and why; as it is where nothing is."""
    if reaches(assessment, tolerance):
        return assessment
    what = f"the tolerance {tolerance:g} is not met"
    if assessment.meets(tolerance):
        what = f"the residual meets the tolerance {tolerance:g}, and the estimated error does not"
    if tolerance < EPSILON:
        what += f" (float64 numbers tell differences from {EPSILON:.0e} of a value on)"
    note = f"{what}: {why}"
    return replace(assessment, notes=(*assessment.notes, note))


def _graded(fit: FitResult, tolerance: float, why: str) -> FitResult:
    """The fit with the outcome by the tolerance, and a note where it is not reached."""
    assert fit.assessment is not None
    if reaches(fit.assessment, tolerance):
        return fit
    return replace(
        fit,
        outcome=regraded(fit.outcome, fit.assessment, tolerance),
        assessment=noted(fit.assessment, tolerance, ENDED + why),
    )
