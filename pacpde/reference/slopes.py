"""Slopes of an equation in its fields and their derivatives, point by point, by autograd."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pacpde.physics.derivatives import ChannelDerivative
from pacpde.runtime import gradients

Channels = Mapping[str, Sequence[np.ndarray]]  # derivative → field → values at points
Slopes = dict[str, list[list[np.ndarray | None]]]  # derivative → row → field → slope at points


@gradients()
def pointwise_slopes(
    rows: Callable[..., Sequence[Any]],
    channels: Channels,
    axes: Sequence[str],
    coordinates: Mapping[str, np.ndarray],
) -> Slopes:
    """∂(row i)/∂(derivative c of field j) as slopes[c][i][j]; None where it is 0 everywhere.

    The caller may have switched torch's gradients off.

    Args:
        rows: (fields, d) → the rows, as a family gives them.
        axes: names that `d` may be asked for.
    """
    leaves = {
        name: [torch.tensor(values, device="cpu").requires_grad_() for values in fields]
        for name, fields in channels.items()
    }
    at = {
        name: torch.as_tensor(x, dtype=torch.float64, device="cpu")
        for name, x in coordinates.items()
    }
    flat = [leaf for fields in leaves.values() for leaf in fields]
    count = len(leaves[""])
    result: Slopes = {name: [] for name in leaves}
    for row in rows(leaves[""], ChannelDerivative(leaves, axes, at)):
        slopes = _gradients(row, flat)
        for k, name in enumerate(leaves):
            result[name].append(slopes[k * count : (k + 1) * count])
    return result


def _gradients(row: Any, leaves: list[torch.Tensor]) -> list[np.ndarray | None]:
    if not isinstance(row, torch.Tensor) or not row.requires_grad:
        return [None] * len(leaves)
    slopes = torch.autograd.grad(row.sum(), leaves, allow_unused=True, retain_graph=True)
    return [None if slope is None else slope.numpy() for slope in slopes]
