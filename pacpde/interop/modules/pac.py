"""PAC on any torch module: the three stages around your own training loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pacpde.checks import check_nonnegative
from pacpde.errors import InvalidValueError, TransferWarning, warn_user
from pacpde.interop.modules.penalties import Penalty, SquaredDistance
from pacpde.interop.modules.sources import as_probe, check_follows, layout_of, source_copy
from pacpde.interop.modules.storing import FILE, Stages, set_trained
from pacpde.networks.frozen import (
    Tensors,
    check_freezable,
    copy_with_values,
    frozen_module,
    merged_state,
    plain_copy,
)
from pacpde.networks.layout import WeightLayout
from pacpde.networks.probe import OutputCheck, Probe, TensorValues, temporary_values
from pacpde.pac import magnitude_mask, mask_from_tensors
from pacpde.pac.paths import check_paths, masked
from pacpde.runtime import gradients

SPARSITY = 0.8  # of `PAC.prune` by default


@dataclass
class Calibrated:
    """What `calibrate` gave, and what it started from.

    Attributes:
        module: the target's.
        template: a plain copy of the allocated source, with its buffers.
        check: of the template's outputs; None without an example.
        penalty: λ‖w_P‖² of the module.
    """

    module: nn.Module
    template: nn.Module
    check: OutputCheck | None
    penalty: SquaredDistance


class PAC:
    """w_U ← argmin L_S(w ⊙ m); then min over w_P of L_T(w_U + w_P) + λ‖w_P‖².

    Myung et al., ICML 2022 (arXiv 2206.05703). Each stage gives a module, to train by any loop:

        pac = PAC(module, example=x[:64])     # trained on the source
        pac.prune(sparsity=0.8)
        allocated = pac.allocate()            # train it on the source
        target = pac.calibrate(strength=1e-3) # train it on the target: loss + pac.penalty()
        source = pac.recall()                 # to the last bit what `allocated` was

    - `module` stays as it is. `calibrate` may be called again, for other targets: each starts from
      the source.
    - Frozen weights are no parameters of the module of their stage: no optimiser, weight decay or
      `requires_grad_` can move them.
    - Buffers, such as the running statistics of a batch normalisation, may move. `recall` gives
      those that `allocated` had when `calibrate` was called.
    - Dropout and other random numbers may be drawn in training mode.

    Args:
        module: trained on the source.
        example: inputs of the module as a tensor, or a tuple of its arguments; some tens of samples
            are enough. It is tried on them, so that what cannot be recalled or trained is refused:
            a module that draws random numbers in evaluation mode, one that reads values outside
            itself which change, a mask that cuts it. Without an example these go unnoticed.

    Raises:
        InvalidValueError: the module cannot be frozen, copied or recalled.
    """

    @gradients()
    def __init__(self, module: nn.Module, example: Any = None) -> None:
        probe = as_probe(example)
        source = source_copy(module)
        check_freezable(source)
        constants: TensorValues = {}
        if probe is not None:
            probe.constants(module, source)
            check_follows(source, probe)
        self._begin(source, probe, constants)

    @classmethod
    @gradients()
    def of_source(cls, source: nn.Module, probe: Probe | None, constants: TensorValues) -> "PAC":
        """For a source that was looked at before.

        Args:
            source: a plain copy, which is not changed by anybody else.
            probe: some inputs, or None.
            constants: tensors outside the source that it reads, with the values to evaluate with.
        """
        check_freezable(source)
        pac = cls.__new__(cls)
        pac._begin(source, probe, constants)
        return pac

    def _begin(self, source: nn.Module, probe: Probe | None, constants: TensorValues) -> None:
        self._source, self._probe, self._constants = source, probe, constants
        self._values: Tensors = merged_state(source)
        self._check = self._check_of(source)
        self._mask: Tensors = {}  # empty before `prune`
        self._allocated: nn.Module | None = None
        self._calibrated: Calibrated | None = None

    @property
    def layout(self) -> WeightLayout:
        """Of the module's weights; the head is the layer that is evaluated last."""
        return layout_of(self._source, self._probe)

    @property
    def mask(self) -> Tensors:
        """Name of a parameter → which of its entries the source keeps, bool; after `prune`."""
        return {name: own.clone() for name, own in self._mask.items()}

    @property
    def allocated(self) -> nn.Module | None:
        """The module that `allocate` gave."""
        return self._allocated

    @property
    def source(self) -> nn.Module:
        """A plain copy of the source."""
        return plain_copy(self._source)

    @property
    def calibrated(self) -> nn.Module | None:
        """The module that `calibrate` gave last."""
        return None if self._calibrated is None else self._calibrated.module

    @gradients()
    def prune(
        self,
        sparsity: float | None = None,
        *,
        scope: str | None = None,
        biases: str | None = None,
        head: str | None = None,
        mask: Mapping[str, Any] | None = None,
    ) -> None:
        """Choose the weights that the source keeps: those of the largest magnitude.

        Args:
            sparsity: share of the weights that is taken from the source, 0.8 by default.
            scope: one threshold for all of them ("global"), or one a "layer" or a "tensor"; or
                whole neurons ("neuron") or filters ("filter"), see `pacpde.pac.mask.filter_mask`;
                "global" by default.
            biases: "prune" them like weights (the default), "keep" them all or "free" them all;
                parameters of one dimension count as biases, scales of a normalisation too.
            head: the same for the layer that is evaluated last.
            mask: your own, in place of all options above: every parameter's name → bool, shaped
                like it, True where the source keeps a weight.

        Modules of an earlier mask are not recalled any more: make another PAC for a second mask.

        Raises:
            InvalidValueError: no path from inputs to outputs is left, or no freed weight could
                learn. Where some of them could not, it is a warning that says how many. Both take
                an example. Or a mask and another option are given.
        """
        layout, share = self.layout, SPARSITY if sparsity is None else sparsity
        treatment = {"scope": scope, "biases": biases, "head": head}
        given = {name: own for name, own in treatment.items() if own is not None}
        if mask is None:
            chosen = magnitude_mask(self, layout.join(self._values), share, **given)
        else:
            others = ["sparsity"] * (sparsity is not None) + list(given)
            if others:
                raise InvalidValueError(
                    f"mask and {', '.join(others)} are given, and the mask says already which "
                    "weights the source keeps: leave out the others, or the mask."
                )
            chosen = mask_from_tensors(self, mask)
        masks = layout.split(chosen.to(next(self._source.parameters()).device))
        if self._probe is not None:
            net = self._probe.bare(plain_copy(self._source))
            check_paths(net, self._values, masks, self._probe)
        self._mask = masks
        self._allocated = self._calibrated = None

    @gradients()
    def allocate(self) -> nn.Module:
        """The source with the pruned weights at 0, whose kept weights are trainable: train it."""
        self._check_stage(self._mask or None, "prune", "allocate")
        if self._allocated is not None and not self.is_untrained:
            raise InvalidValueError(
                "the source is allocated already, and its training would be lost: go on with what "
                "allocate gave, or call pac.prune(...) to begin again."
            )
        self._check_source()
        self._allocated = frozen_module(self._source, self._pruned, self._mask)
        self._calibrated = None
        return self._allocated

    @gradients()
    def calibrate(self, *, strength: float = 0.0) -> nn.Module:
        """The target, whose pruned weights are trainable and start at 0: train it.

        Args:
            strength: λ of `penalty`, without a ½.
        """
        self._check_stage(self._allocated, "allocate", "calibrate")
        check_nonnegative("strength (λ)", strength)
        assert self._allocated is not None
        self._check_source()
        if not all(bool(own.isfinite().all()) for own in self._allocated.parameters()):
            raise InvalidValueError(
                "some of the allocated source's weights are no finite numbers: its training "
                "diverged. Call pac.prune(...) to begin again, and train what allocate gives more "
                "slowly."
            )
        if self.is_untrained:
            warn_user(
                "the allocated source is not trained: it has lost its pruned weights, and nothing "
                "has made up for them. Train what allocate gave, and call calibrate then: what is "
                "recalled is the source as it is now.",
                TransferWarning,
            )
        self._calibrated = self._calibration(plain_copy(self._allocated), strength)
        return self._calibrated.module

    def _calibration(self, template: nn.Module, strength: float) -> Calibrated:
        """Where a target starts, from a plain copy of the allocated source."""
        trainable = {name: ~own for name, own in self._mask.items()}
        module = frozen_module(template, merged_state(template), trainable)
        check = self._check_of(template)  # whose transforms may be its own
        return Calibrated(module, template, check, SquaredDistance(module, strength))

    def penalty(self) -> torch.Tensor:
        """λ‖w_P‖² of the module that `calibrate` gave last, to be added to its loss."""
        return self.penalty_of_calibrated()

    @property
    def penalty_of_calibrated(self) -> Penalty:
        """The penalty of the module that `calibrate` gave last, and of no later one."""
        self._check_stage(self._calibrated, "calibrate", "penalty")
        assert self._calibrated is not None
        return self._calibrated.penalty

    @gradients()
    def recall(self) -> nn.Module:
        """The source out of the weights of the last stage: the kept ones, and 0 elsewhere.

        It is what `allocated` was when `calibrate` was called, with its buffers, on the device on
        which it was then.

        Raises:
            InvalidValueError: kept weights were changed, such as by a lower precision; or the
                module gives something else than it did, since a value that it reads was changed.
        """
        self._check_stage(self._allocated, "allocate", "recall")
        assert self._allocated is not None
        template, latest = self._allocated, self._allocated
        self._check_source()
        if self._calibrated is not None:
            template, latest = self._calibrated.template, self._calibrated.module
            if self._calibrated.check is not None:
                self._calibrated.check.check()
        before, values = merged_state(template), {}
        for name, own in merged_state(latest).items():
            value = own.to(before[name])
            kept = self._mask[name].to(value.device)
            if template is not latest and not torch.equal(value[kept], before[name][kept]):
                raise InvalidValueError(
                    f"the kept weights of {name} in the calibrated module are not those of the "
                    "allocated source any more: it was moved to a lower precision, or its buffers "
                    "were written to. What allocate gave is what it was."
                )
            values[name] = torch.where(kept, value, 0)
        return copy_with_values(template, values)

    def save(self, path: str | Path, *, more: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write all stages into one file: a safetensors file with a JSON header, no pickle.

        States of optimisers are not stored. A file of other stages is replaced, any other is
        refused.

        Args:
            path: of the file, such as "stages.safetensors".
            more: tensors to be stored with them.

        Raises:
            OutputError: the file cannot be written.
        """
        kept = None
        if self._calibrated is not None:
            own = self._calibrated
            kept = own.template, own.module, own.penalty.strength
        content = Stages(self._source, self._probe, self._mask, self._allocated, kept)
        with temporary_values(self._constants):
            content.write(path, more or {})

    @classmethod
    @gradients()
    def load(cls, path: str | Path, module: nn.Module) -> "PAC":
        """The stages in a file.

        Args:
            path: of the file.
            module: of the class and sizes of the source; its weights do not matter. It stays as it
                is.

        Returns:
            The stages, where they were: `allocated` and `calibrated` give their modules.

        Raises:
            DataFileError: there is no such file, it is damaged or of another module, or the module
                gives something else than the saved one at its example.
        """
        return cls.of_content(*FILE.read(path), plain_copy(module))

    @classmethod
    def of_content(
        cls,
        about: Mapping[str, Any],
        tensors: Tensors,
        module: nn.Module,
        probe: Probe | None = None,
        constants: TensorValues | None = None,
    ) -> "PAC":
        """The stages out of what a file holds.

        Args:
            about, tensors: of the file.
            module: a plain copy.
            probe: how the module is evaluated, see `Probe.call`; the stored inputs are taken.
            constants: see `of_source`.
        """
        check_freezable(module)
        constants = constants or {}
        with temporary_values(constants):
            content = Stages.of(about, tensors, module, probe)
        pac = cls.of_source(content.source, content.probe, constants)
        pac._mask = content.mask
        if content.allocated is not None:
            values = merged_state(content.allocated)
            pac._allocated = frozen_module(content.allocated, values, pac._mask)
        if content.calibrated is not None:
            template, latest, strength = content.calibrated
            pac._calibrated = pac._calibration(template, strength)
            set_trained(pac._calibrated.module, latest)
        return pac

    @property
    def checks(self) -> list[OutputCheck]:
        """Of the modules that must give what they gave when the latest stage was made."""
        later = None if self._calibrated is None else self._calibrated.check
        return [own for own in (self._check, later) if own is not None]

    @property
    def is_untrained(self) -> bool:
        """Whether what `allocate` gave has the weights that it started with."""
        assert self._allocated is not None
        now = merged_state(self._allocated)
        return all(torch.equal(own.to(now[name]), now[name]) for name, own in self._pruned.items())

    @property
    def _pruned(self) -> Tensors:
        """The weights that `allocate` starts with."""
        return masked(self._values, self._mask)

    def _check_of(self, module: nn.Module) -> OutputCheck | None:
        if self._probe is None:
            return None
        return OutputCheck(module, self._probe, self._constants)

    def _check_source(self) -> None:
        if self._check is not None:
            self._check.check()

    def _check_stage(self, stage: Any, before: str, now: str) -> None:
        if stage is None:
            raise InvalidValueError(f"{now} comes after {before}: call pac.{before}(...) first.")


def packnet(module: nn.Module, example: Any = None, *, sparsity: float = 0.75) -> PAC:
    """PackNet's stages (Mallya & Lazebnik, CVPR 2018, arXiv 1711.05769), already pruned.

    One threshold a layer, biases kept with the first task, no penalty: allocate and calibrate it as
    `PAC`.

    Args:
        module, example: see `PAC`.
        sparsity: share of the weights of each layer that is taken from the source.
    """
    pac = PAC(module, example)
    pac.prune(sparsity, scope="layer", biases="keep")
    return pac
