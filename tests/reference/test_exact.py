"""Exact solutions as references: they are checked against their own equation."""

import numpy as np
import pytest

from pacpde.datasets import reference_for
from pacpde.errors import SolverError
from pacpde.physics import Problem
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
