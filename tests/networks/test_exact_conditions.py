"""Conditions that an ansatz meets exactly hold for every network, whatever the equation."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.edge_functions import MOST_IMAGES, _pair
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Axis, Dirichlet, Neumann, Problem, Robin
from pacpde.physics.derivatives import AutogradDerivative, channel_names
from pacpde.physics.elementary import cos, exp, sin
from pacpde.problems import BurgersPeriodic
from tests.equations import EVERY, DrivenWave, Insulated, Kovasznay

# Rounding of sums and products of numbers of size 1 to 100: weights are of size 1.
EXACT = 1e-12


def field(t: Any, x: Any, y: Any) -> Any:
    return sin(x + 2 * t) + 0.5 * t * cos(2 * x) + y * exp(0.3 * x * t)


SLOPES = {  # of it
    "t": lambda t, x, y: 2 * cos(x + 2 * t) + 0.5 * cos(2 * x) + 0.3 * x * y * exp(0.3 * x * t),
    "x": lambda t, x, y: cos(x + 2 * t) - t * sin(2 * x) + 0.3 * t * y * exp(0.3 * x * t),
    "y": lambda t, x, y: exp(0.3 * x * t),
}


def wanted(where: str, a: float, b: float) -> Any:
    """a u + b ∂u/∂n of the field, as a condition."""
    sign = 1 if where[1] == "+" else -1

    def value(t: Any, x: Any, y: Any) -> Any:
        return a * field(t, x, y) + b * sign * SLOPES[where[0]](t, x, y)

    if not b:
        return Dirichlet(where, lambda t, x, y: value(t, x, y) / a)
    return Robin(where, a, b, value) if a else Neumann(where, lambda t, x, y: value(t, x, y) / b)


@dataclass(frozen=True)
class Manufactured(Problem):
    """Any conditions, equal to what a smooth field has."""

    axes = (Axis("t", 0.5, 2.0), Axis("x", -1.0, 2.0), Axis("y", 0.0, 0.7))
    layout: ClassVar[tuple[tuple[str, float, float], ...]] = (("t-", 1, 0),)

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "t") - d(u, "xx") - d(u, "yy")

    def conditions(self) -> Any:
        return [wanted(*one) for one in self.layout]


Manufactured.name = "_manufactured"
START, RATE = ("t-", 1, 0), ("t-", 0, 1)
LAYOUTS = [
    (START, ("x-", 1, 0), ("x+", 1, 0), ("y-", 1, 0), ("y+", 1, 0)),
    (START, RATE, ("x-", 1, 0), ("x+", 0, 1)),
    (START, ("x-", 0, 1), ("y+", 0, 1)),
    (START, ("x-", 3, -0.5), ("x+", 0.1, 2)),
    (START, RATE, ("x-", 1, 0), ("x-", 2, 1), ("x+", 1, 0), ("x+", 0, 1), ("y-", 1, 0)),
    (RATE, ("y+", 1, 1), ("x+", 1, 0)),
    (START, ("t+", 1, 0), ("x-", 1, 0), ("x-", 0, 1)),
    (("y-", 0, 1), ("y+", 1, 0), ("x-", 1, 0), ("x+", 5, 1)),
]


def made(problem: Problem, **options: Any) -> Surrogate:
    """A network of random weights in the ansatz of a problem."""
    ansatz = PhysicsAnsatz(problem, time_unit=problem.time_unit, **options)
    network = network_for(ansatz, 9, 2, "tanh")
    weights = torch.tensor(np.random.default_rng(5).normal(0, 1, network.size))
    return Surrogate(network, ansatz, weights)


def missed(surrogate: Surrogate) -> list[float]:
    """By how much the conditions are missed that are said to hold exactly."""
    problem = surrogate.problem
    result = []
    for one in surrogate.field_ansatz.exactly.edges:
        points = problem.domain.random(50, np.random.default_rng(1))
        position = problem.domain.names.index(one.axis)
        axis = problem.domain.axes[position]
        points[:, position] = axis.upper if one.upper else axis.lower
        jet = surrogate.jet(torch.tensor(points), ("", one.axis))[..., one.field]
        left = one.a * jet[0] + one.b * (1 if one.upper else -1) * jet[1]
        value = one.value_at(dict(zip(problem.domain.names, points.T, strict=True)))
        result.append(float((left - torch.as_tensor(value)).abs().max()))
    return result


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_any_conditions_at_the_ends_of_a_box(layout: tuple[tuple[str, float, float], ...]) -> None:
    family = type("Made", (Manufactured,), {"layout": layout})
    problem = family()
    assert problem.contradictions == ()
    surrogate = made(problem)
    found = missed(surrogate)
    assert len(found) == len(layout) and max(found) <= EXACT
    inside = surrogate(*problem.domain.random(50, np.random.default_rng(2)).T)
    other = made(problem)
    other.weights.neg_()
    moved = other(*problem.domain.random(50, np.random.default_rng(2)).T)
    assert np.abs(inside - moved).min() > 0  # the network is free there


@pytest.mark.parametrize("family", EVERY)
def test_the_conditions_of_equations(family: type[Problem]) -> None:
    problem = family()
    assert problem.contradictions == ()
    surrogate = made(problem)
    assert len(missed(surrogate)) == len(problem.edge_conditions)
    assert max(missed(surrogate)) <= EXACT
    assert surrogate.field_ansatz.by_residual.edges == ()


@pytest.mark.parametrize("layout", [LAYOUTS[2], LAYOUTS[3], LAYOUTS[4]], ids=str)
def test_jets_are_derivatives(layout: tuple[tuple[str, float, float], ...]) -> None:
    problem = type("Made", (Manufactured,), {"layout": layout})()
    surrogate = made(problem)
    names = channel_names({"tt", "xxx", "xy", "yy"})
    points = torch.tensor(problem.domain.random(7, np.random.default_rng(0)))
    columns = {n: c.clone().requires_grad_() for n, c in zip("txy", points.T, strict=True)}
    d = AutogradDerivative([surrogate(*columns.values())], columns)
    jet = surrogate.jet(points, names)[..., 0]
    for name, own in zip(names, jet, strict=True):
        expected = d.take(0, name)
        # third derivatives of such networks reach 1e5
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)


def test_a_subset_and_a_stack_have_the_same_fields() -> None:
    surrogate = made(Insulated())
    points = torch.tensor(surrogate.problem.domain.random(6, np.random.default_rng(0)))
    batch = surrogate.ansatz.batch(points, ("", "x"))
    chosen = torch.tensor([4, 1])

    def fields(own: Any, weights: torch.Tensor) -> torch.Tensor:
        return own.fields(surrogate.network.forward(weights, own.inputs, own.names))

    whole = fields(batch, surrogate.weights)
    torch.testing.assert_close(
        fields(batch.subset(chosen), surrogate.weights), whole[:, chosen], rtol=0, atol=1e-13
    )
    stacked = fields(type(batch).stack([batch, batch]), surrogate.weights.expand(2, -1))
    torch.testing.assert_close(stacked[1], whole, rtol=0, atol=1e-13)


def test_what_is_left_to_residuals() -> None:
    ansatz = made(Kovasznay()).field_ansatz
    assert [one.field for one in ansatz.by_residual.points] == [2] and not ansatz.by_residual.edges
    soft = PhysicsAnsatz(Kovasznay(), hard=False)
    assert soft.exactly.edges == () and len(soft.by_residual.edges) == 8
    # images of the network: 3 for the ends of x; with those of y there would be 9
    layout = (START, ("x-", 0, 1), ("x+", 0, 1), ("y-", 0, 1), ("y+", 0, 1))
    many = made(type("Made", (Manufactured,), {"layout": layout})())
    assert {one.axis for one in many.field_ansatz.by_residual.edges} == {"y"}
    assert max(missed(many)) <= EXACT
    batch = many.ansatz.batch(torch.zeros(1, 3))
    assert batch.images == 3 <= MOST_IMAGES


def test_the_ansatz_is_finite_where_conditions_contradict_each_other() -> None:
    @dataclass(frozen=True)
    class Broken(Manufactured):
        def conditions(self) -> Any:
            walls = [Dirichlet("x", 0.0), Neumann("y-", lambda t: t), Dirichlet("y+", 3.0)]
            return [Dirichlet("t-", 1.0), *walls]

    problem = Broken()
    assert len(problem.contradictions) > 2
    corners = torch.cartesian_prod(
        *(torch.tensor([a.lower, a.upper]).double() for a in problem.axes)
    )
    jet = made(problem).jet(corners, channel_names({"tt", "xxxx", "xxyy"}))
    assert jet.isfinite().all()


def test_odd_fields_between_insulated_ends() -> None:
    @dataclass(frozen=True)
    class Odd(Insulated):
        axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
        odd = ("x",)

        def initial(self, *space: Any) -> Any:
            return sin(np.pi / 2 * space[0])

    surrogate = made(Odd(), odd=True)
    assert max(missed(surrogate)) <= EXACT
    t, x = Odd().domain.random(40, np.random.default_rng(0)).T
    np.testing.assert_allclose(surrogate(t, -x), -surrogate(t, x), rtol=0, atol=EXACT)
    assert surrogate.ansatz.batch(torch.zeros(1, 2)).images == 6  # two mirrors, three places


def test_a_surrogate_says_how_it_meets_each_condition() -> None:
    surrogate = made(DrivenWave())
    assert [str(one) for one in surrogate.conditions] == [
        "value of u at t-, exact",
        "rate of u at t-, exact",
        "value of u at x-, exact",
        "normal derivative of u at x+, exact",
    ]
    soft = made(Kovasznay(), hard=False).conditions
    assert len(soft) == 9 and not any(one.exactly for one in soft)
    assert str(soft[-1]) == "value of p at x = 0, y = 0, by residual"
    assert str(made(BurgersPeriodic()).conditions[0]) == "x periodic, exact"


def test_conditions_that_agree_stay_exact_beside_those_that_do_not() -> None:
    @dataclass(frozen=True)
    class Lid(Kovasznay):
        """1 on the lid; u is 0 at the walls beside it, which v does not see."""

        def conditions(self) -> Any:
            walls = Dirichlet("boundary", 0.0, field="v")
            lid = [Dirichlet("y+", 1.0, field="u"), Dirichlet("y-", 0.0, field="u")]
            return [*lid, Dirichlet("x", 0.0, field="u"), walls]

    ansatz = made(Lid(), hard=False, agreeing=True).field_ansatz
    assert {(one.where, one.field) for one in ansatz.by_residual.edges} == {
        ("y+", 0), ("x-", 0), ("x+", 0),
    }  # fmt: skip
    assert max(missed(made(Lid(), hard=False, agreeing=True))) <= EXACT

    @dataclass(frozen=True)
    class Kinked(DrivenWave):
        """|x − 0.5| with a rate that does not vanish."""

        def initial(self, *space: Any) -> Any:
            return abs(space[0] - 0.5) - 0.5, 2 + 0 * space[0]

        def conditions(self) -> Any:
            return [Dirichlet("x", lambda t: 2 * t)]

    kinked = made(Kinked(), hard=False, agreeing=True)
    assert [str(one) for one in kinked.conditions if not one.exactly] == [
        "value of u at t-, by residual", "rate of u at t-, by residual",
    ]  # fmt: skip
    assert max(missed(kinked)) <= EXACT


@pytest.mark.parametrize(("both", "linear"), [(False, False), (True, False), (True, True)])
def test_functions_of_an_end_have_its_value_and_its_slope(both: bool, linear: bool) -> None:
    s = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    value, slope = _pair(s, 1 - s, both, linear)
    (of_slope,) = torch.autograd.grad(slope.sum(), s, retain_graph=True)
    assert (value[0], slope[0], -of_slope[0]) == (1, 0, 1)
    if both:
        assert (value[1], slope[1]) == (0, 0)
    if both and not linear:
        (of_value,) = torch.autograd.grad(value.sum(), s)
        assert of_value.tolist() == [0, 0] and of_slope[1] == 0
