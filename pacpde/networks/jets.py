"""Forward jets: a network carries u and its derivatives through its layers together.

A jet is a tensor [channels, points, width] whose channels are named by derivative: "" the value,
"x" and "t" first, "xx" and "xt" second derivatives. Faà di Bruno's formula up to second order
moves them through an activation; a linear layer acts on every channel alike.
"""

from collections.abc import Callable, Sequence

import torch

from pacpde.errors import InvalidValueError, unknown

Slopes = list[torch.Tensor]  # the activation and its derivatives, one after the other


def _tanh(z: torch.Tensor, order: int) -> Slopes:
    s = torch.tanh(z)
    slopes = [s, 1 - s * s]
    if order > 1:
        slopes.append(-2 * s * slopes[1])
    if order > 2:
        slopes.append(slopes[1] * (4 - 6 * slopes[1]))
    return slopes


def _sin(z: torch.Tensor, order: int) -> Slopes:
    s, c = torch.sin(z), torch.cos(z)
    return [s, c, -s, -c][: order + 1]


ACTIVATIONS: dict[str, Callable[[torch.Tensor, int], Slopes]] = {"tanh": _tanh, "sin": _sin}


def check_channels(names: Sequence[str]) -> None:
    """Refuse derivatives that the jet does not carry."""
    for name in names:
        if len(name) > 2:
            raise InvalidValueError(
                f"the equation needs the derivative {name!r}: networks carry derivatives up to "
                "second order; write it as a system of lower order with one more field."
            )


def slopes(activation: str, z: torch.Tensor, order: int) -> Slopes:
    """activation(z) and its derivatives up to `order` (1, 2 or 3)."""
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation](z, order)


def order(names: Sequence[str]) -> int:
    """The highest derivative among the channels, at least 1."""
    return max(1, *map(len, names))


def activate(s: Slopes, z: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    """The jet of activation(z), from the jet z [..., channels, points, width].

    Args:
        s: slopes at z's value up to the order of `names`.
    """
    parts = dict(zip(names, z.unbind(-3), strict=True))
    channels = [s[0]]
    for name in names[1:]:
        channel = s[1] * parts[name]
        if len(name) == 2:
            channel = channel + s[2] * parts[name[0]] * parts[name[1]]
        channels.append(channel)
    return torch.stack(channels, -3)


def vjp(s: Slopes, z: torch.Tensor, names: Sequence[str], gradient: torch.Tensor) -> torch.Tensor:
    """The gradient in z, from the gradient in `activate(s, z, names)`.

    Args:
        s: slopes at z's value up to one more than the order of `names`.
        gradient: [n_components, ..., channels, points, width].
    """
    parts = dict(zip(names, z.unbind(-3), strict=True))
    result = gradient * s[1].unsqueeze(-3)
    inner = dict(zip(names, result.unbind(-3), strict=True))
    outer = dict(zip(names, gradient.unbind(-3), strict=True))
    for name in names[1:]:
        curved = s[2] * outer[name]
        inner[""].addcmul_(curved, parts[name])
        if len(name) == 2:
            inner[name[0]].addcmul_(curved, parts[name[1]])
            inner[name[1]].addcmul_(curved, parts[name[0]])
            inner[""].addcmul_(s[3] * outer[name], parts[name[0]] * parts[name[1]])
    return result
