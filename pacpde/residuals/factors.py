"""Terms evaluated and linearised: their residuals, and the factors of their Jacobian."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.protocol import Factors, Network
from pacpde.residuals.terms import Term


def residuals(network: Network, weights: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor:
    """All residuals, flat [..., rows]; differentiable in `weights` [..., size]."""
    parts = []
    for term in terms:
        outputs = network.forward(weights, term.batch.inputs, term.batch.names)
        parts.append(_rows(term.residual(term.batch.fields(outputs))))
    return torch.cat(parts, -1)


@dataclass(frozen=True)
class Streamed(Sequence[Factors]):
    """The factors of every term, computed anew at every use."""

    network: Network
    weights: torch.Tensor
    terms: Sequence[Term]

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, number: Any) -> Any:
        return self.linearised(number)[1]

    def linearised(self, number: int) -> tuple[torch.Tensor, Factors]:
        """Residuals [..., rows] and factors of a term."""
        term = self.terms[number]
        batch = term.batch
        outputs, factors = self.network.linearise(
            self.weights, batch.inputs, batch.names, batch.images
        )
        leaf = outputs.detach().requires_grad_(True)
        with torch.enable_grad():
            residual = term.residual(batch.fields(leaf))
            if not type(term).__module__.startswith("pacpde."):
                _check_rows(term, residual, leaf)
            n_components = residual.shape[-1]
            slopes = torch.stack(
                [
                    torch.autograd.grad(
                        residual[..., k].sum(), leaf, retain_graph=k + 1 < n_components
                    )[0]
                    for k in range(n_components)
                ]
            )
        return _rows(residual.detach()), factors(slopes)


def _check_rows(term: Term, residual: torch.Tensor, leaf: torch.Tensor) -> None:
    """Refuse a first row that depends on other points too: its slopes would be wrong.

    Args:
        leaf: the outputs of the network that `residual` was computed from.
    """
    (slopes,) = torch.autograd.grad(residual[..., :1, :].sum(), leaf, retain_graph=True)
    others = slopes.unflatten(-2, (-1, term.batch.size))[..., 1:, :]
    if bool((others.abs() > 0).any()):  # false for nan
        raise InvalidValueError(
            f"a row of {type(term).__name__}.residual depends on more than its own point, which "
            "gives a wrong Jacobian: compute every row from fields at its point; for a mean over "
            "points give the term a pacpde.networks.MeanBatch."
        )


def _rows(residual: torch.Tensor) -> torch.Tensor:
    """[..., points, n_components] → [..., rows], component after component."""
    return residual.mT.flatten(-2)
