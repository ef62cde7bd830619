"""Random windows: a solution from nothing by random neurons alone, time window after time window.

Steps in all weights of a network end some digits above what its neurons could hold. A layer of
random neurons with a fitted head is a nearly linear problem, and a short time window of one is
solved by a few Gauss–Newton steps with orthogonal factors, to the accuracy that the neurons allow.
In windows one after the other (`TimeWindows`) no window is hard, however long or chaotic the whole
time span is. Local extreme learning machines with block time marching: Dong & Li (2021), arXiv
2012.02895, section 2.3; waves of a periodic axis as inputs: Dong & Ni (2021), arXiv 2007.07442.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import torch

from pacpde.networks.assessment import UNESTIMATED_LIMIT, Assessment
from pacpde.networks.choice import allows_time_windows
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.gauss_newton import GaussNewton
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.neuron_draw import NeuronDraw, neurons_of
from pacpde.training.refinement import fits_memory, is_reached, noted
from pacpde.training.trainer import FitResult, Trainer, regraded
from pacpde.training.trial_step import mark_head

TRIES = (
    (20, 400),
    (80, 1000),
    (200, 1200),
)  # time windows of the family's own time span, neurons in each at most
MOST = 400  # time windows
FINEST = MOST, 800  # in place of the third try, where the second one ended early and had fewer
HARMONICS = 16  # waves of a periodic axis that a neuron sees
LEAST_GAIN = 0.5  # of the loss, that a step is to take away for a further one
ENOUGH = 1e-3  # share of the tolerance, of a residual at which steps end
LEAST_ASKED = 1e-2  # share of the tolerance, of the residual that a try asks of its windows
UNSOLVED = 10.0  # held-out residual above which the windows after it are not worth their time
ACTIVATION = "sin"

Tries = list[tuple[Surrogate, Task, FitResult]]  # what each began with, its task, and the fit


def may_take_random_windows(task: Task, config: TrainingConfig) -> bool:
    """Whether a fit that misses its tolerance tries random windows.

    Of a PDE of first order in time, in float64, without measurements, to a tolerance below the
    default, and where nobody chose another network, schedule or number of steps.
    """
    return config.tolerance < TrainingConfig.tolerance and are_allowed(task, config)


def are_allowed(task: Task, config: TrainingConfig) -> bool:
    """Whether random windows are for a task and settings, whatever the tolerance is."""
    return (
        config.refinements > 0
        and config.restarts > 0
        and config.has_default_network
        and config.schedule is None
        and config.steps >= TrainingConfig.steps
        and isinstance(task, PhysicsTask)
        and task.solves_equation
        and task.labels is None
        and task.runtime.dtype == "float64"
        and bool(task.problem.domain.space)
        and allows_time_windows(task.problem)
    )


@stepwise
def random_windows(
    task: Task,
    config: TrainingConfig,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    stage: str = "random_windows",
) -> Steps[Tries]:
    """Solve a task in random windows, until the tolerance of the settings is met.

    Args:
        config: its tolerance, how many tries are made at most (`refinements`), and the memory that
            they may take.
        seed: of neurons and points.

    Returns:
        Of every try what it began with, the task in its windows, and the fit.
    """
    if not may_take_random_windows(task, config):
        return []
    return (yield from steps_of(in_random_windows)(task, config, seed, callbacks, stage))


@stepwise
def in_random_windows(
    task: Task,
    config: TrainingConfig,
    seed: int,
    callbacks: Sequence[Callback],
    stage: str,
    beside: Surrogate | None = None,
) -> Steps[Tries]:
    """The same of any task that they are for, see `are_allowed`.

    Args:
        beside: a solver in random windows, whose weights are kept as they are, beside the new
            neurons and in the same windows.
    """
    tries: Tries = []
    sizes, ended_early = _sizes(task.problem, config, beside), False
    asked = config.tolerance  # of the residual of a window
    for number, (windows, neurons) in enumerate(sizes, start=1):
        if ended_early and number > 2 and FINEST[0] > sizes[number - 2][0] and beside is None:
            windows, neurons = FINEST
        unknowns = (neurons + 1) * len(task.problem.fields)
        if not fits_memory(unknowns, config):
            break
        shorter = task if beside else task.in_time_windows(windows, HARMONICS) or task
        blank, heads = _blank(shorter, windows, neurons, beside)
        optimiser = GaussNewton(
            increase=100.0,
            max_damping=1e-3,
            memory_gib=config.step_memory_gib,
            least_gain=LEAST_GAIN,
            enough=(ENOUGH * asked) ** 2 / 2,
        )
        own = TrainingConfig(optimiser=optimiser, tolerance=UNSOLVED)
        draw = NeuronDraw(blank, shorter, neurons, asked, seed, number == len(sizes))
        trainer = Trainer(blank, own, seed, [draw, *callbacks], heads)
        fit = yield from steps_of(trainer.fit)(shorter, draw.phases, f"{stage}_{number}")
        ended_early = draw.ended_early
        outcome = regraded(fit.outcome, fit.assessment, TrainingConfig.tolerance)
        assessment = fit.assessment
        if assessment is not None:
            why = f"{windows} time windows of {neurons} random neurons were not enough"
            assessment = noted(assessment, config.tolerance, why)
            asked = _asked_next(assessment, config.tolerance)
        tries.append((blank, shorter, replace(fit, outcome=outcome, assessment=assessment)))
        if fit.outcome == Outcome.DEVICE_LOST or is_reached(fit, config):
            break
    return tries


def _sizes(
    problem: Problem, config: TrainingConfig, beside: Surrogate | None
) -> list[tuple[int, int]]:
    """Time windows and neurons of each try: more of the one or of the other each time."""
    tries: list[tuple[int, int]] = []
    for count, neurons in TRIES[: config.refinements]:
        windows = min(ceil(count * max(1.0, problem.span_ratio)), MOST)
        if beside is not None:
            windows = beside.network.time_windows
        if not tries or windows > tries[-1][0] or neurons > tries[-1][1]:
            tries.append((windows, neurons))
    return tries


def _asked_next(assessment: Assessment, tolerance: float) -> float:
    """The residual that the windows of the next try are to have, by that of the one before.

    Where errors grow in time, one at the tolerance is not enough.
    """
    estimate = assessment.error_estimate
    if estimate is None or not estimate > tolerance or assessment.residual > tolerance:
        return tolerance
    return tolerance * max(tolerance / estimate / 2, LEAST_ASKED)


def are_solved(fits: Sequence[FitResult]) -> bool:
    """Whether one of the tries has such a small residual that a restart has no smaller one.

    Along a chaotic orbit its error may be large all the same.
    """
    return any(fit.assessment and fit.assessment.residual <= UNESTIMATED_LIMIT for fit in fits)


def are_held_by(solver: Surrogate) -> bool:
    """Whether a solver is one in random windows: a layer of sin neurons in each, of many waves."""
    network = solver.network
    return (
        isinstance(network, TimeWindows)
        and network.depth == 1
        and network.activation == ACTIVATION
        and not network.random_neurons
        and solver.field_ansatz.harmonics >= HARMONICS
    )


def _blank(
    task: Task, windows: int, neurons: int, beside: Surrogate | None
) -> tuple[Surrogate, torch.Tensor]:
    """A network of time windows with weights of 0, and where their heads are, bool [size].

    Args:
        beside: whose neurons come first, with its weights.
    """
    ansatz = task.ansatz(SamplingSpec())
    first = 0 if beside is None else neurons_of(beside.network)
    network = TimeWindows(ansatz.inputs, ansatz.outputs, windows, first + neurons, 1, ACTIVATION)
    weights = torch.zeros(network.size, dtype=torch.float64, device="cpu")
    heads = torch.zeros_like(weights, dtype=torch.bool)
    for number in range(windows):
        mark_head(heads, network, number, first)
    if beside is not None:
        weights[kept_places(beside, network)] = beside.weights.cpu()
    blank = Surrogate(network, ansatz, task.runtime.tensor(weights))
    return blank, heads.to(task.runtime.torch_device)


def kept_places(beside: Surrogate, network: Network) -> torch.Tensor:
    """Where the weights of a solver lie in a network with its neurons first, [solver's size]."""
    return beside.network.enlarged(neurons_of(network) - neurons_of(beside.network))[1]
