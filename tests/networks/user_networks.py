"""Networks of a user: a series of sines, and a dense network with a gain."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from pacpde.networks.jets import activate, order, slopes
from pacpde.networks.layout import WeightLayout
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Columns, Factors, Network


@dataclass(frozen=True)
class SineSeries(Network):
    """u = Σ_k w_k sin(a_k·x + b_k) with fixed a and b, one output."""

    inputs: int
    outputs: int = 1
    count: int = 60

    @property
    def size(self) -> int:
        return self.count

    @property
    def layout(self) -> WeightLayout:
        return WeightLayout.of({"series.weight": (1, self.count)})

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        return rng.normal(0, 0.1, self.count)

    def features(self, jet: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        rng = np.random.default_rng(0)
        z = jet @ torch.tensor(rng.normal(0, 2, (self.inputs, self.count)))
        z[..., 0, :, :] += torch.tensor(rng.uniform(0, 6, self.count))
        return activate(slopes("sin", z[..., 0, :, :], order(names)), z, names)

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        return self.features(jet, names) @ weights[..., None, :, None]

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        features = self.features(jet, names)

        def rows(slopes: torch.Tensor) -> Rows:
            jacobian = torch.einsum("k...cn,...cnw->...knw", slopes[..., 0], features)
            return Rows(jacobian.unflatten(-2, (images, -1)).sum(-3))

        return features @ weights[..., None, :, None], rows

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        return [Columns(self.size if indices is None else len(indices), indices=indices)]

    def factor_bytes(self, jet: torch.Tensor) -> int:
        return 8 * self.size * jet.shape[-2]


@dataclass(frozen=True)
class Rows(Factors):
    """The Jacobian written out, [..., n_components, points, size]."""

    stacked = ("jacobian",)

    jacobian: torch.Tensor

    @property
    def n_components(self) -> int:
        return self.jacobian.shape[-3]

    @property
    def points(self) -> int:
        return self.jacobian.shape[-2]

    def subset(self, points: slice) -> "Rows":
        return replace(self, jacobian=self.jacobian[..., points, :])

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        rows = self.jacobian.flatten(-3, -2)
        target.copy_((rows if columns.indices is None else rows[..., columns.indices]).mT)

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        return (self.jacobian.flatten(-3, -2) @ direction[..., None])[..., 0]

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        total += (self.jacobian.flatten(-3, -2).mT @ y[..., None])[..., 0]


@dataclass(frozen=True)
class StoredSines(SineSeries):
    """A series of sines that has a name, so that files can name it."""

    name = "sines"


@dataclass(frozen=True)
class GainedMLP(MLP):
    """gain · MLP."""

    name = "gained"

    gain: float = 2.0

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        return self.gain * super().forward(weights, jet, names)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        outputs, factors = super().linearise(weights, jet, names, images)
        return self.gain * outputs, lambda slopes: factors(self.gain * slopes)
