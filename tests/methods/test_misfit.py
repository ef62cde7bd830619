"""Whether what a fit leaves is independent noise: how often right data are doubted, and wrong."""

from collections.abc import Callable

import numpy as np
import pytest

from pacpde.methods.measurements import WeightedMeasurements
from pacpde.methods.misfit import MisfitTest
from pacpde.problems import Heat, Lorenz

DRAWN = 60


def smooth(at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, correlated over 0.3 of the box."""
    apart = ((at[:, None] - at) ** 2).sum(-1)
    covariance = np.exp(-apart / (2 * 0.3**2)) + 1e-8 * np.eye(len(at))
    return np.linalg.cholesky(covariance) @ rng.standard_normal(len(at))


def doubted(noise: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> float:
    """Share of draws of 25 labels of heat that are doubted; the fit is linear regression."""
    problem, count = Heat(alpha=0.3), 0
    for seed in range(DRAWN):
        rng = np.random.default_rng(seed)
        at = problem.domain.sample(25, rng)
        u = problem.exact(*at.T)[0]
        slopes = (at[:, 0] * u)[:, None]
        error = 0.01 * noise(at, rng)
        left = -error + slopes @ np.linalg.lstsq(slopes, error, rcond=None)[0]
        count += (
            MisfitTest(WeightedMeasurements.of(problem, at, u + error), left, slopes).message()
            is not None
        )
    return count / DRAWN


def test_right_data_are_seldom_doubted() -> None:
    """Three tests at 0.5 % each: 4 of 60 or more would happen once in 500 runs."""
    assert doubted(lambda at, rng: rng.standard_normal(len(at))) <= 3 / DRAWN
    assert doubted(lambda at, rng: rng.standard_t(3, len(at))) <= 3 / DRAWN  # heavy tails


@pytest.mark.parametrize(
    "noise",
    [
        smooth,
        lambda at, rng: 1 + rng.standard_normal(len(at)) / 3,  # an offset
        lambda at, rng: (
            10 * at[:, 0] * at[:, 1] * (1 - at[:, 1]) + rng.standard_normal(len(at)) / 5
        ),
        lambda at, rng: 10 * Heat(alpha=0.3).exact(*at.T)[0] + rng.standard_normal(len(at)),
    ],
)
def test_correlated_noise_and_wrong_equations_are_mostly_doubted(noise: Callable) -> None:
    assert doubted(noise) >= 0.85


def test_errors_of_the_solver_are_no_misfit() -> None:
    """Exact values leave what the solver is off by, which is smooth."""
    at = Heat().domain.sample(25, np.random.default_rng(0))
    u = Heat().exact(*at.T)[0]
    left = 1e-3 * np.cos(3 * at[:, 0] + at[:, 1])
    slopes, measured = (at[:, 0] * u)[:, None], WeightedMeasurements.of(Heat(), at, u)
    assert MisfitTest(measured, left, slopes, accuracy=1e-3).message() is None
    assert "correlated" in str(MisfitTest(measured, left, slopes, accuracy=1e-5).message())
    assert MisfitTest(measured, left / 100, slopes, accuracy=1e-7).message() is None


def test_fields_are_looked_at_each_by_itself() -> None:
    """One field of three lacks a term, the others are noise a hundred times larger."""
    rng, problem = np.random.default_rng(0), Lorenz()
    at = np.linspace(0, 3, 30)[:, None]
    left = rng.standard_normal((3, 30))
    left[1] = 0.01 * np.sin(at[:, 0])
    values = 20 * rng.standard_normal((30, 3)) * 10
    fitted = MisfitTest(
        WeightedMeasurements.of(problem, at, values), left.ravel(), rng.standard_normal((90, 3))
    )
    assert "independent" in str(fitted.message())


def test_values_that_are_all_the_same_may_be_right() -> None:
    """A field that is still 0, as at the start; the others are noisy."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 3, 30)[:, None]
    values, left = rng.standard_normal((30, 3)), 0.01 * rng.standard_normal((3, 30))
    values[:, 1], left[1] = 0.0, 0.0
    slopes, measured = rng.standard_normal((90, 3)), WeightedMeasurements.of(Lorenz(), at, values)
    assert MisfitTest(measured, left.ravel(), slopes).message() is None
    left[1] = 0.01 * rng.standard_normal(30)
    assert "every measured value of y is 0" in str(
        MisfitTest(measured, left.ravel(), slopes).message()
    )


def test_few_measurements_are_not_tested() -> None:
    at = np.array([[0.1, 0.5], [0.2, 0.5], [0.3, 0.4]])
    measured = WeightedMeasurements.of(Heat(), at, np.array([0.5, 0.3, 0.2]))
    assert MisfitTest(measured, np.array([1e-3, 2e-3, 3e-3]), np.ones((3, 1))).message() is None


def test_measured_values_keep_their_order_and_lose_their_copies() -> None:
    at = np.array([[0.3, 0.5], [0.1, 0.5], [0.3, 0.5], [0.3, 0.5]])
    found = np.array([1.0, 2.0, 1.0, 3.0])
    measured = WeightedMeasurements.of(
        Heat(), at, found, noise=np.array([[1.0], [2.0], [1.0], [4.0]])
    )
    assert measured.labels.values[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert measured.copies == 1 and "1 of the 4" in measured.remarks(1)[0]
    ratio = measured.weights[:, 0] / measured.noise
    np.testing.assert_allclose(ratio, [1.0, 0.5, 0.25])  # one over the noise
