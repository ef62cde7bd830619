"""Conjugate gradients with a preconditioner, for a stack of systems."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Product = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Iterated:
    """What an iteration ended with.

    Attributes:
        x: the approximate solution, [..., n].
        iterations: their number.
        residual: ‖b − M x‖ / ‖b‖, the largest of a stack.
    """

    x: torch.Tensor
    iterations: int
    residual: float


def conjugate_gradients(
    multiply: Product,
    right: torch.Tensor,
    accuracy: float,
    iterations: int,
    precondition: Product | None = None,
) -> Iterated:
    """M⁻¹ right by Hestenes & Stiefel (1952), with a preconditioner.

    Args:
        multiply: M v for v [..., n], M symmetric and positive.
        right: [..., n].
        accuracy: residual, as a share of `right`, at which the iteration ends.
        iterations: maximal number of iterations.
        precondition: an approximation of M⁻¹ v, symmetric and positive; none by default.
    """
    x, rest = torch.zeros_like(right), right.clone()
    size = first = _product(rest, rest)
    count, way, length = 0, rest, size
    while count < iterations:
        going = size > accuracy**2 * first  # not where nothing is asked, or nan
        if not bool(going.any()):
            break
        near = rest.clone() if precondition is None else precondition(rest)
        before, length = length, _product(rest, near)
        way = near if count == 0 else near + torch.where(going, length / before, 0) * way
        turned = multiply(way)
        share = torch.where(going, length / _product(way, turned), 0)
        x += share * way
        rest -= share * turned
        size = _product(rest, rest)
        count += 1
    left = torch.where(first > 0, (size / first).sqrt(), 0)
    return Iterated(x, count, float(left.max()))


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(-1, keepdim=True)
