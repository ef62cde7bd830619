"""Unknown coefficients: against scipy's least squares through the reference solver."""

import numpy as np
import pytest

from pacpde import Surrogate, fit
from pacpde.datasets import draw_labels, reference_for
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.methods.identification import identify, identify_by_scipy, standard_errors
from pacpde.problems import Heat, Lorenz

SETTINGS = {"points": 300, "steps": 20}


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=12, depth=2, **SETTINGS)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_what_scipy_finds(source: Surrogate, seed: int) -> None:
    """One coefficient and its standard error, from the same noisy labels."""
    drawn = draw_labels(reference_for(Heat(alpha=0.3)), 25, seed=seed, noise=0.01)
    ours = identify(source, drawn.points, drawn.values, seed=seed, **SETTINGS)
    theirs = identify_by_scipy(Heat(alpha=0.4), drawn.points, drawn.values)
    (value, error), (expected, spread) = ours.estimates["alpha"], theirs.estimates["alpha"]
    assert abs(value - expected) < 0.05 * spread
    assert error == pytest.approx(spread, rel=0.02)
    assert abs(value - 0.3) < 4 * error and error < 0.01
    assert ours.noise == pytest.approx(theirs.noise, rel=0.01)
    assert ours.surrogate is not None and ours.surrogate.problem == ours.problem
    exact = ours.problem.exact(*drawn.points.T)[0]
    np.testing.assert_allclose(ours.surrogate(*drawn.points.T), exact, atol=1e-3)


def test_two_coefficients_of_a_system() -> None:
    """Without noise, so that the truth is the answer."""
    truth = Lorenz.from_coefficients({"sigma": 10.3, "rho": 15.5}, 0.4)
    start = Lorenz.from_coefficients({}, 0.4)
    drawn = draw_labels(reference_for(truth), 20, seed=0)
    made = fit(start, seed=0, width=12, depth=2, points=100, steps=20)
    found = identify(made, drawn.points, drawn.values, unknown=["sigma", "rho"], points=100)
    assert found.problem.coefficients["rho"] == pytest.approx(15.5, rel=1e-3)
    assert found.problem.coefficients["sigma"] == pytest.approx(10.3, rel=1e-3)
    assert found.problem.coefficients["beta"] == start.coefficients["beta"]


def test_standard_errors_are_those_of_linear_regression() -> None:
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(200, 2))
    spread = []
    for _ in range(500):
        r = 0.3 * rng.normal(size=200)
        spread.append(np.linalg.lstsq(slopes, r, rcond=None)[0])
    noise, errors = standard_errors(r - slopes @ spread[-1], slopes)
    assert noise == pytest.approx(0.3, rel=0.15)
    np.testing.assert_allclose(errors, np.std(spread, axis=0), rtol=0.2)


def test_bad_measurements_are_refused(source: Surrogate) -> None:
    at, found = np.full((3, 2), 0.5), np.zeros(3)
    with pytest.raises(InvalidValueError, match=r"expected \[labels, 2\]"):
        identify(source, at[:, :1], found)
    with pytest.raises(InvalidValueError, match="nan"):
        identify(source, at * np.nan, found)
    with pytest.raises(InvalidValueError, match="outside the domain: t"):
        identify(source, at + 1, found)
    with pytest.raises(UnknownNameError, match="alpha"):
        identify(source, at, found, unknown=["nu"])
    with pytest.raises(InvalidValueError, match="measure more"):
        identify(source, at[:1], found[:1])
    with pytest.raises(InvalidValueError, match="each once"):
        identify(source, at, found, unknown=[])
    with pytest.raises(UnknownNameError, match="nu"):
        identify(source, at, found, unknown="nu")
    with pytest.raises(InvalidValueError, match="expected a problem"):
        identify_by_scipy(source, at, found)  # type: ignore[arg-type]


def test_measurements_a_rounding_error_outside_are_taken(source: Surrogate) -> None:
    """Coordinates in single precision, and t = 1 as a sum of tenths."""
    at = np.array([[sum([0.1] * 10) + 4e-16, 0.5], [0.1, np.float32(0.7)], [0.2, 1 + 1e-7]])
    found = identify(source, at, Heat(alpha=0.4).exact(*at.T)[0], points=60, steps=3)
    assert found.estimates["alpha"][0] == pytest.approx(0.4, rel=0.02)


def test_measurements_that_tell_nothing_say_so(source: Surrogate) -> None:
    """At t = 0 and on the edges no solution depends on the coefficient."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.1, 0.9, 12)
    for at in (np.stack([0 * x, x], 1), np.stack([x, 0 * x], 1)):
        exact = Heat(alpha=0.3).exact(*at.T)[0] + 0.01 * rng.normal(size=len(x))
        for found in (
            identify(source, at, exact, points=60, steps=3),
            identify_by_scipy(Heat(alpha=0.4), at, exact),
        ):
            assert found.estimates["alpha"][1] == np.inf
            assert found.doubts() == [
                "the measurements do not tell alpha: measure elsewhere, or more."
            ]


def test_a_coefficient_beyond_its_bounds_ends_there(source: Surrogate) -> None:
    at = np.random.default_rng(0).uniform(0.2, 0.8, size=(20, 2))
    still = np.sin(np.pi * at[:, 1])  # what no positive α leaves
    for found in (
        identify(source, at, 1.2 * still, points=60, steps=5),
        identify_by_scipy(Heat(alpha=0.4), at, 1.2 * still),
    ):
        assert found.estimates["alpha"][0] == pytest.approx(
            Heat.declared()["alpha"].lower, rel=1e-3
        )
        assert len(found.doubts()) == 1
