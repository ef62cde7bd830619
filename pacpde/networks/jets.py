"""Forward jets: a network carries u and its derivatives through its layers together.

A jet is a tensor [channels, points, width] whose channels are named by derivative: "" the value,
"x" and "t" first, "xx" and "xt" second derivatives. Faà di Bruno's formula up to second order
moves them through an activation; a linear layer acts on every channel alike.
"""

from collections.abc import Callable, Sequence

import torch

from pacpde.errors import InvalidValueError, unknown

Slopes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _tanh(z: torch.Tensor) -> Slopes:
    s = torch.tanh(z)
    slope = 1 - s * s
    return s, slope, -2 * s * slope


def _sin(z: torch.Tensor) -> Slopes:
    s = torch.sin(z)
    return s, torch.cos(z), -s


ACTIVATIONS: dict[str, Callable[[torch.Tensor], Slopes]] = {"tanh": _tanh, "sin": _sin}


def check_channels(names: Sequence[str]) -> None:
    """Refuse derivatives that the jet does not carry."""
    for name in names:
        if len(name) > 2:
            raise InvalidValueError(
                f"the equation needs the derivative {name!r}: networks carry derivatives up to "
                "second order; write it as a system of lower order with one more field."
            )


def activate(kind: str, z: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    """The jet of activation(z), from the jet z [channels, points, width]."""
    if kind not in ACTIVATIONS:
        raise unknown("activation", kind, ACTIVATIONS)
    value, slope, curvature = ACTIVATIONS[kind](z[0])
    at = {name: index for index, name in enumerate(names)}
    channels = [value]
    for name in names[1:]:
        channel = slope * z[at[name]]
        if len(name) == 2:
            channel = channel + curvature * z[at[name[0]]] * z[at[name[1]]]
        channels.append(channel)
    return torch.stack(channels)
