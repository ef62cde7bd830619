"""Random windows: a solution from nothing by random neurons alone, time window after time window.

Steps in all weights of a network end some digits above what its neurons could hold. A layer of
random neurons with a fitted head is a nearly linear problem, and a short time window of one is
solved by a few Gauss–Newton steps with orthogonal factors, to the accuracy that the neurons allow.
In windows one after the other (`TimeWindows`) no window is hard, however long or chaotic the whole
time span is. Local extreme learning machines with block time marching: Dong & Li (2021), arXiv
2012.02895, section 2.3; waves of a periodic axis as inputs: Dong & Ni (2021), arXiv 2007.07442.
Weights that follow where a function changes, in place of purely random ones: Bolager et al. (2023),
arXiv 2306.16830; here they follow the solution at the start of the window.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from math import ceil

import numpy as np
import scipy.linalg
import torch

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.choice import allows_time_windows
from pacpde.networks.mlp import MLP
from pacpde.networks.outcome import Outcome
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
    (200, 1200),
)  # time windows of the family's own time span, neurons in each at most
MOST = 400  # time windows
FINEST = MOST, 800  # in place of the third try, where the second one ended early and had fewer
SIZES = 4, 2, 1  # what these neurons are divided by: of the tries of a window, one after the other
HARMONICS = 16  # waves of a periodic axis that a neuron sees
DRAWN_HARMONICS = 8  # those of them whose weights are random by themselves
GRID = 1024  # points of an axis, at which a solution is split into waves
SPREADS = 1.0, 1.5, 2.2, 3.3, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0  # of neurons along an axis
SPREAD = 10.0  # of a start of 0, or one that is met by residuals
SPREADS_IN_TIME = 0.12, 0.25, 0.5, 1.0, 2.0, 4.0  # the same over half a time window
SPREAD_IN_TIME = 0.5  # of the first window
CLEARLY = 0.8  # of what neurons leave of a solution, that others are to leave at most
FRONTS = 0.0, 3.0, 6.0, 12.0, 24.0, 48.0  # of neurons along the solution, see `NeuronDraw`
SHARE, ROWS = 2, 3  # of the neurons, by which a spread is measured; places for each
POINTS_A_NEURON = 3
STEPS = 6  # of a try of a window, at most
LEAST_GAIN = 0.5  # of the loss, that a step is to take away for a further one
ENOUGH = 1e-3  # share of the tolerance, of a residual at which steps end
AMPLE = 1e-2  # share of the tolerance, of a residual after which fewer neurons are tried
HOPELESS = 300.0  # tolerances; held-out residual after which a further try begins at once
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
            enough=(ENOUGH * config.tolerance) ** 2 / 2,
        )
        own = TrainingConfig(optimiser=optimiser, tolerance=UNSOLVED)
        draw = NeuronDraw(blank, neurons, config.tolerance, seed, number == len(sizes))
        trainer = Trainer(blank, own, seed, [draw, *callbacks], heads)
        fit = yield from steps_of(trainer.fit)(shorter, draw.phases, f"{stage}_{number}")
        ended_early = draw.ended_early
        outcome = regraded(fit.outcome, fit.assessment, TrainingConfig.tolerance)
        assessment = fit.assessment
        if assessment is not None:
            why = f"{windows} time windows of {neurons} random neurons were not enough"
            assessment = noted(assessment, config.tolerance, why)
        tries.append((blank, shorter, replace(fit, outcome=outcome, assessment=assessment)))
        if fit.outcome == Outcome.DEVICE_LOST:
            break
        if assessment is not None and reaches(assessment, config.tolerance):
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
        front: how far they follow the solution, by its index in `FRONTS`.
    """

    size: int = 0
    spread: int = SPREADS.index(SPREAD)
    in_time: int = SPREADS_IN_TIME.index(SPREAD_IN_TIME)
    front: int = 0


