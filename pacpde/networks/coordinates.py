"""Coordinates that a user gives to a surrogate: checked, and moved into the domain."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.forward_ad import unpack_dual

from pacpde.errors import ExtrapolationWarning, InvalidValueError
from pacpde.physics.domain import Domain
from pacpde.physics.numbers import as_floats
from pacpde.runtime import Runtime


def as_points(
    coordinates: Sequence[Any], names: Sequence[str], whose: str, runtime: Runtime
) -> tuple[torch.Tensor, torch.Size]:
    """A user's coordinates as points [points, axes], and the shape to which they broadcast.

    Args:
        names: of the coordinates that are expected.
        whose: begins the sentence of a refusal.

    Raises:
        InvalidValueError: they are too many or too few, or no real numbers that broadcast.
    """
    expected = f"{len(names)}: {', '.join(names)}"
    if len(coordinates) != len(names):
        raise InvalidValueError(
            f"{whose} was given {len(coordinates)} coordinates, expected {expected}."
        )
    values = []
    for name, value in zip(names, coordinates, strict=True):
        if not isinstance(value, torch.Tensor):
            value = as_floats(value, f"the coordinates {name} of {whose}")
        elif value.layout is not torch.strided or value.is_quantized or value.is_nested:
            raise InvalidValueError(
                f"the coordinates {name} of {whose} are a sparse, nested or quantized tensor, "
                "expected a dense one: call its to_dense() or dequantize()."
            )
        elif value.is_meta:
            raise InvalidValueError(
                f"the coordinates {name} of {whose} are a tensor on the device 'meta', which "
                "has no values: give one on the CPU or a GPU."
            )
        elif value.is_complex():
            raise InvalidValueError(f"the coordinates {name} of {whose} are complex numbers.")
        elif not value.requires_grad and unpack_dual(value).tangent is not None:
            raise InvalidValueError(
                f"the coordinates {name} of {whose} carry torch's forward-mode derivatives, "
                "which are not passed on: call surrogate.derivative, or torch.autograd.grad."
            )
        values.append(runtime.tensor(value))
    try:
        tensors = torch.broadcast_tensors(*values)
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(value.shape)) for value in values)
        raise InvalidValueError(
            f"{whose} was given coordinates of shapes {shapes}, expected some that broadcast "
            f"({error})."
        ) from error
    return torch.stack([value.reshape(-1) for value in tensors], -1), tensors[0].shape


def clipped(points: torch.Tensor, box: Domain) -> torch.Tensor:
    """The points, moved to the edge where rounding put them outside; warns of those farther out."""
    try:
        plain = points.detach().double().cpu().numpy()
    except RuntimeError:  # inside torch.func, where tensors have no values
        return points
    outside = box.outside(plain)
    if outside:
        warnings.warn(
            f"{outside}: nothing holds the surrogate to its equation there.",
            ExtrapolationWarning,
            stacklevel=4,
        )
    moved = box.clipped(plain) - plain
    # added, so that gradients still see the points as they are
    return points + points.new_tensor(moved) if moved.any() else points
