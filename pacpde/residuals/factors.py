"""A residual term linearised: its Jacobian rows as factors, from one reverse pass a kind.

A row of residuals depends on its own point only. So the gradient of their sum with respect to a
layer's pre-activations holds every point's δ at once, and ∂r/∂W is the sum over jet channels of
δ ⊗ layer input. No pass per point, no `vmap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pacpde.networks.mlp import MLP, Layer, Trace
from pacpde.networks.stacking import Stackable
from pacpde.residuals.terms import Term


def residuals(network: MLP, weights: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor:
    """All residuals, flat [..., rows]; differentiable in `weights` [..., size]."""
    parts = []
    for term in terms:
        output = network.forward(weights, term.batch.inputs, term.batch.names)
        parts.append(_rows(term.residual(term.batch.fields(output))))
    return torch.cat(parts, -1)


def factor_bytes(network: MLP, term: Term) -> int:
    """Bytes of a term's factors, components counted as fields."""
    widths = sum(layer.inputs + network.outputs * layer.outputs for layer in network.layers)
    inputs = term.batch.inputs
    return int(inputs.element_size() * inputs[..., 0].numel() * widths)


@dataclass(frozen=True)
class Streamed(Sequence["Factors"]):
    """The factors of every term, made anew whenever they are asked for."""

    network: MLP
    weights: torch.Tensor
    terms: Sequence[Term]

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, number: Any) -> Any:
        if number >= len(self.terms):
            raise IndexError(number)
        return self.linearised(number)[1]

    def linearised(self, number: int) -> tuple[torch.Tensor, "Factors"]:
        """Residuals [..., rows] and factors of a term."""
        term, network, weights = self.terms[number], self.network, self.weights
        trace: list[Trace] = []
        names, images = term.batch.names, term.batch.images
        output = network.forward(weights, term.batch.inputs, names, trace)
        leaf = output.detach().requires_grad_(True)
        with torch.enable_grad():
            residual = term.residual(term.batch.fields(leaf))
            n_components = residual.shape[-1]
            slopes = torch.stack(
                [
                    torch.autograd.grad(
                        residual[..., k].sum(), leaf, retain_graph=k + 1 < n_components
                    )[0]
                    for k in range(n_components)
                ]
            )
        deltas = network.deltas(weights, trace, names, slopes)
        layers = [
            (
                _by_point(seen.inputs, images).mT.contiguous(),
                _by_point(delta, images).movedim(0, -1).transpose(-3, -1)
                .transpose(-3, -2).contiguous(),
            )
            for seen, delta in zip(trace, deltas, strict=True)
        ]  # fmt: skip
        return _rows(residual.detach()), Factors(layers, images)


@dataclass(frozen=True)
class Factors(Stackable):
    """The Jacobian rows of one term.

    A layer has inputs [..., S, in, N] and δ [..., S, out, n_components, N] of N points. S runs over
    channels and images, the images of the value first.
    """

    stacked = ("layers",)

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    images: int

    @property
    def n_components(self) -> int:
        return self.layers[0][1].shape[-2]

    @property
    def points(self) -> int:
        return self.layers[0][1].shape[-1]

    @property
    def rows(self) -> int:
        return self.n_components * self.points

    def subset(self, points: slice) -> "Factors":
        """The rows of some points."""
        return Factors([(a[..., points], d[..., points]) for a, d in self.layers], self.images)

    def write(self, number: int, at: "Columns", target: torch.Tensor) -> None:
        """Columns of one layer into `target`, [..., columns, rows]."""
        inputs, delta = self.layers[number]
        bias = delta[..., : self.images, :, :, :].sum(-4)
        target = target.unflatten(-1, (self.n_components, self.points))
        if at.outputs is not None:
            count = len(at.outputs)
            _products(
                target[..., :count, :, :],
                [d[..., at.outputs, :, :] for d in delta.unbind(-4)],
                [a[..., at.inputs, None, :] for a in inputs.unbind(-3)],
            )
            target[..., count:, :, :] = bias[..., at.biases, :, :]
            return
        outputs, seen = delta.shape[-3], inputs.shape[-2]
        whole = target if at.chosen is None else _like(target, -3, outputs * (seen + 1))
        _products(
            whole[..., : outputs * seen, :, :].unflatten(-3, (outputs, seen)),
            [d[..., :, None, :, :] for d in delta.unbind(-4)],
            [a[..., None, :, None, :] for a in inputs.unbind(-3)],
        )
        whole[..., outputs * seen :, :, :] = bias
        if at.chosen is not None:
            torch.index_select(whole, -3, at.chosen, out=target)


@dataclass(frozen=True)
class Columns:
    """Which columns of a layer are wanted, in their order.

    Attributes:
        count: of them.
        chosen: positions among the layer's weights and biases; None for all.
        outputs, inputs, biases: the same as index pairs and bias positions, to form just these;
            None where forming the whole layer is cheaper.
    """

    count: int
    chosen: torch.Tensor | None = None
    outputs: torch.Tensor | None = None
    inputs: torch.Tensor | None = None
    biases: torch.Tensor | None = None

    @classmethod
    def of(cls, layer: Layer, chosen: torch.Tensor, gathered: bool) -> "Columns":
        weights = layer.inputs * layer.outputs
        if not gathered:
            whole = len(chosen) == weights + layer.outputs
            return cls(len(chosen), None if whole else chosen)
        pairs, biases = chosen[chosen < weights], chosen[chosen >= weights] - weights
        return cls(len(chosen), chosen, pairs // layer.inputs, pairs % layer.inputs, biases)


def _products(
    target: torch.Tensor, deltas: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]
) -> None:
    """target = Σ δ·input over channels."""
    torch.mul(deltas[0], inputs[0], out=target)
    for delta, seen in zip(deltas[1:], inputs[1:], strict=True):
        target.addcmul_(delta, seen)


def _like(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """Room for a tensor of another length in one dimension."""
    shape = list(tensor.shape)
    shape[dim] = size
    return tensor.new_empty(shape)


def _rows(residual: torch.Tensor) -> torch.Tensor:
    """[..., points, n_components] → [..., rows], component after component."""
    return residual.mT.flatten(-2)


def _by_point(jet: torch.Tensor, images: int) -> torch.Tensor:
    """[..., channels, images·points, width] → [..., channels·images, points, width]."""
    return jet.unflatten(-2, (images, -1)).flatten(-4, -3)
