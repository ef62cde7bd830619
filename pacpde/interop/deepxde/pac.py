"""PAC on a DeepXDE model: the three stages around your own `compile` and `train`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pacpde.errors import DataFileError
from pacpde.interop import modules
from pacpde.interop.deepxde.model import Model
from pacpde.interop.deepxde.source import Source
from pacpde.interop.modules.storing import FILE, part
from pacpde.networks.frozen import Tensors, plain_copy
from pacpde.networks.probe import TensorValues, set_values, snapshot
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
    source. The stages of the network are those of `pacpde.interop.modules.PAC`; a model adds its
    data, and the values of the tensors beside the network.
    """

    @gradients()
    def __init__(self, model: Any) -> None:
        source = Source.of(model)
        stages = modules.PAC.of_source(source.net, source.probe, source.constants)
        self._begin(model.data, source, stages)

    def _begin(self, data: Any, source: Source, stages: modules.PAC) -> None:
        self._data, self._source, self._stages = data, source, stages
        self._model = partial(Model.of, source, checks=stages.checks[:1])
        self._allocated: Model | None = None
        self._calibrated: Model | None = None
        self._calibrated_from: TensorValues | None = None  # external variables of the source
        self._not_gone_on_with: TensorValues | None = None  # those of a target without its data

    @property
    def mask(self) -> Tensors:
        """Name of a parameter → which of its entries the source keeps, bool; after `prune`."""
        return self._stages.mask

    @property
    def allocated(self) -> Model | None:
        """The model that `allocate` gave."""
        return self._allocated

    @property
    def calibrated(self) -> Model | None:
        """The model that `calibrate` gave last; None after `load` without data of the target."""
        return self._calibrated

    @gradients()
    def prune(
        self,
        sparsity: float | None = None,
        *,
        scope: str | None = None,
        biases: str | None = None,
        head: str | None = None,
        mask: Tensors | None = None,
    ) -> None:
        """Choose the weights that the source keeps; see `pacpde.interop.modules.PAC.prune`.

        Models of an earlier mask are not recalled any more: make another PAC for a second mask.
        """
        self._stages.prune(sparsity, scope=scope, biases=biases, head=head, mask=mask)
        self._allocated = self._calibrated = self._calibrated_from = None

    @gradients()
    def allocate(self) -> Model:
        """The source with the pruned weights at 0, whose kept weights are trainable: train it."""
        net = self._stages.allocate()
        self._allocated = self._model(self._data, net)
        self._calibrated = self._calibrated_from = None
        return self._allocated

    @gradients()
    def calibrate(self, data: Any, *, strength: float = 0.0) -> Model:
        """The target, whose pruned weights are trainable and start at 0: train it.

        Args:
            data: of the target.
            strength: λ of the penalty on these weights, which joins the losses; without a ½.
        """
        net = self._stages.calibrate(strength=strength)
        assert self._allocated is not None
        variables = dict(self._allocated.external)
        self._calibrated = self._of_target(data, net, strength, variables)
        self._calibrated_from = variables
        return self._calibrated

    def _of_target(
        self, data: Any, net: nn.Module, strength: float, variables: TensorValues
    ) -> Model:
        penalty = self._stages.penalty_of_calibrated if strength else None
        return self._model(data, net, penalty, variables=variables)

    @gradients()
    def recall(self) -> Model:
        """The source out of the weights of the last stage: the kept ones, and 0 elsewhere.

        It is what `allocated` was when `calibrate` was called, with its buffers and the values of
        its external variables, which are put into them.

        Raises:
            InvalidValueError: the source's network gives something else than it did, since a value
                that a transform of it reads was changed.
        """
        net = self._stages.recall()
        assert self._allocated is not None
        variables = self._calibrated_from
        return self._model(
            self._data, net,
            variables=self._allocated.external if variables is None else variables,
            checks=self._stages.checks,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write all stages into one file: a safetensors file with a JSON header, no pickle.

        With the stages go the values of their external variables. Data, transforms and states of
        optimisers are not stored.

        Args:
            path: of the file; see `pacpde.interop.modules.PAC.save`.
        """
        stages = {"source": self._source.variables}
        if self._allocated is not None:
            stages["allocated"] = self._allocated.external
        if self._calibrated_from is not None:
            stages["recalled"] = self._calibrated_from
        if self._calibrated is not None:
            stages["calibrated"] = self._calibrated.external
        elif self._not_gone_on_with is not None:
            stages["calibrated"] = self._not_gone_on_with
        more = {
            f"{stage}/{number}": value
            for stage, values in stages.items()
            for number, value in enumerate(values.values())
        }
        constants = enumerate(self._source.constants.values())
        more |= {f"constants/{number}": value for number, value in constants}
        self._stages.save(path, more=more)

    @classmethod
    @gradients()
    def load(
        cls,
        path: str | Path,
        model: Any,
        data: Any = None,
        *,
        variables: Sequence[torch.Tensor] | None = None,
    ) -> "PAC":
        """The stages in a file.

        Args:
            path: of the file.
            model: a `dde.Model` as the source was, with the data and a network of the class, sizes
                and transforms of the source; it need be neither compiled nor trained, and stays as
                it is.
            data: of the target, where `calibrated` is to be gone on with.
            variables: external variables in their order; those that the model was compiled with by
                default.

        Returns:
            The stages, where they were: `allocated` and `calibrated` are models to compile.

        Raises:
            DataFileError: there is no such file, it is damaged or of another network, or it has
                another number of external variables.
        """
        about, tensors = FILE.read(path)
        source, more = Source.untrained(model), part(tensors, "more")
        own_constants = list(source.constants)
        constants = source.constants | _values_of(part(more, "constants"), own_constants)
        external = list(source.variables) if variables is None else list(variables)

        def of_stage(stage: str) -> TensorValues:
            values = part(more, stage)
            if len(values) > len(external):
                raise DataFileError(
                    f"the file has {len(values)} external variables, and {len(external)} are "
                    "given: name them all, in their order (variables=[...])."
                )
            return _values_of(values, external)

        stages = modules.PAC.of_content(about, tensors, source.net, source.probe, constants)
        pac, before = cls.__new__(cls), snapshot(external)
        net = plain_copy(stages.source)
        source = replace(source, net=net, constants=constants, variables=of_stage("source"))
        pac._begin(model.data, source, stages)
        if stages.allocated is not None:
            pac._allocated = pac._model(
                model.data, stages.allocated, variables=of_stage("allocated")
            )
        if stages.calibrated is not None:
            pac._calibrated_from = of_stage("recalled")
            own = of_stage("calibrated")
            if data is None:
                pac._not_gone_on_with = own
            else:
                pac._calibrated = pac._of_target(data, stages.calibrated, about["strength"], own)
        set_values(before)
        return pac


def _values_of(stored: Tensors, tensors: Sequence[torch.Tensor]) -> TensorValues:
    """Values by the numbers of the tensors that they are of."""
    by_number = {str(number): own for number, own in enumerate(tensors)}
    for number, value in stored.items():
        if number not in by_number or by_number[number].shape != value.shape:
            raise DataFileError(
                f"the file has a value of the shape {tuple(value.shape)} for the tensor {number} "
                "beside the network, which is another one here: give a model as the source was."
            )
    return {by_number[number]: value.to(by_number[number]) for number, value in stored.items()}
