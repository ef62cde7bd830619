"""The ansatz of a table of classes: its fields are logits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import torch

from pacpde.networks.batch import Batch, Label
from pacpde.networks.table_ansatz import TableAnsatz


@dataclass(frozen=True)
class ClassAnsatz(TableAnsatz):
    """Logits z of classes from standardised columns; p = softmax(z / T).

    Attributes:
        classes: labels, in the order of the logits.
        temperature: T, see `pacpde.methods.class_measures`.
        first_output: index of the first of the network's outputs that are these logits; a network
            may have several heads.
    """

    classes: tuple[Label, ...] = ()
    temperature: float = 1.0
    first_output: int = 0

    @classmethod
    def of_classes(cls, inputs: np.ndarray, classes: Sequence[Label]) -> Self:
        """Columns standardised by these inputs [points, columns]."""
        count = len(classes)
        standard = TableAnsatz.of(inputs, np.zeros((1, count)))
        return cls(**asdict(standard), classes=tuple(classes))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> TableAnsatz:
        """The inverse of `settings`, also after JSON: of classes where they are named."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in settings.items()
        }
        return cls(**values) if "classes" in values else TableAnsatz(**values)

    @property
    def class_labels(self) -> tuple[Label, ...]:
        return self.classes

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        return replace(super().batch(points, names), first_output=self.first_output)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits / self.temperature, 0)
