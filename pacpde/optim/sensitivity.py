"""How the values at measured points follow the coefficients, along solutions of the equation."""

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

DAMPING = 1e-9  # of the equation's linear system, relative to its mean diagonal


@dataclass(frozen=True)
class Sensitivity:
    """Measured values along solutions of the equation, to first order.

    Attributes:
        misses: (u − y) / scale, [rows], field after field.
        slopes: of the misses in the unknown numbers, [rows, unknowns].
        correction: by how much one more step of the fit would move the misses, [rows].
        weights: dw/dθ, [size, unknowns].
    """

    misses: np.ndarray
    slopes: np.ndarray
    correction: np.ndarray
    weights: torch.Tensor

    def ahead(self, step: np.ndarray) -> torch.Tensor:
        """The change of the weights with a step of the unknowns, [size]."""
        return self.weights @ self.weights.new_tensor(step)


def sensitivity(
    task: IdentificationTask,
    unknowns: Unknowns,
    numbers: np.ndarray,
    network: Network,
    weights: torch.Tensor,
    sampling: SamplingSpec,
    memory_bytes: int = MEMORY,
) -> Sensitivity:
    """By the implicit function theorem.

    The weights w(θ) keep the residuals r(w, θ) = 0, so that dw/dθ = −J⁺ ∂r/∂θ with J = ∂r/∂w, and
    du/dθ = ∂u/∂w dw/dθ + ∂u/∂θ. ∂/∂θ are central differences at the same weights: they hold for
    every family, also where coefficients stand in start and edges.

    Args:
        numbers: the unknowns at which `weights` solve the equation, [unknowns].
        sampling: of the points at which residuals are taken.
        memory_bytes: bytes that the Jacobian may take.
    """
    here = task.equation_at(unknowns.at(numbers))
    equation, measured = here.equation(sampling), here.misses(sampling)
    r, jacobian = linearise(network, weights, equation, None, memory_bytes)
    misses, own = linearise(network, weights, [measured], None, memory_bytes)
    system = normal_system(r, jacobian, None, weights)
    system.damp(weights.new_tensor(DAMPING * _mean_square(jacobian)))
    columns, ways = [], []
    for number, pair in enumerate(unknowns.around(numbers)):
        distance = float((pair[1] - pair[0])[number])
        ends = [task.equation_at(unknowns.at(end)) for end in pair]
        moved = _change(network, weights, [end.equation(sampling) for end in ends]) / distance
        shifted = _change(network, weights, [[end.misses(sampling)] for end in ends]) / distance
        ways.append(system.step_for(moved))
        columns.append(own.times(ways[-1]) + shifted)
    correction = own.times(system.step_for(r))
    size = measured.batch.size**0.5  # the rows of a term are scaled to a mean square
    rows = torch.column_stack([misses, correction, *columns]) * size
    found = rows.double().cpu().numpy()
    return Sensitivity(found[:, 0], found[:, 2:], found[:, 1], torch.stack(ways, -1))


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
