"""PAC on a DeepXDE model: the three stages around your own `compile` and `train`."""

from functools import partial
from typing import Any

from pacpde.interop import modules
from pacpde.interop.deepxde.model import Model
from pacpde.interop.deepxde.source import Source
from pacpde.interop.modules.penalties import SquaredDistance
from pacpde.networks.frozen import Tensors
from pacpde.networks.probe import TensorValues
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
        self._data, self._source = model.data, source
        self._stages = modules.PAC.of_source(source.net, source.probe, source.constants)
        self._model = partial(Model, constants=source.constants, checks=self._stages.checks)
        self._allocated: Model | None = None
        self._calibrated_from: TensorValues | None = None  # external variables of the source

    @property
    def mask(self) -> Tensors:
        """Name of a parameter → which of its entries the source keeps, bool; after `prune`."""
        return self._stages.mask

    @gradients()
    def prune(
        self,
        sparsity: float = 0.8,
        *,
        scope: str = "global",
        biases: str = "prune",
        head: str = "prune",
        mask: Tensors | None = None,
    ) -> None:
        """Choose the weights that the source keeps; see `pacpde.interop.modules.PAC.prune`.

        Models of an earlier mask are not recalled any more: make another PAC for a second mask.
        """
        self._stages.prune(
            sparsity, scope=scope, biases=biases, head=head, mask=mask,
            bare=_without_output_transform, stacklevel=5,
        )  # fmt: skip
        self._allocated = self._calibrated_from = None

    @gradients()
    def allocate(self) -> Model:
        """The source with the pruned weights at 0, whose kept weights are trainable: train it."""
        net = self._stages.allocate()
        self._allocated = self._model(self._data, net, variables=self._source.variables)
        self._calibrated_from = None
        return self._allocated

    @gradients()
    def calibrate(self, data: Any, *, strength: float = 0.0) -> Model:
        """The target, whose pruned weights are trainable and start at 0: train it.

        Args:
            data: of the target.
            strength: λ of the penalty on these weights, which joins the losses; without a ½.
        """
        net = self._stages.calibrate(strength=strength, stacklevel=5)
        assert self._allocated is not None
        penalty = SquaredDistance(net, strength) if strength else None
        variables = dict(self._allocated.external)
        model = self._model(data, net, penalty, variables=variables)
        self._calibrated_from = variables
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
        net = self._stages.recall()
        assert self._allocated is not None
        variables = self._calibrated_from
        return self._model(
            self._data, net,
            variables=self._allocated.external if variables is None else variables,
            checks=self._stages.checks,
        )  # fmt: skip


def _without_output_transform(net: Any) -> None:
    """A transform may vanish somewhere, or depend on inputs by itself."""
    net._output_transform = None
