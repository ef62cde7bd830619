"""How well classes are told apart: accuracy, log-loss, calibration."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

BINS = 15  # of the confidence, as Guo et al.


@dataclass(frozen=True)
class ClassMeasures:
    """Measures of predicted classes on some rows.

    Attributes:
        rows: number of rows.
        accuracy: share of the rows whose class has the largest probability.
        log_loss: mean −log p of the row's class.
        calibration_error: expected calibration error, Σ over bins of the confidence (the largest
            probability) of share of the rows · |accuracy − mean confidence| (Guo et al. 2017, arXiv
            1706.04599, eq. 3, 15 bins).
        most_common: share of the most common class: the accuracy without a network.
    """

    rows: int
    accuracy: float
    log_loss: float
    calibration_error: float
    most_common: float

    @classmethod
    def of(cls, logits: np.ndarray, numbers: np.ndarray, temperature: float) -> "ClassMeasures":
        """
        Args:
            logits: [rows, classes].
            numbers: of the class of each row, int [rows].
            temperature: by which the logits are divided.
        """
        p = softmax(logits / temperature, axis=1)
        right = p.argmax(1) == numbers
        confidence = p.max(1)
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        gaps = np.abs(np.bincount(bins, right - confidence, BINS))
        return cls(
            len(numbers),
            float(right.mean()),
            log_loss(logits / temperature, numbers),
            float(gaps.sum() / len(numbers)),
            float(np.bincount(numbers).max() / len(numbers)),
        )

    def as_json(self) -> dict[str, Any]:
        """As in records."""
        return asdict(self)


def log_loss(logits: np.ndarray, numbers: np.ndarray) -> float:
    """Mean −log p of the class of each row, from logits [rows, classes]."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers].mean())
