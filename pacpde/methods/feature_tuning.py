"""Fine-tuning with a term on the hidden features; the methods on features share it."""

from dataclasses import dataclass

import numpy as np
import torch

from pacpde.methods.fine_tuning import AugmentedFineTuning
from pacpde.networks.batch import Batch
from pacpde.networks.heads import ExtendedNetwork, FeatureAnsatz
from pacpde.networks.surrogate import Surrogate


@dataclass(frozen=True)
class FeatureTuning(AugmentedFineTuning):
    """min over w of L_T(w) + a term on F(w), the units of the last hidden layer, from w_S.

    The network gets these units as more outputs; the weights to them are not trainable.
    """

    def extended_network(self, source: Surrogate) -> ExtendedNetwork:
        return ExtendedNetwork.with_features(source.network, source.weights)

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        extended = self.extended_network(source)
        mask = torch.zeros_like(extended.weights, dtype=torch.bool)
        mask[extended.original_indices] = True
        return mask

    def features(
        self,
        source: Surrogate,
        extended: ExtendedNetwork,
        points: np.ndarray,
        weights: torch.Tensor,
    ) -> tuple[Batch, torch.Tensor]:
        """A batch of points [points, axes], and the features [points, units] of some weights."""
        ansatz = FeatureAnsatz(source.ansatz, source.network.n_features)
        batch = ansatz.batch(source.runtime.tensor(points))
        output = extended.network.forward(weights, batch.inputs, batch.names)
        return batch, batch.fields(output)[0]
