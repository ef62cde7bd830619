"""Fits in time windows: window after window, each with the weights of the earlier ones frozen."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Outcome, Surrogate, fit, transfer
from pacpde.networks import TimeWindows
from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import cos
from pacpde.physics.numbers import relative_l2
from pacpde.problems import Heat
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase, in_time_windows
from pacpde.training.trainer import Trainer

TWO: dict[str, Any] = {
    "network": "time_windows:count=2,width=6,depth=2", "points": 60, "steps": 60,
}  # fmt: skip


@dataclass(frozen=True)
class Driven(Evolution):
    """u' = −k u + cos 5t, u(0) = 1, on [0, 2]."""

    name = "driven"
    axes = (Axis("t", 0.0, 2.0),)

    k: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="rate k")

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -self.k * u + cos(5 * d.coordinates["t"])

    def initial(self) -> Any:
        return 1.0

    def exact(self, t: np.ndarray) -> np.ndarray:
        size = self.k**2 + 25
        driven = (self.k * np.cos(5 * t) + 5 * np.sin(5 * t)) / size
        return (driven + (1 - self.k / size) * np.exp(-self.k * t))[None]


T = np.linspace(0, 2, 201)


def error_of(surrogate: Surrogate) -> float:
    return relative_l2(surrogate(T), surrogate.problem.exact(T)[0])


class Weights(Callback):
    """Keeps the weights after every refresh."""

    def __init__(self) -> None:
        self.all: list[torch.Tensor] = []

    def on_refresh(self, fit: FitState) -> None:
        self.all.append(fit.weights.clone())


def test_a_fit_in_two_windows_is_the_exact_solution_and_leaves_the_first_alone() -> None:
    seen = Weights()
    made = fit(Driven(), callbacks=[seen], reference=None, **TWO)
    assert made.outcome == Outcome.CONVERGED
    assert error_of(made) < 1e-4
    first, second = made.network.window(0), made.network.window(1)
    moved = [not torch.equal(a[second], b[second]) for a, b in pairwise(seen.all)]
    begun = moved.index(True)
    assert 0 < begun < len(moved) - 1
    ended = made.weights[first]
    assert all(torch.equal(own[first], ended) for own in seen.all[begun + 1 :])
    # the second began with the weights of the first
    assert float((seen.all[begun + 1][second] - ended).norm()) < float(ended.norm())
    # the last phase alone would have been judged on the second half of the time
    whole = PhysicsTask(Driven(), like=made.field_ansatz).held_out(
        made.network, made.weights, SamplingSpec()
    )
    assert made.held_out == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("method", ["warm_start", "pac"])
def test_it_is_transferred_and_pac_keeps_the_source(method: str) -> None:
    source = fit(Driven(), reference=None, **TWO)
    result = transfer(
        source, Driven(k=1.3), method=method, reference=None, settings={"points": 60, "steps": 40}
    )
    assert result.surrogate.outcome == Outcome.CONVERGED
    assert error_of(result.surrogate) < 1e-3
    if method == "pac":
        recalled, allocated = result.surrogate.recall(), result.snapshots["allocated"].recall()
        assert torch.equal(recalled.weights, allocated.weights)
        assert np.array_equal(recalled(T), allocated(T))
        assert error_of(recalled) < 1e-3


def test_a_window_that_is_not_solved_ends_the_fit() -> None:
    """Five steps solve none; the later windows are not tried."""
    task = PhysicsTask(Driven())
    network = TimeWindows(1, 1, count=4, width=6, depth=2)
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    start = Surrogate(network, task.ansatz(SamplingSpec()), weights)
    config = TrainingConfig(tolerance=1e-8)
    ended = Trainer(start, config).fit(task, [Phase(5, 5, SamplingSpec(30))])
    assert ended.outcome == Outcome.NOT_CONVERGED
    assert ended.steps <= 10  # twice: the window is tried again
    assert torch.equal(ended.weights[network.window(1)], weights[network.window(1)])
    assert not torch.equal(ended.weights[network.window(0)], weights[network.window(0)])


def test_phases_march_and_begin_as_the_window_before() -> None:
    few = Phase(8, 2, SamplingSpec(10), 4e-2, from_random=True)
    last = Phase(6, 3, SamplingSpec(40), 1e-5, patience=4)
    phases = in_time_windows([few, last], 2)
    names = [(one.window, one.from_random, one.from_previous, one.spare) for one in phases]
    assert names == [
        (0, True, False, False),
        (0, False, False, False),
        (0, False, False, True),
        (1, False, True, False),
        (1, False, False, True),
    ]
    assert {(one.sampling.start, one.sampling.horizon) for one in phases} == {(0, 0.5), (0.5, 1)}
    assert [one.window for one in in_time_windows([last], 2) if one.from_previous] == []


def test_measurements_belong_to_their_window() -> None:
    """Those of later windows would pull on a network that is not fitted yet."""
    labels = Measurements(np.array([[0.2], [0.4], [1.5]]), np.zeros((3, 1)))
    task, network = PhysicsTask(Driven(), labels), TimeWindows(1, 1, count=2, width=3, depth=1)
    weights = torch.zeros(network.size, dtype=torch.float64)

    def count(sampling: SamplingSpec) -> int:
        terms = task.terms(network, weights, sampling, np.random.default_rng(0))
        return terms[1].batch.size

    assert count(SamplingSpec(10)) == 3
    assert count(SamplingSpec(10, start=0.0, horizon=0.5)) == 2
    assert count(SamplingSpec(10, start=0.5)) == 1


def test_a_measurement_at_either_end_of_a_window_is_in_it() -> None:
    task = PhysicsTask(Heat())
    points = np.array([[0.2, 0.5], [0.25, 0.5], [0.4, 0.5], [0.5, 0.5], [0.55, 0.5]])
    inside = task._in_window(points, SamplingSpec(10, start=0.25, horizon=0.5))
    assert inside.tolist() == [False, True, True, True, False]
    assert task._in_window(points, SamplingSpec(10, horizon=0.5)).all()


@pytest.mark.parametrize(
    ("start", "end", "count"), [(None, 1, 4096), (0.5, 1, 2048), (0, 0.1, 1024)]
)
def test_a_time_window_has_its_share_of_the_held_out_points(
    start: float | None, end: float, count: int
) -> None:
    task = PhysicsTask(Heat())
    points = task._held_out_points(SamplingSpec(start=start, horizon=end), np.random.default_rng(0))
    assert points.shape == (count, 2)
    assert bool((points[:, 0] >= (start or 0)).all()) and bool((points[:, 0] <= end).all())
