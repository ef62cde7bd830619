"""How much a solver's loss depends on each of its weights."""

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator

POINTS = 1000


def curvature(
    surrogate: Surrogate, task: Task, seed: int = 0, points: int = POINTS
) -> torch.Tensor:
    """The diagonal of JᵀJ of a task's residuals at a surrogate's weights, [size].

    It is the Gauss–Newton curvature of the loss ½‖r‖², and the Fisher information of residuals with
    errors of unit size.
    """
    network, weights = surrogate.network, surrogate.weights
    rng = generator(seed, "curvature")
    odd = bool(getattr(surrogate.ansatz, "odd", False))
    terms = task.terms(network, weights, SamplingSpec(points, odd=odd), rng)
    total = torch.zeros_like(weights)
    for term in terms:
        for start in range(0, term.batch.size, points):
            part = term.subset(slice(start, min(start + points, term.batch.size)))
            _, jacobian = linearise(network, weights, [part])
            total += (jacobian.dense() ** 2).sum(-2)
    return total
