"""Fine-tuning of a DeepXDE model: warm start and L2-SP."""

from typing import Any

from pacpde.interop import modules
from pacpde.interop.deepxde.model import Model
from pacpde.interop.deepxde.source import Source
from pacpde.runtime import gradients


@gradients()
def warm_start(model: Any, data: Any) -> Model:
    """min L_T(w) over all weights w, from those of the source.

    Args:
        model: a trained `dde.Model` of the source, which stays as it is.
        data: DeepXDE data of the target.

    Returns:
        A model of the target, to compile and train. It takes the weights, and not the state of the
        optimiser, which `restore` would take too.

    Raises:
        InvalidValueError: the model is not compiled, or its network does not fit the data.
    """
    source = Source.of(model)
    return Model.of(source, data, source.net)


@gradients()
def l2_sp(model: Any, data: Any, *, alpha: float = 0.01) -> Model:
    """min L_T(w) + (α/2)‖w − w_S‖² from w = w_S (Li et al., ICML 2018, arXiv 1802.01483).

    The penalty is the last of the losses.

    Args:
        model, data: see `warm_start`.
        alpha: α.
    """
    source = Source.of(model)
    net, penalty = modules.l2_sp(source.net, alpha=alpha)
    return Model.of(source, data, net, penalty)
