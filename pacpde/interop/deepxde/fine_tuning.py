"""Fine-tuning of a DeepXDE model: warm start and L2-SP."""

from typing import Any

from pacpde.checks import check_nonnegative
from pacpde.interop.deepxde.model import Model, l2_penalty
from pacpde.interop.deepxde.source import Source
from pacpde.runtime import gradients


@gradients()
def warm_start(model: Any, data: Any) -> Model:
    """min L_T(w) over all weights, from the source's: a model of the target to compile and train.

    The given model stays as it is, and its optimiser's state stays behind, which `restore` would
    bring along.
    """
    source = Source.of(model)
    return Model(data, source.net, constants=source.constants, variables=source.variables)


@gradients()
def l2_sp(model: Any, data: Any, *, alpha: float = 0.01) -> Model:
    """min L_T(w) + (α/2)‖w − w_S‖² from w = w_S (Li et al., ICML 2018, arXiv 1802.01483).

    The penalty joins the losses, as the last of them.
    """
    check_nonnegative("alpha (α)", alpha)
    source = Source.of(model)
    penalty = l2_penalty(source.net, alpha / 2)
    return Model(data, source.net, penalty, constants=source.constants, variables=source.variables)
