"""Rivals of a transfer that move no network: the source untouched, Gaussian processes, ridge.

- zero-shot: the source.
- Gaussian process: of the labels alone, one length scale an input and the noise by the marginal
  likelihood; and on the residual, y − source(x), which is about the simplest transfer there is.
- ridge on features: y − source(x) ≈ c + h(x) β with h the units of the source's last hidden layer;
  its penalty by leave-one-out cross-validation. Of classes: a logistic regression on h(x).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from grounds_base import Attempt, Found
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pacpde import Surrogate
from pacpde.networks.heads import ExtendedNetwork, FeatureAnsatz

PENALTIES = np.logspace(-5, 5, 21)  # of ridge


def features_of(source: Surrogate, inputs: np.ndarray) -> np.ndarray:
    """Units of the last hidden layer, [rows, width]."""
    extended = ExtendedNetwork.with_features(source.network, source.weights)
    ansatz = FeatureAnsatz(source.ansatz, source.network.n_features)
    batch = ansatz.batch(source.runtime.tensor(inputs))
    output = extended.network.forward(extended.weights, batch.inputs, batch.names)
    return np.asarray(batch.fields(output)[0].detach().cpu().numpy())


def gaussian_process(inputs: np.ndarray, outputs: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Mean at the test rows, [rows]."""
    scale = StandardScaler().fit(inputs)
    ones = np.ones(inputs.shape[1])
    kernel = ConstantKernel() * RBF(ones, (0.05, 1e3)) + WhiteKernel(0.1, (1e-10, 10))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is fine
        process.fit(scale.transform(inputs), outputs)
    return np.asarray(process.predict(scale.transform(test)))


@dataclass(frozen=True)
class Values:
    """Rivals on values of fields, or of a table's outputs; those found are [fields, test points].

    Attributes:
        points, values: labels, [points, axes] and [points, fields].
        test: points at which fields are wanted, [test points, axes].
    """

    source: Surrogate
    points: np.ndarray
    values: np.ndarray
    test: np.ndarray

    def attempts(self, with_labels: bool = True) -> Iterator[tuple[str, Attempt]]:
        """
        Args:
            with_labels: those that take labels too, which know no equation.
        """
        yield "zero_shot", lambda: {"zero_shot": self.zero_shot}
        if with_labels:
            yield "gaussian_process", lambda: {"gaussian_process": self.process()}
            yield "process_on_residual", lambda: {"process_on_residual": self.on_residual()}
            yield "ridge_on_features", lambda: {"ridge_on_features": self.ridge()}

    @property
    def zero_shot(self) -> np.ndarray:
        return np.atleast_2d(self.source(*self.test.T))

    @property
    def residual(self) -> np.ndarray:
        """Of the labels, [points, fields]."""
        return np.asarray(self.values - np.atleast_2d(self.source(*self.points.T)).T)

    def process(self) -> np.ndarray:
        return np.stack([gaussian_process(self.points, own, self.test) for own in self.values.T])

    def on_residual(self) -> np.ndarray:
        own = [gaussian_process(self.points, left, self.test) for left in self.residual.T]
        return self.zero_shot + np.stack(own)

    def ridge(self) -> np.ndarray:
        here, there = (features_of(self.source, points) for points in (self.points, self.test))
        own = [RidgeCV(PENALTIES).fit(here, left).predict(there) for left in self.residual.T]
        return self.zero_shot + np.stack(own)


@dataclass(frozen=True)
class Classes:
    """Rivals on images; values are probabilities [test rows, classes].

    Attributes:
        pixels, classes: labels, [rows, pixels] and [rows].
        test: images whose classes are wanted.
    """

    source: Surrogate
    pixels: np.ndarray
    classes: np.ndarray
    test: np.ndarray

    def attempts(self) -> Iterator[tuple[str, Attempt]]:
        yield "gaussian_process", self.process
        yield "logistic_on_features", self.logistic

    def process(self) -> Found:
        kernel = ConstantKernel(10.0) * RBF(30.0, (1.0, 1e3))
        process = GaussianProcessClassifier(kernel, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(self.pixels, self.classes)
        return {"gaussian_process": process.predict_proba(self.test)}

    def logistic(self) -> Found:
        here, there = (features_of(self.source, rows) for rows in (self.pixels, self.test))
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return {"logistic_on_features": model.fit(here, self.classes).predict_proba(there)}
