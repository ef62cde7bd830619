"""Each kind of condition in DeepXDE: its residuals, losses and points against autograd by hand."""

from collections.abc import Callable
from itertools import pairwise
from math import pi
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde import Model, data, loss_names
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, Problem
from pacpde.physics.elementary import sin
from tests.interop.deepxde.exact_cases import (
    CASES,
    At,
    Case,
    family,
    insulated,
    oscillator,
    plate,
    stokes,
    wave,
)


class Function(dde.nn.NN):
    """A network that is a function, with a parameter that has no effect."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.zero = torch.nn.Parameter(torch.zeros(()))
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(inputs + 0 * self.zero * inputs)


def losses(made: Any, net: Any) -> np.ndarray:
    """DeepXDE's own losses, [losses]."""
    model = Model(made, net)
    model.compile("adam", lr=1e-3, verbose=0)
    return model.outputs_losses_train(made.train_x, made.train_y, None)[1].detach().numpy()


def by_hand(case: Case, made: Any, net: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The residuals of each loss by hand, and those of DeepXDE's conditions, at its points."""
    ends = np.cumsum([0, *made.num_bcs])
    parts = [slice(ends[-1], None)] * (len(case.rows) - len(made.bcs))
    parts += [slice(*pair) for pair in pairwise(ends)]
    points = torch.as_tensor(made.train_x)
    expected = [
        row(At(net, points[part], case.inputs)).detach()
        for row, part in zip(case.rows.values(), parts, strict=True)
    ]
    inputs = points.clone().requires_grad_()
    outputs = net(inputs)
    rows = [row[ends[-1] :] for row in made.pde(inputs, outputs)]
    rows += [
        condition.error(made.train_x, inputs, outputs, begin, end)
        for condition, begin, end in zip(made.bcs, ends[:-1], ends[1:], strict=True)
    ]
    dde.grad.clear()
    return expected, [row.detach()[:, 0] for row in rows]


@pytest.mark.parametrize("distribution", ["Hammersley", "uniform"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("case", CASES)
def test_residuals_and_losses_of_a_random_network_are_those_by_hand(
    case: Any, precision: str, tolerance: float, distribution: str
) -> None:
    """Rounding of float32, relative to the largest residual; uniform points lie in corners too."""
    dde.config.set_default_float(precision)
    own: Case = case()
    net = dde.nn.FNN([len(own.inputs), 9, 9, len(own.problem.fields)], "tanh", "Glorot normal")
    for linear in net.linears:
        torch.nn.init.normal_(linear.bias)
    made = data(own.problem, num_domain=40, reference=False, train_distribution=distribution)
    assert loss_names(own.problem) == list(own.rows)
    expected, found = by_hand(own, made, net)
    for name, hand, theirs in zip(own.rows, expected, found, strict=True):
        assert len(hand) and hand.abs().max() > 1e-2, name
        size = float(hand.abs().max())
        torch.testing.assert_close(theirs, hand, rtol=0, atol=tolerance * max(size, 1.0), msg=name)
    means = [float((hand**2).mean()) for hand in expected]
    np.testing.assert_allclose(losses(made, net), means, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_losses_of_the_exact_solution_are_zero_at_points_where_they_belong(case: Any) -> None:
    dde.config.set_default_float("float64")
    own: Case = case()
    made = data(own.problem, num_domain=40, num_test=30, reference=False)
    assert losses(made, Function(own.exact)).max() < 1e-24
    ends = np.cumsum([0, *made.num_bcs])
    names = list(own.rows)[len(own.rows) - len(made.bcs) :]
    for name, begin, end in zip(names, ends[:-1], ends[1:], strict=True):
        for axis, places in own.places.get(name, {}).items():
            column = made.train_x[begin:end, own.inputs.index(axis)]
            assert set(np.round(column, 12)) == set(np.round(places, 12)), name


@pytest.mark.parametrize("highest", ["xx", "xxx", "xxxx"])
def test_a_periodic_axis_has_as_many_derivatives_as_the_equation_needs(highest: str) -> None:
    """A polynomial whose derivatives jump: x⁴ at ±1 in u' and u''', x³ in u and u''."""
    dde.config.set_default_float("float64")
    problem = family(
        Evolution, [Periodic("x")], name="periodic_for_deepxde",
        axes=(Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0)),
        rhs=lambda self, u, d: d(u, highest), initial=lambda self, x: sin(pi * x),
    )  # fmt: skip
    names = ["u", "u_x", "u_xx", "u_xxx"][: len(highest)]
    assert loss_names(problem)[2:] == [f"{name} at both ends of x" for name in names]
    made = data(problem, num_domain=9, num_boundary=8, reference=False)
    for power, jumps in ((4, [0, 8, 0, 48]), (3, [2, 0, 12, 0])):
        found = losses(made, Function(lambda x, own=power: x[:, :1] ** own + 0 * x[:, 1:]))
        expected = np.square(jumps[: len(highest)])
        np.testing.assert_allclose(found[2:], expected, rtol=1e-12, atol=1e-20)


def test_a_periodic_time_pairs_the_start_with_the_end() -> None:
    dde.config.set_default_float("float64")
    problem = family(
        Problem, [Periodic("t"), Dirichlet("x", 0.0)], name="cycle_for_deepxde",
        axes=(Axis("t", 1.0, 2.0), Axis("x", -1.0, 1.0)),
        residual=lambda self, u, d: d(u, "t") - d(u, "xx"),
    )  # fmt: skip
    made = data(problem, num_domain=9, num_initial=5, reference=False)
    assert made.num_bcs[:2] == [10, 10]
    times = made.train_x[:10, 1]
    assert times.tolist() == [1.0] * 5 + [2.0] * 5
    found = losses(made, Function(lambda x: x[:, 1:] ** 2 + 0 * x[:, :1]))
    np.testing.assert_allclose(found[1:3], [9.0, 4.0], rtol=1e-14)


def test_forward_mode_takes_equations_of_several_fields_and_any_order() -> None:
    dde.config.set_default_float("float64")
    own = stokes()
    net = dde.nn.FNN([2, 8, 3], "tanh", "Glorot normal")
    expected = losses(data(own.problem, num_domain=20, reference=False), net)
    high = plate()
    single = dde.nn.FNN([2, 8, 1], "tanh", "Glorot normal")
    fourth = losses(data(high.problem, 20, conditions=False, reference=False), single)
    dde.config.set_default_autodiff("forward")
    try:
        found = losses(data(own.problem, num_domain=20, reference=False), net)
        again = losses(data(high.problem, 20, conditions=False, reference=False), single)
        with pytest.raises(InvalidValueError, match=r"forward mode takes no derivatives.*u_n at x"):
            data(high.problem, reference=False)
    finally:
        dde.config.set_default_autodiff("reverse")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(again, fourth, rtol=1e-12)


def test_normals_follow_the_points_when_they_are_drawn_anew() -> None:
    """Both ends of x in another order: normals of the points before would have other signs."""
    dde.config.set_default_float("float64")
    own = insulated()
    made = data(own.problem, num_domain=5, num_boundary=12, reference=False,
                train_distribution="pseudo")  # fmt: skip
    net = Function(own.exact)
    for _ in range(20):
        made.resample_train_points()
        assert losses(made, net).max() < 1e-24


def test_values_are_taken_at_the_end_itself() -> None:
    """1/(2 − x) has no value at the other end, and the axis' own coordinate is not rounded."""
    declared = [Dirichlet("x-", lambda x: 1 / (2 - x)), Dirichlet("x+", lambda x: 1 / x)]
    problem = family(
        Problem, declared, name="reciprocal_for_deepxde", axes=(Axis("x", 0.0, 2.0),),
        residual=lambda self, u, d: d(u, "xx"),
    )  # fmt: skip
    made = data(problem, reference=False)
    with np.errstate(all="raise"):
        values = made.bcs[0].func(np.array([[0.0], [2.0]]), 0, 2, None)
    assert values[:, 0].tolist() == [0.5, 0.5]


def test_what_deepxde_cannot_say_is_refused_in_a_sentence() -> None:
    steady, moving, alone = stokes().problem, wave().problem, oscillator().problem
    with pytest.raises(InvalidValueError, match=r"has no time: ask for num_boundary.*x and y"):
        data(steady, num_initial=5, reference=False)
    with pytest.raises(InvalidValueError, match="has no space, so that its start is one point"):
        data(alone, num_initial=5, reference=False)
    with pytest.raises(InvalidValueError, match=r"no point for the condition of u at t-.*raise"):
        data(moving, num_initial=0, reference=False)
    with pytest.raises(InvalidValueError, match="no point for the condition of u at x-"):
        data(moving, num_boundary=0, reference=False)
    assert data(moving, num_initial=0, num_boundary=0, conditions=False, reference=False).bcs == []
    late = family(
        Evolution, [Dirichlet("x", 0.0)], name="late_for_deepxde",
        axes=(Axis("t", 2000.0, 2001.0), Axis("x", 0.0, 1.0)),
        rhs=lambda self, u, d: d(u, "xx"), initial=lambda self, x: 0 * x,
    )  # fmt: skip
    with pytest.raises(InvalidValueError, match=r"cannot tell t = 2000\.01 from an end"):
        data(late, reference=False)


@pytest.mark.parametrize("case", [wave, stokes])
def test_a_training_brings_every_loss_down(case: Any) -> None:
    own: Case = case()
    made = data(own.problem, num_domain=60, num_boundary=30, reference=False)
    net = dde.nn.FNN([2, 12, len(own.problem.fields)], "tanh", "Glorot normal")
    before = losses(made, net).sum()
    model = Model(made, net)
    model.compile("adam", lr=1e-2, verbose=0)
    model.train(iterations=150, verbose=0)
    assert losses(made, net).sum() < before / 10
