"""Differentiation matrices on functions they must differentiate exactly, and the Jacobian."""

import numpy as np
import pytest

from pacpde.physics import Axis, Evolution, Problem, families
from pacpde.reference.grid import SpaceAxis, space_axes
from pacpde.reference.method_of_lines import MethodOfLines

CHEBYSHEV = SpaceAxis(Axis("x", -1.0, 3.0), 12)
FOURIER = SpaceAxis(Axis("x", -1.0, 3.0), 12, periodic=True)
HALF = SpaceAxis(Axis("x", -2.0, 2.0), 12, half=True)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_chebyshev_differentiates_polynomials_exactly(order: int) -> None:
    polynomial = np.polynomial.Polynomial([0.3, -1, 0.5, 0.2, -0.1, 0.05, 0, 0.01])
    x = CHEBYSHEV.nodes
    found = CHEBYSHEV.matrices(order)[order] @ polynomial(x)
    expected = polynomial.deriv(order)(x)
    # roundoff grows with the order like size^(2·order)
    assert np.abs(found - expected).max() < 1e-14 * 12.0 ** (2 * order) * np.abs(expected).max()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_fourier_differentiates_harmonics_exactly(order: int) -> None:
    x, k = FOURIER.nodes, 2 * np.pi / 4 * 3
    found = FOURIER.matrices(order)[order] @ np.sin(k * x)
    expected = k**order * np.sin(k * x + order * np.pi / 2)
    assert np.abs(found - expected).max() < 1e-12 * k**order


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("axis", [CHEBYSHEV, FOURIER])
def test_derivatives_are_those_of_the_matrices(axis: SpaceAxis, order: int) -> None:
    values = np.random.default_rng(0).standard_normal((3, 12, 2))  # the highest mode, too
    found = axis.derivative(values, order, 1)
    expected = np.einsum("ij,ajb->aib", axis.matrices(order)[order], values)
    assert np.abs(found - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("axis", [CHEBYSHEV, FOURIER, HALF])
def test_values_within_cells_are_interpolated(axis: SpaceAxis) -> None:
    values = np.random.default_rng(0).standard_normal((3, 12))
    offsets = np.array([0.0, 0.3, 0.5, 1.0])
    found = axis.within_cells(offsets)(values)
    x = axis.cells[:-1, None] + np.diff(axis.cells)[:, None] * offsets
    expected = values @ axis.interpolation(x.ravel()).T
    assert found.shape == (3, *x.shape)
    assert np.abs(found.reshape(3, -1) - expected).max() < 1e-12


@pytest.mark.parametrize(
    ("axis", "function"),
    [
        (CHEBYSHEV, lambda x: x**7 - x),
        (FOURIER, lambda x: np.cos(np.pi * x + 1)),
        (HALF, lambda x: x**7 - x),
    ],
    ids=["chebyshev", "fourier", "half"],
)
def test_interpolation_is_exact_in_its_space(axis: SpaceAxis, function) -> None:
    x = np.append(np.linspace(axis.axis.lower, axis.axis.upper, 41), axis.nodes)
    found = axis.interpolation(x) @ function(axis.nodes)
    assert np.abs(found - function(x)).max() < 1e-12 * np.abs(function(x)).max()


def test_the_tail_tells_resolved_from_unresolved() -> None:
    for periodic in (False, True):
        axis = SpaceAxis(Axis("x", -1.0, 1.0), 32, periodic)
        smooth, steep = np.exp(np.sin(np.pi * axis.nodes)), np.sign(axis.nodes - 0.1)
        # Fourier modes I_k(1) < 1e-12 at k = 12; Chebyshev's π/2 times as many: some 1e-9 here
        assert axis.tail(smooth, 0) < 1e-8 < 1e-3 < axis.tail(steep, 0)


def jacobian_error(problem: Problem) -> float:
    """Relative distance of the Jacobian from central differences, at a state that is not smooth."""
    size = 10 if len(problem.axes) < 3 else 6
    sizes = {axis.name: size for axis in problem.domain.space}
    system = MethodOfLines(problem, space_axes(problem, sizes))
    rng = np.random.default_rng(0)
    y, t = system.start + 0.3 * system.scale * rng.standard_normal(system.start.shape), 0.4
    found = system.jacobian(t, y)
    step = 1e-5 * system.scale
    expected = np.stack(
        [(system.rates(t, y + e) - system.rates(t, y - e)) / (2 * e.sum()) for e in np.diag(step)],
        1,
    )
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_every_family_has_the_jacobian_of_its_rates() -> None:
    for family in (family for family in families if issubclass(family, Evolution)):
        # central differences of quadratic rates are exact up to roundoff, 1e-16 / 1e-5
        assert jacobian_error(family()) < 1e-8, family.name


@pytest.mark.parametrize(
    "name", ["Drift", "Ramp", "Wave", "Forced", "Sheared", "Tube", "Stiff", "Ignition"]
)
def test_a_users_family_has_the_jacobian_of_its_rates(
    user_families: dict[str, type[Problem]], name: str
) -> None:
    # cubic rates: the differences err by (1e-5)² of the third derivative
    assert jacobian_error(user_families[name]()) < 1e-8


def test_edges_are_held_and_are_no_unknowns(user_families: dict[str, type[Problem]]) -> None:
    problem = user_families["Ramp"]()
    system = MethodOfLines(problem, space_axes(problem, {"x": 9}))
    assert system.start.shape == (7,)
    assert system.unpack(0.0, np.zeros(7))[0, [0, -1]].tolist() == [1.0, 2.0]
