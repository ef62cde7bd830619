"""Random windows: what they reach from nothing, beside exact solutions."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Outcome, fit
from pacpde.errors import InvalidValueError
from pacpde.networks import MLP, TimeWindows
from pacpde.networks.surrogate import Surrogate
from pacpde.optim import GaussNewton
from pacpde.optim.least_squares import LeastSquares
from pacpde.physics import Problem
from pacpde.problems import Convection, Heat, KdV, Lorenz, Reaction, Wave
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import Runtime
from pacpde.training import random_windows as module
from pacpde.training.callbacks import Callback, ProgressReport, Update
from pacpde.training.config import TrainingConfig
from pacpde.training.random_windows import may_take_random_windows, random_windows
from pacpde.training.resume import ResumeState

TOLERANCE = 1e-6


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
    assert "4 time windows of 60 random neurons" in more[-1].assessment.notes[-1]
    (only,) = made(Convection(beta=20.0), (4, 60), (4, 90), tolerance=0.99e-2)
    assert not only[-1].assessment.notes


def test_the_spread_of_neurons_follows_the_front() -> None:
    """The front of KdV has more and more waves until it falls apart, at t = 1/π."""
    ((blank, _, made_fit),) = made(KdV(nu=2e-3), (8, 80))
    network = blank.network
    sizes = []
    for number in range(4):
        own = made_fit.weights[network.window(number)]
        incoming = own[network.inner.layers[0].weights].reshape(80, -1)
        sizes.append(float(incoming[:, 1:3].std()))
    assert sizes[0] < sizes[3]
    assert all(later >= 0.65 * before for before, later in pairwise(sizes))


@pytest.mark.parametrize("after", [3, 6])
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
        patch.setattr(module, "TRIES", ((8, 40),))
        whole = run()
        state = ResumeState(tmp_path, "key")
        with pytest.raises(KeyboardInterrupt):
            run(state, ProgressReport(killer))
        assert torch.equal(run(state), whole)


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


def test_gauss_newton_ends_where_a_step_gains_little() -> None:
    problem = Heat()
    task, network = PhysicsTask(problem), MLP(2, 1, width=30, depth=1)
    weights = torch.from_numpy(network.init_weights(np.random.default_rng(0)))
    head = torch.zeros_like(weights, dtype=torch.bool)
    head[network.head] = True
    terms = task.terms(network, weights, SamplingSpec(200), np.random.default_rng(1))
    least = LeastSquares(network, weights, head, terms)
    # the heat equation is linear: the first step gains nearly all, the second one rounding
    assert GaussNewton(least_gain=0.5).run(least, least.x0, 10).steps <= 2
    assert GaussNewton().run(least, least.x0, 1).loss == pytest.approx(
        GaussNewton(least_gain=0.5).run(least, least.x0, 10).loss, rel=1e-6
    )
    with pytest.raises(InvalidValueError, match="least_gain is 1"):
        GaussNewton(least_gain=1.0)
