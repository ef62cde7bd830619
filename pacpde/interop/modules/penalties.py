"""Penalties of a module, to be added to the loss of your own loop: `loss + penalty()`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pacpde.errors import InvalidValueError

Penalty = Callable[[], torch.Tensor]  # a number, differentiable in the module's parameters


class SquaredDistance:
    """strength · ‖w − w₀‖² over a module's parameters, with w₀ what they are now.

    Args:
        module: whose parameters are measured; frozen entries are none.
        strength: λ, without a ½.
    """

    def __init__(self, module: nn.Module, strength: float) -> None:
        self._module, self.strength = module, strength
        self._start = [own.detach().clone() for own in module.parameters()]

    def __call__(self) -> torch.Tensor:
        pairs = zip(self._module.parameters(), self._start, strict=True)
        parts = [((w - w_0.to(w)) ** 2).sum() for w, w_0 in pairs]
        return self.strength * torch.stack(parts).sum()


class SpectralShrinkage:
    """η Σ of the k smallest σ_i²(F), F [samples, features] the inputs of a layer.

    Chen et al., NeurIPS 2019 (batch spectral shrinkage). F is that of the latest evaluation in
    which gradients were on, so that the penalty is that of the batch at hand.

    Args:
        layer: whose inputs are the features.
        shrink: η.
        smallest: k.
    """

    def __init__(self, layer: nn.Module, shrink: float, smallest: int) -> None:
        self._shrink, self._smallest = shrink, smallest
        self._features: torch.Tensor | None = None
        layer.register_forward_pre_hook(self._take)

    def _take(self, layer: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled():
            self._features = inputs[0].flatten(1)

    def __call__(self) -> torch.Tensor:
        if self._features is None:
            raise InvalidValueError(
                "the penalty is of the latest batch, and the module was not evaluated yet: compute "
                "the loss first."
            )
        values = torch.linalg.svdvals(self._features)
        return self._shrink * (values[-self._smallest :] ** 2).sum()
