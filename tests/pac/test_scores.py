"""What decides which weights are kept."""

import pytest
import torch

from pacpde import Surrogate, fit
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.pac.scores import SCORES, curvature
from pacpde.problems import Heat
from pacpde.residuals.factors import residuals
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=6, depth=2, points=60, steps=6)


def test_curvature_is_the_diagonal_of_the_gauss_newton_matrix(source: Surrogate) -> None:
    task = PhysicsTask(source.problem)
    rng = generator(3, "curvature")
    terms = task.terms(source.network, source.weights, SamplingSpec(40), rng)
    jacobian = torch.func.jacrev(lambda w: residuals(source.network, w, terms))(source.weights)
    found = curvature(source, task, seed=3, points=40)
    torch.testing.assert_close(found, (jacobian**2).sum(0))


def test_sensitivity_tells_the_rise_of_the_loss(source: Surrogate) -> None:
    """Against the loss itself without one weight, for small weights that matter."""
    task = PhysicsTask(source.problem)
    assert isinstance(source.ansatz, PhysicsAnsatz)
    draw = SamplingSpec(500, odd=source.ansatz.odd)
    terms = task.terms(source.network, source.weights, draw, generator(0, "curvature"))

    def loss(weights: torch.Tensor) -> float:
        return float((residuals(source.network, weights, terms) ** 2).sum() / 2)

    scores = SCORES["sensitivity"](source, task, 0)
    ranked = scores.argsort()
    rises = []
    for index in (ranked[5], ranked[len(ranked) // 2], ranked[-5]):
        without = source.weights.clone()
        without[index] = 0
        rises.append(loss(without) - loss(source.weights))
    assert rises[0] < rises[1] < rises[2]


def test_controls(source: Surrogate) -> None:
    task = PhysicsTask(source.problem)
    inverted = SCORES["inverted"](source, task, 0)
    assert torch.equal(inverted.argsort(), SCORES["magnitude"](source, task, 0).argsort().flip(0))
    drawn = SCORES["random"](source, task, 0)
    assert torch.equal(drawn, SCORES["random"](source, task, 0))
    assert not torch.equal(drawn, SCORES["random"](source, task, 1))
