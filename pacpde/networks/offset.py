"""The part g of an ansatz u = g + s m N: it meets the conditions, axis after axis."""

from collections.abc import Mapping, Sequence

import torch

from pacpde.networks.edge_functions import AxisFunctions
from pacpde.physics.derivatives import gradient

Coordinates = Mapping[str, torch.Tensor]


def offset(
    axes: Sequence[Sequence[AxisFunctions]], x: Coordinates, n_fields: int
) -> list[torch.Tensor]:
    """g of every field: Σ over the conditions of an axis of function · (value − condition on g).

    What an axis adds leaves the conditions of those before it as they are, where both agree at
    their common edge. Else g is finite as well, and meets those of the last axis.

    Args:
        axes: the first one first, each with its functions of every field.
        x: coordinates by name, [points] each.
    """
    if not axes:
        one = torch.ones_like(next(iter(x.values())))
        return [0 * one for _ in range(n_fields)]
    *others, last = axes
    result = offset(others, x, n_fields)
    axis = last[0].axis
    for upper in (False, True):
        conditions = [one for own in last for one in own.end(upper).conditions]
        if not conditions:
            continue
        place = (axis.upper if upper else axis.lower) * torch.ones_like(x[axis.name])
        with_slopes = any(one.b for one in conditions)
        at = {**x, axis.name: place.detach().requires_grad_(True) if with_slopes else place}
        values = offset(others, at, n_fields)
        sign = 1 if upper else -1
        slopes = [sign * gradient(own, at[axis.name]) for own in values] if with_slopes else []
        for field, own in enumerate(last):
            for condition, function in own.blends(x[axis.name], upper):
                left = condition.a * values[field]
                if condition.b:
                    left = left + condition.b * slopes[field]
                result[field] = result[field] + function * (condition.value_at(at) - left)
    return result
