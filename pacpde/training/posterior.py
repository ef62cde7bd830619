"""What a fit to labels alone says of itself: its cross-validated error, and a posterior."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch

from pacpde.networks.batch import Ansatz
from pacpde.networks.protocol import Network
from pacpde.optim.penalised import PenalisedFit
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.terms import LabelTerm

CHUNK = 500  # points of a prediction at once
CLEARLY = 0.5  # standard errors of a gain in log-loss


@dataclass(frozen=True)
class Posterior:
    """w ~ N(ŵ, (JᵀJ/σ² + D⁻¹/s²)⁻¹), J at ŵ: the Gauss–Newton form of Laplace's approximation.

    Attributes:
        network, ansatz, weights: of the fit, at its end.
        trainable_mask: which weights are uncertain, bool [size].
        fit: gives J, D, s and σ.
        few: whether the labels are too few to tell σ; see `degrees_of_freedom`.
    """

    network: Network
    ansatz: Ansatz
    weights: torch.Tensor
    trainable_mask: torch.Tensor
    fit: PenalisedFit
    few: bool = False

    @property
    def degrees_of_freedom(self) -> float:
        """Of Student's distribution of the fields: the number of labels.

        Of few labels those that the fit leaves free, one at least: λ, which was chosen to make the
        labels probable, then counts.
        """
        return max(1.0, self.fit.free_rows) if self.few else float(self.fit.rows.n_labels)

    def deviations(self, points: torch.Tensor) -> np.ndarray:
        """Standard deviation of the fields at points [points, axes], [points, fields]."""
        return np.concatenate([self._deviations(chunk) for chunk in points.split(CHUNK)])

    def _deviations(self, points: torch.Tensor) -> np.ndarray:
        batch = self.ansatz.batch(points)
        zeros = points.new_zeros(len(points), len(batch.scale))
        term = LabelTerm(batch, zeros, weight=len(points))
        indices = self.trainable_mask.nonzero()[:, 0]
        _, jacobian = linearise(self.network, self.weights, [term], indices)
        variance = self.fit.covariance_at(numbers(jacobian.dense()))
        scale = numbers(batch.scale)[:, None]
        return (np.sqrt(variance).reshape(len(scale), len(points)) * scale).T


@dataclass(frozen=True)
class LargestMiss:
    """The label that is missed most, where it is left out.

    Attributes:
        share: of the sum of squares over all labels.
        row: of the label, from 1; copies of a row are not counted.
        field: number of the field.
        value: that was measured.
        point: its coordinates.
    """

    share: float
    row: int
    field: int
    value: float
    point: tuple[float, ...]


@dataclass(frozen=True)
class ClassChoice:
    """What labels of classes say of a fit that was made without them.

    Attributes:
        logits: of each label, by the fit without its fold, [labels, classes].
        temperature: T of p = softmax(z / T) that they chose.
        losses: −log p of each label's class, [labels].
        places: number of the place of each label, [labels].
    """

    logits: np.ndarray
    temperature: float
    losses: np.ndarray
    places: np.ndarray

    @property
    def log_loss(self) -> float:
        """Mean −log p of the label's class."""
        return float(self.losses.mean())

    def beats(self, other: "ClassChoice") -> bool:
        """Whether the log-loss is smaller by half a standard error of the difference at least.

        Beside a new last layer, which gives all classes the same probability, any gain will do.
        """
        gains = other.losses - self.losses
        by_place = np.bincount(self.places, gains)[np.unique(self.places)]
        error = by_place.std(ddof=1) / sqrt(len(by_place)) if len(by_place) > 1 else np.inf
        least = CLEARLY * error if np.ptp(other.logits, axis=1).any() else 0.0
        return bool(by_place.mean() > least)


@dataclass(frozen=True)
class CrossValidation:
    """The choice of a fit to labels alone, and how well it predicts labels that it was not given.

    Errors are root mean squares over the measured values, in scales of the fields.

    Attributes:
        cv_error: leave-one-out error of the choice; of all labels of a point at once.
        zero_shot_cv: error of the source, which no label touched.
        n_labels: number of measured values.
        strength: λ, the mean over the weights; None where the weights stay at their start.
        prior: form of the penalty; "" where the weights stay.
        noise: estimated standard deviation of a label.
        source_returned: whether nothing beat the source, which is then the result.
        posterior: of the trainable weights.
        few: whether the values are fewer than 8 a field and their noise is not known: it is then
            not taken for less than a share of the misfit of the start.
        span: least and largest coordinate of the labels, an axis.
        largest_miss: None where the labels' terms do not name their values.
        classes: of labels that are classes, whose errors are √(2 log-loss), in cross-validation by
            folds; None of values.
        evidence: log of the marginal likelihood of the choice, by which fits with the same labels
            are compared; None of classes, whose folds compare them.
    """

    cv_error: float
    zero_shot_cv: float
    n_labels: int
    strength: float | None
    prior: str
    noise: float
    source_returned: bool = False
    posterior: Posterior | None = None
    few: bool = False
    span: tuple[tuple[float, float], ...] = ()
    largest_miss: LargestMiss | None = None
    classes: ClassChoice | None = None
    evidence: float | None = None

    def as_json(self) -> dict[str, float | str | bool | None]:
        """The keys of a record."""
        return {
            "cv_error": self.cv_error,
            "zero_shot_cv": self.zero_shot_cv,
            "strength": self.strength,
            "prior": self.prior or None,
            "source_returned": self.source_returned,
        }


def numbers(tensor: torch.Tensor) -> np.ndarray:
    """In double precision, on the CPU."""
    return np.asarray(tensor.detach().double().cpu().numpy())
