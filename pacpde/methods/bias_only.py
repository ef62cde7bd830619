"""The biases alone."""

from dataclasses import dataclass

import torch

from pacpde.methods.fine_tuning import FineTuning
from pacpde.networks.surrogate import Surrogate


@dataclass(frozen=True)
class BiasOnly(FineTuning):
    """min over the biases of L_T(w_S, b); every other weight stays.

    BitFit (Ben Zaken, Goldberg & Ravfogel 2022, arXiv 2106.10199), which trains the task's head
    too. Here source and target share their head, whose bias moves as the others do.
    """

    name = "bias_only"
    summary = "min L_T over the biases; every other weight stays the source's"
    partial = True

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        biases = source.network.layout.where(lambda group: group.is_bias)
        return biases.to(source.weights.device)
