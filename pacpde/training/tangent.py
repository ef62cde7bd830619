"""The tangent of a path of solutions: where the weights go when the coefficients do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from pacpde.networks.protocol import Network
from pacpde.optim.linear_systems import normal_system
from pacpde.physics.problem import Problem
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import MEMORY, linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import PhysicsTerm
from pacpde.training.continuation import Prediction

DAMPINGS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # of residuals whose mean square is the loss


def tangent(
    network: Network,
    weights: torch.Tensor,
    free: torch.Tensor,
    here: Task,
    draw: SamplingSpec,
    rng: np.random.Generator,
    memory_bytes: int = MEMORY,
) -> Callable[[Problem, Task], Prediction]:
    """What predicts the weights for other coefficients from those that solve `here`.

    Along the path of solutions r(φ, μ) = 0 it is J dφ = −(∂r/∂μ) dμ, solved by damped least squares
    with J at `here`; (∂r/∂μ) dμ is taken over the whole step, as the difference of the equations'
    residuals; all others, as of edges, are to stay what they are. Of several dampings, and no step
    at all, that of the least held-out residual ahead is taken.

    Args:
        free: which entries may move, bool [size].
        draw, rng: of the points at which residuals are taken.
        memory_bytes: bytes that the Jacobian may take.

    Returns:
        (problem ahead, its task) → prediction.
    """
    terms = here.terms(network, weights, draw, rng)
    places = free.nonzero()[:, 0]
    r, jacobian = linearise(network, weights, terms, places, memory_bytes)

    def predict(problem: Problem, ahead: Task) -> Prediction:
        there = [
            replace(term, problem=problem) if isinstance(term, PhysicsTerm) else term
            for term in terms
        ]
        change = residuals(network, weights, there) - r
        system = normal_system(change, jacobian, None, weights[places])
        best = Prediction(weights, ahead.held_out(network, weights, draw))
        for damping in DAMPINGS:
            step, _ = system.solve(weights.new_tensor(damping))
            moved = weights.index_add(0, places, step)
            held_out = ahead.held_out(network, moved, draw)
            if held_out < best.held_out:  # false for nan
                best = Prediction(moved, held_out)
        return best

    return predict
