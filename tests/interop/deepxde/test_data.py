"""Problems as DeepXDE's data: residuals, conditions and references are those of the problem."""

import sys
from dataclasses import dataclass
from math import pi
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError, SolverError
from pacpde.interop.deepxde import data, pde, solution
from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, Problem, coefficient
from pacpde.physics.elementary import Array
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, Lorenz


@pytest.fixture
def dispersive() -> type[Problem]:
    """A user's family: two fields, a mixed and a third derivative, and a coordinate."""

    @dataclass(frozen=True)
    class Dispersive(Evolution):
        name = "dispersive_for_deepxde"
        axes = (Axis("t", 0.0, 2.0), Axis("x", -1.0, 3.0))
        fields = ("u", "v")
        scales = (1.0, 1.0)

        k: float = coefficient(0.5, lower=0.1, upper=2.0, meaning="k")

        def conditions(self) -> Any:
            return [Dirichlet("x-", 2.0), Dirichlet("x+", -1.0)]

        def rhs(self, u: Any, d: Derivative) -> Any:
            a, b = u
            return self.k * d(a, "xxx") + d(b, "x") * d.coordinates["x"], d(a, "xt") - a * b

        def initial(self, *space: Array) -> Any:
            (x,) = space
            return 1.25 - 0.75 * x, 2.0

    return Dispersive


def outputs(x: torch.Tensor) -> torch.Tensor:
    """u = sin(2x) e^t, v = x t² + cos x at (x, t)."""
    s, t = x[:, :1], x[:, 1:]
    return torch.cat([torch.sin(2 * s) * torch.exp(t), s * t**2 + torch.cos(s)], 1)


def test_the_residual_is_the_problems_own_with_higher_and_mixed_derivatives(
    dispersive: type[Problem],
) -> None:
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(10, 2).requires_grad_()
    u = outputs(x)
    first, second = pde(dispersive(k=0.7))(x, u)
    dde.grad.clear()
    s, t = (x[:, k : k + 1].detach() for k in (0, 1))
    a, b = torch.sin(2 * s) * t.exp(), s * t**2 + s.cos()
    torch.testing.assert_close(
        first.detach(), a + 0.7 * 8 * torch.cos(2 * s) * t.exp() - (t**2 - s.sin()) * s
    )
    torch.testing.assert_close(
        second.detach(), 2 * s * t - (2 * torch.cos(2 * s) * t.exp() - a * b)
    )


def test_residuals_vanish_on_exact_solutions_and_not_beside_them() -> None:
    x = torch.rand(30, 2, dtype=torch.float64, requires_grad=True)
    u = torch.exp(-0.4 * pi**2 * x[:, 1:]) * torch.sin(pi * x[:, :1])
    (there,), (beside,) = pde(Heat(alpha=0.4))(x, u), pde(Heat(alpha=0.5))(x, u)
    dde.grad.clear()
    assert there.abs().max() < 1e-12 < 1e-1 < beside.abs().max()
    x = torch.rand(30, 3, dtype=torch.float64, requires_grad=True)
    decay = torch.exp(-0.2 * pi**2 * x[:, 2:])
    u = decay * torch.sin(pi * x[:, :1]) * torch.sin(pi * x[:, 1:2])
    (there,) = pde(Heat2D(alpha=0.1))(x, u)
    dde.grad.clear()
    assert there.abs().max() < 1e-12


def test_lorenz_is_deepxdes_example() -> None:
    t = torch.linspace(0, 3, 9, dtype=torch.float64)[:, None].requires_grad_()
    u = torch.cat([t**2, t.sin(), t.cos()], 1)
    found = pde(Lorenz(rho=15))(t, u)
    dde.grad.clear()
    x, y, z = u[:, :1], u[:, 1:2], u[:, 2:]
    expected = [2 * t - 10 * (y - x), t.cos() - (x * (15 - z) - y), -t.sin() - (x * y - 8 / 3 * z)]
    torch.testing.assert_close(torch.cat(found, 1), torch.cat(expected, 1))
    made = data(Lorenz(), num_domain=20)
    assert made.num_bcs == [1, 1, 1]
    assert [float(bc.func(made.train_x, 0, 1, None)) for bc in made.bcs] == [-8, 7, 27]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("problem", [Burgers(), Heat(), Heat2D(), BurgersPeriodic(), Lorenz()])
