"""Random windows: what they reach from nothing, beside exact solutions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Outcome, fit
from pacpde.errors import InvalidValueError
from pacpde.methods import base
from pacpde.networks import MLP, TimeWindows
from pacpde.networks.assessment import Assessment
from pacpde.networks.surrogate import Surrogate
from pacpde.optim import GaussNewton
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Axis, Derivative, Evolution, Periodic, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, tanh
from pacpde.problems import Convection, Heat, KdV, Lorenz, Reaction, Wave
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import Runtime
from pacpde.training import neuron_draw
from pacpde.training import random_windows as module
from pacpde.training.callbacks import Callback, ProgressReport, Update
from pacpde.training.config import TrainingConfig
from pacpde.training.random_windows import may_take_random_windows, random_windows
from pacpde.training.resume import ResumeState
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer
from pacpde.training.trial_step import TrialStep
from tests.request_clock import RequestClock

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Walls(Evolution):
    """Two walls on a circle, carried along."""

    name = "walls_of_a_test"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    speed: float = coefficient(0.1, lower=0.01, upper=1.0, meaning="speed")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -self.speed * d(u, "x")

    def initial(self, *space: Array) -> Any:
        return tanh(12 * cos(np.pi * space[0]))


def error(solver: Surrogate) -> float:
    points = solver.problem.domain.sample(2000, np.random.default_rng(5))
    exact = np.asarray(solver.problem.exact(*points.T))[0]
    return float(np.linalg.norm(solver(*points.T) - exact) / np.linalg.norm(exact))


def made(problem: Problem, *tries: tuple[int, int], tolerance: float = TOLERANCE) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TRIES", tries)
        return random_windows(PhysicsTask(problem), TrainingConfig.of(problem, tolerance=tolerance))


@pytest.mark.slow
def test_fast_convection_is_solved_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wave that crosses the axis eight times: the usual fit ends in a wrong minimum."""
    monkeypatch.setattr(module, "TRIES", ((20, 200),))
    problem = Convection(beta=50.0)
    solver = fit(problem, tolerance=TOLERANCE, points=150)
    assert solver.outcome == Outcome.CONVERGED
    assert isinstance(solver.network, TimeWindows)
    assert error(solver) < TOLERANCE
    assert solver.error_estimate is not None
    assert error(solver) / 3 < solver.error_estimate < TOLERANCE
    stages = list(dict.fromkeys(entry["stage"] for entry in solver.history))
    assert stages == ["train", "train.random_1"]


def test_more_neurons_follow_where_the_tolerance_is_missed_and_a_note_says_so() -> None:
    few, more = made(Convection(beta=20.0), (4, 30), (4, 60), tolerance=1e-13)
    assert few[0].network.width == 30 and more[0].network.width == 60
    residuals = [fit.assessment.residual for *_, fit in (few, more)]
    assert residuals[1] < residuals[0] / 10
    # the first window says that 30 are too few; the last try goes on to the end
    assert bool(drawn_in(few[0], few[-1], 0).any()) and not bool(drawn_in(few[0], few[-1], 1).any())
    assert bool(drawn_in(more[0], more[-1], 3).any())
    assert "4 time windows of 60 random neurons" in more[-1].assessment.notes[-1]
    (only,) = made(Convection(beta=20.0), (4, 60), (4, 90), tolerance=0.99e-2)
    assert not only[-1].assessment.notes


def test_the_finest_windows_follow_a_try_that_ended_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINEST", (6, 20))
    sizes = (2, 10), (3, 20), (4, 30)
    early = made(Convection(beta=20.0), *sizes, tolerance=1e-13)
    assert [each[0].network.time_windows for each in early] == [2, 3, 6]
    monkeypatch.setattr(neuron_draw, "HOPELESS", 1e30)
    whole = made(Convection(beta=20.0), *sizes, tolerance=1e-13)
    assert [each[0].network.time_windows for each in whole] == [2, 3, 4]


@pytest.mark.slow
def test_the_finest_windows_are_finer_than_those_of_the_try_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FINEST", (3, 20))
    early = made(Convection(beta=20.0), (2, 10), (3, 20), (3, 30), tolerance=1e-13)
    sizes = [(each[0].network.time_windows, each[0].network.width) for each in early]
    assert sizes == [(2, 10), (3, 20), (3, 30)]


def drawn_in(blank: Surrogate, made_fit: Any, number: int) -> torch.Tensor:
    """The weights of the neurons of a window that are not 0, [drawn, inputs]."""
    network = blank.network
    own = made_fit.weights[network.window(number)]
    incoming = own[network.inner.layers[0].weights].reshape(network.width, -1)
    return incoming[incoming.abs().sum(1) > 0]


