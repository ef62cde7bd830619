"""The tangent of a path of solutions: where the weights go when the coefficients do."""

from collections.abc import Callable

import numpy as np
import torch

from pacpde.networks.protocol import Network
from pacpde.optim.linear_systems import normal_system
from pacpde.physics.problem import Problem
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import MEMORY, linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.training.continuation import Prediction

DAMPINGS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # of residuals whose mean square is the loss


def tangent(
    network: Network,
    weights: torch.Tensor,
    trainable_mask: torch.Tensor,
    task: Task,
    sampling: SamplingSpec,
    rng: np.random.Generator,
    memory_bytes: int = MEMORY,
) -> Callable[[Problem, Task], Prediction]:
    """The predictor of the weights for other coefficients, from weights that solve `task`.

    Along the path of solutions r(φ, μ) = 0 the weights φ follow the coefficients μ by
    J dφ = −(∂r/∂μ) dμ, which is solved by damped least squares:

    - J is taken at `weights`.
    - (∂r/∂μ) dμ is taken over the whole step, as the difference of the equations' residuals; other
      residuals, as those of edges, do not change.
    - Of several dampings, and no step at all, that of the least held-out residual is taken.

    Args:
        trainable_mask: which entries may move, bool [size].
        sampling, rng: of the points at which residuals are taken.
        memory_bytes: bytes that the Jacobian may take.

    Returns:
        (problem, its task) → prediction.
    """
    terms = task.terms(network, weights, sampling, rng)
    indices = trainable_mask.nonzero()[:, 0]
    r, jacobian = linearise(network, weights, terms, indices, memory_bytes)

    def predict(problem: Problem, next_task: Task) -> Prediction:
        next_terms = [term.with_problem(problem) for term in terms]
        change = residuals(network, weights, next_terms) - r
        system = normal_system(change, jacobian, None, weights[indices])
        best = Prediction(weights, next_task.held_out(network, weights, sampling))
        for damping in DAMPINGS:
            step, _ = system.solve(weights.new_tensor(damping))
            moved = weights.index_add(0, indices, step)
            held_out = next_task.held_out(network, moved, sampling)
            if held_out < best.held_out:  # false for nan
                best = Prediction(moved, held_out)
        return best

    return predict
