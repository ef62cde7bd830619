"""What decides which weights the source keeps: a score each, the largest are kept."""

from collections.abc import Callable

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.pac.sensitivity import curvature
from pacpde.residuals.task import Task
from pacpde.runtime import generator

Score = Callable[[Surrogate, Task, int], torch.Tensor]


def magnitude(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """|w_i|, as PAC-Net."""
    return surrogate.weights.abs()


def sensitivity(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """½ w_i² (JᵀJ)_ii: by how much the source's loss rises without w_i.

    Optimal brain damage (LeCun, Denker & Solla 1990), its Hessian that of Gauss and Newton.
    """
    return surrogate.weights**2 * curvature(surrogate, source, seed) / 2


def drawn(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """At random: a control."""
    scores = generator(seed, "random mask").random(surrogate.network.size)
    return surrogate.runtime.tensor(scores)


def inverted(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """−|w_i|: the smallest are kept, a control that should lose."""
    return -surrogate.weights.abs()


SCORES: dict[str, Score] = {
    "magnitude": magnitude,
    "sensitivity": sensitivity,
    "random": drawn,
    "inverted": inverted,
}
