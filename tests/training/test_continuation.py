"""The control of a path of solutions, and its tangent."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, transfer
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.physics.way import interpolate
from pacpde.problems import Burgers, Heat, Lorenz
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator
from pacpde.training.config import TrainingConfig
from pacpde.training.continuation import Prediction, StepControl, follow
from pacpde.training.path import SolutionPath
from pacpde.training.tangent import tangent
from pacpde.training.trainer import FitResult, Trainer
from tests.request_clock import RequestClock

SOURCE, TARGET = Burgers(nu=0.01), Burgers(nu=0.0025)
ZERO = torch.zeros(1)


@dataclass
class Scripted:
    """A path whose residuals are functions of the step and of how far it leads."""

    corrected: Callable[[float, float, int], float]
    predicted: Callable[[float], float] = lambda step: 0.0
    levels: int = 1
    level: int = 0
    here: float = 0.0
    tried: list[float] = field(default_factory=list)
    from_where: list[float] = field(default_factory=list)
    searched: list[float] = field(default_factory=list)

    def tangent(self, here: FitResult | None, problem: Any) -> Callable[[Any], Prediction]:
        self.here = place(problem)
        return lambda ahead: Prediction(
            ZERO + place(ahead), self.predicted(place(ahead) - self.here)
        )

    def correct(
        self, start: torch.Tensor, problem: Any, attempt: int, seconds: float = 0.0
    ) -> FitResult:
        assert attempt == len(self.tried)
        self.tried.append(place(problem))
        self.from_where.append(float(start))
        self.searched.append(seconds)
        held_out = self.corrected(place(problem) - self.here, place(problem), self.level)
        return FitResult(start, "", held_out, 1, 1, 0.0, ())

    def is_near(self, tried: FitResult, problem: Any) -> bool:
        return False

    def add_points(self) -> bool:
        self.level += 1
        return self.level < self.levels


def place(problem: Any) -> float:
    return float(np.log(problem.nu / 0.01) / np.log(0.25))


def test_the_path_is_geometric_and_ends_at_the_target() -> None:
    assert interpolate(SOURCE, TARGET, 0.5).nu == pytest.approx(0.005)  # type: ignore[attr-defined]
    assert interpolate(SOURCE, TARGET, 1.0) == TARGET


def test_several_coefficients_move_at_once() -> None:
    half = interpolate(Lorenz(sigma=8.0, rho=16.0), Lorenz(sigma=18.0, rho=25.0), 0.5)
    assert half.coefficients["sigma"] == pytest.approx(12)
    assert half.coefficients["rho"] == pytest.approx(20)


def test_refused_steps_are_halved_and_accepted_ones_doubled() -> None:
    """A corrector that can only go a quarter of the way at a time walks there and arrives."""
    path = Scripted(lambda step, share, level: 0.0 if step <= 0.2501 else 9.0)
    attempts, reached = follow(SOURCE, TARGET, path, StepControl(max_residual=0.5))
    assert reached is attempts[-1]
    np.testing.assert_allclose(path.tried, [1, 0.5, 0.25, 0.75, 0.5, 1, 0.75, 1], atol=1e-9)
    np.testing.assert_allclose(path.from_where, path.tried)  # corrections start at predictions


def test_a_step_whose_prediction_is_far_off_is_not_tried() -> None:
    path = Scripted(lambda step, share, level: 0.0, predicted=lambda step: step)
    follow(SOURCE, TARGET, path, StepControl(max_residual=0.5, max_prediction_residual=0.26))
    np.testing.assert_allclose(path.tried, [0.25, 0.5, 0.75, 1], atol=1e-9)


def test_predictions_count_in_the_seconds_of_the_next_correction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tangent, and every prediction from it, also of steps that are too long."""
    RequestClock.patched(monkeypatch)
    path = Scripted(lambda step, share, level: 0.0, predicted=lambda step: step)
    follow(SOURCE, TARGET, path, StepControl(max_residual=0.5, max_prediction_residual=0.26))
    assert path.searched == [4, 3, 3, 2]


