"""Exact solutions as references: they are checked against their own equation and conditions."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest

from pacpde.datasets import reference_for
from pacpde.errors import SolverError
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, Problem
from pacpde.problems import Heat, Lorenz
from pacpde.reference import solve
from pacpde.reference.exact import exact_reference

Families = dict[str, type[Problem]]


@pytest.mark.parametrize("name", ["Poisson", "Layer", "Kovasznay", "Advection", "Vortices"])
def test_an_exact_solution_agrees_with_its_equation(steady_families: Families, name: str) -> None:
    reference = exact_reference(steady_families[name]())
    # what the derivatives of interpolants of degree 11 leave by rounding
    assert 1e-16 < reference.certified_error < 1e-10
    place = [0.3 * axis[0] + 0.7 * axis[-1] for axis in reference.axes.values()]
    exact = reference.problem.exact(*(np.array([x]) for x in place))
    assert np.array_equal(reference(*place), exact[:, 0])


def test_it_agrees_with_the_method_of_lines() -> None:
    problem = Heat(alpha=0.3)
    exact, solved = exact_reference(problem), solve(problem)
    difference = np.abs(exact.values - solved.values).max()
    assert difference < 10 * solved.certified_error  # pointwise where that is a mean


def test_a_wrong_one_is_refused(steady_families: Families) -> None:
    with pytest.raises(SolverError, match=r"`exact` does not solve .* misses the .* by"):
        exact_reference(steady_families["Wrong"]())


@dataclass(frozen=True)
class Advected(Evolution):
    """u_t = u_x on x∈[0,1] and called periodic; sin(x + t) is not."""

    name = "test_exact_advected"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def conditions(self) -> Any:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "x")

    def initial(self, x: Any) -> Any:
        return np.sin(x)

    def exact(self, t: Any, x: Any) -> Any:
        return np.sin(x + t)[None]


@dataclass(frozen=True)
class Struck(Evolution):
    """u_tt = u_xx from rest in place, and struck; sin πx cos πt is not struck."""

    name = "test_exact_struck"
    axes = Advected.axes
    order = 2

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "xx")

    def initial(self, x: Any) -> Any:
        return np.sin(pi * x), np.sin(pi * x)

    def exact(self, t: Any, x: Any) -> Any:
        return (np.sin(pi * x) * np.cos(pi * t))[None]


@dataclass(frozen=True)
class Pair(Evolution):
    """Two heat equations; the first field is to be 1 at the ends, and sin πx e^{−π²t} is 0."""

    name = "test_exact_pair"
    axes = Advected.axes
    fields = ("u", "v")

    def conditions(self) -> Any:
        return [Dirichlet("x", 1.0, field="u"), Dirichlet("x", 0.0, field="v")]

    def rhs(self, u: Any, d: Any) -> Any:
        return tuple(d(field, "xx") for field in u)

    def initial(self, x: Any) -> Any:
        return np.sin(pi * x), np.sin(pi * x)

    def exact(self, t: Any, x: Any) -> Any:
        return np.stack(2 * [np.sin(pi * x) * np.exp(-(pi**2) * t)])


@pytest.mark.parametrize(
    ("family", "missed"),
    [(Advected, "u at the seam of x"), (Struck, "u at the start"), (Pair, "u at x-")],
)
def test_every_condition_is_checked(family: type[Problem], missed: str) -> None:
    with pytest.raises(SolverError, match=f"it misses the condition of {missed} by"):
        exact_reference(family())


def test_a_family_without_one_is_named() -> None:
    with pytest.raises(SolverError, match="gives no exact solution"):
        exact_reference(Lorenz())


def test_it_is_the_reference_where_nothing_else_is_certified(
    steady_families: Families, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path))
    for _ in range(2):  # solved, and read from the cache
        reference = reference_for(steady_families["Vortices"](re=20.0))
        assert "exact solution" in reference.solver
        assert reference(0.1, 1.0, 2.0).shape == (3,)


def test_it_does_not_go_on_after_a_blow_up(
    user_families: Families, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path))
    with pytest.raises(SolverError, match="stopped at t = 1"):
        reference_for(user_families["Explosion"](until=1.9999))
