"""Conditions as residual terms: a u + b ∂u/∂n − value, in the field's scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import network_for
from pacpde.physics import Axis, Dirichlet, Evolution, PointValue, Problem, Robin
from pacpde.physics.elementary import sin
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator


@dataclass(frozen=True)
class Mixed(Evolution):
    """A wave in two fields with a Robin end for the second one, a length of 2, and scales."""

    axes = (Axis("t", 0.0, 3.0), Axis("x", -1.0, 1.0))
    fields = ("u", "v")
    scales = (2.0, 5.0)
    order = 2

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u[0], "xx"), d(u[1], "xx")

    def initial(self, x: Any) -> Any:
        return (sin(x), 2 * x), (0.0, 3 * x)

    def conditions(self) -> Any:
        return [
            Dirichlet("x", lambda t, x: t * x, field="u"),
            Robin("x-", 2.0, 3.0, lambda t: t, field="v"),
            Dirichlet("x+", 1.0, field="v"),
            PointValue({"t": 1.0, "x": 0.5}, 7.0, field="v"),
        ]


Mixed.name = "_mixed"


def test_every_condition_is_a_row_in_its_own_unit() -> None:
    problem, sampling = Mixed(), SamplingSpec(points=200)
    task = PhysicsTask(problem, hard=False)
    ansatz = task.ansatz(sampling)
    network = network_for(ansatz, 7, 2, "tanh")
    weights = torch.tensor(np.random.default_rng(3).normal(0, 1, network.size))
    terms = task.terms(network, weights, sampling, generator(0, "test"))[1:]
    found = []
    for term in terms:
        outputs = network.forward(weights, term.batch.inputs, term.batch.names)
        rows = term.residual(term.batch.fields(outputs))
        found.append(rows * term.batch.size**0.5)

    def field(index: int, points: torch.Tensor) -> torch.Tensor:
        inputs = torch.stack([2 * points[:, 0] / 3 - 1, points[:, 1]], -1)
        outputs = network.forward(weights, inputs[None], ("",))[0]
        return problem.scales[index] * outputs[:, index]

    def slope(index: int, points: torch.Tensor, axis: int) -> torch.Tensor:
        points = points.clone().requires_grad_(True)
        return torch.autograd.grad(field(index, points).sum(), points)[0][:, axis]

    start, low, high, point = (term.batch.coordinates for term in terms)
    assert (start[:, 0] == 0).all() and (low[:, 1] == -1).all() and (high[:, 1] == 1).all()
    expected = [
        [
            (field(0, start) - torch.sin(start[:, 1])) / 2,
            (field(1, start) - 2 * start[:, 1]) / 5,
            -(slope(0, start, 0)) / (2 / 3),  # ∂u/∂t in its scale over the time span
            -(slope(1, start, 0) - 3 * start[:, 1]) / (5 / 3),
        ],
        [
            (field(0, low) + low[:, 0]) / 2,
            (2 * field(1, low) - 3 * slope(1, low, 1) - low[:, 0]) / ((2 + 3 / 2) * 5),
        ],
        [(field(0, high) - high[:, 0]) / 2, (field(1, high) - 1) / 5],
        [(field(1, point) - 7) / 5],
    ]
    for own, rows in zip(found, expected, strict=True):
        torch.testing.assert_close(own, torch.stack(rows, -1), rtol=1e-12, atol=1e-12)
    assert point.tolist() == [[1.0, 0.5]]


def test_the_held_out_residual_counts_the_conditions() -> None:
    problem = Mixed()
    task, sampling = PhysicsTask(problem, hard=False), SamplingSpec()
    network = network_for(task.ansatz(sampling), 3, 1, "tanh")
    zero = torch.zeros(network.size, dtype=torch.float64)
    start = (1 - np.sin(2) / 2) / 2 / 4 + 4 / 3 / 25 + 3 / (5 / 3) ** 2  # sin²x, (2x)², (3x)²
    low = 3 / 4 + 3 / ((2 + 3 / 2) * 5) ** 2
    high = 3 / 4 + 1 / 25
    expected = (start + low + high + 49 / 25) ** 0.5
    assert task.held_out(network, zero, sampling) == pytest.approx(expected, rel=0.02)


def test_conditions_go_through_the_rows_of_problems_without_time() -> None:
    @dataclass(frozen=True)
    class Steady(Problem):
        axes = (Axis("x", 0.0, 1.0),)

        def residual(self, u: Any, d: Any) -> Any:
            return d(u, "xx") - 2.0

        def conditions(self) -> Any:
            return [Dirichlet("x-", 1.0), Robin("x+", 1.0, 1.0, 0.0)]

    Steady.name = "_steady"
    task = PhysicsTask(Steady(), hard=False)
    sampling = SamplingSpec(points=50)
    network = network_for(task.ansatz(sampling), 3, 1, "tanh")
    zero = torch.zeros(network.size, dtype=torch.float64)
    row = 2.0 / task.problem.row_scales[0]
    assert task.held_out(network, zero, sampling) == pytest.approx((row**2 + 1) ** 0.5)
