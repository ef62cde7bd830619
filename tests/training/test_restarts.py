"""A fit that ends in a wrong solution is tried again in time windows."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pacpde import Outcome, fit
from pacpde.errors import InvalidValueError
from pacpde.methods.allocation import allocate_source
from pacpde.networks import TimeWindows
from pacpde.networks.assessment import Assessment
from pacpde.pac import prune
from pacpde.physics.numbers import relative_l2
from pacpde.problems import SIR, Heat, KdV, Pendulum, Wave, WaveModes
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.training.config import TrainingConfig
from pacpde.training.restarts import HARMONICS, WINDOWS, best_of, is_enough, restarts
from pacpde.training.schedule import StandardSchedule
from pacpde.training.trainer import FitResult

SMALL: dict[str, Any] = {"width": 12, "depth": 2, "points": 80}


def true_error(made: Any) -> float:
    """Relative L2 error of the worst field, beside scipy's LSODA."""
    problem = made.problem
    t = problem.domain.axes[0].grid(301)

    def rates(_: float, y: np.ndarray) -> list[float]:
        return [float(rate) for rate in problem.rates(tuple(y), None)]

    start = [float(value) for value in problem.initial_fields()]
    exact = solve_ivp(rates, t[[0, -1]], start, "LSODA", t_eval=t, rtol=1e-10, atol=1e-12).y
    return max(relative_l2(*pair) for pair in zip(made(t), exact, strict=True))


def test_a_wrong_solution_of_an_epidemic_is_tried_again() -> None:
    """At once, SIR over the whole epidemic ends in a wrong minimum."""
    alone = fit(SIR(), restarts=0, **SMALL)
    assert alone.outcome != Outcome.CONVERGED and true_error(alone) > 0.1
    again = fit(SIR(), restarts=1, **SMALL)
    assert again.outcome == Outcome.CONVERGED
    assert true_error(again) < 1e-3
    stages = list(dict.fromkeys(entry["stage"].split(".phase")[0] for entry in again.history))
    assert stages == ["train", "train.restart_1"]
    # one clock for both, and all steps are counted
    for name in ("step", "seconds"):
        assert np.all(np.diff([entry[name] for entry in again.history]) >= 0)
    assert again.steps == again.history[-1]["step"] > alone.steps
    assert again.field_ansatz.time_unit == SIR().time_unit / WINDOWS[0]


def test_what_has_converged_is_left_alone() -> None:
    made = fit(Heat(alpha=0.4), width=8, depth=2, points=100, restarts=3)
    assert made.outcome == Outcome.CONVERGED
    assert {entry["stage"] for entry in made.history} == {"train"}


def test_few_steps_are_a_wish() -> None:
    """Who asks for a few steps gets a few."""
    made = fit(SIR(), steps=2, **SMALL)
    assert {entry["stage"] for entry in made.history} == {"train"}


def test_restarts_are_counted_and_belong_to_the_schedule() -> None:
    with pytest.raises(InvalidValueError, match="restarts is -1"):
        TrainingConfig(restarts=-1)
    with pytest.raises(InvalidValueError, match="the schedule has its own"):
        TrainingConfig(restarts=1, schedule=StandardSchedule(10, 1, 1e-2))


def test_a_restart_takes_a_larger_network_where_nobody_chose_one() -> None:
    task = PhysicsTask(SIR())
    _, larger, *_ = restarts(task, TrainingConfig.of(SIR()), "train")
    assert larger.config.build_network(task.ansatz(SamplingSpec())).widths == (30,) * 4
    assert larger.config.schedule.warm_start(task)[-1].sampling.points == 2 * 300
    for chosen in ({"width": 12}, {"depth": 2}, {"network": "mlp:width=24"}):
        config = TrainingConfig.of(SIR(), **chosen)
        same, *_ = restarts(task, config, "train")
        network = same.config.build_network(task.ansatz(SamplingSpec()))
        assert network == config.build_network(task.ansatz(SamplingSpec()))
        assert same.config.schedule.warm_start(task)[-1].sampling.points == 300


