"""Scores by which weights are kept: those of the largest scores; and the curvature of a loss."""

from collections.abc import Callable

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator

Score = Callable[[Surrogate, Task, int], torch.Tensor]  # (source, its task, seed) → [size]
POINTS = 1000  # of the residuals


def curvature(
    surrogate: Surrogate, task: Task, seed: int = 0, points: int = POINTS
) -> torch.Tensor:
    """The diagonal of JᵀJ of a task's residuals at a surrogate's weights, [size].

    It is the Gauss–Newton curvature of the loss ½‖r‖², and the Fisher information of residuals with
    errors of unit size.
    """
    network, weights = surrogate.network, surrogate.weights
    rng = generator(seed, "curvature")
    odd = surrogate.ansatz.odd
    terms = task.terms(network, weights, SamplingSpec(points, odd=odd), rng)
    total = torch.zeros_like(weights)
    for term in terms:
        for start in range(0, term.batch.size, points):
            part = term.subset(slice(start, min(start + points, term.batch.size)))
            _, jacobian = linearise(network, weights, [part])
            total += (jacobian.dense() ** 2).sum(-2)
    return total


def magnitude(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """|w_i|, as PAC-Net."""
    return surrogate.weights.abs()


def sensitivity(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """½ w_i² (JᵀJ)_ii: by how much the source's loss rises without w_i.

    Optimal brain damage (LeCun, Denker & Solla 1990), its Hessian that of Gauss and Newton.
    """
    return surrogate.weights**2 * curvature(surrogate, source, seed) / 2


def random_scores(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """At random: a control."""
    scores = generator(seed, "random mask").random(surrogate.network.size)
    return surrogate.runtime.tensor(scores)


def inverted(surrogate: Surrogate, source: Task, seed: int) -> torch.Tensor:
    """−|w_i|: the smallest are kept, a control that should lose."""
    return -surrogate.weights.abs()


SCORES: dict[str, Score] = {
    "magnitude": magnitude,
    "sensitivity": sensitivity,
    "random": random_scores,
    "inverted": inverted,
}
