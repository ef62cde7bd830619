"""What the residual of an ODE solution grows into.

A residual bounds the rate of the error, not the error: along a chaotic orbit it grows
exponentially. To first order the error obeys e' = ∂rhs/∂u e + (rhs(u) − u') with e = 0 at the
start; that is one Newton step on the differential equation (defect correction, Stetter 1978,
doi:10.1007/BF01432879), and needs no reference.
"""

import numpy as np
import torch

from pacpde.networks.constraints import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.physics.derivatives import ChannelDerivative

STEPS = 1000  # of the trapezoidal rule over the family's own time span


def drift(network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz) -> float:
    """Relative L2 size of the error of an ODE solution, to first order."""
    problem = ansatz.problem
    time = problem.domain.axis("t")
    count = 1 + int(STEPS * max(1.0, problem.stretch))
    t = torch.linspace(time.lower, time.upper, count, dtype=weights.dtype, device=weights.device)
    batch = ansatz.batch(t[:, None], problem.channels)
    with torch.no_grad():
        jets = batch.fields(network.forward(weights, batch.inputs, batch.names))
    leaf = jets[0].requires_grad_(True)
    fields = leaf.unbind(-1)
    d = ChannelDerivative({"": fields}, ["t"], {"t": t})
    rates = [rate + 0 * t for rate in problem.rates(fields, d)]
    slopes = [
        torch.autograd.grad(rate.sum(), leaf, retain_graph=True, allow_unused=True)[0]
        if rate.requires_grad
        else None
        for rate in rates
    ]
    jacobian = torch.stack([torch.zeros_like(leaf) if s is None else s for s in slopes], 1)
    defect = torch.stack(rates, -1) - jets[batch.names.index("t")]
    error = _integrated(
        jacobian.double().cpu().numpy(),
        defect.detach().double().cpu().numpy(),
        time.length / (count - 1),
    )
    return float(np.linalg.norm(error) / np.linalg.norm(leaf.detach().double().cpu().numpy()))


def _integrated(jacobian: np.ndarray, defect: np.ndarray, step: float) -> np.ndarray:
    """e' = J e + defect from e = 0 on an even grid, by the trapezoidal rule: [points, fields]."""
    half, one = step / 2, np.eye(jacobian.shape[-1])
    left = one - half * jacobian[1:]
    forward = np.linalg.solve(left, one + half * jacobian[:-1])
    pushed = np.linalg.solve(left, half * (defect[1:] + defect[:-1])[..., None])[..., 0]
    error = np.zeros_like(defect)
    for k in range(len(pushed)):
        error[k + 1] = forward[k] @ error[k] + pushed[k]
    return error
