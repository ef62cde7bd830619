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

import numpy as np
import torch

from pacpde.networks.choice import allows_time_windows
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Layer, Network
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.gauss_newton import GaussNewton
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.config import TrainingConfig
from pacpde.training.refinement import fits_memory, noted, reaches
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer, regraded

TRIES = (
    (20, 400),
    (40, 1000),
    (40, 2000),
)  # time windows of the family's own time span, neurons in each
MOST = 400  # time windows
HARMONICS = 8  # waves of a periodic axis that a neuron sees
SPREADS = 1.0, 1.5, 2.2, 3.3, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0  # of neurons along an axis
SPREAD = 10.0  # of a start of 0, or one that is met by residuals
SHARE, ROWS = 2, 3  # of the neurons, by which a spread is measured; places for each
PHASES = 2  # of a window in a fit, the spare one among them
SPREAD_IN_TIME = 1.0  # the same over half a time window
POINTS_A_NEURON = 5
STEPS = 6  # of a window, at most
LEAST_GAIN = 0.5  # of the loss, that a step is to take away for a further one
UNSOLVED = 10.0  # held-out residual above which the windows after it are not worth their time
ACTIVATION = "sin"

Tries = list[tuple[Surrogate, Task, FitResult]]  # what each began with, its task, and the fit