def test_the_spread_of_neurons_follows_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front of KdV has more and more waves until it falls apart, at t = 1/π."""
    monkeypatch.setattr(neuron_draw, "FRONTS", (0.0,))
    ((blank, _, made_fit),) = made(KdV(nu=2e-3), (8, 120), tolerance=1e-3)
    first, later = (drawn_in(blank, made_fit, number) for number in (0, 3))
    assert float(first[:, 1:3].std()) < float(later[:, 1:3].std())
    # the first window is solved by some, where the front is all of them are needed
    assert len(later) == 120


def test_a_window_takes_as_many_neurons_as_its_residual_asks_for() -> None:
    few = made(Heat(), (4, 160), tolerance=1e-3)[0]
    many = made(Heat(), (4, 160), tolerance=1e-13)[0]
    assert [len(drawn_in(few[0], few[-1], number)) for number in range(4)] == [40] * 4
    assert len(drawn_in(many[0], many[-1], 3)) == 160
    assert many[-1].assessment.residual < 1e-4 * few[-1].assessment.residual


def test_neurons_that_meet_the_tolerance_go_on_at_later_times() -> None:
    ((blank, _, made_fit),) = made(Heat(), (4, 160), tolerance=1e-3)
    network = blank.network
    into, biases = zip(
        *(network.inner.matrices(made_fit.weights[network.window(k)])[0] for k in range(4)),
        strict=True,
    )
    assert all(torch.equal(into[0], into[k]) for k in (1, 2, 3))
    # a window is two long in its own time
    for k in (1, 2, 3):
        torch.testing.assert_close(biases[k], biases[k - 1] + 2 * into[k][:, 0])


def test_neurons_that_follow_the_solution_hold_thin_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two walls that are carried along; the same number of neurons, of which a try takes all."""
    monkeypatch.setattr(neuron_draw, "SIZES", (1,))
    held_out = []
    for fronts in ((0.0,), neuron_draw.FRONTS):
        monkeypatch.setattr(neuron_draw, "FRONTS", fronts)
        ((*_, made_fit),) = made(Walls(), (4, 240), tolerance=1e-9)
        held_out.append(made_fit.history[0]["held_out"])
    assert held_out[1] < held_out[0] / 3