def test_the_reference_meets_every_condition(problem: Problem, precision: str) -> None:
    """The reference as network: losses of start and edges are those of its certificate."""
    dde.config.set_default_float(precision)
    made = data(problem, num_domain=20, num_boundary=12)
    x = np.asarray(made.train_x)
    assert x.dtype == np.dtype(precision) and made.train_y.dtype == x.dtype
    u = torch.as_tensor(solution(problem)(x))
    beginning = np.cumsum([0, *made.num_bcs])
    assert all(made.num_bcs)
    for bc, begin, end in zip(made.bcs, beginning[:-1], beginning[1:], strict=True):
        if getattr(bc, "derivative_order", 0):
            continue
        error = bc.error(x, torch.as_tensor(x), u, begin, end)
        assert error.dtype == u.dtype
        assert error.abs().max() < 1e-4


def test_the_reference_is_the_test_set() -> None:
    made = data(Burgers(nu=0.1), num_domain=30, num_test=50)
    x, y, _ = made.test()
    exact = Burgers(nu=0.1).exact(x[:, 1].astype(float), x[:, 0].astype(float))[0]
    assert np.abs(y[:, 0] - exact).max() < 1e-4
    assert reference_for(Burgers(nu=0.1)).certified_error < 1e-4
    assert data(Burgers(nu=0.1), num_domain=30, reference=False).train_y is None


def test_the_start_follows_the_points_when_they_are_drawn_anew() -> None:
    """DeepXDE's own cache takes an array for another at the same address, one time in five."""
    sizes = {"num_domain": 30, "num_boundary": 10, "num_initial": 10}
    made = data(Burgers(), reference=False, train_distribution="pseudo", **sizes)
    for _ in range(50):
        made.resample_train_points()
        x, count = made.train_x, made.num_bcs[0]
        found = made.bcs[0].func(x, 0, count, None)[:, 0]
        np.testing.assert_allclose(found, -np.sin(pi * x[:count, 0]), atol=1e-6)


def test_walls_of_two_values_stand_where_they_belong(dispersive: type[Problem]) -> None:
    made = data(dispersive(), num_domain=10, num_boundary=20, num_initial=6, reference=False)
    *_, edge, other = made.bcs
    x = np.array([[-1.0, 0.5], [3.0, 0.5], [3.0, 1.0]])
    assert edge.func(x, 0, 3, None)[:, 0].tolist() == [2.0, -1.0, -1.0]
    assert other.component == 1
    on = [edge.on_boundary(x[k : k + 1], [True])[0] for k in range(3)]
    assert all(on) and not edge.on_boundary(np.array([[0.0, 0.5]]), [False])[0]


def test_conditions_can_be_left_to_the_network() -> None:
    made = data(Burgers(), num_domain=30, conditions=False, reference=False)
    assert made.bcs == [] and made.num_bcs == []


def test_a_start_of_an_ode_is_one_point() -> None:
    with pytest.raises(InvalidValueError, match="has no space"):
        data(Lorenz(), num_initial=5)


def test_settings_that_deepxde_refuses_are_told_in_a_sentence() -> None:
    for bad, said in (
        ({"num_domain": -1}, "num_domain is -1, expected a whole number from 0"),
        ({"num_boundary": 2.5}, "num_boundary is 2.5"),
        ({"num_initial": "many"}, "num_initial is 'many'"),
        ({"num_points": 3}, "TimePDE refuses the settings.*num_points"),
        ({"train_distribution": "normal"}, "TimePDE refuses the settings.*sampling"),
    ):  # fmt: skip
        with pytest.raises(InvalidValueError, match=said):
            data(Heat(), reference=False, **bad)
    for use in (pde, solution):
        with pytest.raises(InvalidValueError, match="expected a problem"):
            use("heat")  # type: ignore[arg-type]


def test_where_no_reference_certifies_data_can_be_had_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(problem: Problem, **settings: Any) -> Any:
        raise SolverError("no solution could be certified.")

    module = sys.modules["pacpde.interop.deepxde.data"]  # the package has a function of this name
    monkeypatch.setattr(module, "reference_for", refuse)
    with pytest.raises(SolverError, match=r"certified\. Or give reference=False"):
        data(Heat(), num_domain=9)
    assert data(Heat(), num_domain=9, reference=False).train_y is None
