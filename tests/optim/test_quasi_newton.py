"""L-BFGS on a quadratic, against a wall, and past failing line searches."""

from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.quasi_newton import LBFGS
from pacpde.problems import Heat
from pacpde.residuals.terms import LabelTerm, PhysicsTerm


def linear() -> LeastSquares:
    """A regression in which only the last layer is free, 9 parameters: linear in them."""
    rng = np.random.default_rng(4)
    inputs, outputs = rng.normal(size=(40, 2)), rng.normal(3, 2, size=(40, 1))
    ansatz = TableAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 8, 1, "tanh")
    weights = torch.tensor(rng.normal(0, 1, network.size))
    free = torch.zeros(network.size, dtype=torch.bool)
    free[network.layers[-1].start :] = True
    term = LabelTerm.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return LeastSquares(network, weights, free, [term])


def heat() -> LeastSquares:
    family = Heat(alpha=0.1)
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 16, 1, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.tensor(network.init_weights(rng))
    points = torch.tensor(family.domain.sample(80, rng))
    free = torch.ones(network.size, dtype=torch.bool)
    return LeastSquares(network, weights, free, [PhysicsTerm.at(family, ansatz, points)])


def test_a_quadratic_is_solved_to_lstsq() -> None:
    problem = linear()
    r, jacobian = problem.linearise(torch.zeros_like(problem.x0))
    expected, *_ = np.linalg.lstsq(jacobian.dense().numpy(), -r.numpy())
    made = LBFGS().run(problem, problem.x0, 200)
    # 1e-16 of the loss is 1e-8 of the way, times a condition number of ~10²
    np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-5)
    assert made.stalled and made.steps < 200  # a minimum has no way down


def test_small_losses_are_lowered_further() -> None:
    """Scipy's own tolerances end this fit at 1e-7; measured here: 6e-11."""
    problem = heat()
    made = LBFGS().run(problem, problem.x0, 1000)
    assert made.loss < 1e-9
    assert not made.stalled


def test_a_wall_of_nan_is_stepped_back_from() -> None:
    @dataclass(frozen=True)
    class Walled(LeastSquares):
        """No number beyond a short distance from the start."""

        def _loss(self, x: torch.Tensor) -> torch.Tensor:
            value = super()._loss(x)
            return value * (1 if float((x - self.x0).detach().norm()) < 0.1 else torch.nan)

    free = linear()
    problem = Walled(free.network, free.weights, free.trainable_mask, free.terms)
    made = LBFGS().run(problem, problem.x0, 20)
    assert made.steps > 0
    # steepest descent of 0.1 would lower it by 0.1 |g| to first order
    _, gradient = problem.loss_and_gradient(problem.x0)
    assert made.loss < problem.loss(problem.x0) - 0.05 * float(gradient.norm())
    assert float((made.x - problem.x0).norm()) < 0.1


def test_the_history_is_capped_and_matters() -> None:
    problem = heat()
    short = LBFGS(history=1).run(problem, problem.x0, 100)
    long = LBFGS(history=50).run(problem, problem.x0, 100)
    assert long.loss < 0.5 * short.loss
