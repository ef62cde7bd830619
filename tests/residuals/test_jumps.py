"""Jumps of derivatives, by their size on both sides and by exact solutions."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pacpde import fit
from pacpde.errors import KinkWarning
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Axis, Dirichlet, Problem
from pacpde.problems import Burgers, Convection, Heat, KdV, Kovasznay, Lorenz, Poisson1D
from pacpde.residuals.jumps import jump

TINY = {"steps": 1, "points": 30, "restarts": 0, "reference": None}


def untrained(problem: Problem, activation: type[nn.Module]) -> Surrogate:
    """A solver of 2 layers of 20 neurons after one step."""
    torch.manual_seed(0)
    # a periodic axis is two inputs, its cosine and sine
    inputs = len(problem.axes) + isinstance(problem, KdV | Convection)
    outputs = len(problem.fields)
    own = nn.Sequential(
        nn.Linear(inputs, 20), activation(), nn.Linear(20, 20), activation(),
        nn.Linear(20, outputs),
    )  # fmt: skip
    return fit(problem, network=own, **TINY)


@dataclass(frozen=True)
class Sag(Problem):
    """u'' = 2 on [-1, 1], 0 at both ends: u = x² − 1."""

    axes = (Axis("x", -1.0, 1.0),)
    name = "sag"

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "xx") - 2.0

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]


class Bent(nn.Module):
    """x² − 1 + c (1 − |x|): u'' = 2 everywhere but at one place, for every c."""

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.tensor(c))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x**2 - 1 + self.c * (1 - torch.relu(x) - torch.relu(-x))


def test_a_solution_whose_equation_is_met_at_every_point_has_not_converged_with_a_kink() -> None:
    x = np.linspace(-1, 1, 201)
    with pytest.warns(KinkWarning, match="u_x jumps by 0.7 of its size at x = -?[0-9.e-]+, where"):
        bent = fit(Sag(), network=Bent(0.5), hard=False, **TINY)
    assert np.abs(bent(x) - (x**2 - 1)).max() == pytest.approx(0.5, abs=0.02)  # wrong by as much
    assert bent.assessment is not None and bent.assessment.residual < 1e-12  # and no point sees it
    assert bent.outcome == "drifted" and bent.error_estimate == np.inf
    assert any("u_x jumps" in note for note in bent.assessment.notes)
    found = jump(bent)
    assert found is not None and (found.name, found.next) == ("u_x", "u_xx")
    assert found.place["x"] == pytest.approx(0.0, abs=1e-10)
    assert found.size == pytest.approx(1.0 / 1.5, rel=0.02)  # u_x is 2 x ∓ 0.5
    smooth = fit(Sag(), network=Bent(0.0), hard=False, **TINY)
    assert smooth.outcome == "converged" and jump(smooth) is None


@pytest.mark.filterwarnings("ignore::pacpde.errors.KinkWarning")
@pytest.mark.parametrize(
    ("problem", "activation", "jumps"),
    [
        (Poisson1D(), nn.ReLU, "u_x"),
        (Heat(), nn.LeakyReLU, "u_x"),
        (Heat(), nn.SELU, "u_x"),  # two slopes meet at 0
        (Heat(), nn.ELU, None),  # its first derivative is continuous
        (KdV(), nn.ELU, "u_xx"),  # its second one is not
        (KdV(), nn.Softsign, "u_xx"),
        (KdV(), nn.Tanh, None),
        (Lorenz(), nn.ReLU, None),  # of first order: the residual sees the slopes
        (Convection(), nn.ReLU, None),
        (Convection(), nn.Hardshrink, "u"),
        (Kovasznay(), nn.GELU, None),
    ],
)  # fmt: skip
def test_derivatives_below_the_highest_one_have_to_be_continuous(
    problem: Problem, activation: type[nn.Module], jumps: str | None
) -> None:
    solver = untrained(problem, activation)
    found = jump(solver)
    if jumps is None:
        assert found is None
        return
    assert (
        found is not None
        and found.name == jumps
        and found.next == (f"{jumps}x" if "_" in jumps else f"{jumps}_{found.next[-1]}")
    )
    # what the derivative is on both sides, and twice as far from the place
    order = jumps.partition("_")[2]
    value = solver.derivative(order) if order else solver
    axis = found.next[-1]
    far, first, second, farther = (
        float(value(*(dict(found.place) | {axis: found.place[axis] + step}).values()))
        for step in (-2e-9, -1e-9, 1e-9, 2e-9)
    )
    assert abs(second - first) > 1e-3 * max(abs(first), abs(second))
    assert abs(second - first) > 1e3 * max(abs(far - first), abs(farther - second))


def test_a_steep_front_is_no_jump() -> None:
    """Whose slopes change by their size within an eighth of the distance of nodes."""
    solver = fit(Burgers(), **TINY)
    steep = replace(solver, weights=20 * solver.weights)
    x = np.linspace(-1, 1, 100_001)
    slopes = np.abs(steep.derivative("x")(0.5, x))
    assert np.abs(steep.derivative("xx")(0.5, x)).max() > 1e3 * slopes.max()
    assert jump(steep) is None


class Front(nn.Module):
    """c (tanh 100 (x − 0.1) + (x − 0.3)₊): a front, where most changes, and a kink beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c * (torch.tanh(100 * (x - 0.1)) + torch.relu(x - 0.3))


@pytest.mark.filterwarnings("ignore::pacpde.errors.KinkWarning")
def test_a_kink_is_found_beside_a_front() -> None:
    solver = fit(Sag(), network=Front(), hard=False, **TINY)
    found = jump(replace(solver, weights=torch.ones_like(solver.weights)))
    assert found is not None and found.place["x"] == pytest.approx(0.3, abs=1e-10)
    assert found.size == pytest.approx(0.01, rel=0.02)  # of 1, and the slope of the front
