"""Every exact solution, by autograd: it solves the equation, and it meets start and conditions."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from pacpde.physics import Problem, families
from pacpde.physics.derivatives import AutogradDerivative
from pacpde.problems import HeatGaussian, HeatMedium, HeatSource

POINTS = 40
# Written with functions that numpy or scipy alone have: quadrature, Jacobi's elliptic functions.
WITHOUT_AUTOGRAD = ("burgers", "burgers_periodic", "pendulum")
# What the definition of the problem leaves: images beyond the sum, at the edges.
TOLERANCES = {"heat_gaussian": 1e-10}
SHARES = (0.0, 0.35, 0.8)  # of the way from the default of a coefficient to three times that


def is_solved(family: type[Problem]) -> bool:
    """Whether its exact solution is known, as a function that autograd follows."""
    if family.name in WITHOUT_AUTOGRAD or not family.__module__.startswith("pacpde.problems"):
        return False
    return family().exact(*(np.array([axis.upper]) for axis in family.axes)) is not None


SOLVED = [family for family in families if is_solved(family)]


@pytest.fixture(params=SOLVED, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> type[Problem]:
    return request.param


@pytest.fixture(params=SHARES)
def problem(request: pytest.FixtureRequest, family: type[Problem]) -> Problem:
    coefficients = {}
    for name, about in family.declared().items():
        if about.default > 0:
            most = min(about.upper, 3 * about.default)
            coefficients[name] = about.default + request.param * (most - about.default)
    return family.from_coefficients(coefficients)


@pytest.fixture
def tolerance(family: type[Problem]) -> float:
    """Of values and equations in their own units: derivatives of fourth order round to 1e-11."""
    return TOLERANCES.get(family.name, 1e-10)


def points_of(problem: Problem, **held: float) -> dict[str, torch.Tensor]:
    """Random coordinates that gradients reach, some of them held at one value."""
    points = torch.tensor(problem.domain.random(POINTS, np.random.default_rng(0)))
    columns = dict(zip(problem.domain.names, points.unbind(-1), strict=True))
    columns |= {name: torch.full_like(columns[name], value) for name, value in held.items()}
    return {name: column.clone().requires_grad_(True) for name, column in columns.items()}


def derivatives_at(problem: Problem, at: Mapping[str, torch.Tensor]) -> AutogradDerivative:
    """The exact fields at some coordinates, with their derivatives."""
    values = problem.exact(*at.values())
    assert isinstance(values, torch.Tensor), "write `exact` with pacpde.physics.elementary"
    return AutogradDerivative(list(values.unbind(0)), dict(at))


def test_it_solves_the_equation(problem: Problem, tolerance: float) -> None:
    d = derivatives_at(problem, points_of(problem))
    for row in problem.in_units(problem.rows(d.fields, d)):
        assert float(row.detach().abs().max()) < tolerance


def test_it_starts_at_the_start(problem: Problem, tolerance: float) -> None:
    if not problem.order:
        pytest.skip("it has no start, but conditions")
    time = problem.domain.axis("t")
    at = points_of(problem, t=time.lower)
    d = derivatives_at(problem, at)
    space = [at[axis.name] for axis in problem.domain.space]
    for order, parts in enumerate(problem.evolution.initial_parts(*space)):
        for field, part in enumerate(parts):
            gap = (d.take(field, "t" * order) - part).detach().abs().max()
            assert float(gap) < tolerance * problem.scales[field] / problem.time_unit**order


def test_it_meets_the_conditions(problem: Problem, tolerance: float) -> None:
    boundary = problem.boundary
    for edge in boundary.edges:
        axis = problem.domain.axis(edge.axis)
        at = points_of(problem, **{axis.name: axis.upper if edge.upper else axis.lower})
        d = derivatives_at(problem, at)
        outward = d.take(edge.field, axis.name) * (1 if edge.upper else -1)
        gap = edge.a * d.fields[edge.field] + edge.b * outward - edge.value_at(at)
        size = problem.scales[edge.field] * max(abs(edge.a), abs(edge.b / axis.length))
        assert float(gap.detach().abs().max()) < tolerance * size
    for name in boundary.periodic:
        axis = problem.domain.axis(name)
        lower, upper = (
            derivatives_at(problem, points_of(problem, **{name: end}))
            for end in (axis.lower, axis.upper)
        )
        for field in range(len(problem.fields)):
            gap = (lower.fields[field] - upper.fields[field]).detach().abs().max()
            assert float(gap) < tolerance * problem.scales[field]
    for point in boundary.points:
        at = points_of(problem, **dict(zip(problem.domain.names, point.point, strict=True)))
        gap = (derivatives_at(problem, at).fields[point.field] - point.value).detach().abs().max()
        assert float(gap) < tolerance * problem.scales[point.field]


@pytest.mark.parametrize("problem", [HeatSource(), HeatMedium()], ids=str)
def test_numpy_and_torch_agree(problem: Problem) -> None:
    """Both are written once: numpy coordinates that broadcast give numpy fields."""
    points = problem.domain.random(POINTS, np.random.default_rng(1)).T
    by_numpy = problem.exact(*points)
    assert isinstance(by_numpy, np.ndarray) and by_numpy.shape == (len(problem.fields), POINTS)
    by_torch = problem.exact(*(torch.tensor(column) for column in points))
    np.testing.assert_allclose(by_numpy, by_torch, rtol=1e-14, atol=1e-15)


def test_images_of_a_gaussian_are_enough_at_the_largest_diffusivity() -> None:
    """At the edges they cancel, while the solution itself is 1e-6 at the end."""
    problem = HeatGaussian(alpha=5.0)
    t = np.linspace(0.05, 1, 20)
    assert np.abs(problem.exact(t, np.ones(20))).max() < 1e-15
    # the slowest of its cosines, alone from the middle of the span on
    amplitude = problem.w * (2 * np.pi) ** 0.5 * np.exp(-((np.pi / 2) ** 2) * (10 * 0.9 + 0.01) / 2)
    assert problem.exact(np.array([0.9]), np.array([0.0]))[0] == pytest.approx(amplitude, rel=1e-8)
