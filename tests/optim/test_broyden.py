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


def by_the_paper(
    H: np.ndarray, s: np.ndarray, y: np.ndarray, first: bool
) -> tuple[np.ndarray, float]:
    """H₊ and θ of Al-Baali & Khalfan (2012), with B = H⁻¹ written out."""
    sy, n = s @ y, len(s)
    b, h = s @ np.linalg.solve(H, s) / sy, y @ H @ y / sy
    a = b * h - 1
    least = min(1.0, h * (1 - np.sqrt(a / (1 + a))))
    theta = max((least - 1) / a, min(1 / least, 1 / b - 1))
    sigma = 1 + a * theta
    phi = (1 - theta) / sigma
    smaller, root = min(1.0, 1 / b), sigma ** (-1 / (n - 1))
    tau = smaller * min(root, 1 / theta) if theta > 0 else min(smaller * root, sigma)
    tau = h / sigma if first else tau
    v = np.sqrt(y @ H @ y) * (s / sy - H @ y / (y @ H @ y))
    inner = H - np.outer(H @ y, H @ y) / (y @ H @ y) + phi * np.outer(v, v)
    return inner / tau + np.outer(s, s) / sy, theta


@pytest.mark.parametrize("first", [False, True])
def test_it_is_the_update_of_the_paper(first: bool) -> None:
    """For curvatures from much less than H says to much more: θ of both signs."""
    own_rng, thetas = np.random.default_rng(3), []
    for curvature in np.geomspace(0.01, 100, 20):
        H = np.eye(6) if first else START.numpy()
        gradient = own_rng.normal(size=6)
        s = -0.3 * H @ gradient
        y = curvature * (HESSIAN.numpy() @ s)
        expected, theta = by_the_paper(H, s, y, first)
        parts = (torch.tensor(part) for part in (H, s, y, 0.3 * gradient))
        np.testing.assert_allclose(updated(*parts, first), expected, rtol=1e-9, atol=1e-9)
        thetas.append(theta)
    assert min(thetas) < 0 < max(thetas)