def test_a_restart_takes_a_network_of_time_windows_where_it_may() -> None:
    *others, first = restarts(PhysicsTask(KdV()), TrainingConfig.of(KdV()), "train")
    assert len(others) == 2 and first.stage == "train.restart_3"
    network = first.config.build_network(first.task.ansatz(SamplingSpec()))
    assert isinstance(network, TimeWindows)
    assert (network.count, network.inputs) == (20, 1 + 2 * HARMONICS)
    assert first.task.ansatz(SamplingSpec()).time_unit == KdV().time_unit / 20
    # it is the first one of ODEs; ten times the time span has ten times the windows
    (longer,) = restarts(PhysicsTask(SIR(until=600)), TrainingConfig.of(SIR(), restarts=1), "train")
    assert longer.config.network(1, 3).count == 200
    for problem in (Wave(), Pendulum()):  # their rates have to go on as well
        task, config = PhysicsTask(problem), TrainingConfig.of(problem)
        assert all(one.config.network is None for one in restarts(task, config, "train"))
    given = restarts(PhysicsTask(KdV()), TrainingConfig.of(KdV()), "train", chosen=True)
    assert all(one.config.network is None for one in given)


@pytest.mark.slow
def test_default_settings_solve_an_epidemic_in_time_windows() -> None:
    made = fit(SIR())
    assert made.outcome == Outcome.CONVERGED
    assert isinstance(made.network, TimeWindows)
    assert true_error(made) < 1e-5


def test_an_allocation_that_fails_is_tried_again_in_time_windows() -> None:
    """From weights that solve nothing it ends in a wrong minimum, as a fit does."""
    nothing = fit(SIR(), steps=1, **SMALL)
    config = TrainingConfig.after(nothing, SIR())
    pruned = prune(nothing.reset(), 0.2)
    allocated, fits = allocate_source(
        pruned, PhysicsTask(SIR()), config, stage="allocate", seed=0, callbacks=()
    )
    stages = {entry["stage"] for entry in allocated.history}
    assert stages == {"allocate", "allocate.cold_start", "allocate.restart_1"}
    assert allocated.outcome == fits[-1].outcome == Outcome.CONVERGED
    assert true_error(allocated.recall()) < 1e-3


def test_a_transfer_takes_as_many_points_as_its_source() -> None:
    source = fit(Heat(alpha=0.4), width=4, depth=1, points=1200, steps=1)
    assert source.points == 1200
    assert TrainingConfig.after(source, Heat(alpha=0.3)).points == 1200
    assert TrainingConfig.after(source, Heat(alpha=0.3), points=50).points == 50
    few = fit(Heat(alpha=0.4), width=4, depth=1, points=40, steps=1)
    assert TrainingConfig.after(few, Heat(alpha=0.3)).points == 1000


def test_one_that_converged_with_a_large_error_begins_again_once() -> None:
    def ended(outcome: Outcome, estimate: float | None) -> FitResult:
        about = Assessment(1e-5, estimate)
        return FitResult(torch.zeros(1), outcome, 1e-5, 1, 1, 0.0, (), about)

    good, poor = ended(Outcome.CONVERGED, 9e-4), ended(Outcome.CONVERGED, 4e-3)
    failed, unknown = ended(Outcome.NOT_CONVERGED, 1.0), ended(Outcome.CONVERGED, None)
    for fits in ([good], [unknown], [poor, failed], [poor, poor], [failed, poor]):
        assert is_enough(fits)
    for fits in ([poor], [failed], [failed, failed]):
        assert not is_enough(fits)
    assert best_of([poor, failed]) == 0 and best_of([poor, good]) == 1


def test_where_estimates_are_above_one_the_residual_says_which_fit_is_the_best() -> None:
    """Chaos makes 6,511 of a wrong solution and 8e4 of one whose residual is a millionth of its."""

    def ended(residual: float, estimate: float | None) -> FitResult:
        about = Assessment(residual, estimate)
        return FitResult(torch.zeros(1), Outcome.NOT_CONVERGED, residual, 1, 1, 0.0, (), about)

    wrong, right, near = ended(0.11, 6511.0), ended(1e-7, 8e4), ended(0.2, 0.3)
    assert best_of([wrong, right]) == 1
    assert best_of([wrong, near, right]) == 1
    assert best_of([ended(0.11, None), right]) == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_high_modes_of_a_wave_are_found_by_the_restart() -> None:
    """The whole span at once converges with an error of 4e-3."""
    made = fit(WaveModes())
    t, x = (axis.grid(101) for axis in WaveModes().domain.axes)
    exact = WaveModes().exact(t[:, None], x[None])[0]
    assert made.outcome == Outcome.CONVERGED
    assert relative_l2(made(t[:, None], x[None]), exact) < 1e-4
