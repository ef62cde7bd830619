"""Few labels of classes: evidence, refits without labels, and the choice between fit and source."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from pacpde.optim.penalised import ClassRows, Linearised, PenalisedFit, Prior
from pacpde.training.class_validation import folds_of
from pacpde.training.posterior import ClassChoice

RNG = np.random.default_rng(0)


def rows_of(features: np.ndarray, numbers: np.ndarray, n_classes: int) -> ClassRows:
    """Of a linear softmax model, z = F W, x the entries of W [features, classes]."""
    count, width = features.shape
    slopes = np.einsum("ij,kl->iljk", features, np.eye(n_classes)).reshape(count, n_classes, -1)

    def logits(x: np.ndarray) -> np.ndarray:
        return features @ x.reshape(width, n_classes)

    def linearise(x: np.ndarray) -> Linearised:
        z = logits(x)
        p = np.exp(log_softmax(z, axis=1))
        gradient = p - np.eye(n_classes)[numbers]
        hessian = p[:, :, None] * np.eye(n_classes) - p[:, :, None] * p[:, None, :]
        lower = np.linalg.cholesky(hessian + 1e-13 * np.eye(n_classes))
        r = np.linalg.solve(lower, gradient[:, :, None])[:, :, 0]
        J = np.swapaxes(lower, 1, 2) @ slopes
        return r.T.ravel(), np.swapaxes(J, 0, 1).reshape(count * n_classes, -1)

    points = np.tile(np.arange(count), n_classes)
    return ClassRows(
        linearise, count * n_classes, points, logits=logits, values=np.eye(n_classes)[numbers]
    )


def fitted(rows: ClassRows, penalty: float, width: int) -> PenalisedFit:
    prior = Prior("test", np.ones(width), np.zeros(width))
    return PenalisedFit.start(rows, prior, penalty, np.zeros(width)).minimised(30, 1e-14)


def test_the_evidence_of_one_weight_is_its_integral() -> None:
    """Two classes with z = (w a, −w a): ∫ p(labels | w) N(w; 0, 1/λ) dw by quadrature."""
    a = RNG.normal(size=40)
    numbers = (RNG.random(40) > 1 / (1 + np.exp(-2 * a))).astype(int)
    penalty = 0.7

    def log_joint(w: float) -> float:
        z = np.stack([w * a, -w * a], 1)
        own = z[np.arange(40), numbers] - logsumexp(z, axis=1)
        return float(own.sum() - penalty * w**2 / 2 + np.log(penalty / (2 * np.pi)) / 2)

    base = rows_of(a[:, None], numbers, 2)
    odd = np.array([[1.0], [-1.0]])

    def linearise(x: np.ndarray) -> Linearised:
        r, J = base.linearise((odd @ x).ravel())
        return r, J @ odd

    rows = replace(base, linearise=linearise, logits=lambda x: base.logits((odd @ x).ravel()))
    fit = fitted(rows, penalty, 1)
    top = log_joint(fit.x[0])
    integral = top + np.log(quad(lambda w: np.exp(log_joint(w) - top), -10, 10)[0])
    # 40 labels leave the posterior of one weight nearly normal; the evidence is −18.6
    assert fit.evidence == pytest.approx(integral, abs=0.02)
    z = np.stack([fit.x[0] * a, -fit.x[0] * a], 1)
    p = np.exp(log_softmax(z, axis=1))
    curvature = penalty + (4 * a**2 * p[:, 0] * p[:, 1]).sum()
    assert fit.evidence == pytest.approx(top + np.log(2 * np.pi / curvature) / 2, abs=1e-6)


def test_labels_left_out_have_the_probabilities_of_scikit_learn() -> None:
    numbers = np.arange(30) % 3
    features = RNG.normal(size=(30, 4)) + np.eye(3, 4)[numbers]
    folds = folds_of(numbers, np.arange(30), seed=0)
    rows, penalty = rows_of(features, numbers, 3), 0.5
    logits = np.empty((30, 3))
    for fold in np.unique(folds):
        fit = fitted(rows.without(folds == fold), penalty, 12)
        logits[folds == fold] = rows.logits(fit.x)[folds == fold]
    model = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-10, max_iter=1000)
    expected = cross_val_predict(
        model, features, numbers, cv=PredefinedSplit(folds), method="predict_proba"
    )
    found = np.exp(log_softmax(logits, axis=1))
    np.testing.assert_allclose(found, expected, atol=1e-6)  # lbfgs ends at 1e-7
    choice = ClassChoice(logits, 1.0, -np.log(found[np.arange(30), numbers]), np.arange(30))
    assert choice.log_loss == pytest.approx(log_loss(numbers, expected), abs=1e-6)


def test_folds_hold_every_class_and_whole_places() -> None:
    numbers = np.repeat([0, 1, 2], [10, 10, 5])
    folds = folds_of(numbers, np.arange(25), seed=1)
    for number, each in ((0, 2), (1, 2), (2, 1)):
        assert np.bincount(folds[numbers == number], minlength=5).tolist() == [each] * 5
    twice = np.concatenate([np.arange(12), np.arange(12)])
    folds = folds_of(np.tile(np.arange(12) % 2, 2), twice, seed=1)
    assert np.array_equal(folds[:12], folds[12:])
    assert len(np.unique(folds_of(np.arange(60) % 2, np.arange(60), seed=1))) == 3


def test_a_gain_has_to_be_half_its_standard_error() -> None:
    other = ClassChoice(np.eye(9, 2), 1.0, np.ones(9), np.arange(9))
    spread = np.array([-1, 0, 1] * 3) * np.sqrt(12) / 3  # of standard error 1/3 · √(4/3 · 9/8)
    error = spread.std(ddof=1) / 3
    for gain, expected in ((0.51 * error, True), (0.49 * error, False)):
        own = replace(other, losses=1 - gain + spread)
        assert own.beats(other) is expected
        ignorant = replace(other, logits=np.zeros((9, 2)))  # a new last layer: any gain will do
        assert own.beats(ignorant)
    assert not other.beats(other)
