"""A reference between its output points, and at points it must refuse."""

import numpy as np
import pytest

from pacpde.errors import InvalidValueError
from pacpde.physics import Problem
from pacpde.problems import Burgers, Heat2D, Lorenz
from pacpde.reference import Reference, solve
from pacpde.reference.dense import in_pieces


@pytest.fixture(scope="module")
def burgers() -> Reference:
    return solve(Burgers(nu=0.01))


def test_it_agrees_with_its_output_grid(burgers: Reference) -> None:
    t, x = burgers.axes.values()
    again = burgers(t[:, None], x)
    assert again.shape == (1, 101, 513)
    assert np.array_equal(again, burgers.values)


def test_scattered_points_are_as_accurate_as_the_grid(burgers: Reference) -> None:
    rng = np.random.default_rng(0)
    t, x = rng.random(5000), rng.uniform(-1, 1, 5000) ** 3  # dense at the front
    exact = burgers.problem.exact(t, x)
    # Pointwise where the certificate is a mean: a factor of 100 for the steepest place.
    assert np.abs(burgers(t, x) - exact).max() < 100 * burgers.certified_error


def test_scattered_and_gridded_evaluation_agree(burgers: Reference) -> None:
    t, x = np.linspace(0, 1, 7), np.linspace(-1, 1, 11)
    grid = burgers(t[:, None], x)
    rng = np.random.default_rng(0)
    many_t, many_x = (
        np.append(np.repeat(t, 11), rng.random(500)),
        np.append(np.tile(x, 7), rng.random(500)),
    )
    found = burgers(many_t, many_x)[:, :77].reshape(grid.shape)
    assert np.abs(found - grid).max() < 1e-13  # roundoff of two orders of summation


def test_points_that_rounding_put_outside_are_those_of_the_edge(burgers: Reference) -> None:
    x = np.array([1.0000000000000002, -1.0000001])
    assert np.array_equal(burgers(1.0000000000000002, x), burgers(1.0, [1.0, -1.0]))


def test_masked_points_are_refused(burgers: Reference) -> None:
    with pytest.raises(InvalidValueError, match="1 masked entries"):
        burgers(0.5, np.ma.masked_array([0.1, 0.2], mask=[True, False]))


def test_an_odd_solution_is_odd_to_the_last_bit(burgers: Reference) -> None:
    x = np.linspace(0, 1, 57)
    assert np.array_equal(burgers(0.37, -x), -burgers(0.37, x))
    assert burgers(0.37, 0.0)[0] == 0


def test_periodic_solutions_repeat(user_families: dict[str, type[Problem]]) -> None:
    reference = solve(user_families["Drift"](), tolerance=1e-8)
    t = np.linspace(0, 1, 5)
    lower, upper = reference(t, 0.0), reference(t, 2 * np.pi)
    assert np.abs(lower - upper).max() < 1e-13


def test_points_of_a_plane_and_of_an_ode() -> None:
    plane = solve(Heat2D())
    rng = np.random.default_rng(1)
    t, x, y = rng.random((3, 300))
    assert np.abs(plane(t, x, y) - plane.problem.exact(t, x, y)).max() < 1e-8
    orbit = solve(Lorenz())
    assert np.array_equal(orbit(0.0), [-8, 7, 27])
    assert orbit(np.zeros((2, 5))).shape == (3, 2, 5)


@pytest.mark.parametrize("point", [(1.1, 0.0), (0.5, -1.01), (float("nan"), 0.0)])
def test_points_outside_are_refused(burgers: Reference, point: tuple[float, float]) -> None:
    with pytest.raises(InvalidValueError, match="lies outside the reference"):
        burgers(*point)


def test_a_missing_coordinate_is_named(burgers: Reference) -> None:
    with pytest.raises(InvalidValueError, match="expected t, x"):
        burgers(0.5)


def test_pieces_meet_the_function_they_are_made_of() -> None:
    def ripple(t: np.ndarray) -> np.ndarray:
        return np.tanh(50 * (t - 0.3))[:, None]

    times, values = in_pieces(ripple, (0.0, 1.0), np.array([1e-9]))
    assert times[0] == 0 and times[-1] == 1 and (np.diff(times) > 0).all()
    assert np.array_equal(values, ripple(times))
    assert len(times) < 400  # bisection spends its pieces at the ripple
