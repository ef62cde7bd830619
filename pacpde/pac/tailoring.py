"""The rounds of TransTailor (Liu et al., AAAI 2021, arXiv 2103.01542), for any kind of network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Generic, TypeVar

import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError
from pacpde.optim.stepwise import Steps
from pacpde.training.trainer import FitResult

T = TypeVar("T")
Masks = list[torch.Tensor]  # of the units of each hidden layer that stay, bool [width]


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """A network that was fine-tuned on the target.

    Attributes:
        flops: multiplications and additions of one evaluation.
        held_out: loss on target data or points on which it was not trained.
        fits: by our own optimisers, those of the factors among them.
        seconds: that the choice of its units took, without these fits.
    """

    network: T
    flops: int
    held_out: float
    fits: Sequence[FitResult] = ()
    seconds: float = 0.0


Round = Callable[[Candidate[T], int], Steps[Candidate[T] | None]]


def tailor_rounds(
    first: Candidate[T], run_round: Round[T], tau: float, rounds: int
) -> Steps[tuple[Candidate[T], list[Candidate[T]]]]:
    """Smaller and smaller networks, until the target needs what is removed.

    Args:
        run_round: (network, number of the round) → a smaller one, fine-tuned, with the importance
            of its units multiplied into their outputs; None where no unit can go.
        tau: τ; it ends when the held-out loss is above (1 + τ) times the first one.
        rounds: maximal number of rounds.

    Returns:
        The last network within that limit, and all networks from the first on.
    """
    best, networks = first, [first]
    for number in range(1, rounds + 1):
        smaller = yield from run_round(best, number)
        if smaller is None:
            break
        networks.append(smaller)
        if not smaller.held_out <= (1 + tau) * first.held_out:
            break
        best = smaller
    return best, networks


def check_rounds(flops: float, tau: float, **counts: int) -> None:
    """Refuse rounds that remove nothing or never end."""
    if not isinstance(flops, Real) or not 0 < flops < 1:
        raise InvalidValueError(f"flops is {flops!r}, expected a share between 0 and 1.")
    if not isinstance(tau, Real) or not tau >= 0:
        raise InvalidValueError(f"tau (τ) is {tau!r}, expected a number of at least 0.")
    for name, count in counts.items():
        check_count(name, count, 1)


def remaining(
    importance: Sequence[torch.Tensor], max_flops: float, flops: Callable[[Masks], int]
) -> Masks | None:
    """The units that stay when the least important units of all layers are removed.

    Args:
        importance: of the units of each hidden layer, [width].
        max_flops: maximal FLOPs of the remaining network.
        flops: masks of the units that stay → FLOPs of their network.

    Returns:
        bool [width] a hidden layer, each with one unit at least; None where no more can go.
    """
    masks = [torch.ones_like(layer, dtype=torch.bool) for layer in importance]
    order = sorted(
        (float(value), layer, unit)
        for layer, values in enumerate(importance)
        for unit, value in enumerate(values)
    )
    for _, layer, unit in order:
        if flops(masks) <= max_flops:
            return masks
        if int(masks[layer].sum()) > 1:
            masks[layer][unit] = False
    return None


def relative_importance(importance: Sequence[torch.Tensor], masks: Masks) -> list[torch.Tensor]:
    """The importance of the units that stay, over its mean in their layer, [units] a layer."""
    pairs = zip(importance, masks, strict=True)
    return [values[mask] / values[mask].mean() for values, mask in pairs]
