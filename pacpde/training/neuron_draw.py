"""How the random neurons of a time window are drawn: as many and such as suit it.

Weights that follow where a function changes, in place of purely random ones: Bolager et al. (2023),
arXiv 2306.16830; here they follow the solution at the start of the window, and are chosen by what
the equation's residual would be.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np
import scipy.linalg
import torch

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Layer, Network
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.stepwise import Steps, Work, stepwise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.schedule import Phase
from pacpde.training.trial_step import TrialStep

SIZES = 4, 2, 1  # what these neurons are divided by: of the tries of a window, one after the other
DRAWN_HARMONICS = 8  # of the waves of a periodic axis: those whose weights are random by themselves
GRID = 1024  # points of an axis, at which a solution is split into waves
SPREADS = 1.0, 1.5, 2.2, 3.3, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0  # of neurons along an axis
SPREADS_IN_TIME = 0.12, 0.25, 0.5, 1.0, 2.0, 4.0  # the same over half a time window
FRONTS = 0.0, 3.0, 6.0, 12.0, 24.0, 48.0  # of neurons along the solution, see `NeuronDraw`
SPREAD, SPREAD_IN_TIME = 10.0, 0.5  # where a search among them begins
CLEARLY = 0.8  # of the residual that neurons leave, that others are to leave at most
POINTS_A_NEURON, PLACES_A_NEURON = 3, 3  # of a window; of a start that a head is fitted to
STEPS = 6  # of a try of a window, at most
AMPLE = 1e-4  # share of the tolerance, of a residual after which fewer neurons are tried
HOPELESS = 300.0  # tolerances; held-out residual after which a further try begins at once


@dataclass(frozen=True)
class Draw:
    """How the neurons of a window are drawn.

    Attributes:
        size: how many, by its index in `SIZES`.
        spread, in_time: of them, by their indices in `SPREADS` and `SPREADS_IN_TIME`.
        front: how far they follow the solution, by its index in `FRONTS`.
        missed: least held-out residual of the windows since no other one was better.
    """

    size: int = 0
    spread: int = SPREADS.index(SPREAD)
    in_time: int = SPREADS_IN_TIME.index(SPREAD_IN_TIME)
    front: int = 0
    missed: float = field(default=0.0, compare=False)


class NeuronDraw(Callback):
    """Draws the random neurons of a window before its fit begins, as many and such as suit it.

    A window whose held-out residual is above the tolerance is solved again by more neurons, those
    that it has among them; the next one begins with as many. As long as they meet the tolerance,
    the same neurons go on from window to window, at later times: what they held at the end of one
    they hold at the start of the next.

    Else others are drawn. The spread decides what neurons can hold: too few waves miss a front, too
    many a plain, and the same in time. In a front the solution itself is the best coordinate: each
    neuron gets a random multiple of its first waves, at the start of the window, and is steep where
    the solution is. Spreads, and multiples, beside those of the window before are tried by one step
    at its solution (in the first window at the start), see `TrialStep`; those that leave the
    smallest residual are those of the next window. The history says what was drawn, so that a fit
    that goes on goes on with it.

    Args:
        is_last: whether no further try follows; else a window that is far from the tolerance with
            all of its neurons ends the try, and `ended_early` says so.
    """

    def __init__(
        self,
        start: Surrogate,
        task: Task,
        neurons: int,
        tolerance: float,
        seed: int,
        is_last: bool = True,
    ) -> None:
        self.solver, self.task, self.neurons = start, task, neurons
        self.tolerance, self.seed = tolerance, seed
        self.is_last, self.ended_early = is_last, False
        self.first = Draw()
        self.kept = neurons_of(start.network) - neurons  # of another solver, which come first

    @property
    def phases(self) -> list[Phase]:
        """Of a window: a try of every size."""
        counts = [POINTS_A_NEURON * self._count(size) for size in range(len(SIZES))]
        return [Phase(STEPS, STEPS, SamplingSpec(points, candidates=1)) for points in counts]

    @stepwise
    def on_start(self, fit: FitState) -> Steps[None]:
        drawn = yield Work(partial(self._draw_first, fit))
        fit.seconds += drawn.seconds  # the choice of neurons is part of the fit

    @stepwise
    def on_refresh(self, fit: FitState) -> Steps[None]:
        drawn = yield Work(partial(self._draw_next, fit))
        fit.seconds += drawn.seconds

    def _draw_first(self, fit: FitState) -> None:
        self.first = self._suited(fit, 0, Draw(), of=-1)
        self._draw(fit, 0, self.first)

    def _draw_next(self, fit: FitState) -> None:
        """After a try of a window: neurons for the next try of it, or for the next window."""
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
            more = replace(before, size=size, missed=0.0)
            drawn = self._suited(fit, number, more, of=number)
            # the first window's were drawn for its start alone: others may suit it
            goes_on = place < len(SIZES) and (number > 0 or drawn == more)
            self._draw(fit, number, drawn, place, goes_on)
        elif fit.history[-1]["held_out"] <= AMPLE * self.tolerance and before.size:
            drawn = self._suited(fit, number, replace(before, size=before.size - 1), of=number - 1)
            fit.phase, fit.optimiser_state = number * tries + drawn.size, {}
            self._draw(fit, number, drawn, drawn.size)
        else:
            drawn, goes_on = self._next(fit, number, before)
            fit.phase, fit.optimiser_state = number * tries + drawn.size, {}
            self._draw(fit, number, drawn, drawn.size, goes_on)
        fit.history[-1]["drawn"] = list(astuple(drawn))

    def _next(self, fit: FitState, number: int, before: Draw) -> tuple[Draw, bool]:
        """The draw of the window after one of as many neurons, and whether its neurons go on."""
        held_out = fit.history[-1]["held_out"]
        if held_out <= self.tolerance:
            return before, True
        drawn = replace(before, missed=min(before.missed, held_out))
        if held_out * CLEARLY > before.missed:  # worse than when it was chosen
            suited = self._suited(fit, number, before, of=number - 1)
            drawn = replace(suited, missed=held_out if suited == before else 0.0)
        # neurons that follow the solution are to do so where it is now
        return drawn, drawn == before and not drawn.front

    def _count(self, size: int) -> int:
        return max(self.neurons // SIZES[size], 1)

    def _suited(self, fit: FitState, number: int, before: Draw, of: int) -> Draw:
        """A draw with the spreads that suit a window, near those of another draw.

        Args:
            of: the window beside whose solution they are tried, this one or the one before; -1 for
                the start, as if it stayed.
        """
        network = self.solver.network
        assert isinstance(network, TimeWindows)
        count, beside = self._count(before.size), max(of, 0)
        rng = generator(self.seed, "spread", f"window {number}")
        trial = TrialStep.of(self.task, network, fit.best, beside, count, rng, self.kept)
        fronts = self._fronts(fit, beside)
        known: dict[Draw, float] = {}

        def left(drawn: Draw) -> float:
            if drawn not in known:
                rng = generator(self.seed, "spread")
                layer = self._layer(count, drawn, rng, fronts)
                known[drawn] = trial.left(*(torch.from_numpy(part).to(fit.best) for part in layer))
            return known[drawn]

        def near(name: str, choices: Sequence[float], everywhere: bool = False) -> list[int]:
            here = getattr(before, name)
            return [k for k in range(len(choices)) if everywhere or abs(k - here) <= 1]

        spreads = [{"spread": place} for place in near("spread", SPREADS, of < 0)]
        times = [{"in_time": place} for place in near("in_time", SPREADS_IN_TIME, of <= 0)]
        fronts_tried = near("front", FRONTS, of < 0) if self._has_fronts else []
        following = [{"front": place} for place in fronts_tried]
        groups = [spreads, following, times]
        if of < 0 and following:  # neurons that follow the solution need fewer waves of their own
            groups = [[own | other for own, other in product(spreads, following)], times]
        best = before
        for tries in groups:
            other = min((replace(best, **changed) for changed in tries), key=left, default=best)
            if left(other) < CLEARLY * left(best):
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
        box = problem.domain.sample(PLACES_A_NEURON * len(biases), rng)
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


def neurons_of(network: Network) -> int:
    """Number of neurons of a window."""
    return _layers(network)[0].outputs


def _layers(network: Network) -> tuple[Layer, Layer]:
    """The hidden layer and the head of a window, in a window's weights."""
    assert isinstance(network, TimeWindows) and isinstance(network.inner, MLP)
    hidden, head = network.inner.layers
    return hidden, head
