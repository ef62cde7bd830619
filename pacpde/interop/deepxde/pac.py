"""PAC on a DeepXDE model: the three stages around your own `compile` and `train`."""

from typing import Any

from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.masks import by_magnitude, checked, kept
from pacpde.interop.deepxde.model import Model, anchored, check_source
from pacpde.interop.held import Tensors, filled, hold, plain, whole
from pacpde.methods.base import check_strength


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
            mask: your own instead of all that: parameter name → bool, shaped like it, True where
                kept.

        What was allocated and calibrated before is not recalled any more; make another PAC for a
        second mask.
        """
        if mask is None:
            self.mask = by_magnitude(self._values, sparsity, scope, biases)
        else:
            self.mask = checked(mask, self._values)
        self._allocated = self._calibrated = None

    def allocate(self) -> Model:
        """The source with the pruned weights at 0, whose kept weights are free: train it."""
        self._need(self.mask, "prune", "allocate")
        values = kept(self._values, self.mask)
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
        free = {name: ~own for name, own in self.mask.items()}
        net = hold(self._net, whole(self._allocated.net), free)
        self._calibrated = Model(data, net, anchored(net, strength) if strength else None)
        return self._calibrated

    def recall(self) -> Model:
        """The source out of the weights of the last stage: the kept ones, and 0 elsewhere."""
        latest = self._calibrated or self._allocated
        self._need(latest, "allocate", "recall")
        assert latest is not None
        return Model(self._data, filled(self._net, kept(whole(latest.net), self.mask)))

    def _need(self, found: Any, before: str, now: str) -> None:
        if not found:
            raise InvalidValueError(f"{now} comes after {before}: call pac.{before}(...) first.")
