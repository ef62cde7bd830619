"""The last layer alone, on the source's features."""

from dataclasses import dataclass

import torch

from pacpde.methods.fine_tuning import FineTuning
from pacpde.networks.surrogate import Surrogate


@dataclass(frozen=True)
class LastLayer(FineTuning):
    """min over the head of L_T(head ∘ features_S); every other weight stays.

    One-shot transfer (Desai et al. 2022, arXiv 2110.11286) where the equation is linear: then the
    residual is linear in the head, and one Gauss–Newton step solves it in closed form; elsewhere
    the damped steps of every fit here are taken.
    """

    name = "last_layer"
    summary = "min L_T over the last layer, on the source's features; closed form where linear"
    partial = True

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        head = source.network.layout.where(lambda group: group.is_head)
        return head.to(source.weights.device)
