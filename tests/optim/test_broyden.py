"""The self-scaled Broyden update, and what it does that plain BFGS does not."""

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.optim.broyden import SSBroyden, updated
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.quasi_newton import LBFGS
from pacpde.problems import Heat
from pacpde.residuals.terms import PhysicsTerm

rng = np.random.default_rng(11)
ROOT = rng.normal(size=(6, 6))
HESSIAN = torch.tensor(ROOT @ ROOT.T + np.eye(6))  # of a quadratic
START = torch.tensor(ROOT.T @ ROOT + 0.1 * np.eye(6))  # some H, positive


def one(first: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """H, s, y and α g of a step of length 0.3."""
    inverse = torch.eye(6, dtype=torch.float64) if first else START.clone()
    gradient = torch.tensor(rng.normal(size=6))
    step = -0.3 * inverse @ gradient
    return inverse, step, HESSIAN @ step, 0.3 * gradient


@pytest.mark.parametrize("first", [True, False])
def test_it_meets_the_secant_equation_and_stays_positive(first: bool) -> None:
    inverse, step, turn, pulled = one(first)
    made = updated(inverse, step, turn, pulled, first)
    torch.testing.assert_close(made @ turn, step, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(made, made.T, rtol=1e-12, atol=1e-12)
    assert float(torch.linalg.eigvalsh(made).min()) > 0


def test_it_is_not_bfgs() -> None:
    """The update that runs is the one that is named: BFGS of the same pair is another matrix."""
    inverse, step, turn, pulled = one()
    rho = 1 / (step @ turn)
    left = torch.eye(6, dtype=torch.float64) - rho * torch.outer(step, turn)
    bfgs = left @ inverse @ left.T + rho * torch.outer(step, step)
    torch.testing.assert_close(bfgs @ turn, step, rtol=1e-10, atol=1e-10)
    made = updated(inverse, step, turn, pulled)
    assert float((made - bfgs).norm() / bfgs.norm()) > 0.05


def test_a_member_of_broydens_family_up_to_its_scale() -> None:
    """Off the secant pair H is only scaled: by one factor 1/τ on all that sees neither Hy nor s."""
    inverse, step, turn, pulled = one()
    bent = inverse @ turn
    basis = torch.linalg.qr(torch.stack([bent, step], 1), mode="complete").Q[:, 2:]
    before = basis.T @ inverse.clone() @ basis
    after = basis.T @ updated(inverse, step, turn, pulled) @ basis
    ratio = after / before
    assert float((ratio - ratio[0, 0]).abs().max()) < 1e-8
    assert float(ratio[0, 0]) != pytest.approx(1)  # self-scaled


def test_it_goes_below_lbfgs_in_as_many_steps() -> None:
    family = Heat(alpha=0.1)
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 10, 1, "tanh")
    own_rng = np.random.default_rng(0)
    weights = torch.tensor(network.init_weights(own_rng))
    points = torch.tensor(family.domain.sample(40, own_rng))
    free = torch.ones(network.size, dtype=torch.bool)
    problem = LeastSquares(network, weights, free, [PhysicsTerm.at(family, ansatz, points)])
    own = SSBroyden().run(problem, problem.x0, 150)
    other = LBFGS().run(problem, problem.x0, 150)
    assert own.steps == other.steps == 150
    assert own.loss < other.loss
