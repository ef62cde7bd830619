"""PAC on a DeepXDE model: the three stages around your own `compile` and `train`."""

import warnings
from functools import partial
from typing import Any

import torch
from torch import nn

from pacpde.checks import check_nonnegative
from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.interop.deepxde.model import Model, l2_penalty
from pacpde.interop.deepxde.source import OutputCheck, Source, TensorValues
from pacpde.networks.frozen import (
    Tensors,
    check_freezable,
    copy_with_values,
    frozen_module,
    merged_state,
    plain_copy,
)
from pacpde.pac import magnitude_mask, mask_from_tensors
from pacpde.pac.paths import check_paths, masked
from pacpde.runtime import gradients


class PAC:
    """w_U ← argmin L_S(w ⊙ m); then min over w_P of L_T(w_U + w_P) + λ‖w_P‖².

    Myung et al., ICML 2022 (arXiv 2206.05703), on any torch network of DeepXDE. Each stage gives a
    DeepXDE model, to compile and train as you do:

        pac = PAC(model)                      # trained on the source
        pac.prune(sparsity=0.8)
        allocated = pac.allocate()            # then allocated.compile(...), allocated.train(...)
        target = pac.calibrate(target_data)   # then target.compile(...), target.train(...)
        source = pac.recall()                 # to the last bit what `allocated` was

    `model` stays as it is. `calibrate` may be called again, for other targets: each starts from the
    source. Frozen weights are no parameters of the network of their stage, so that no optimiser,
    `requires_grad_` or checkpoint can change them.
    """

    @gradients()
    def __init__(self, model: Any) -> None:
        source = Source.of(model)
        check_freezable(source.net)
        self._data = model.data
        self._source = source
        self._check = source.output_check(source.net)
        self._model = partial(Model, constants=source.constants, checks=[self._check])
        self._values: Tensors = merged_state(source.net)
        self._allocated: Model | None = None
        self._start: Tensors = {}  # of `allocated`, before its training
        self._calibrated: Model | None = None
        self._calibrated_from: tuple[nn.Module, TensorValues, OutputCheck] | None = None
        self._mask: Tensors = {}

    @property
    def mask(self) -> Tensors:
        """Name of a parameter → which of its entries the source keeps, bool; after `prune`."""
        return {name: own.clone() for name, own in self._mask.items()}

    @gradients()
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
            scope: one threshold for all of them ("global"), or one a "layer" or a "tensor".
            biases: "prune" them like weights, "keep" them all or "free" them all; parameters of one
                dimension count as biases.
            mask: your own, in place of these options: parameter name → bool, shaped like it, True
                where the source keeps a weight.

        Models of an earlier mask are not recalled any more: make another PAC for a second mask.

        Raises:
            InvalidValueError: no path from inputs to outputs is left, or no freed weight could
                learn. Where some of them could not, it is a warning that says how many.
        """
        source, layout = self._source, self._source.layout
        if mask is None:
            weights = layout.join(self._values)
            chosen = magnitude_mask(source, weights, sparsity, scope=scope, biases=biases)
        else:
            chosen = mask_from_tensors(source, mask)
        masks = layout.split(chosen.to(next(source.net.parameters()).device))
        net: Any = plain_copy(source.net)
        net._output_transform = None  # which may vanish somewhere, or depend on inputs by itself
        check_paths(net, self._values, masks, source.inputs)
        self._mask = masks
        self._allocated = self._calibrated = None

    @gradients()
    def allocate(self) -> Model:
        """The source with the pruned weights at 0, whose kept weights are trainable: train it."""
        self._check_stage(self._mask, "prune", "allocate")
        if self._allocated is not None and not self._is_untrained():
            raise InvalidValueError(
                "the source is allocated already, and its training would be lost: go on with the "
                "model that allocate gave, or call pac.prune(...) to begin again."
            )
        self._check.check()
        self._start = masked(self._values, self._mask)
        net = frozen_module(self._source.net, self._start, self._mask)
        self._allocated = self._model(self._data, net, variables=self._source.variables)
        self._calibrated = None
        return self._allocated

    @gradients()
    def calibrate(self, data: Any, *, strength: float = 0.0) -> Model:
        """The target, whose pruned weights are trainable and start at 0: train it.

        Args:
            data: of the target.
            strength: λ of the penalty on these weights, which joins the losses; without a ½.
        """
        self._check_stage(self._allocated, "allocate", "calibrate")
        check_nonnegative("strength (λ)", strength)
        assert self._allocated is not None
        self._check.check()
        if self._is_untrained():
            warnings.warn(
                "the allocated source is not trained: it has lost its pruned weights, and nothing "
                "has made up for them. Compile and train the model that allocate gave, and call "
                "calibrate then: what is recalled is the source as it is now.",
                TransferWarning,
                stacklevel=3,
            )
        template, variables = plain_copy(self._allocated.net), dict(self._allocated.external)
        trainable = {name: ~own for name, own in self._mask.items()}
        net = frozen_module(template, merged_state(template), trainable)
        penalty = l2_penalty(net, strength) if strength else None
        model = self._model(data, net, penalty, variables=variables)
        check = self._source.output_check(template)  # whose transforms may be its own
        self._calibrated, self._calibrated_from = model, (template, variables, check)
        return model

    @gradients()
    def recall(self) -> Model:
        """The source out of the weights of the last stage: the kept ones, and 0 elsewhere.

        It is what `allocated` was when `calibrate` was called, with its buffers and the values of
        its external variables, which are put into them.

        Raises:
            InvalidValueError: the source's network gives something else than it did, since a value
                that a transform of it reads was changed.
        """
        latest = self._calibrated or self._allocated
        self._check_stage(latest, "allocate", "recall")
        assert latest is not None
        template, variables, checks = latest.net, latest.external, [self._check]
        if latest is self._calibrated:
            assert self._calibrated_from is not None
            template, variables, check = self._calibrated_from
            checks.append(check)
        for check in checks:
            check.check()
        net = copy_with_values(template, masked(merged_state(latest.net), self._mask))
        return self._model(self._data, net, variables=variables, checks=checks)

    def _is_untrained(self) -> bool:
        assert self._allocated is not None
        now = merged_state(self._allocated.net)
        return all(torch.equal(value, now[name]) for name, value in self._start.items())

    def _check_stage(self, stage: Any, before: str, now: str) -> None:
        if not stage:
            raise InvalidValueError(f"{now} comes after {before}: call pac.{before}(...) first.")
