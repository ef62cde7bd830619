"""One linear layer without hidden ones: what is left of a network of which the head alone moves."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pacpde.networks.layout import WeightLayout
from pacpde.networks.protocol import Columns, Factors, Network


@dataclass(frozen=True, repr=False)
class LinearHead(Network):
    """N = W f + b g with the inputs (f, g): features f, and g, which is 1 in a dense network.

    The weight vector is that of a last layer: W [outputs, features], then b [outputs]. Its inputs
    are computed once for a set of points, see `Network.split_head`, and every step after it is a
    product with them.

    Attributes:
        inputs, outputs: widths of the ends; g is the last input.

    Example:
        >>> LinearHead(41, 1).size
        41
    """

    inputs: int
    outputs: int

    @property
    def size(self) -> int:
        return self.inputs * self.outputs

    @property
    def layout(self) -> WeightLayout:
        shapes: dict[str, tuple[int, ...]] = {
            "layers.0.weight": (self.outputs, self.inputs - 1),
            "layers.0.bias": (self.outputs,),
        }
        return WeightLayout.of(shapes)

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        return np.zeros(self.size)

    def rows(self, weights: torch.Tensor) -> torch.Tensor:
        """[W, b], [..., outputs, inputs], a copy."""
        count = self.size - self.outputs
        matrix = weights[..., :count].unflatten(-1, (self.outputs, self.inputs - 1))
        return torch.cat([matrix, weights[..., count:, None]], -1)

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        return jet @ self.rows(weights).mT.unsqueeze(-3)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        def by_image(values: torch.Tensor) -> torch.Tensor:
            return values if images == 1 else values.unflatten(-2, (images, -1)).flatten(-4, -3)

        def factors(slopes: torch.Tensor) -> HeadFactors:
            return HeadFactors(self, by_image(jet), by_image(slopes))

        return self.forward(weights, jet, names), factors

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        if indices is None:
            return [Columns(self.size)]
        return [Columns(len(part), 0, part) for part in indices.split(limit) if len(part)]

    def factor_bytes(self, jet: torch.Tensor) -> int:
        return int(jet.element_size() * jet[..., 0].numel() * (self.inputs + self.outputs))


@dataclass(frozen=True)
class HeadFactors(Factors):
    """The inputs [..., S, N, inputs] of N points and slopes [n_components, ..., S, N, outputs].

    S runs over channels and images.
    """

    network: LinearHead
    inputs: torch.Tensor
    slopes: torch.Tensor

    @property
    def n_components(self) -> int:
        return self.slopes.shape[0]

    @property
    def points(self) -> int:
        return self.inputs.shape[-2]

    def subset(self, points: slice) -> "HeadFactors":
        return HeadFactors(self.network, self.inputs[..., points, :], self.slopes[..., points, :])

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        target = target.unflatten(-1, (self.n_components, self.points))
        whole = target
        if columns.indices is not None:
            shape = *target.shape[:-3], self.network.size, *target.shape[-2:]
            whole = target.new_empty(shape)
        features = self.network.inputs - 1
        for component, slopes in enumerate(self.slopes):
            for output in range(self.network.outputs):
                own = slopes[..., output].unbind(-2)
                parts = self.inputs.mT.unbind(-3)  # [..., inputs, N]
                block = parts[0] * own[0].unsqueeze(-2)
                for slope, part in zip(own[1:], parts[1:], strict=True):
                    block.addcmul_(part, slope.unsqueeze(-2))
                first = output * features
                whole[..., first : first + features, component, :] = block[..., :-1, :]
                last = self.network.outputs * features + output
                whole[..., last, component, :] = block[..., -1, :]
        if columns.indices is not None:
            torch.index_select(whole, -3, columns.indices, out=target)

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        change = self.inputs @ self.network.rows(direction).mT.unsqueeze(-3)
        return (self.slopes * change).sum((-3, -1)).movedim(0, -2).flatten(-2)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        y = y.unflatten(-1, (self.n_components, self.points))
        weighted = (self.slopes * y.movedim(-2, 0)[..., None, :, None]).sum(0)
        gradient = (weighted.mT @ self.inputs).sum(-3)  # [..., outputs, inputs]
        total += torch.cat([gradient[..., :-1].flatten(-2), gradient[..., -1]], -1)
