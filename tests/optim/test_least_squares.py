"""The least-squares problem: which weights move, and that its loss and slopes agree."""

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.optim.least_squares import LeastSquares
from pacpde.problems import Burgers
from pacpde.residuals.factors import residuals
from pacpde.residuals.terms import Anchor, PhysicsTerm


@pytest.fixture(params=[True, False], ids=["anchored", "plain"])
def problem(request: pytest.FixtureRequest) -> LeastSquares:
    """Burgers with three weights in five free."""
    family = Burgers(nu=0.1)
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 5, 2, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.normal(0, 0.6, network.size))
    free = torch.tensor(rng.random(network.size) < 0.6)
    points = torch.tensor(family.domain.sample(20, rng))
    size = int(free.sum())
    anchor = Anchor(torch.tensor(rng.uniform(0, 2, size)), torch.tensor(rng.normal(0, 1, size)))
    terms = [PhysicsTerm.at(family, ansatz, points)]
    return LeastSquares(network, weights, free, terms, anchor if request.param else None)


def test_frozen_weights_keep_every_bit(problem: LeastSquares) -> None:
    x = problem.x0 * 1.5 + 1
    whole = problem.insert(x)
    assert torch.equal(whole[problem.trainable_mask], x)
    assert torch.equal(whole[~problem.trainable_mask], problem.weights[~problem.trainable_mask])
    assert torch.equal(problem.insert(problem.x0), problem.weights)


def test_the_start_is_a_copy(problem: LeastSquares) -> None:
    before = problem.weights.clone()
    problem.x0.fill_(7.0)
    assert torch.equal(problem.weights, before)


def test_the_loss_is_half_the_square_plus_the_anchor(problem: LeastSquares) -> None:
    x = problem.x0 + 0.1
    r = residuals(problem.network, problem.insert(x), problem.terms).numpy()
    expected = 0.5 * (r**2).sum()
    if problem.anchor is not None:
        pull = (x - problem.anchor.centre).numpy()
        expected += (problem.anchor.strength.numpy() * pull**2).sum()
    assert problem.loss(x) == pytest.approx(expected, rel=1e-14)


def test_the_gradient_is_that_of_the_jacobian(problem: LeastSquares) -> None:
    x = problem.x0 + 0.1
    r, jacobian = problem.linearise(x)
    expected = jacobian.transposed_times(r)
    if problem.anchor is not None:
        expected += 2 * problem.anchor.strength * (x - problem.anchor.centre)
    loss, gradient = problem.loss_and_gradient(x)
    assert loss == pytest.approx(problem.loss(x), rel=1e-14)
    torch.testing.assert_close(gradient, expected, rtol=1e-11, atol=1e-12)
    assert not x.requires_grad
