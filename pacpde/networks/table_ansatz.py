"""The ansatz of a table: columns and targets in their own units."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.batch import Ansatz, Batch


@dataclass(frozen=True)
class TableAnsatz(Ansatz):
    """A network on standardised columns, for regression on a table.

    Attributes:
        centre, spread: mean and standard deviation of each input column.
        shift, scale: mean and standard deviation of each output. Constant columns count as 1 wide.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, inputs: np.ndarray, outputs: np.ndarray) -> "TableAnsatz":
        """Standardised by these data: inputs [points, columns], outputs [points, targets]."""

        def columns(values: np.ndarray) -> tuple[float, ...]:
            return tuple(float(value) for value in values)

        def widths(values: np.ndarray) -> tuple[float, ...]:
            constant = np.ptp(values, axis=0) == 0  # the deviation of equal numbers may round up
            return columns(np.where(constant, 1.0, values.std(0)))

        return cls(
            columns(inputs.mean(0)), widths(inputs), columns(outputs.mean(0)), widths(outputs)
        )

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def inputs(self) -> int:
        return len(self.centre)

    @property
    def outputs(self) -> int:
        return len(self.shift)

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        if tuple(names) != ("",):
            raise InvalidValueError(f"a table has no derivatives, got the channels {names}.")
        inputs = (points - points.new_tensor(self.centre)) / points.new_tensor(self.spread)
        batch = Batch.without_derivatives(points, inputs[None], points.new_tensor(self.scale))
        offset = points.new_tensor(self.shift).expand(len(points), -1)
        return replace(batch, offset=offset[None])
