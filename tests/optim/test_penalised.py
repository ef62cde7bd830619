"""Penalised least squares in the space of the rows, against closed forms and refits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import multivariate_normal

from pacpde.optim.penalised import (
    Linearised,
    PenalisedFit,
    Prior,
    Rows,
    penalty_path,
    untouched_evidence,
)

RNG = np.random.default_rng(0)
N, P, PENALTY = 9, 14, 0.3
A, Y = RNG.normal(size=(N, P)), RNG.normal(size=N)
PRIOR = Prior("test", RNG.uniform(0.5, 2, P), RNG.normal(size=P))
POINTS = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5])  # labels of one point are left out together
EXACT = 1e-9  # of solves of well conditioned systems of ten rows


def linear(x: np.ndarray) -> Linearised:
    return A @ x - Y, A


def rows(n_labels: int = N, noise: float | None = None) -> Rows:
    return Rows(linear, n_labels, POINTS[:n_labels], noise)


def fitted(own: Rows) -> PenalisedFit:
    return PenalisedFit.start(own, PRIOR, PENALTY, np.zeros(P)).minimised(5, 1e-12)


def ridge(kept: np.ndarray) -> np.ndarray:
    """x by the normal equations in weight space, of some rows."""
    normal = A[kept].T @ A[kept] + np.diag(PENALTY / PRIOR.variance)
    return np.linalg.solve(normal, A[kept].T @ Y[kept] + PENALTY / PRIOR.variance * PRIOR.centre)


def covariance(fit: PenalisedFit, kept: np.ndarray) -> np.ndarray:
    """Of the labels y, with the fit's σ."""
    kernel = (A[kept] * PRIOR.variance) @ A[kept].T
    return fit.noise_variance * (np.eye(len(kept)) + kernel / PENALTY)


def log_probability(fit: PenalisedFit, kept: np.ndarray) -> float:
    mean = A[kept] @ PRIOR.centre
    density = multivariate_normal(mean, covariance(fit, kept)).logpdf(Y[kept])
    return float(density + len(kept) / 2 * np.log(2 * np.pi))


def test_the_minimum_is_that_of_the_normal_equations() -> None:
    np.testing.assert_allclose(fitted(rows()).x, ridge(np.arange(N)), atol=EXACT)


def test_left_out_labels_are_those_of_refits() -> None:
    left_out = fitted(rows()).left_out
    for point in np.unique(POINTS):
        held = point == POINTS
        refit = ridge(np.flatnonzero(~held))
        np.testing.assert_allclose(left_out[held], (A @ refit - Y)[held], atol=EXACT)


@pytest.mark.parametrize("noise", [None, 3.0])
def test_evidence_is_the_probability_of_the_labels(noise: float | None) -> None:
    fit = fitted(rows(noise=noise))
    assert fit.evidence == pytest.approx(log_probability(fit, np.arange(N)), abs=EXACT)
    if noise is None:  # σ is then the most probable one
        for factor in (0.8, 1.25):
            scaled = covariance(fit, np.arange(N)) * factor
            other = multivariate_normal(A @ PRIOR.centre, scaled).logpdf(Y)
            assert other + N / 2 * np.log(2 * np.pi) < fit.evidence
    else:
        assert fit.noise_variance == noise**2


def test_rows_that_are_no_labels_are_given() -> None:
    """p(labels | others) = p(all) / p(others); a label left out leaves the others in."""
    fit = fitted(rows(n_labels=6))
    expected = log_probability(fit, np.arange(N)) - log_probability(fit, np.arange(6, N))
    assert fit.evidence == pytest.approx(expected, abs=EXACT)
    refit = ridge(np.array([0, 1, 3, 4, 5, 6, 7, 8]))
    assert fit.left_out[2] == pytest.approx((A @ refit - Y)[2], abs=EXACT)


