"""What a solution's residual is worth: beside the terms of its equation, and as an error."""

import math

import torch

from pacpde.networks.assessment import Assessment
from pacpde.networks.constraints import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.objective.error_estimate import error_estimate, linearised
from pacpde.physics.problem import Problem

FAR = 30  # times a declared scale, or a share of it, beyond which the scale is doubted


def assess(
    network: MLP,
    weights: torch.Tensor,
    ansatz: PhysicsAnsatz,
    points: torch.Tensor,
    estimate: bool = True,
) -> Assessment:
    """How far a solution can be trusted, from its equation alone.

    Args:
        points: held out, [points, axes].
        estimate: whether its error is estimated; that costs about as much as some steps of a fit.
    """
    problem = ansatz.problem
    jet, slopes, rates = linearised(network, weights, ansatz, points)
    residual = _share_of_terms(problem, jet, slopes, rates)
    notes = list(_scales(problem, jet[0]))
    error = error_estimate(network, weights, ansatz) if estimate else None
    if estimate and error is None:
        notes.append(
            "the error cannot be estimated for this kind of equation: only the residual is known"
        )
    return Assessment(residual, error, tuple(notes))


def _share_of_terms(
    problem: Problem, jet: torch.Tensor, slopes: torch.Tensor, rates: torch.Tensor
) -> float:
    """Residual over the size of the equation's terms, of the worst equation.

    The terms are u_t, every ∂rhs/∂c · c for a derivative c of a field, and what these leave of the
    right-hand side (sources); sizes are root mean squares over the points.
    """
    changes = jet[problem.channels.index("t")]
    linear = slopes * jet.unsqueeze(2)  # [channels, points, equations, fields]
    rest = rates - linear.sum((0, 3))

    def size(values: torch.Tensor) -> torch.Tensor:
        return (values * values).mean(0).sqrt()

    sizes = size(changes) + size(rest) + size(linear.transpose(0, 1)).sum((0, 2))
    residuals = size(changes - rates)
    shares = torch.where(residuals > 0, residuals / sizes, 0.0)
    worst = float(shares.max())
    return worst if math.isfinite(worst) else math.inf


def _scales(problem: Problem, values: torch.Tensor) -> list[str]:
    """Fields whose size is far from what their family declares, each in a sentence."""
    told = []
    for name, scale, own in zip(problem.fields, problem.scales, values.unbind(-1), strict=True):
        size = float((own * own).mean().sqrt())
        if size > FAR * scale or 0 < size < scale / FAR:
            told.append(
                f"{name} has the size {size:.1e} and is measured in {scale:g}: declare its size in "
                f"`scales` of the family {problem.name}"
            )
    return told
