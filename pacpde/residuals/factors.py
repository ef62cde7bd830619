"""Terms evaluated and linearised: their residuals, and the factors of a Jacobian."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.protocol import Factors, Network
from pacpde.networks.stacking import Stackable
from pacpde.residuals.terms import Term


def residuals(network: Network, weights: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor:
    """All residuals, flat [..., rows]; differentiable in `weights` [..., size]."""
    return _evaluated(network, weights, [(term, term.residual) for term in terms])


def gauss_newton_rows(
    network: Network, weights: torch.Tensor, terms: Sequence[Term]
) -> torch.Tensor:
    """All rows of `Term.gauss_newton`, flat [..., rows], which the factors are the slopes of."""
    return _evaluated(network, weights, [(term, term.gauss_newton) for term in terms])


def _evaluated(
    network: Network,
    weights: torch.Tensor,
    terms: Sequence[tuple[Term, Callable[[torch.Tensor], torch.Tensor]]],
) -> torch.Tensor:
    """Rows of terms, each given with its function of the fields."""
    parts = []
    for term, rows in terms:
        outputs = network.forward(weights, term.batch.inputs, term.batch.names)
        parts.append(_rows(rows(term.batch.fields(outputs))))
    return torch.cat(parts, -1)


@dataclass(frozen=True)
class Streamed(Stackable, Sequence[Factors]):
    """The factors of every term; those that are not retained are computed anew at every use.

    Attributes:
        retained: the factors of the first terms.
    """

    stacked = ("weights", "terms", "retained")

    network: Network
    weights: torch.Tensor
    terms: Sequence[Term]
    retained: Sequence[Factors] = ()

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, number: Any) -> Any:
        if number < len(self.retained):
            return self.retained[number]
        return self.linearised(number)[1]

    def linearised(self, number: int) -> tuple[torch.Tensor, Factors]:
        """`gauss_newton` rows [..., rows] of a term, and their factors."""
        term = self.terms[number]
        batch = term.batch
        outputs, factors = self.network.linearise(
            self.weights, batch.inputs, batch.names, batch.images
        )
        leaf = outputs.detach().requires_grad_(True)
        with torch.enable_grad():
            residual = term.gauss_newton(batch.fields(leaf))
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
