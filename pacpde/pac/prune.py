"""Prune: keep the largest weights of a source surrogate, zero the rest."""

from dataclasses import replace

import torch

from pacpde.networks.surrogate import Memory, Surrogate
from pacpde.pac.mask import magnitude_mask

SOURCE = "source"


def prune(
    surrogate: Surrogate,
    sparsity: float = 0.8,
    *,
    scope: str = "global",
    biases: str = "prune",
    head: str = "prune",
) -> Surrogate:
    """m_i = 1 where |w_i| is among the largest, and w ← w ⊙ m (PAC-Net, stage 1).

    The kept weights become the memory "source". Options: see `magnitude_mask`.
    """
    mask = magnitude_mask(surrogate.network, surrogate.weights, sparsity, scope, biases, head)
    weights = torch.where(mask, surrogate.weights, torch.zeros_like(surrogate.weights))
    return replace(
        surrogate,
        weights=weights,
        memories={SOURCE: Memory(surrogate.ansatz, mask)},
        stage="pruned",
    )
