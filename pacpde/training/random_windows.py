"""Random windows: a solution from nothing by random neurons alone, time window after time window.

Steps in all weights of a network end some digits above what its neurons could hold. A layer of
random neurons with a fitted head is a nearly linear problem, and a short time window of one is
solved by a few Gauss–Newton steps with orthogonal factors, to the accuracy that the neurons allow.
In windows one after the other (`TimeWindows`) no window is hard, however long or chaotic the whole
time span is. Local extreme learning machines with block time marching: Dong & Li (2021), arXiv
2012.02895, section 2.3; waves of a periodic axis as inputs: Dong & Ni (2021), arXiv 2007.07442.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    (80, 1000),
    (160, 1400),
)  # time windows of the family's own time span, neurons in each at most
MOST = 400  # time windows
SIZES = 4, 2, 1  # what these neurons are divided by: of the tries of a window, one after the other
HARMONICS = 8  # waves of a periodic axis that a neuron sees
SPREADS = 1.0, 1.5, 2.2, 3.3, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0  # of neurons along an axis
SPREAD = 10.0  # of a start of 0, or one that is met by residuals
SPREADS_IN_TIME = 0.12, 0.25, 0.5, 1.0, 2.0, 4.0  # the same over half a time window
SPREAD_IN_TIME = 0.5  # of the first window
SHARE, ROWS = 2, 3  # of the neurons, by which a spread is measured; places for each
POINTS_A_NEURON = 3
STEPS = 6  # of a try of a window, at most
LEAST_GAIN = 0.5  # of the loss, that a step is to take away for a further one
ENOUGH = 1e-3  # share of the tolerance, of a residual at which steps end
AMPLE = 1e-2  # share of the tolerance, of a residual after which fewer neurons are tried
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
        config: its tolerance, how many tries are made (one less than `refinements`), and the
            memory that they may take.
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
    problem = task.problem
    for number, (count, neurons) in enumerate(TRIES[: max(1, config.refinements - 1)], start=1):
        windows = min(ceil(count * max(1.0, problem.span_ratio)), MOST)
        unknowns = (neurons + 1) * len(problem.fields)
        if not fits_memory(unknowns, config):
            break
        shorter = task.in_time_windows(windows, HARMONICS) or task
        if beside is not None:
            windows, shorter = beside.network.time_windows, task
        blank, heads = _blank(shorter, windows, neurons, beside)
        optimiser = GaussNewton(
            increase=100.0,
            max_damping=1e-3,
            memory_gib=config.step_memory_gib,
            least_gain=LEAST_GAIN,
            enough=(ENOUGH * config.tolerance) ** 2 / 2,
        )
        own = TrainingConfig(optimiser=optimiser, tolerance=UNSOLVED)
        draw = NeuronDraw(blank, neurons, config.tolerance, seed)
        trainer = Trainer(blank, own, seed, [draw, *callbacks], heads)
        fit = yield from steps_of(trainer.fit)(shorter, draw.phases, f"{stage}_{number}")
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
    first = 0 if beside is None else _width(beside.network)
    network = TimeWindows(ansatz.inputs, ansatz.outputs, windows, first + neurons, 1, ACTIVATION)
    weights = torch.zeros(network.size, dtype=torch.float64, device="cpu")
    heads = torch.zeros_like(weights, dtype=torch.bool)
    for number in range(windows):
        head, bias = network.inner.head_matrix(heads[network.window(number)])
        head[:, first:] = True
        bias[:] = beside is None
    if beside is not None:
        weights[kept_places(beside, network)] = beside.weights.cpu()
    blank = Surrogate(network, ansatz, task.runtime.tensor(weights))
    return blank, heads.to(task.runtime.torch_device)


def kept_places(beside: Surrogate, network: Network) -> torch.Tensor:
    """Where the weights of a solver lie in a network with its neurons first, [solver's size]."""
    return beside.network.enlarged(_width(network) - _width(beside.network))[1]


def _width(network: Network) -> int:
    """Number of neurons of a window."""
    return _layers(network)[0].outputs


@dataclass(frozen=True)
class Draw:
    """How the neurons of a window are drawn.

    Attributes:
        size: how many, by its index in `SIZES`.
        spread, in_time: of them, by their indices in `SPREADS` and `SPREADS_IN_TIME`.
    """

    size: int = 0
    spread: int = SPREADS.index(SPREAD)
    in_time: int = SPREADS_IN_TIME.index(SPREAD_IN_TIME)


class NeuronDraw(Callback):
    """Draws the random neurons of a window before its fit begins, as many and such as suit it.

    A window whose held-out residual is above the tolerance is solved again by more neurons; the
    next one begins with as many. The spread decides what neurons can hold: too few waves miss a
    front, too many a plain, and the same in time. The solution in the window before (in the first
    one the start) is fitted by a share of the neurons with spreads beside those of that window; the
    best of them are those of the next window. The history says what was drawn, so that a fit that
    goes on goes on with it.
    """

    def __init__(self, start: Surrogate, neurons: int, tolerance: float, seed: int) -> None:
        self.solver, self.neurons, self.tolerance, self.seed = start, neurons, tolerance, seed
        self.first, self.seams = Draw(), start.field_ansatz.seams
        self.kept = _width(start.network) - neurons  # neurons of another solver, which come first

    @property
    def phases(self) -> list[Phase]:
        """Of a window: a try of every size."""
        counts = [POINTS_A_NEURON * self._count(size) for size in range(len(SIZES))]
        return [Phase(STEPS, STEPS, SamplingSpec(points, candidates=1)) for points in counts]

    def on_start(self, fit: FitState) -> None:
        self.first = self._suited(fit, 0, Draw(), of=-1)
        self._draw(fit, 0, self.first)

    def on_refresh(self, fit: FitState) -> None:
        before = Draw(*fit.history[-2]["drawn"]) if len(fit.history) > 1 else self.first
        tries, count = len(SIZES) + 1, self.solver.network.time_windows  # one of them is to spare
        # the trainer is at the next try, of this window or of the one after it
        number, place = divmod(fit.phase, tries)
        again = place > 0
        if again and place < len(SIZES) and fit.history[-1]["held_out"] <= self.tolerance:
            number, again = number + 1, False
        fit.history[-1]["drawn"] = [before.size, before.spread, before.in_time]
        if fit.done or number >= count:
            if number >= count:  # no try of the last window follows
                fit.phase, fit.held_out = number * tries, fit.history[-1]["held_out"]
            return
        if again:
            more = replace(before, size=min(place, len(SIZES) - 1))
            drawn = self._suited(fit, number, more, of=number)
            again = drawn == more
        else:
            ample = fit.history[-1]["held_out"] <= AMPLE * self.tolerance
            size = max(before.size - 1, 0) if ample else before.size
            drawn = self._suited(fit, number, replace(before, size=size), of=number - 1)
            fit.phase, fit.optimiser_state = number * tries + size, {}
        self._draw(fit, number, drawn, place, again)
        fit.history[-1]["drawn"] = [drawn.size, drawn.spread, drawn.in_time]

    def _count(self, size: int) -> int:
        return max(self.neurons // SIZES[size], 1)

    def _suited(self, fit: FitState, number: int, before: Draw, of: int) -> Draw:
        """A draw with the spreads that suit a window, near those of another draw.

        Args:
            of: the window whose solution they are to fit, this one or the one before; -1 for the
                start.
        """
        problem, network = self.solver.problem, self.solver.network
        rng = generator(self.seed, "spread", f"window {number}")
        count = max(self._count(before.size) // SHARE, 1)
        box = problem.domain.sample(ROWS * count, rng)
        time, length = problem.domain.axis("t"), 1 / network.time_windows
        share = (box[:, 0] - time.lower) / time.length
        since = of + share if of >= 0 else 0 * share
        box[:, 0] = time.lower + time.length * length * since
        if of < 0:
            values = self._start(box)
        else:
            at = replace(self.solver, weights=fit.best).at(self.solver.runtime.tensor(box))
            values = at.detach().cpu()
        if not bool(values.abs().max() > 0):
            return before
        inputs = torch.from_numpy(self._inputs(box, 2 * share - 1))
        best = before
        for name, choices in (("spread", SPREADS), ("in_time", SPREADS_IN_TIME)):
            here = getattr(before, name)
            near = range(max(here - 1, 0), min(here + 2, len(choices)))
            if of < 0:  # the start says nothing of the time
                near = range(len(choices)) if name == "spread" else range(here, here + 1)
            elif of == 0 and name == "in_time":
                near = range(len(choices))
            tries = [replace(best, **{name: place}) for place in near]
            if len(tries) > 1:
                best = min(tries, key=lambda own: self._left(inputs, values, count, own))
        return best

    def _draw(
        self, fit: FitState, number: int, drawn: Draw, tried: int = 0, more: bool = False
    ) -> None:
        """Give a window its neurons; the others are 0.

        Args:
            tried: number of the try.
            more: the neurons of the try before come first again, with their heads.
        """
        problem, network = self.solver.problem, self.solver.network
        spare = tried == len(SIZES)
        rng = generator(self.seed, "random windows", f"window {number}", *["again"] * spare)
        count = self._count(drawn.size)
        incoming, biases = random_layer(
            problem, count, SPREADS[drawn.spread], SPREADS_IN_TIME[drawn.in_time], rng, self.seams
        )
        weights = fit.weights.clone()
        assert isinstance(network, TimeWindows)
        # views, without the neurons of another solver
        (into, bias), (head, constant) = network.inner.matrices(weights[network.window(number)])
        into[self.kept :], bias[self.kept :] = 0, 0
        if spare or not more:
            head[:, self.kept :] = 0
            if not self.kept:
                constant[:] = 0
        into[self.kept :][:count] = torch.from_numpy(incoming).to(weights)
        bias[self.kept :][:count] = torch.from_numpy(biases).to(weights)
        if number == 0 and not (more or self.kept) and self._by_residual:
            head[:, :count] = self._at_rest(incoming, biases, rng).to(weights)
        fit.weights = fit.best = weights

    @property
    def _by_residual(self) -> bool:
        """Whether the start is met by residuals, so that a network of zeros is not the start."""
        return any(one.axis == "t" for one in self.solver.field_ansatz.by_residual.edges)

    def _start(self, points: np.ndarray) -> torch.Tensor:
        """The start at the places of points, [points, fields]."""
        problem = self.solver.problem
        at = dict(zip(problem.domain.names, points.T, strict=True))
        one = np.ones(len(points))
        return torch.from_numpy(np.stack([one * own for own in problem.start_values(at)], -1))

    def _at_rest(
        self, incoming: np.ndarray, biases: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """A head [fields, neurons] with which the first window stays as the start: steps go on."""
        problem = self.solver.problem
        box = problem.domain.sample(ROWS * len(biases), rng)
        time = problem.domain.axis("t")
        since = 2 * (box[:, 0] - time.lower) / time.length - 1
        box[:, 0] = time.lower
        values = self._start(box) / torch.as_tensor(problem.scales, dtype=torch.float64)
        inputs = self._inputs(box, since)
        hidden = torch.from_numpy(np.sin(inputs @ incoming.T + biases))
        return torch.linalg.lstsq(hidden, values, driver="gelsy").solution.T

    def _inputs(self, points: np.ndarray, since: np.ndarray) -> np.ndarray:
        """The inputs of a window at points, at times `since` of it from -1 to 1."""
        batch = self.solver.field_ansatz.batch(torch.from_numpy(points))
        inputs = batch.inputs[0, : len(points)].numpy().copy()
        inputs[:, 0] = since
        return inputs

    def _left(self, inputs: torch.Tensor, values: torch.Tensor, count: int, drawn: Draw) -> float:
        """The share of values that so many neurons leave, where they are not fitted.

        Args:
            inputs, values: at the places, [places, inputs] and [places, fields].
        """
        rng = generator(self.seed, "spread")
        spread, in_time = SPREADS[drawn.spread], SPREADS_IN_TIME[drawn.in_time]
        incoming, biases = random_layer(
            self.solver.problem, count, spread, in_time, rng, self.seams
        )
        hidden = torch.sin(inputs @ torch.from_numpy(incoming.T) + torch.from_numpy(biases))
        half = len(hidden) * 2 // 3
        head = torch.linalg.lstsq(hidden[:half], values[:half], driver="gelsy").solution
        left = (hidden[half:] @ head - values[half:]).norm(dim=0)
        return float((left / values.norm(dim=0).clamp_min(1e-300)).nan_to_num(1e300).max())


def random_layer(
    problem: Problem,
    neurons: int,
    spread: float,
    in_time: float,
    rng: np.random.Generator,
    seams: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [neurons, inputs] and biases [neurons] of random neurons on the inputs of a window.

    The wave k of a periodic axis has 1/k of the spread of the first, and there are no more waves
    than the spread: a neuron is a wave whose length changes along the axis. Biases are random
    phases.

    Args:
        spread: of the derivatives of arguments along the axes together.
        in_time: of that over half a time window.
        seams: inputs for kinks, see `PhysicsAnsatz`.
    """
    columns = [np.array([in_time])]
    own = spread / np.sqrt(len(problem.domain.space))
    for axis in problem.domain.space:
        if axis.name in problem.boundary.periodic:
            count = min(max(round(spread), 1), HARMONICS)
            waves = np.zeros(HARMONICS)
            waves[:count] = own / np.arange(1, count + 1) / np.sqrt(count)
            columns.append(np.repeat(waves, 2))
        else:
            columns.append(np.array([own]))
    columns += [np.array([own])] * seams
    spreads = np.concatenate(columns)
    of_weights, of_biases = rng.spawn(2)  # so that more neurons begin with the same
    incoming = spreads * of_weights.normal(0, 1, (neurons, len(spreads)))
    return incoming, of_biases.uniform(-np.pi, np.pi, neurons)


def _layers(network: Network) -> tuple[Layer, Layer]:
    """The hidden layer and the head of a window, in a window's weights."""
    assert isinstance(network, TimeWindows) and isinstance(network.inner, MLP)
    hidden, head = network.inner.layers
    return hidden, head
