"""Prune: keep the largest weights of a source surrogate, zero the rest."""

from dataclasses import replace

import torch

from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.pac.mask import score_mask

SOURCE = "source"


def prune(
    surrogate: Surrogate,
    sparsity: float = 0.8,
    *,
    scope: str = "global",
    biases: str = "prune",
    head: str = "prune",
    scores: torch.Tensor | None = None,
    new_weights: torch.Tensor | None = None,
) -> Surrogate:
    """m_i = 1 where |w_i| is among the largest, and w ← w ⊙ m (PAC-Net, stage 1).

    The kept weights become the retained solver "source". Options: see `score_mask`.

    Args:
        scores: what decides instead of |w|, [size].
        new_weights: those of a last layer that the source does not use, bool [size]: all of them
            are freed. A share of the source's own last layer would be of no use to the target, so
            that "prune" keeps it, but for neurons that go as a whole.
    """
    scores = surrogate.weights.abs() if scores is None else scores
    if new_weights is not None and head == "prune" and scope != "neuron":
        head = "keep"
    mask = score_mask(surrogate.network, scores, sparsity, scope, biases, head)
    if new_weights is not None:
        mask &= ~new_weights
    weights = torch.where(mask, surrogate.weights, 0)
    return replace(
        surrogate,
        weights=weights,
        retained={SOURCE: RetainedSolver(surrogate.ansatz, mask)},
        stage="pruned",
        provenance={},
    )
