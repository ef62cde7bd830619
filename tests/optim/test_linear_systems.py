"""The damped step in residual space, in parameter space and by conjugate gradients."""

import numpy as np
import pytest
import torch

from pacpde.networks.linear_head import HeadFactors, LinearHead
from pacpde.optim.linear_systems import (
    Krylov,
    NormalSystem,
    ParameterSpace,
    ResidualSpace,
    normal_system,
)
from pacpde.residuals.jacobian import Jacobian
from pacpde.residuals.terms import Anchor

rng = np.random.default_rng(7)
JACOBIAN = rng.normal(size=(6, 10))
R = rng.normal(size=6)
X = rng.normal(size=10)
ANCHORS = {
    "none": np.zeros(10),
    "uniform": np.full(10, 0.3),
    "some": rng.uniform(0, 1, 10) * (rng.random(10) < 0.7),
}
CENTRE = rng.normal(size=10)


def of_matrix(dense: torch.Tensor, memory: int = 2**30) -> Jacobian:
    """The Jacobian of a head whose inputs are the columns of a matrix, [..., rows, columns]."""
    head = LinearHead(dense.shape[-1], 1)
    slopes = torch.ones_like(dense[None, ..., None, :, :1])
    factors = HeadFactors(head, dense.unsqueeze(-3), slopes)
    like = dense[..., 0, :0]
    return Jacobian(head, like, dense.shape[-2], [factors], memory_bytes=memory)


class Exact(Krylov):
    """Conjugate gradients to rounding."""

    accuracy = 1e-13


def system(kind: type[NormalSystem] | None, rows: int, anchor: str, memory: int = 2**30) -> object:
    """With rows of zeros added, which change nothing but the shape."""
    jacobian, r = np.zeros((rows, 10)), np.zeros(rows)
    jacobian[:6], r[:6] = JACOBIAN, R
    pull = Anchor(torch.tensor(ANCHORS[anchor]), torch.tensor(CENTRE))
    given = (
        torch.tensor(r),
        of_matrix(torch.tensor(jacobian), memory),
        None if anchor == "none" else pull,
        torch.tensor(X),
    )
    return (kind or normal_system)(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("damping", [1e-4, 1.0])
@pytest.mark.parametrize(
    ("kind", "anchor"),
    [
        (kind, anchor)
        for kind in (ParameterSpace, ResidualSpace, Exact)
        for anchor in ANCHORS
        # residual space needs an anchor that is the same for all
        if kind is not ResidualSpace or anchor != "some"
    ],
)
@pytest.mark.parametrize("rows", [6, 20])
def test_the_damped_step(kind: type[NormalSystem], rows: int, anchor: str, damping: float) -> None:
    strength = ANCHORS[anchor]
    matrix = JACOBIAN.T @ JACOBIAN + np.diag(2 * strength + damping)
    slope = JACOBIAN.T @ R + 2 * strength * (X - CENTRE)
    made = system(kind, rows, anchor)
    assert isinstance(made, NormalSystem)
    made.solve(torch.tensor(10.0))  # another damping first: nothing of it is left behind
    step, promised = made.solve(torch.tensor(damping))
    # condition number up to ~10/damping
    np.testing.assert_allclose(step, -np.linalg.solve(matrix, slope), rtol=1e-8, atol=1e-9)
    undamped = matrix - damping * np.eye(10)
    descent = -(slope @ step.numpy() + step.numpy() @ undamped @ step.numpy() / 2)
    assert float(promised) == pytest.approx(descent, rel=1e-7)
    other = np.zeros(rows)
    other[:6] = np.arange(6)
    expected = -np.linalg.solve(matrix, JACOBIAN.T @ np.arange(6))
    np.testing.assert_allclose(made.step_for(torch.tensor(other)), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("rows", "anchor", "memory", "kind"),
    [
        (6, "none", 2**30, ResidualSpace),
        (6, "uniform", 2**30, ResidualSpace),
        (6, "some", 2**30, ParameterSpace),
        (20, "none", 2**30, ParameterSpace),
        (6, "none", 2 * 8 * 6 * 6, ResidualSpace),
        (6, "none", 2 * 8 * 6 * 6 - 1, Krylov),
        (20, "none", 2 * 8 * 10 * 10 - 1, Krylov),
    ],
)
def test_the_smaller_matrix_that_fits_is_chosen(
    rows: int, anchor: str, memory: int, kind: type[NormalSystem]
) -> None:
    assert type(system(None, rows, anchor, memory)) is kind


@pytest.mark.parametrize("kind", [ParameterSpace, ResidualSpace])
def test_a_singular_matrix_gives_no_step(kind: type[NormalSystem]) -> None:
    """Without a number, so that the caller turns the damping up."""
    one = of_matrix(torch.ones(3, 2, dtype=torch.float64))
    made = kind(torch.ones(3).double(), one, None, torch.zeros(2).double())  # type: ignore[arg-type]
    step, _ = made.solve(torch.tensor(-1.0))
    assert bool(step.isnan().all())


def test_gradients_that_cannot_go_on_end_with_what_they_have() -> None:
    made = system(Krylov, 6, "none")
    assert isinstance(made, NormalSystem)
    made.gradient = torch.zeros(10, dtype=torch.float64)
    step, promised = made.solve(torch.tensor(1.0))
    assert not step.any() and promised == 0
