"""Labelled rows of a table: which class each row is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError, short
from pacpde.networks.batch import Ansatz, Label
from pacpde.residuals.class_terms import CrossEntropyTerm
from pacpde.residuals.task import LabelRows
from pacpde.runtime import Runtime, generator


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Rows of a table, each with its class.

    Attributes:
        points: columns, [rows, columns].
        numbers: of the class of each row, int [rows].
        n_classes: number of classes; some may have no row.
        logit_penalty: β of the loss; see `CrossEntropyTerm`.
    """

    points: np.ndarray
    numbers: np.ndarray
    n_classes: int
    logit_penalty: float = 0.0

    @property
    def counts(self) -> np.ndarray:
        """Number of rows of each class, [classes]."""
        return np.bincount(self.numbers, minlength=self.n_classes)

    def subset(self, rows: np.ndarray) -> "ClassLabels":
        """Some of the rows, by a mask or by indices."""
        return replace(self, points=self.points[rows], numbers=self.numbers[rows])

    def term(self, ansatz: Ansatz, runtime: Runtime) -> CrossEntropyTerm:
        """The mean cross-entropy of the rows."""
        batch = ansatz.batch(runtime.tensor(self.points))
        values = runtime.tensor(np.eye(self.n_classes)[self.numbers])
        return CrossEntropyTerm(batch, values, self.logit_penalty)

    def rows(self, ansatz: Ansatz, runtime: Runtime) -> LabelRows:
        """The cross-entropy of all rows, for a fit whose penalty they choose."""
        return LabelRows(self.term(ansatz, runtime))

    def split(self, share: float, seed: int) -> tuple["ClassLabels", "ClassLabels"]:
        """(the others, about this share of every class, without the penalty), by `seed`.

        A class keeps one row at least. Where none has a row to spare, both are all rows.
        """
        order = generator(seed, "held-out labels").permutation(len(self.points))
        numbers = self.numbers[order]
        rank = np.empty(len(order), dtype=int)  # of each row among those of its class
        for number in range(self.n_classes):
            own = numbers == number
            rank[own] = np.arange(own.sum())
        counts = self.counts
        most = np.maximum(counts - 1, 0)
        wanted = np.minimum(np.round(share * counts).astype(int), most)
        if not wanted.any() and most.any():
            wanted[most.argmax()] = 1
        if not wanted.any():
            return self, replace(self, logit_penalty=0.0)
        held = rank < wanted[numbers]
        return self.subset(order[~held]), replace(self.subset(order[held]), logit_penalty=0.0)


def as_labels(classes: Any) -> list[Label]:
    """The label of every row as a plain bool, int or str.

    Raises:
        InvalidValueError: they are no such labels, one a row.
    """
    if np.ma.is_masked(classes):
        raise InvalidValueError(
            f"the classes have {np.ma.count_masked(classes)} masked entries, expected a label in "
            "each: leave those rows out."
        )
    values = classes.tolist() if hasattr(classes, "tolist") else classes
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidValueError(f"the classes are {short(values)}, expected a label for each row.")
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    for row, value in enumerate(values):
        if isinstance(value, float) and value.is_integer():
            values[row] = int(value)
        elif not isinstance(value, bool | int | str):
            raise InvalidValueError(
                f"the class of row {row + 1} is {short(value)}, expected a whole number, true or "
                "false, or a text, one a row: for values that are measured use fit_table."
            )
    kinds = {str if isinstance(value, str) else int for value in values}
    if len(kinds) > 1:
        raise InvalidValueError(
            "some of the classes are texts and others are numbers: write all of them as texts."
        )
    return values


def numbered(labels: Sequence[Label], known: Sequence[Label]) -> np.ndarray | None:
    """The number of each label among those that are known; None where one is not."""
    places = {label: number for number, label in enumerate(known)}
    if not set(labels) <= places.keys():
        return None
    return np.array([places[label] for label in labels], dtype=int)