@pytest.mark.parametrize("problem", [Convection(beta=20.0, until=0.2), KdV(nu=2e-3, until=0.05)])
def test_a_trial_step_leaves_what_the_fit_of_a_window_leaves(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the start of a linear problem, and at the solution of any."""
    monkeypatch.setattr(neuron_draw, "SIZES", (1,))
    ((blank, task, made_fit),) = made(problem, (2, 60), tolerance=1e-12)
    network, held_out = blank.network, made_fit.history[0]["held_out"]
    own = made_fit.weights[network.window(0)]
    (incoming, biases), _ = network.inner.matrices(own)
    linear = isinstance(problem, Convection)
    for weights in (made_fit.weights, *([blank.weights] if linear else [])):
        rng = np.random.default_rng(3)
        trial = TrialStep.of(task, network, weights, 0, 60, rng)
        assert held_out / 2 < trial.left(incoming, biases) < 2 * held_out  # at fewer points
        few = TrialStep.of(task, network, weights, 0, 20, rng)
        assert few.left(incoming[:20], biases[:20]) > 10 * held_out


def test_the_next_try_asks_for_a_residual_that_the_estimated_error_needs() -> None:
    asked = module._asked_next
    assert asked(Assessment(1e-7, 4e-6), 1e-6) == pytest.approx(1.25e-7)
    assert asked(Assessment(1e-5, 1e-7), 1e-6) == 1e-6
    assert asked(Assessment(1e-5, 1e-3), 1e-6) == 1e-6  # its windows missed what was asked
    assert asked(Assessment(1e-5), 1e-6) == 1e-6
    assert asked(Assessment(1e-7, 1e6), 1e-6) == pytest.approx(1e-8)


@pytest.mark.parametrize("solved", [True, False])
def test_restarts_follow_unless_the_windows_solve_the_equation(
    solved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along a chaotic orbit the error of what solves it may be large: a restart is no better."""
    assessment = Assessment(1e-6 if solved else 1e-3, 1e3)
    problem = Convection(beta=50.0)
    monkeypatch.setattr(PhysicsTask, "assess", lambda *args: assessment)
    monkeypatch.setattr(module, "TRIES", ((2, 10),))
    solver = fit(problem, tolerance=TOLERANCE, points=20, restarts=1)
    stages = {entry["stage"] for entry in solver.history}
    assert "train.random_1" in stages
    assert ("train.restart_1" in stages) != solved


def test_heads_are_the_same_whatever_memory_held_before() -> None:
    """Torch's `gelsy` takes pivots from memory that nobody has set."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(120, 40)) @ np.diag(10.0 ** -np.linspace(0, 12, 40))
    values = hidden @ rng.normal(size=(40, 2))
    expected = np.linalg.lstsq(hidden, values, rcond=None)[0]
    first = neuron_draw._heads(torch.from_numpy(hidden), torch.from_numpy(values))
    np.testing.assert_allclose(hidden @ first.numpy(), hidden @ expected, rtol=0, atol=1e-10)
    for held in range(40):
        unset = torch.full((40,), held, dtype=torch.int32)  # as many as pivots, free again at once
        del unset
        again = neuron_draw._heads(torch.from_numpy(hidden), torch.from_numpy(values))
        assert torch.equal(again, first)


@pytest.mark.slow
def test_they_go_on_from_a_start_that_is_met_by_residuals() -> None:
    """The start of `Reaction` has a kink where its axis closes; from 0 no step goes on."""
    ((blank, task, made_fit),) = made(Reaction(rho=5.0), (20, 400), tolerance=1e-8)
    solver = task.solver(blank.network, made_fit.weights, made_fit.sampling)
    assert error(solver) < TOLERANCE
    assert made_fit.assessment.error_estimate == pytest.approx(error(solver), rel=0.2)


@pytest.mark.parametrize("after", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_random_windows_resume_to_the_same_bits(tmp_path: Path, after: int) -> None:
    """The spread of a window follows from the one before, which an earlier process has drawn."""
    problem = KdV(nu=2e-3)
    seen: list[Update] = []

    def killer(update: Update) -> None:
        seen.append(update)
        if len(seen) == after:
            raise KeyboardInterrupt

    def run(*callbacks: Callback) -> torch.Tensor:
        settings = TrainingConfig.of(problem, tolerance=TOLERANCE)
        ((_, _, fit),) = random_windows(PhysicsTask(problem), settings, callbacks=callbacks)
        weights: torch.Tensor = fit.weights
        return weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TRIES", ((4, 40),))
        whole = run()
        state = ResumeState(tmp_path, "key")
        with pytest.raises(KeyboardInterrupt):
            run(state, ProgressReport(killer))
        assert torch.equal(run(state), whole)


class FirstTryFails(Trainer):
    """A first try of two steps, with which nobody solves an equation."""

    @stepwise
    def fit(
        self, task: Task, phases: Sequence[Phase], stage: str | None = None, **others: Any
    ) -> Steps[FitResult]:
        if stage == "train":
            phases = [replace(phases[-1], steps=2)]
        return (yield from steps_of(super().fit)(task, phases, stage, **others))


@pytest.mark.parametrize(
    ("neurons", "restarted"),
    [
        pytest.param(60, True, marks=pytest.mark.slow),
        (100, True),
        pytest.param(150, True, marks=pytest.mark.slow),
        (400, False),
    ],
)
def test_where_random_windows_miss_the_tolerance_a_restart_is_refined(
    neurons: int, restarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60, 100, 150 neurons leave 5e-3, 4e-4 and 2e-5, which a refinement goes beyond."""
    monkeypatch.setattr(base, "Trainer", FirstTryFails)
    monkeypatch.setattr(module, "TRIES", ((4, neurons),))
    solver = fit(Reaction(rho=2.0), tolerance=TOLERANCE, points=200)
    assert solver.outcome == Outcome.CONVERGED
    assert error(solver) < TOLERANCE
    stages = list(dict.fromkeys(entry["stage"] for entry in solver.history))
    more = ["train.restart_1", "train.refine_1"] if restarted else []
    assert stages == ["train", "train.random_1", *more]
    assert np.all(np.diff([entry["seconds"] for entry in solver.history]) >= 0)


def test_random_windows_that_are_no_better_count_in_the_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So does the choice of their neurons."""
    monkeypatch.setattr(module, "TRIES", ((2, 10),))
    monkeypatch.setattr("pacpde.training.refinement.FIRST", 5)
    clock = RequestClock.patched(monkeypatch)
    solver = fit(Reaction(rho=1.0), tolerance=1e-9, points=200, refinements=1, restarts=1)
    assert not any("random" in entry["stage"] for entry in solver.history)
    assert solver.seconds == clock.seconds
    assert solver.steps > solver.history[-1]["step"]


@pytest.mark.parametrize(
    ("neurons", "estimate", "misses"), [(400, 1e-3, True), (150, TOLERANCE / 4, False)]
)
def test_no_restart_follows_where_random_windows_meet_the_equation(
    neurons: int, estimate: float, misses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the residual alone, as of Kuramoto-Sivashinsky, whose estimated error is 1,000 times that,
    or by the estimated error, where the residual is above the tolerance.
    """
    monkeypatch.setattr(base, "Trainer", FirstTryFails)
    monkeypatch.setattr(module, "TRIES", ((4, neurons),))
    monkeypatch.setattr("pacpde.residuals.assess.error_estimate", lambda *_: estimate)
    solver = fit(Reaction(rho=2.0), tolerance=TOLERANCE, points=200)
    assert {entry["stage"] for entry in solver.history} == {"train", "train.random_1"}
    assert solver.assessment is not None
    assert (solver.assessment.residual > TOLERANCE) is not misses
    said = any("the estimated error does not" in note for note in solver.assessment.notes)
    assert said is misses


def test_what_random_windows_are_not_for() -> None:
    def may(problem: Problem, runtime: Runtime = Runtime(), **settings: Any) -> bool:
        task = PhysicsTask(problem, runtime=runtime)
        return may_take_random_windows(task, TrainingConfig.of(problem, tolerance=1e-6, **settings))

    assert may(Heat()) and may(Reaction())
    assert not may_take_random_windows(PhysicsTask(Heat()), TrainingConfig.of(Heat()))
    assert not may(Wave())  # second order in time
    assert not may(Lorenz())  # no space
    assert not may(Heat(), Runtime(dtype="float32"))
    assert not may(Heat(), refinements=0)
    assert not may(Heat(), restarts=0)
    assert not may(Heat(), network=MLP(2, 1, width=10, depth=2))
    assert not may(Heat(), width=10)


def test_every_try_has_more_windows_or_more_neurons() -> None:
    settings = TrainingConfig.of(Heat(), tolerance=1e-6)
    assert module._sizes(Heat(), settings, None) == list(module.TRIES)
    # a span that needs 400 windows in the second try already; its third one has more neurons
    long = Heat(until=5.0)
    assert module._sizes(long, settings, None) == [(100, 400), (400, 1000), (400, 1200)]
    longest = Heat(until=20.0)  # all of its tries have as many windows as there may be
    assert [windows for windows, _ in module._sizes(longest, settings, None)] == [400] * 3
    assert len(module._sizes(Heat(), TrainingConfig.of(Heat(), refinements=1), None)) == 1


def test_gauss_newton_leaves_columns_of_zeros_alone_and_ends_where_it_is_told() -> None:
    problem = Heat()
    task, network = PhysicsTask(problem), MLP(2, 1, width=30, depth=1, activation="sin")
    weights = torch.from_numpy(network.init_weights(np.random.default_rng(0)))
    hidden, head = network.layers
    matrix = weights[hidden.weights].view(30, 2)  # a view
    matrix[20:] = 0  # sin 0 = 0
    weights[head.weights][20:] = 7.0
    mask = torch.zeros_like(weights, dtype=torch.bool)
    mask[head.parameters] = True
    terms = task.terms(network, weights, SamplingSpec(200), np.random.default_rng(1))
    least = LeastSquares(network, weights, mask, terms)
    result = GaussNewton().run(least, least.x0, 2)
    assert bool((result.x[20:30] == 7.0).all())
    fewer = mask.clone()
    fewer[head.weights][20:] = False
    smaller = LeastSquares(network, weights, fewer, terms)
    expected = GaussNewton().run(smaller, smaller.x0, 2)
    assert result.loss == pytest.approx(expected.loss, rel=1e-6)
    assert GaussNewton(enough=2 * result.loss).run(least, result.x, 5).steps == 0


def test_gauss_newton_ends_where_a_step_gains_little() -> None:
    problem = Heat()
    task, network = PhysicsTask(problem), MLP(2, 1, width=30, depth=1)
    weights = torch.from_numpy(network.init_weights(np.random.default_rng(0)))
    head = torch.zeros_like(weights, dtype=torch.bool)
    head[network.head] = True
    terms = task.terms(network, weights, SamplingSpec(200), np.random.default_rng(1))
    least = LeastSquares(network, weights, head, terms)
    # the heat equation is linear: the first step gains nearly all, and its factor tells that
    ended = GaussNewton(least_gain=0.5).run(least, least.x0, 10)
    assert ended.steps == 1
    assert ended.evaluations == 3  # the loss before and after it, and one factor
    assert GaussNewton().run(least, least.x0, 1).loss == pytest.approx(
        GaussNewton(least_gain=0.5).run(least, least.x0, 10).loss, rel=1e-6
    )
    with pytest.raises(InvalidValueError, match="least_gain is 1"):
        GaussNewton(least_gain=1.0)
