"""Residuals and their Jacobian in the free parameters, from one reverse pass a residual kind.

A row of residuals depends on its own point only. So the gradient of their sum with respect to a
layer's pre-activations holds every point's δ at once, and ∂r/∂W is the sum over jet channels of
δ ⊗ layer input. No pass per point, no `vmap`.
"""

from collections.abc import Sequence

import torch

from pacpde.networks.mlp import MLP
from pacpde.objective.blocks import Block


def residuals(network: MLP, weights: torch.Tensor, blocks: Sequence[Block]) -> torch.Tensor:
    """All residuals, flat [rows]; differentiable in `weights`."""
    parts = []
    for block in blocks:
        output = network.forward(weights, block.batch.inputs, block.batch.names)
        parts.append(block.residual(block.batch.fields(output)).T.reshape(-1))
    return torch.cat(parts)


def linearise(
    network: MLP, weights: torch.Tensor, blocks: Sequence[Block], free: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Residuals [rows] and their Jacobian [rows, free].

    Args:
        weights: the whole flat vector, [size].
        free: indices of the free parameters; all of them by default.
    """
    rows, columns = [], []
    for block in blocks:
        trace: list[tuple[torch.Tensor, torch.Tensor]] = []
        output = network.forward(weights, block.batch.inputs, block.batch.names, trace)
        residual = block.residual(block.batch.fields(output))
        leaves = [z for _, z in trace]
        for kind in range(residual.shape[1]):
            deltas = torch.autograd.grad(
                residual[:, kind].sum(), leaves, retain_graph=kind + 1 < residual.shape[1]
            )
            jacobian = residual.new_empty(block.batch.size, network.size)
            for layer, (inputs, _), delta in zip(network.layers, trace, deltas, strict=True):
                _outer(jacobian, layer.weights, inputs, delta, block.batch.images)
                values = delta[0].view(block.batch.images, block.batch.size, -1)
                jacobian[:, layer.biases] = values.sum(0)
            rows.append(residual[:, kind].detach())
            columns.append(jacobian if free is None else jacobian[:, free])
    return torch.cat(rows), torch.cat(columns)


def _outer(
    jacobian: torch.Tensor, where: slice, inputs: torch.Tensor, delta: torch.Tensor, images: int
) -> None:
    """Write Σ over channels and images of δ ⊗ input into the columns of one layer's weights."""
    points = len(jacobian)

    def stacked(jet: torch.Tensor) -> torch.Tensor:  # [points, channels·images, width]
        return jet.reshape(-1, points, jet.shape[-1]).transpose(0, 1)

    product = torch.bmm(stacked(delta).transpose(1, 2), stacked(inputs))
    jacobian[:, where] = product.view(points, -1)