class NeuronDraw(Callback):
    """Draws the random neurons of a window before its fit begins, as many and such as suit it.

    A window whose held-out residual is above the tolerance is solved again by more neurons, those
    that it has among them; the next one begins with as many. As long as they meet the tolerance,
    the same neurons go on from window to window, at later times: what they held at the end of one
    they hold at the start of the next.

    Else others are drawn. The spread decides what neurons can hold: too few waves miss a front, too
    many a plain, and the same in time. In a front the solution itself is the best coordinate: each
    neuron gets a random multiple of its first waves, at the start of the window, and is steep where
    the solution is. The solution in the window before (in the first one the start) is fitted by a
    share of the neurons with spreads, and multiples, beside those of that window; the best of them
    are those of the next window. The history says what was drawn, so that a fit that goes on goes
    on with it.

    Args:
        is_last: whether no further try follows; else a window that is far from the tolerance with
            all of its neurons ends the try, and `ended_early` says so.
    """

    def __init__(
        self, start: Surrogate, neurons: int, tolerance: float, seed: int, is_last: bool = True
    ) -> None:
        self.solver, self.neurons, self.tolerance, self.seed = start, neurons, tolerance, seed
        self.is_last, self.ended_early = is_last, False
        self.first = Draw()
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
        fit.history[-1]["drawn"] = list(astuple(before))
        hopeless = fit.history[-1]["held_out"] > HOPELESS * self.tolerance
        if hopeless and not (again or self.is_last):
            fit.done = self.ended_early = True
        if fit.done or number >= count:
            if number >= count:  # no try of the last window follows
                fit.phase, fit.held_out = number * tries, fit.history[-1]["held_out"]
            return
        if again:
            size = min(place, len(SIZES) - 1)
            more = replace(before, size=size)
            drawn = self._suited(fit, number, more, of=number)
            # the first window's were drawn for its start alone: others may suit it
            goes_on = place < len(SIZES) and (number > 0 or drawn == more)
            self._draw(fit, number, drawn, place, goes_on)
        elif fit.history[-1]["held_out"] <= AMPLE * self.tolerance and before.size:
            drawn = self._suited(fit, number, replace(before, size=before.size - 1), of=number - 1)
            fit.phase, fit.optimiser_state = number * tries + drawn.size, {}
            self._draw(fit, number, drawn, drawn.size)
        else:
            met = fit.history[-1]["held_out"] <= self.tolerance
            drawn = before if met else self._suited(fit, number, before, of=number - 1)
            fit.phase, fit.optimiser_state = number * tries + drawn.size, {}
            self._draw(fit, number, drawn, drawn.size, goes_on=drawn == before)
        fit.history[-1]["drawn"] = list(astuple(drawn))

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
        fronts = self._fronts(fit, max(of, 0))
        best = before
        for name, choices in (
            ("spread", SPREADS),
            ("in_time", SPREADS_IN_TIME),
            *([("front", FRONTS)] if self._has_fronts else []),
        ):
            here = getattr(before, name)
            near = range(max(here - 1, 0), min(here + 2, len(choices)))
            if of < 0:  # the start says nothing of the time
                near = range(len(choices)) if name == "spread" else range(here, here + 1)
            elif of == 0 and name == "in_time":
                near = range(len(choices))
            tries = [replace(best, **{name: place}) for place in near]
            if len(tries) > 1:
                left = {own: self._left(inputs, values, fronts, count, own) for own in tries}
                other = min(tries, key=left.__getitem__)
                if of < 0 or left[other] < CLEARLY * left[best]:
                    best = other
        return best

    def _draw(
        self, fit: FitState, number: int, drawn: Draw, tried: int = 0, goes_on: bool = False
    ) -> None:
        """Give a window its neurons; the others are 0.

        Args:
            tried: number of the try.
            goes_on: the neurons that the window has come first, with their heads; where it has none
                yet, those of the window before go on.
        """
        network = self.solver.network
        rng = generator(self.seed, "random windows", f"window {number}", f"try {tried}")
        count = self._count(drawn.size)
        incoming, biases = self._layer(count, drawn, rng, self._fronts(fit, number))
        weights = fit.weights.clone()
        assert isinstance(network, TimeWindows)
        # views, without the neurons of another solver
        (into, bias), (head, constant) = network.inner.matrices(weights[network.window(number)])
        into, bias, head = into[self.kept :], bias[self.kept :], head[:, self.kept :]
        first = 0
        if goes_on:
            if number and not bool((into != 0).any()):
                before = weights[network.window(number - 1)]
                (own, phase), _ = network.inner.matrices(before)
                into[:] = own[self.kept :]
                bias[:] = phase[self.kept :] + 2 * into[:, 0]
            first = int((into != 0).any(1).sum())
        else:
            into[:], bias[:], head[:] = 0, 0, 0
            if not self.kept:
                constant[:] = 0
        into[first:count] = torch.from_numpy(incoming).to(weights)[first:]
        bias[first:count] = torch.from_numpy(biases).to(weights)[first:]
        if number == 0 and not (goes_on or self.kept) and self._by_residual:
            head[:, :count] = self._at_rest(incoming, biases, rng).to(weights)
        fit.weights = fit.best = weights

    def _layer(
        self, count: int, drawn: Draw, rng: np.random.Generator, fronts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of so many neurons, see `random_layer`."""
        spread, in_time = SPREADS[drawn.spread], SPREADS_IN_TIME[drawn.in_time]
        along = FRONTS[drawn.front] * fronts
        return random_layer(self.solver.field_ansatz, count, spread, in_time, rng, along)

    def _fronts(self, fit: FitState, number: int) -> np.ndarray:
        """The first waves of every field at the start of a window, as weights, [fields, inputs].

        The root mean square of a derivative along the axis is 1. Only for one axis that is
        periodic; else none.
        """
        problem = self.solver.problem
        inputs = self.solver.field_ansatz.inputs
        if not self._has_fronts:
            return np.zeros((0, inputs))
        (axis,), time = problem.domain.space, problem.domain.axis("t")
        x = axis.lower + axis.length * np.arange(GRID) / GRID
        start = time.lower + time.length * number / self.solver.network.time_windows
        points = np.stack([np.full(GRID, start), x], -1)
        if number:
            at = replace(self.solver, weights=fit.best).at(self.solver.runtime.tensor(points))
            values = at.detach().cpu().numpy()
        else:
            values = self._start(points).numpy()
        count = 2 * self.solver.field_ansatz.harmonics
        waves = self._inputs(points, np.zeros(GRID))[:, 1 : 1 + count]
        found = values.T @ waves * (2 / GRID)
        slopes = np.sqrt(found**2 @ (np.arange(2, 2 + count) // 2) ** 2 / 2)
        fronts = np.zeros((len(found), inputs))
        fronts[:, 1 : 1 + count] = found / np.maximum(slopes, 1e-300)[:, None]
        return fronts

    @property
    def _has_fronts(self) -> bool:
        """Whether there are waves of a solution: one axis, that is periodic."""
        problem = self.solver.problem
        (first, *others) = problem.domain.space
        return not others and first.name in problem.boundary.periodic

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
        return _heads(hidden, values).T

    def _inputs(self, points: np.ndarray, since: np.ndarray) -> np.ndarray:
        """The inputs of a window at points, at times `since` of it from -1 to 1."""
        batch = self.solver.field_ansatz.batch(torch.from_numpy(points))
        inputs = batch.inputs[0, : len(points)].numpy().copy()
        inputs[:, 0] = since
        return inputs

    def _left(
        self,
        inputs: torch.Tensor,
        values: torch.Tensor,
        fronts: np.ndarray,
        count: int,
        drawn: Draw,
    ) -> float:
        """The share of values that so many neurons leave, where they are not fitted.

        Args:
            inputs, values: at the places, [places, inputs] and [places, fields].
        """
        rng = generator(self.seed, "spread")
        incoming, biases = self._layer(count, drawn, rng, fronts)
        hidden = torch.sin(inputs @ torch.from_numpy(incoming.T) + torch.from_numpy(biases))
        half = len(hidden) * 2 // 3
        head = _heads(hidden[:half], values[:half])
        left = (hidden[half:] @ head - values[half:]).norm(dim=0)
        return float((left / values.norm(dim=0).clamp_min(1e-300)).nan_to_num(1e300).max())


def _heads(hidden: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Heads that fit values best, [neurons, fields]; hidden is [places, neurons].

    By scipy: torch's own `gelsy` reads pivots that nobody has set, and gives other heads, or none,
    from process to process (pytorch issue 187411).
    """
    least = np.finfo(np.float64).eps * max(hidden.shape)  # as torch's
    found = scipy.linalg.lstsq(hidden.numpy(), values.numpy(), least, lapack_driver="gelsy")[0]
    return torch.from_numpy(found)


def random_layer(
    ansatz: PhysicsAnsatz,
    neurons: int,
    spread: float,
    in_time: float,
    rng: np.random.Generator,
    along: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [neurons, inputs] and biases [neurons] of random neurons on the inputs of a window.

    The wave k of a periodic axis has 1/k of the spread of the first, and there are no more waves
    than the spread: a neuron is a wave whose length changes along the axis. Biases are random
    phases.

    Args:
        ansatz: makes the inputs.
        spread: of the derivatives of arguments along the axes together.
        in_time: of that over half a time window.
        along: directions of which every neuron gets a random multiple more, [directions, inputs].
    """
    problem, harmonics = ansatz.problem, ansatz.harmonics
    columns = [np.array([in_time])]
    own = spread / np.sqrt(len(problem.domain.space))
    for axis in problem.domain.space:
        if axis.name in problem.boundary.periodic:
            count = min(max(round(spread), 1), harmonics, DRAWN_HARMONICS)
            waves = np.zeros(harmonics)
            waves[:count] = own / np.arange(1, count + 1) / np.sqrt(count)
            columns.append(np.repeat(waves, 2))
        else:
            columns.append(np.array([own]))
    columns += [np.array([own])] * ansatz.seams
    spreads = np.concatenate(columns)
    of_weights, of_biases, of_fronts = rng.spawn(3)
    incoming = spreads * of_weights.normal(0, 1, (neurons, len(spreads)))
    if along is not None and len(along):
        incoming += of_fronts.normal(0, 1, (neurons, len(along))) @ along / np.sqrt(len(along))
    return incoming, of_biases.uniform(-np.pi, np.pi, neurons)


def _layers(network: Network) -> tuple[Layer, Layer]:
    """The hidden layer and the head of a window, in a window's weights."""
    assert isinstance(network, TimeWindows) and isinstance(network.inner, MLP)
    hidden, head = network.inner.layers
    return hidden, head
