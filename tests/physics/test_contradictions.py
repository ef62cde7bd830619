"""Starts and edges that contradict each other are found, with the size of the jump."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, Problem, Robin, coefficient
from pacpde.physics.conditions import ConstantEdges, conditions_of_edges
from pacpde.physics.contradictions import Contradiction, contradictions
from pacpde.physics.elementary import cos, exp, sin, sqrt, tanh
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, HeatModes, Lorenz


def problem(
    start: Callable[..., Any],
    *edges: ConstantEdges | Periodic,
    lower: float = -1.0,
    upper: float = 1.0,
) -> Problem:
    names = "xy"[: len(edges)]

    @dataclass(frozen=True)
    class Made(Evolution):
        axes = (Axis("t", 0.0, 1.0), *(Axis(name, lower, upper) for name in names))

        def conditions(self) -> Any:
            return conditions_of_edges(dict(zip(names, edges, strict=True)))

        def rhs(self, u: Any, d: Any) -> Any:
            return sum(d(u, 2 * name) for name in names)

        def initial(self, *space: Any) -> Any:
            return start(*space)

    Made.name = "made"
    return Made()


def only(found: tuple[Contradiction, ...]) -> Contradiction:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    "fine",
    [
        Burgers(), BurgersPeriodic(), Heat(), HeatModes(), Heat2D(), Lorenz(),
        problem(lambda x: tanh(x / 0.003), ConstantEdges(-1.0, 1.0)),  # steep, not broken
        problem(lambda x: exp(-((x - 0.3) ** 2) / 2e-4), Periodic()),
        problem(lambda x: cos(40 * pi * x), Periodic()),
        problem(lambda x: 1e-9 * cos(pi * x), ConstantEdges(-1e-9, -1e-9)),  # whatever the size
        problem(lambda x: 1e6 * sin(pi * x), ConstantEdges(0.0, 0.0)),
        problem(lambda x: sin(pi * x) + 2e-9, ConstantEdges(0.0, 0.0)),  # a rounding error
        problem(lambda x, y: cos(pi * x) * cos(pi * y), Periodic(), Periodic()),
    ],
)  # fmt: skip
def test_what_agrees_is_left_alone(fine: Problem) -> None:
    assert fine.contradictions == ()


def test_a_start_that_misses_its_edges() -> None:
    found = contradictions(problem(lambda x: 1.0 + 0 * x, ConstantEdges(0.0, 0.25)))
    assert [c.jump for c in found] == pytest.approx([1.0, 0.75])
    assert "x = -1" in str(found[0]) and "x = 1" in str(found[1])
    cut = contradictions(problem(lambda x: exp(-(x**2) / 0.4), ConstantEdges(0.0, 0.0)))
    assert [c.jump for c in cut] == pytest.approx([np.exp(-2.5)] * 2)


def test_a_periodic_axis_that_does_not_close() -> None:
    kink = only(contradictions(problem(lambda x: x**2, Periodic())))
    assert kink.slope and kink.jump == pytest.approx(4.0)
    jump = only(contradictions(problem(lambda x: x, Periodic())))
    assert not jump.slope and jump.jump == pytest.approx(2.0)
    published = only(contradictions(problem(lambda x: x**2 * cos(pi * x), Periodic())))
    assert published.slope and published.jump == pytest.approx(4.0)  # from −2 to 2


@pytest.mark.parametrize("place", [0.0, 0.123456, -0.5])
def test_a_kink_or_a_jump_inside_the_start(place: float) -> None:
    edges = ConstantEdges(1 + place, 1 - place)
    kink = only(contradictions(problem(lambda x: abs(x - place), edges)))
    assert kink.slope and kink.jump == pytest.approx(2.0, rel=0.6)  # at 0, |x| has the slope 0
    step = contradictions(
        problem(lambda x: torch.where(x < place, -1.0, 1.0), ConstantEdges(-1.0, 1.0))
    )
    assert not only(step).slope and only(step).jump == pytest.approx(2.0)
    assert float(str(only(step)).split("= ")[-1]) == pytest.approx(place, abs=1e-9)


@pytest.mark.parametrize(
    ("start", "jump"),
    [
        (lambda x: sqrt(sin(pi * x) ** 2), 2 * pi),
        (lambda x: sqrt(1 - cos(2 * pi * x)), 2**1.5 * pi),
        (lambda x: sqrt(sin(pi * (x - 0.25)) ** 2), 2 * pi),
        (lambda x: sin(2 * pi * x) - sqrt((x - 0.5) ** 2), 2.0),
    ],
)
def test_a_kink_whose_slope_is_not_finite(start: Callable[..., Any], jump: float) -> None:
    """√(x²) has no derivative at 0, where autograd gives nan; the kinks are at samples."""
    found = contradictions(problem(start, Periodic(), lower=0.0))
    assert found and all(one.slope for one in found)
    assert found[0].jump == pytest.approx(jump, rel=1e-3)


def test_in_two_dimensions() -> None:
    found = contradictions(problem(lambda x, y: abs(x) * cos(pi * y), Periodic(), Periodic()))
    assert [c.where for c in found] == [
        "inside the start, at x = 0",
        "where the periodic axis x closes, at the start",
    ]
    corner = contradictions(
        problem(lambda x, y: 0 * x, ConstantEdges(0.0, 0.0), ConstantEdges(0.0, 1.0))
    )
    assert any("meets" in str(c) for c in corner)


def test_a_start_that_torch_cannot_differentiate_is_refused() -> None:
    blind = problem(lambda x: torch.as_tensor(np.sin(pi * np.asarray(x.detach()))), Periodic())
    with pytest.raises(InvalidValueError, match=r"initial.*elementary"):
        contradictions(blind)


def test_slopes_rates_and_edges_that_disagree() -> None:
    """Each with the size of the jump, in its own unit."""

    @dataclass(frozen=True)
    class Driven(Evolution):
        axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2.0))
        order = 2

        def rhs(self, u: Any, d: Any) -> Any:
            return d(u, "xx")

        def initial(self, *space: Any) -> Any:
            (x,) = space
            return x**2, 1.0 + 0 * x

        def conditions(self) -> Any:
            return [Dirichlet("x-", lambda t: sin(3 * t)), Robin("x+", 2.0, 1.0, 5.0)]

    Driven.name = "driven"
    found = Driven().contradictions
    # at x = 0 the rate 1 against cos 0 · 3; at x = 2 2·4 + 4 against 5, then 2·1 + 0 against 0
    assert [one.jump for one in found] == pytest.approx([7.0, 2.0, 2.0])
    assert all(one.slope for one in found)
    assert [one.where for one in found] == [
        "from the start to the edge x = 2",
        "from its rate at the start to the edge x = 0",
        "from its rate at the start to the edge x = 2",
    ]


def test_a_steady_problem_with_a_lid() -> None:
    """u is 1 on the lid and 0 at the walls beside it; v is 0 everywhere."""

    @dataclass(frozen=True)
    class Lid(Problem):
        axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        fields = ("u", "v")
        scales = (1.0, 1.0)
        lid: float = coefficient(1.0, lower=-2.0, upper=2.0, meaning="speed of the lid")

        def residual(self, u: Any, d: Any) -> Any:
            return d(u[0], "xx") + d(u[0], "yy"), d(u[1], "xx") + d(u[1], "yy")

        def conditions(self) -> Any:
            walls = [Dirichlet("x", 0.0), Dirichlet("y-", 0.0), Dirichlet("y+", 0.0, field="v")]
            lid = self.lid
            return [*walls, Dirichlet("y+", lambda x: lid * (1 + 0 * x), field="u")]

    Lid.name = "lid"
    found = only(Lid(lid=-0.5).contradictions)
    assert found.field == "u" and found.jump == pytest.approx(0.5) and not found.slope
    assert "y = 1" in found.where and "meets" in found.where
    assert Lid(lid=0.0).contradictions == ()