@pytest.mark.parametrize("method", ["warm_start", "pac"])
def test_seconds_of_a_ladder_leave_out_its_assessments_alone(
    method: str, source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tangents and predictions counted nowhere, and every correction was assessed for nothing."""
    clock = RequestClock.patched(monkeypatch)
    made = transfer(
        source, Heat(alpha=0.2), method=method, ladder=[0.3], reference=None,
        settings={"points": 100, "steps": 10},
    )  # fmt: skip
    assert any("walk" in entry["stage"] for entry in made.history)
    assert made.surrogate.seconds == made.history[-1]["seconds"] == clock.seconds
    allocate = made.record()["seconds"]["allocate"] or 0.0
    assert made.surrogate.seconds == allocate + sum(rung.seconds for rung in made.rungs)
    if method == "warm_start":
        assert clock.assessments == len(made.rungs)


def test_a_correction_is_near_by_its_estimated_error(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = FitResult(source.weights, Outcome.NOT_CONVERGED, 1.0, 1, 1, 0.0, ())
    path = SolutionPath(Trainer(source, TrainingConfig()), PhysicsTask(source.problem), 1e-2)
    estimates = []

    def is_near(residual: float, error: float, outcome: Outcome = Outcome.NOT_CONVERGED) -> bool:
        def assess(*args: Any, estimate: bool = True) -> Assessment:
            estimates.append(estimate)
            return Assessment(residual, error if estimate else None)

        monkeypatch.setattr(PhysicsTask, "assess", assess)
        return path.is_near(replace(ended, outcome=outcome), source.problem)

    assert is_near(0.05, 4e-3)
    assert not is_near(0.05, 2e-2)
    estimates.clear()
    assert not is_near(0.2, 4e-3)
    assert estimates == [False]  # the residual says that no estimate is worth its time
    assert not is_near(0.05, 4e-3, Outcome.DIVERGED)


def test_a_correction_that_falls_short_by_little_is_given_more_points() -> None:
    path = Scripted(lambda step, share, level: 0.6 if level < 2 else 0.0, levels=3)
    attempts, reached = follow(SOURCE, TARGET, path, StepControl(max_residual=0.5))
    assert reached is attempts[-1]
    assert path.tried == [1, 1, 1]
    poor = Scripted(lambda step, share, level: 0.6, levels=3)
    follow(SOURCE, TARGET, poor, StepControl(max_residual=0.5, min_step=0.25))
    np.testing.assert_allclose(poor.tried, [1, 1, 1, 0.5, 0.25])


def test_a_lost_path_says_so() -> None:
    path = Scripted(lambda step, share, level: 9.0)
    attempts, reached = follow(SOURCE, TARGET, path, StepControl(max_residual=0.5))
    assert reached is None
    assert len(attempts) == 7  # 1, 1/2, ... 1/64


def test_a_path_that_ends_halfway_leads_that_far() -> None:
    path = Scripted(lambda step, share, level: 0.0 if share <= 0.6 else 9.0)
    attempts, reached = follow(SOURCE, TARGET, path, StepControl(max_residual=0.5))
    assert reached is not None and reached is not attempts[-1]
    at = next(number for number, made in enumerate(attempts) if made is reached)
    assert path.tried[at] == max(share for share in path.tried if share <= 0.6)


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=10, depth=2, points=300, steps=30)


def test_the_tangent_leaves_a_residual_of_second_order(source: Surrogate) -> None:
    """Half the step, a quarter of what is left; without it, half."""
    task = PhysicsTask(source.problem)
    assert isinstance(source.ansatz, PhysicsAnsatz)
    draw = SamplingSpec(300, odd=source.ansatz.odd)
    free = torch.ones_like(source.weights, dtype=torch.bool)
    predict = tangent(source.network, source.weights, free, task, draw, generator(0, "tangent"))
    left, still = [], []
    for alpha in (0.36, 0.38):
        ahead = task.equation_at(Heat(alpha=alpha))
        left.append(predict(ahead.problem, ahead).held_out)
        still.append(ahead.held_out(source.network, source.weights, draw))
    assert 1.8 < still[0] / still[1] < 2.2
    assert left[0] < still[0] / 10
    assert 2.5 < left[0] / left[1] < 6


def test_the_tangent_moves_free_weights_alone(source: Surrogate) -> None:
    task = PhysicsTask(source.problem)
    free = torch.zeros_like(source.weights, dtype=torch.bool)
    free[::2] = True
    predict = tangent(
        source.network, source.weights, free, task, SamplingSpec(100), generator(0, "x")
    )
    ahead = task.equation_at(Heat(alpha=0.35))
    moved = predict(ahead.problem, ahead).weights != source.weights
    assert moved[free].any() and not moved[~free].any()


def test_a_path_that_leads_nowhere_has_an_outcome_of_its_own(source: Surrogate) -> None:
    settings = {"points": 2, "steps": 1}  # two points tell nothing of the way
    for continuation in ("adaptive_only", "adaptive"):
        made = transfer(
            source,
            Heat(alpha=5.0),
            method="warm_start",
            continuation=continuation,
            settings=settings,
        )
        assert made.outcome == "path_lost"
        assert math.isfinite(made.target_error)


def test_a_finer_tolerance_makes_no_finer_steps(source: Surrogate) -> None:
    """The path has to be kept, not met to the last digit."""
    found = []
    for tolerance in (1e-2, 1e-9):
        settings = {"points": 300, "steps": 5, "tolerance": tolerance}
        made = transfer(source, Heat(alpha=0.2), method="warm_start", settings=settings)
        found.append([e["stage"] for e in made.history if "walk" in e["stage"]])
    assert found[0] == found[1]


def test_the_last_fit_takes_long_steps_at_once() -> None:
    settings = {"width": 16, "depth": 2, "points": 400, "steps": 30}
    source = fit(Heat(alpha=0.4), seed=0, reference=None, settings=settings)

    def after_five_steps(optimiser: str) -> float:
        moved = transfer(
            source, Heat(alpha=0.35), method="warm_start", reference=None,
            settings={"steps": 20, "optimiser": optimiser},
        )  # fmt: skip
        return next(e["held_out"] for e in moved.history if e["stage"] == "calibrate")

    long = after_five_steps("levenberg_marquardt")
    assert long < 0.8 * after_five_steps("levenberg_marquardt:near_damping=1e-3")