def may_take_random_windows(task: Task, config: TrainingConfig) -> bool:
    """Whether a fit that misses its tolerance tries random windows.

    Of a PDE of first order in time, in float64, without measurements, to a tolerance below the
    default, and where nobody chose another network, schedule or number of steps.
    """
    return (
        config.refinements > 0
        and config.restarts > 0
        and config.tolerance < TrainingConfig.tolerance
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
        config: its tolerance, how many tries are made (one less than `refinements`), and the
            memory that they may take.
        seed: of neurons and points.

    Returns:
        Of every try what it began with, the task in its windows, and the fit.
    """
    tries: Tries = []
    if not may_take_random_windows(task, config):
        return tries
    problem = task.problem
    for number, (count, neurons) in enumerate(TRIES[: max(1, config.refinements - 1)], start=1):
        windows = min(ceil(count * max(1.0, problem.span_ratio)), MOST)
        unknowns = (neurons + 1) * len(problem.fields)
        if not fits_memory(unknowns, config):
            break
        shorter = task.in_time_windows(windows, HARMONICS) or task
        blank, heads = _blank(shorter, windows, neurons)
        optimiser = GaussNewton(
            increase=100.0,
            max_damping=1e-3,
            memory_gib=config.step_memory_gib,
            least_gain=LEAST_GAIN,
        )
        own = TrainingConfig(optimiser=optimiser, tolerance=UNSOLVED)
        draw = NeuronDraw(blank, neurons, seed)
        trainer = Trainer(blank, own, seed, [draw, *callbacks], heads)
        phase = Phase(STEPS, STEPS, SamplingSpec(POINTS_A_NEURON * neurons))
        fit = yield from steps_of(trainer.fit)(shorter, [phase], f"{stage}_{number}")
        outcome = regraded(fit.outcome, fit.assessment, TrainingConfig.tolerance)
        assessment = fit.assessment
        if assessment is not None:
            why = f"{windows} time windows of {neurons} random neurons were not enough"
            assessment = noted(assessment, config.tolerance, why)
        tries.append((blank, shorter, replace(fit, outcome=outcome, assessment=assessment)))
        if fit.assessment is None or reaches(fit.assessment, config.tolerance):
            break
    return tries


def missed_by(fit: FitResult) -> float:
    """The larger one of the residual and the estimated error that a fit ends with."""
    if fit.assessment is None:
        return float("inf")
    return max(fit.assessment.residual, fit.assessment.error_estimate or 0.0)


def _blank(task: Task, windows: int, neurons: int) -> tuple[Surrogate, torch.Tensor]:
    """A network of time windows with weights of 0, and where their heads are, bool [size]."""
    ansatz = task.ansatz(SamplingSpec())
    network = TimeWindows(ansatz.inputs, ansatz.outputs, windows, neurons, 1, ACTIVATION)
    weights = torch.zeros(network.size, dtype=torch.float64, device="cpu")
    heads = torch.zeros_like(weights, dtype=torch.bool)
    head = _layers(network)[1]
    for number in range(windows):
        heads[_after(head.parameters, network.window(number).start)] = True
    blank = Surrogate(network, ansatz, task.runtime.tensor(weights))
    return blank, heads.to(task.runtime.torch_device)


class NeuronDraw(Callback):
    """Draws the random neurons of a window before its fit begins, with a spread that suits it.

    The spread decides what neurons can hold: too few waves miss a front, too many a plain. The
    solution in the window before (in the first one the start) is fitted by a share of the neurons
    with spreads beside the one of that window; the best of them is that of the next window.
    """

    def __init__(self, start: Surrogate, neurons: int, seed: int) -> None:
        self.solver, self.neurons, self.seed = start, neurons, seed
        self.place = SPREADS.index(SPREAD)

    def on_start(self, fit: FitState) -> None:
        self._draw(fit, 0, range(len(SPREADS)))

    def on_refresh(self, fit: FitState) -> None:
        number, new = divmod(fit.phase, PHASES)
        if number < self.solver.network.time_windows and new == 0 and not fit.done:
            self.place = self._place_of(fit.weights, number - 1)
            near = range(max(self.place - 1, 0), min(self.place + 2, len(SPREADS)))
            self._draw(fit, number, near)

    def _draw(self, fit: FitState, number: int, places: Sequence[int]) -> None:
        """Give a window its neurons."""
        problem, network = self.solver.problem, self.solver.network
        box, rng = self._places(number)
        count = self.neurons // SHARE
        time, length = problem.domain.axis("t"), 1 / network.time_windows
        share = (box[:, 0] - time.lower) / time.length
        before = number - 1 + share if number else 0 * share
        box[:, 0] = time.lower + time.length * length * before
        values = replace(self.solver, weights=fit.best).at(self.solver.runtime.tensor(box))
        values = values.detach().cpu()
        if bool(values.abs().max() > 0):
            inputs = torch.from_numpy(self._inputs(box, 2 * share - 1))
            self.place = min(places, key=lambda own: self._left(inputs, values, count, own))
        incoming, biases = random_layer(problem, self.neurons, SPREADS[self.place], rng)
        layer, start = _layers(network)[0], network.window(number).start
        weights = fit.weights.clone()
        weights[_after(layer.weights, start)] = torch.from_numpy(incoming.ravel()).to(weights)
        weights[_after(layer.biases, start)] = torch.from_numpy(biases).to(weights)
        fit.weights = fit.best = weights

    def _places(self, number: int) -> tuple[np.ndarray, np.random.Generator]:
        """Where a window's spread is measured, and what its neurons are then drawn by."""
        rng = generator(self.seed, "random windows", f"window {number}")
        count = ROWS * (self.neurons // SHARE)
        return self.solver.problem.domain.sample(count, rng), rng

    def _place_of(self, weights: torch.Tensor, number: int) -> int:
        """The spread that a window's neurons were drawn with: a resumed fit knows it by these."""
        network = self.solver.network
        own = weights[_after(_layers(network)[0].weights, network.window(number).start)]
        for place in sorted(range(len(SPREADS)), key=lambda each: abs(each - self.place)):
            _, rng = self._places(number)
            incoming, _ = random_layer(self.solver.problem, self.neurons, SPREADS[place], rng)
            if torch.equal(torch.from_numpy(incoming.ravel()).to(own), own):
                return place
        return self.place

    def _inputs(self, points: np.ndarray, since: np.ndarray) -> np.ndarray:
        """The inputs of a window at points, at times `since` of it from -1 to 1."""
        batch = self.solver.field_ansatz.batch(torch.from_numpy(points))
        inputs = batch.inputs[0, : len(points)].numpy().copy()
        inputs[:, 0] = since
        return inputs

    def _left(self, inputs: torch.Tensor, values: torch.Tensor, count: int, place: int) -> float:
        """The share of values that so many neurons with a spread leave, where they are not fitted.

        Args:
            inputs, values: at the places, [places, inputs] and [places, fields].
        """
        rng = generator(self.seed, "spread")
        incoming, biases = random_layer(self.solver.problem, count, SPREADS[place], rng)
        hidden = torch.sin(inputs @ torch.from_numpy(incoming.T) + torch.from_numpy(biases))
        half = len(hidden) * 2 // 3
        head = torch.linalg.lstsq(hidden[:half], values[:half], driver="gelsy").solution
        left = (hidden[half:] @ head - values[half:]).norm(dim=0)
        return float((left / values.norm(dim=0).clamp_min(1e-300)).nan_to_num(1e300).max())


def random_layer(
    problem: Problem, neurons: int, spread: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [neurons, inputs] and biases [neurons] of random neurons on the inputs of a window.

    The wave k of a periodic axis has 1/k of the spread of the first, and there are no more waves
    than the spread: a neuron is a wave whose length changes along the axis. Biases are random
    phases.

    Args:
        spread: of the derivatives of arguments along the axes together.
    """
    columns = [np.array([SPREAD_IN_TIME])]
    own = spread / np.sqrt(len(problem.domain.space))
    for axis in problem.domain.space:
        if axis.name in problem.boundary.periodic:
            count = min(max(round(spread), 1), HARMONICS)
            waves = np.zeros(HARMONICS)
            waves[:count] = own / np.arange(1, count + 1) / np.sqrt(count)
            columns.append(np.repeat(waves, 2))
        else:
            columns.append(np.array([own]))
    spreads = np.concatenate(columns)
    incoming = spreads * rng.normal(0, 1, (neurons, len(spreads)))
    return incoming, rng.uniform(-np.pi, np.pi, neurons)


def _layers(network: Network) -> tuple[Layer, Layer]:
    """The hidden layer and the head of a window, in a window's weights."""
    assert isinstance(network, TimeWindows) and isinstance(network.inner, MLP)
    hidden, head = network.inner.layers
    return hidden, head


def _after(place: slice, start: int) -> slice:
    return slice(place.start + start, place.stop + start)
