"""PAC on a DeepXDE model: the three stages around your own `compile` and `train`."""

from typing import Any

import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.model import Model, check_source
from pacpde.interop.held import Tensors, filled, hold, plain, whole
from pacpde.methods.base import check_strength
from pacpde.pac.mask import check_choice, check_sparsity

SCOPES, TREATMENTS = ("global", "tensor"), ("prune", "keep", "free")
STAGES = ("trained", "pruned", "allocated", "calibrated")


class PAC:
    """w_U ← argmin L_S(w ⊙ m); then min over w_P of L_T(w_U + w_P) + λ‖w_P‖².

    Myung et al., ICML 2022 (arXiv 2206.05703), on any torch network of DeepXDE. Every stage is a
    DeepXDE model of its own, to compile and train as you do:

        pac = PAC(model)                      # trained on the source
        pac.prune(sparsity=0.8)
        allocated = pac.allocate()            # then allocated.compile(...), allocated.train(...)
        target = pac.calibrate(target_data)   # then target.compile(...), target.train(...)
        source = pac.recall()                 # to the last bit what `allocated` was

    The given model stays as it is. `calibrate` may be called again, for other targets: each starts
    from the source. Weights that a stage does not move are no parameters of its network, so that no
    optimiser, `requires_grad_` or checkpoint can reach them.

    Attributes:
        mask: name of a parameter → which of its entries the source keeps, bool; after `prune`.
    """

    def __init__(self, model: Any) -> None:
        check_source(model)
        self._data = model.data
        self._net: nn.Module = plain(model.net)
        self._values: Tensors = whole(self._net)
        self._allocated: Model | None = None
        self._calibrated: Model | None = None
        self.mask: Tensors = {}

    def prune(
        self,
        sparsity: float = 0.8,
        *,
        scope: str = "global",
        biases: str = "prune",
        mask: Tensors | None = None,
    ) -> None:
        """Choose the weights that the source keeps: those of the largest magnitude.

        Args:
            sparsity: share of the weights that is taken from the source.
            scope: one threshold for all of them ("global"), or one a "tensor".
            biases: "prune" them like weights, "keep" them all or "free" them all; parameters of one
                dimension count as biases.
            mask: your own instead: parameter name → bool, shaped like it, True where kept.
        """
        check_sparsity(sparsity)
        check_choice("scope", scope, SCOPES)
        check_choice("treatment of biases", biases, TREATMENTS)
        self.mask = self._checked(mask) if mask is not None else self._chosen(
            sparsity, scope, biases
        )  # fmt: skip
        self._allocated = self._calibrated = None

    def allocate(self) -> Model:
        """The source with the pruned weights at 0, whose kept weights are free: train it."""
        self._need(self.mask, "prune", "allocate")
        values = {name: value * self.mask[name] for name, value in self._values.items()}
        self._allocated = Model(self._data, hold(self._net, values, self.mask))
        self._calibrated = None
        return self._allocated

    def calibrate(self, data: Any, *, strength: float = 0.0) -> Model:
        """The target, whose pruned weights are free and start at 0: train it.

        Args:
            data: of the target.
            strength: λ of the penalty on the free weights, which joins the losses; without a ½.
        """
        self._need(self._allocated, "allocate", "calibrate")
        check_strength("strength (λ)", strength)
        assert self._allocated is not None
        free = {name: ~kept for name, kept in self.mask.items()}
        net = hold(self._net, whole(self._allocated.net), free)
        self._calibrated = Model(data, net, _ridge(strength) if strength else None)
        return self._calibrated

    def recall(self) -> Model:
        """The source out of the weights of the last stage: the kept ones, and 0 elsewhere."""
        latest = self._calibrated or self._allocated
        self._need(latest, "allocate", "recall")
        assert latest is not None
        values = {name: value * self.mask[name] for name, value in whole(latest.net).items()}
        return Model(self._data, filled(self._net, values))

    def _chosen(self, sparsity: float, scope: str, biases: str) -> Tensors:
        pruned = {
            name: value
            for name, value in self._values.items()
            if value.dim() > 1 or biases == "prune"
        }
        mask = {
            name: torch.full_like(value, biases == "keep", dtype=torch.bool)
            for name, value in self._values.items()
        }
        groups = [[name] for name in pruned] if scope == "tensor" else [list(pruned)]
        for group in groups:
            sizes = torch.cat([pruned[name].abs().flatten() for name in group])
            keep = torch.zeros_like(sizes, dtype=torch.bool)
            keep[sizes.argsort(descending=True, stable=True)[: self._count(sizes, sparsity)]] = True
            parts = keep.split([pruned[name].numel() for name in group])
            for name, part in zip(group, parts, strict=True):
                mask[name] = part.view_as(pruned[name])
        self._check_share(mask, f"sparsity is {sparsity:g}, which")
        return mask

    def _count(self, sizes: torch.Tensor, sparsity: float) -> int:
        return round((1 - sparsity) * len(sizes))

    def _checked(self, mask: Tensors) -> Tensors:
        missing = sorted(self._values.keys() ^ mask.keys())
        if missing:
            raise InvalidValueError(
                f"the mask and the network differ in {', '.join(missing)}: give one mask a "
                f"parameter, which are {', '.join(self._values)}."
            )
        for name, kept in mask.items():
            if kept.dtype != torch.bool or kept.shape != self._values[name].shape:
                raise InvalidValueError(
                    f"the mask of {name} is {kept.dtype} of shape {tuple(kept.shape)}, expected "
                    f"torch.bool of shape {tuple(self._values[name].shape)}."
                )
        self._check_share(mask, "the mask")
        return {name: mask[name].to(value.device) for name, value in self._values.items()}

    def _check_share(self, mask: Tensors, what: str) -> None:
        kept = sum(int(part.sum()) for part in mask.values())
        size = sum(part.numel() for part in mask.values())
        if not 0 < kept < size:
            way = "keeps none" if not kept else "frees none"
            raise InvalidValueError(f"{what} {way} of the network's {size} weights.")

    def _need(self, found: Any, before: str, now: str) -> None:
        if not found:
            raise InvalidValueError(f"{now} comes after {before}: call pac.{before}(...) first.")


def _ridge(strength: float) -> Any:
    """λ‖w_P‖² over what is free; at calibrate it starts at 0."""
    return lambda net: strength * sum((part**2).sum() for part in net.parameters())
