"""The Jacobian of a dense network in factors, from one reverse pass a component.

A row of residuals depends on its own point only. So the gradient of their sum with respect to a
layer's pre-activations holds every point's δ at once, and ∂r/∂W is the sum over jet channels of
δ ⊗ layer input. No pass per point, no `vmap`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from pacpde.networks.protocol import Columns, Factors, Layer
from pacpde.networks.row_sums import RowSums

if TYPE_CHECKING:
    from pacpde.networks.mlp import MLP

CACHED = 2**22  # bytes that products take at a time on a CPU, so that they stay in its cache
PIECE = 2**26  # and elsewhere
GATHERED = 0.4  # share of a layer's columns below which single ones are cheaper than all of them


@dataclass(frozen=True)
class DenseFactors(Factors):
    """For each layer its inputs [..., S, in, N] and δ [..., S, out, n_components, N] of N points.

    S runs over channels and images, the images of the value first.
    """

    stacked = ("layers",)

    network: "MLP"
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    images: int

    @classmethod
    def of(
        cls,
        network: "MLP",
        inputs: Sequence[torch.Tensor],
        deltas: Sequence[torch.Tensor],
        images: int,
    ) -> "DenseFactors":
        """From each layer's inputs [..., channels, images·N, in] and deltas, see `MLP.deltas`."""
        layers = [
            (
                _by_point(own, images).mT.contiguous(),
                _by_point(delta, images).movedim(0, -1).transpose(-3, -1)
                .transpose(-3, -2).contiguous(),
            )
            for own, delta in zip(inputs, deltas, strict=True)
        ]  # fmt: skip
        return cls(network, layers, images)

    @property
    def n_components(self) -> int:
        return self.layers[0][1].shape[-2]

    @property
    def points(self) -> int:
        return self.layers[0][1].shape[-1]

    def subset(self, points: slice) -> "DenseFactors":
        return replace(self, layers=[(a[..., points], d[..., points]) for a, d in self.layers])

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        matrices = self.network.matrices(direction)
        pieces = []
        for some in self._pieces():
            total: Any = 0
            for (inputs, delta), (weight, bias) in zip(some.layers, matrices, strict=True):
                change = weight.unsqueeze(-3) @ inputs
                change[..., : self.images, :, :] += bias[..., None, :, None]
                total = total + (delta * change.unsqueeze(-2)).sum((-4, -3))
            pieces.append(total)
        return torch.cat(pieces, -1).flatten(-2)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        y = y.unflatten(-1, (1, 1, self.n_components, self.points))
        matrices = self.network.matrices(total)
        start = 0
        for some in self._pieces():
            own = y[..., start : start + some.points]
            start += some.points
            for (inputs, delta), (weight, bias) in zip(some.layers, matrices, strict=True):
                gradient = (delta * own).sum(-2)  # [..., S, out, N]
                weight += (gradient @ inputs.mT).sum(-3)
                bias += gradient[..., : self.images, :, :].sum((-3, -1))

    def add_sums(self, columns: Columns, sums: RowSums, target: torch.Tensor) -> None:
        inputs, delta = self.layers[columns.group]
        n_outputs, n_inputs = delta.shape[-3], inputs.shape[-2]
        n_weights = n_outputs * n_inputs
        each = n_weights + 2 * sums.rows * inputs.shape[-3] * (n_outputs + n_inputs)
        step = max(1, self._room // (each * inputs[..., 0, 0, 0].numel() * target.element_size()))
        for component, (points, signs, places) in enumerate(sums.components()):
            for own, sign, place in zip(
                points.split(step), signs.split(step), places.split(step), strict=True
            ):
                slopes = _by_sum(delta[..., component, :], own) * sign[:, None, :, None]
                bias = slopes[..., : self.images, :, :].sum((-3, -2))
                weight = slopes.flatten(-3, -2).mT @ _by_sum(inputs, own).flatten(-3, -2)
                if columns.indices is None:
                    target[..., :n_weights].index_add_(-2, place, weight.flatten(-2))
                    target[..., n_weights:].index_add_(-2, place, bias)
                else:
                    rows = torch.cat([weight.flatten(-2), bias], -1)
                    target.index_add_(-2, place, rows[..., columns.indices])

    @property
    def _room(self) -> int:
        """Bytes that products take at a time."""
        return CACHED if self.layers[0][0].device.type == "cpu" else PIECE

    def _pieces(self) -> Iterator["DenseFactors"]:
        """Factors of so few points that what a product forms of a layer is quick to reach."""
        largest = max(delta.numel() * delta.element_size() for _, delta in self.layers)
        step = max(1, self._room * self.points // largest)
        if step >= self.points:
            yield self
            return
        for start in range(0, self.points, step):
            yield self.subset(slice(start, start + step))

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        inputs, delta = self.layers[columns.group]
        bias = delta[..., : self.images, :, :, :].sum(-4)
        target = target.unflatten(-1, (self.n_components, self.points))
        if columns.outputs is not None:
            count = len(columns.outputs)
            _add_products(
                target[..., :count, :, :],
                [d[..., columns.outputs, :, :] for d in delta.unbind(-4)],
                [a[..., columns.inputs, None, :] for a in inputs.unbind(-3)],
            )
            target[..., count:, :, :] = bias[..., columns.biases, :, :]
            return
        n_outputs, n_inputs = delta.shape[-3], inputs.shape[-2]
        n_weights = n_outputs * n_inputs
        whole = target
        if columns.indices is not None:
            shape = (*target.shape[:-3], n_weights + n_outputs, *target.shape[-2:])
            whole = target.new_empty(shape)
        _add_products(
            whole[..., :n_weights, :, :].unflatten(-3, (n_outputs, n_inputs)),
            [d[..., :, None, :, :] for d in delta.unbind(-4)],
            [a[..., None, :, None, :] for a in inputs.unbind(-3)],
        )
        whole[..., n_weights:, :, :] = bias
        if columns.indices is not None:
            torch.index_select(whole, -3, columns.indices, out=target)


def columns_of(
    layers: Sequence[Layer], indices: torch.Tensor | None, limit: int, device: torch.device
) -> list[Columns]:
    """Columns layer by layer, at most `limit` at a time; see `Network.columns`."""
    groups = []
    for number, layer in enumerate(layers):
        size = layer.biases.stop - layer.start
        if indices is None:
            own = torch.arange(size, device=device)
        else:
            inside = (indices >= layer.start) & (indices < layer.biases.stop)
            own = indices[inside] - layer.start
        single = len(own) > limit or len(own) < GATHERED * size
        for part in own.split(limit) if len(own) > limit else (own,):
            if len(part):
                groups.append(_columns(number, layer, part, single))
    return groups


def _columns(number: int, layer: Layer, own: torch.Tensor, single: bool) -> Columns:
    n_weights = layer.inputs * layer.outputs
    if not single:
        whole = len(own) == n_weights + layer.outputs
        return Columns(len(own), number, None if whole else own)
    pairs, biases = own[own < n_weights], own[own >= n_weights] - n_weights
    return Columns(len(own), number, own, pairs // layer.inputs, pairs % layer.inputs, biases)


def _add_products(
    target: torch.Tensor, deltas: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]
) -> None:
    """target = Σ δ·input over channels and images."""
    torch.mul(deltas[0], inputs[0], out=target)
    for delta, own in zip(deltas[1:], inputs[1:], strict=True):
        target.addcmul_(delta, own)


def _by_sum(values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """[..., S, width, N] at points [sums, rows] → [..., sums, S, rows, width]."""
    chosen = values.index_select(-1, points.flatten()).unflatten(-1, points.shape)
    return chosen.movedim(-3, -1).movedim(-4, -3)


def _by_point(jet: torch.Tensor, images: int) -> torch.Tensor:
    """[..., channels, images·points, width] → [..., channels·images, points, width]."""
    return jet.unflatten(-2, (images, -1)).flatten(-4, -3)
