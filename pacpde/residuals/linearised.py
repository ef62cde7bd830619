"""The equation of a problem, linearised around a solution."""

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.terms import channels_of
from pacpde.runtime import gradients

CHUNK = 8192  # points that are evaluated at once


@gradients()
def linearise_rows(
    solver: Surrogate, points: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Evaluate a solution and linearise the rows of its residual at some points.

    Args:
        points: coordinates, [points, axes].

    Returns:
        jet: the fields and their derivatives, [channels, points, fields], in the order of
            `problem.channels`.
        slopes: ∂(row i)/∂(channel of field j), [channels, points, rows i, fields j].
        rows: the residual, [points, rows].
    """
    problem = solver.problem
    jet = solver.jet(points, problem.channels)
    leaf = jet.clone().requires_grad_(True)
    channels, d = channels_of(problem, problem.channels, points, leaf)
    rows = [row + 0 * leaf[0, :, 0] for row in problem.rows(channels[""], d)]
    slopes = [torch.autograd.grad(row.sum(), leaf, retain_graph=True)[0] for row in rows]
    return jet, torch.stack(slopes, 2), torch.stack([row.detach() for row in rows], -1)