def test_a_penalty_without_end_is_the_start() -> None:
    own = replace(PRIOR, centre=np.zeros(P))
    fit = PenalisedFit.start(rows(), own, 1e9, np.zeros(P)).minimised(5, 1e-12)
    # the weights move by 1e-8, and with them ten rows of size 1
    assert fit.evidence == pytest.approx(untouched_evidence(rows(), -Y), abs=1e-6)
    np.testing.assert_allclose(fit.left_out, -Y, atol=1e-6)


def test_variances_are_those_of_bayesian_regression() -> None:
    fit, others = fitted(rows()), RNG.normal(size=(4, P))
    precision = A.T @ A + np.diag(PENALTY / PRIOR.variance)
    expected = fit.noise_variance * np.diag(others @ np.linalg.solve(precision, others.T))
    np.testing.assert_allclose(fit.covariance_at(others), expected, rtol=1e-8)


def test_free_rows_are_labels_less_the_trace_of_the_fit() -> None:
    """γ = tr A (AᵀA + λ D⁻¹)⁻¹ Aᵀ, in weight space."""
    normal = A.T @ A + np.diag(PENALTY / PRIOR.variance)
    told = np.trace(A @ np.linalg.solve(normal, A.T))
    assert fitted(rows()).free_rows == pytest.approx(N - told, rel=1e-8)


def test_a_nonlinear_path_ends_where_scipy_does() -> None:
    """y = a exp(b t), with a pull to (1, 0)."""
    t = np.linspace(0, 1, 8)
    y = 2 * np.exp(-1.5 * t) + 0.01 * RNG.normal(size=8)
    prior = Prior("test", np.array([1.0, 4.0]), np.array([1.0, 0.0]))

    def model(x: np.ndarray) -> Linearised:
        e = np.exp(x[1] * t)
        return x[0] * e - y, np.stack([e, x[0] * t * e], 1)

    def stacked(x: np.ndarray) -> np.ndarray:
        pull = (x - prior.centre) * np.sqrt(1e-3 / prior.variance)
        return np.concatenate([model(x)[0], pull])

    own = Rows(model, 8, np.arange(8))
    path = list(penalty_path(own, prior, prior.centre, (1e1, 1e-1, 1e-3), 20, 1e-14))
    expected = least_squares(stacked, prior.centre, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    np.testing.assert_allclose(path[-1].x, expected, atol=1e-6)
    assert path[-1].objective == pytest.approx(np.sum(stacked(expected) ** 2), rel=1e-9)
    moved = [abs(fit.x - prior.centre).max() for fit in path]
    assert moved == sorted(moved)


def test_the_first_fit_of_a_path_is_the_fit_alone() -> None:
    """With its steps; each other one begins where the one before has ended."""
    penalties = [10.0, PENALTY]
    first, second = penalty_path(rows(), PRIOR, np.zeros(P), penalties, 5, 1e-12)
    alone = PenalisedFit.start(rows(), PRIOR, 10.0, np.zeros(P)).minimised(5, 1e-12)
    assert first.steps == alone.steps
    assert np.array_equal(first.x, alone.x)
    np.testing.assert_allclose(second.x, ridge(np.arange(N)), atol=EXACT)
    after = PenalisedFit.start(rows(), PRIOR, PENALTY, first.x).minimised(5, 1e-12)
    assert second.steps == after.steps


def test_a_step_that_is_too_long_is_shortened() -> None:
    """Newton's steps on arctan x leave from 3 for infinity."""

    def model(x: np.ndarray) -> Linearised:
        return np.arctan(x) * np.ones(2), np.ones((2, 1)) / (1 + x**2)

    prior = Prior("test", np.ones(1), np.zeros(1))
    fit = PenalisedFit.start(Rows(model, 2, np.arange(2), None), prior, 1e-6, np.array([3.0]))
    made = fit.minimised(30, 1e-14)
    assert made.objective < 1e-12 and abs(made.x[0]) < 1e-6
    assert made.evaluations > made.steps + 1
