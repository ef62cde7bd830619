"""How a fit ends: named outcomes, and the best weights so far."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pacpde.methods import TrainingConfig, fit
from pacpde.networks.ansatz import network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Progress, State
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.problems import Heat
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.training.callbacks import Callback, FitState, TimeLimit
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer


@dataclass
class Failing:
    """Levenberg–Marquardt that fails at its third call."""

    error: Exception | None = None
    value: float = 0.0
    calls: list[torch.Tensor] = field(default_factory=list)

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        if len(self.calls) == 2:
            if self.error is not None:
                raise self.error
            return Progress(x + self.value, 1.0, {}, steps, steps)
        made = LevenbergMarquardt().run(problem, x, steps, state)
        self.calls.append(made.x)
        return made


@dataclass
class Counted(Callback):
    calls: int = 0

    def on_refresh(self, fit: FitState) -> None:
        self.calls += 1


def fitted(optimiser: Failing, stage: str = "train") -> FitResult:
    task = PhysicsTask(Heat(alpha=0.2))
    network = network_for(task.ansatz(SamplingSpec()), 8, 1, "tanh")
    weights = torch.as_tensor(network.init_weights(np.random.default_rng(0)))
    phases = [Phase(10, 2, SamplingSpec(60))]
    config = TrainingConfig(tolerance=1e-9, optimiser=optimiser)
    surrogate = Surrogate(network, task.ansatz(SamplingSpec()), weights)
    return Trainer(surrogate, config).fit(task, phases, stage)


def test_a_stage_of_another_name_than_before_draws_the_same_points() -> None:
    first, now, other = (
        fitted(Failing(value=1e-3), f"allocate.{stage}").weights
        for stage in ("grow", "cold_start", "2")
    )
    assert torch.equal(now, first) and not torch.equal(now, other)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), torch.AcceleratorError("gone")])
def test_a_lost_device_leaves_the_best_weights(error: Exception) -> None:
    optimiser = Failing(error)
    made = fitted(optimiser)
    assert made.outcome == "device_lost"
    assert any(torch.equal(made.weights, x) for x in optimiser.calls)
    assert made.weights.device.type == "cpu" and made.steps == 4 and len(made.history) == 2


def test_a_device_lost_while_the_result_is_assessed_leaves_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    expected = fitted(Failing(value=0.0))
    monkeypatch.setattr(PhysicsTask, "assess", full)
    made = fitted(Failing(value=0.0))
    assert made.outcome == "device_lost" and made.assessment is None
    assert torch.equal(made.weights, expected.weights)


def test_a_fault_of_ours_is_not_taken_for_one_of_the_device() -> None:
    with pytest.raises(ZeroDivisionError):
        fitted(Failing(ZeroDivisionError()))


def test_weights_that_are_no_numbers_end_as_diverged_with_the_best_before() -> None:
    optimiser = Failing(value=float("nan"))
    made = fitted(optimiser)
    assert made.outcome == "diverged" and made.assessment is None
    assert any(torch.equal(made.weights, x) for x in optimiser.calls)


def test_worse_weights_do_not_replace_better_ones() -> None:
    optimiser = Failing(value=100.0)
    made = fitted(optimiser)
    assert made.outcome == "not_converged"
    assert any(torch.equal(made.weights, x) for x in optimiser.calls)


@dataclass
class Still:
    """An optimiser that finds no step."""

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        return Progress(x, 1.0, {}, steps, steps)


@pytest.mark.parametrize(("steps", "taken"), [(60, 60), (100, 100), (101, 100), (400, 100)])
def test_patience_shortens_fits_of_more_than_a_hundred_steps(steps: int, taken: int) -> None:
    """As `TrainingConfig.steps` says: the first draw gains, the fifth ends a fit without gain."""
    task = PhysicsTask(Heat(alpha=0.2))
    network = network_for(task.ansatz(SamplingSpec()), 4, 1, "tanh")
    weights = torch.as_tensor(network.init_weights(np.random.default_rng(0)))
    phases = TrainingConfig(steps=steps, points=20).phases.warm_start(task)[-1:]
    config = TrainingConfig(tolerance=1e-9, optimiser=Still())
    surrogate = Surrogate(network, task.ansatz(SamplingSpec()), weights)
    made = Trainer(surrogate, config).fit(task, phases, "train")
    assert made.steps == taken
    assert TrainingConfig.steps < 100  # the default is left alone


def test_a_time_limit_ends_a_fit_after_the_steps_on_a_set_of_points() -> None:
    settings = {"points": 60, "width": 8, "depth": 1, "steps": 30, "restarts": 0}
    refreshes = []
    for seconds in (1e-9, 1e9):
        counted = Counted()
        fit(Heat(alpha=0.2), settings=settings, callbacks=[TimeLimit(seconds), counted])
        refreshes.append(counted.calls)
    assert refreshes[0] == 1 < refreshes[1]


@dataclass
class EndsAtPhase(Callback):
    """Ends a fit where its phase number `phase` begins."""

    phase: int

    def on_refresh(self, fit: FitState) -> None:
        fit.done = fit.done or fit.phase == self.phase


def test_a_fit_that_a_callback_ends_between_two_phases_is_measured() -> None:
    """A time limit may pass there, where the residual of the next phase is not known yet."""
    task = PhysicsTask(Heat(alpha=0.2))
    network = network_for(task.ansatz(SamplingSpec()), 8, 1, "tanh")
    weights = torch.as_tensor(network.init_weights(np.random.default_rng(0)))
    surrogate = Surrogate(network, task.ansatz(SamplingSpec()), weights)
    config = TrainingConfig(steps=20, points=60)
    phases = config.phases.cold_start(task)
    made = Trainer(surrogate, config, callbacks=[EndsAtPhase(2)]).fit(task, phases, "train")
    assert 0 < made.steps < sum(phase.steps for phase in phases)
    assert made.outcome in ("converged", "not_converged")
    assert made.assessment is not None and made.held_out == pytest.approx(
        task.held_out(network, made.weights, phases[-1].sampling)
    )
