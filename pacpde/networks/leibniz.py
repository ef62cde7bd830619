"""The product rule on jets."""

from collections.abc import Sequence

import torch


def leibniz(multiplier: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    """The map N ↦ m·N on jets, [channels, channels, ...], of the jet m [channels, ...]."""
    at = {name: index for index, name in enumerate(names)}
    product = multiplier.new_zeros(len(names), *multiplier.shape)
    for row, name in enumerate(names):
        for mask in range(1 << len(name)):
            first = "".join(a for i, a in enumerate(name) if mask >> i & 1)
            second = "".join(a for i, a in enumerate(name) if not mask >> i & 1)
            product[row, at[second]] += multiplier[at[first]]
    return product
