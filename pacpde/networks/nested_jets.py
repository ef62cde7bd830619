"""Jets of any function of torch, by differentiating it as a whole: slow, and right for all.

Forward differentiation is nested: the derivative along an axis of a function of x and of lower
derivatives is that of x and of them together.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from math import factorial, prod
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Tensors = tuple[torch.Tensor, ...]
Channels = dict[str, Tensors]  # derivative → that of every output


class LayerNormByParts(TorchFunctionMode):
    """Layer normalisation by its formula.

    torch's own second forward and third reverse derivatives of it are wrong: they take mean and
    spread, which a first pass stores, for constants.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (functional.layer_norm, torch.layer_norm):
            return _layer_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def standardised(x: Any, dimensions: int, eps: float) -> Any:
    """Mean 0 and variance 1 over the last dimensions."""
    over = tuple(range(-dimensions, 0))
    centred = x - x.mean(over, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(over, keepdim=True) + eps)


def _layer_norm(
    x: torch.Tensor, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> torch.Tensor:
    normal: torch.Tensor = standardised(x, len(shape), eps)
    normal = normal if weight is None else normal * weight
    return normal if bias is None else normal + bias


def nested_jets(
    function: Callable[..., Tensors], jets: Sequence[torch.Tensor], names: Sequence[str]
) -> list[torch.Tensor]:
    """The jets of a function's outputs, each [channels, *its shape]; differentiable by torch.

    Args:
        function: of as many tensors as there are jets; a tuple of tensors.
        jets: of its inputs, each [channels, *its shape].
        names: the derivative of each channel, see `pacpde.networks.jets`.
    """
    if tuple(names) == ("",):
        return [own[None] for own in function(*(jet[0] for jet in jets))]
    found: Channels = {}
    for top in _highest(tuple(names)):
        found |= _derivatives(function, jets, names, top)
    outputs = zip(*(found[name] for name in names), strict=True)
    return [torch.stack(channels) for channels in outputs]


def jets_by_gradients(
    function: Callable[[torch.Tensor], torch.Tensor], jet: torch.Tensor, names: Sequence[str]
) -> torch.Tensor:
    """The jet of the outputs [points, outputs] of a function, by repeated reverse passes.

    They are others than those of a fit, which are compared with these at few points.
    """
    axes = sorted({axis for name in names for axis in name})
    points = jet.shape[1]
    s = {axis: jet.new_zeros(points, 1, requires_grad=True) for axis in axes}
    shaped = {axis: own.view(-1, *[1] * (jet.dim() - 2)) for axis, own in s.items()}
    value = function(_curve(dict(zip(names, jet.unbind(0), strict=True)), names, shaped))
    found = {"": value}
    for name in names[1:]:
        each = [
            torch.autograd.grad(
                own.sum(), s[name[-1]], create_graph=True, retain_graph=True, allow_unused=True
            )[0]
            if own.requires_grad else None
            for own in found[name[:-1]].unbind(1)
        ]  # fmt: skip
        columns = [jet.new_zeros(points, 1) if own is None else own for own in each]
        found[name] = torch.cat(columns, 1)
    return torch.stack([found[name] for name in names])


def _curve(
    parts: dict[str, torch.Tensor], names: Sequence[str], at: dict[str, torch.Tensor]
) -> torch.Tensor:
    """p(s) = Σ ∂_α x · s^α / α!, for the numbers s of each axis."""
    total = parts[""]
    for name in names[1:]:
        share = prod((at[axis] for axis in name[1:]), start=at[name[0]])
        total = total + parts[name] * (share / prod(map(factorial, Counter(name).values())))
    return total


def _derivatives(
    function: Callable[..., Tensors],
    jets: Sequence[torch.Tensor],
    names: Sequence[str],
    top: str,
) -> Channels:
    """A derivative and all lower ones that lie within it."""
    parts = [dict(zip(names, jet.unbind(0), strict=True)) for jet in jets]
    inside = [""]
    nested: Callable[..., Channels] = lambda values: {"": function(*values)}  # noqa: E731
    for axis in top:
        nested = _along(nested, axis)
        inside += [name + axis for name in inside]
    return nested(*(tuple(part[name] for part in parts) for name in inside))


def _along(inner: Callable[..., Channels], axis: str) -> Callable[..., Channels]:
    """The same derivatives, and these differentiated along an axis.

    The arguments are those of `inner`, and then the derivative of each of them along the axis.
    """

    def outer(*parts: Tensors) -> Channels:
        half = len(parts) // 2
        values, slopes = torch.func.jvp(inner, parts[:half], parts[half:])[:2]
        return {**values, **{name + axis: own for name, own in slopes.items()}}

    return outer


@cache
def _highest(names: tuple[str, ...]) -> tuple[str, ...]:
    """The derivatives that are no part of a higher one.

    Example:
        >>> _highest(("", "t", "x", "xx"))
        ('t', 'xx')
    """
    counts = {name: Counter(name) for name in names}
    return tuple(
        name
        for name in names
        if not any(name != other and counts[name] <= counts[other] for other in names)
    )
