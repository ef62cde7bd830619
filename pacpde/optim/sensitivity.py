"""Derivatives of the solution at measured points with respect to the coefficients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.protocol import Network
from pacpde.optim.linear_systems import normal_system
from pacpde.residuals.factors import residuals
from pacpde.residuals.identification import IdentificationTask, Unknowns
from pacpde.residuals.jacobian import MEMORY, Jacobian, linearise
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import Term

DAMPING = 1e-9  # of the normal equations, relative to their mean diagonal


@dataclass(frozen=True)
class Sensitivity:
    """First-order expansion of the solution in the unknowns θ, at measured points.

    A row is one measured value; rows are in the order of the fields. θ is defined by `Unknowns`.

    Attributes:
        residuals: r = (u − y) / scale, solution minus measured values, [rows].
        slopes: dr/dθ, [rows, unknowns].
        correction: change of r by one more Gauss–Newton step of the weights, on the equation,
            [rows]. It estimates the error of r where the solution is not fully converged.
        weight_slopes: dw/dθ, [size, unknowns].
    """

    residuals: np.ndarray
    slopes: np.ndarray
    correction: np.ndarray
    weight_slopes: torch.Tensor

    def weight_step(self, step: np.ndarray) -> torch.Tensor:
        """Change of the weights, [size], for a step of the unknowns, [unknowns]."""
        return self.weight_slopes @ self.weight_slopes.new_tensor(step)


def sensitivity(
    task: IdentificationTask,
    unknowns: Unknowns,
    theta: np.ndarray,
    network: Network,
    weights: torch.Tensor,
    sampling: SamplingSpec,
    memory_bytes: int = MEMORY,
) -> Sensitivity:
    """Differentiate the solution in the unknowns θ by the implicit function theorem.

    The weights w(θ) solve the equation, F(w, θ) = 0 with its residuals F. So

        dw/dθ = −J⁺ ∂F/∂θ  with J = ∂F/∂w,    du/dθ = ∂u/∂w dw/dθ + ∂u/∂θ.

    ∂F/∂θ and ∂u/∂θ are central differences at fixed weights. They are right for every family, also
    for coefficients of the initial or boundary conditions.

    Args:
        task: the equation and the measurements.
        unknowns: names and units of θ.
        theta: θ, [unknowns].
        weights: which solve the equation at θ, [size].
        sampling: of the points of the equation's residuals.
        memory_bytes: limit for the Jacobian.
    """
    here = task.equation_at(unknowns.problem_at(theta))
    equation, measured = here.equation_terms(sampling), here.measurement_term(sampling)
    r, jacobian = linearise(network, weights, equation, None, memory_bytes)
    misfit, measured_jacobian = linearise(network, weights, [measured], None, memory_bytes)
    system = normal_system(r, jacobian, None, weights)
    system.damp(weights.new_tensor(DAMPING * _mean_square(jacobian)))
    slopes, weight_slopes = [], []
    for number, pair in enumerate(unknowns.around(theta)):
        distance = float((pair[1] - pair[0])[number])
        ends = [task.equation_at(unknowns.problem_at(end)) for end in pair]
        equation_slope = (
            _change(network, weights, [end.equation_terms(sampling) for end in ends]) / distance
        )
        measured_slope = (
            _change(network, weights, [[end.measurement_term(sampling)] for end in ends]) / distance
        )
        weight_slopes.append(system.step_for(equation_slope))
        slopes.append(measured_jacobian.times(weight_slopes[-1]) + measured_slope)
    correction = measured_jacobian.times(system.step_for(r))
    size = measured.batch.size**0.5  # the rows of a term are scaled to a mean square
    rows = torch.column_stack([misfit, correction, *slopes]) * size
    columns = rows.double().cpu().numpy()
    return Sensitivity(columns[:, 0], columns[:, 2:], columns[:, 1], torch.stack(weight_slopes, -1))


def _mean_square(jacobian: Jacobian) -> float:
    """Mean diagonal of J Jᵀ, estimated by one product with random signs (Hutchinson 1990)."""
    rows, _ = jacobian.shape
    signs = np.random.default_rng(0).choice([-1.0, 1.0], rows)
    like = jacobian.like
    back = jacobian.transposed_times(torch.as_tensor(signs, dtype=like.dtype, device=like.device))
    return float((back * back).sum()) / rows


def _change(
    network: Network, weights: torch.Tensor, ends: Sequence[Sequence[Term]]
) -> torch.Tensor:
    """Residuals at the second end minus those at the first."""
    with torch.no_grad():
        behind, ahead = (residuals(network, weights, terms) for terms in ends)
    return ahead - behind
