"""Other transfers than PAC, for any torch module: each a copy to train, and maybe a penalty."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pacpde.checks import check_count, check_nonnegative
from pacpde.errors import InvalidValueError
from pacpde.interop.modules.freezing import freeze
from pacpde.interop.modules.penalties import Penalty, SpectralShrinkage, SquaredDistance
from pacpde.interop.modules.sources import as_probe, layout_of, source_copy
from pacpde.networks.frozen import (
    FrozenParameter,
    ParameterFunction,
    check_freezable,
    merged_state,
    module_with_functions,
)
from pacpde.networks.layout import module_layout
from pacpde.networks.reparametrised_parameters import LowRankParameter, MaskedParameter
from pacpde.runtime import generator, gradients


@gradients()
def warm_start(module: nn.Module) -> nn.Module:
    """min L_T(w) over all weights w, from those of the source.

    Args:
        module: the source, which stays as it is.

    Returns:
        A copy all of whose weights are trainable; train it on the target.
    """
    return source_copy(module)


@gradients()
def l2_sp(module: nn.Module, *, alpha: float = 0.01) -> tuple[nn.Module, Penalty]:
    """min L_T(w) + (α/2)‖w − w_S‖² from w = w_S (Li et al., ICML 2018, arXiv 1802.01483).

    Args:
        module: see `warm_start`.
        alpha: α.

    Returns:
        A copy, and the penalty of its weights as they are when it is called.

    Example:
        >>> target, penalty = l2_sp(nn.Linear(2, 1), alpha=0.1)
        >>> loss = (target(torch.ones(4, 2)) ** 2).mean() + penalty()
    """
    check_nonnegative("alpha (α)", alpha)
    copy = source_copy(module)
    return copy, SquaredDistance(copy, alpha / 2)


@gradients()
def bss(
    module: nn.Module,
    *,
    layer: str | None = None,
    example: Any = None,
    shrink: float = 1e-3,
    smallest: int = 1,
) -> tuple[nn.Module, Penalty]:
    """min L_T(w) + η Σ of the k smallest σ_i²(F), F the features of a batch, from w = w_S.

    Chen et al., NeurIPS 2019, with their η = 0.001 and k = 1. As L2-SP, it is of the latest batch:
    compute the loss, then add the penalty.

    Args:
        module: see `warm_start`.
        layer: name of the layer whose inputs are the features; the head by default, which is the
            layer that is evaluated last at the example, or else the one that is named last.
        example: inputs of the module.
        shrink: η.
        smallest: k.

    Returns:
        A copy, and the penalty of its latest batch.
    """
    check_nonnegative("shrink (η)", shrink)
    check_count("smallest", smallest, 1)
    copy = source_copy(module)
    name = _head(copy, example) if layer is None else layer
    parts = dict(copy.named_modules())
    if name not in parts:
        raise InvalidValueError(
            f"the module has no layer {name!r}: name one of {', '.join(parts)}."
        )
    return copy, SpectralShrinkage(parts[name], shrink, smallest)


@gradients()
def last_layer(module: nn.Module, *, example: Any = None) -> nn.Module:
    """min L_T over the head, on the source's features; every other weight is frozen.

    Args:
        module: see `warm_start`.
        example: inputs of the module, by which the layer that is evaluated last is the head; it is
            the one that is named last by default.

    Returns:
        A module whose head alone is trainable.
    """
    copy = source_copy(module)
    head = _head(copy, example)
    others = [name for name, _ in copy.named_parameters() if name.rpartition(".")[0] != head]
    if not others:
        raise InvalidValueError(
            f"all weights belong to the last layer, {head or 'the module itself'}: this is a warm "
            "start."
        )
    return freeze(copy, others)


@gradients()
def lora(module: nn.Module, *, rank: int = 4, tune_biases: bool = True, seed: int = 0) -> nn.Module:
    """min over A, B of L_T(W_S + B A) in every layer; W_S is frozen.

    B begins at 0, and A normal with standard deviation 1/√inputs. Hu et al., ICLR 2022
    (arXiv 2106.09685), with α/r = 1; a convolution counts as a matrix [filters, all others].

    Args:
        module: see `warm_start`.
        rank: of B A.
        tune_biases: whether parameters of one dimension are trainable too.
        seed: of A.

    Returns:
        A module whose parameters are A and B, `unfreeze` of which adds B A to the weights.
    """
    check_count("rank", rank, 1)

    def change(value: torch.Tensor) -> ParameterFunction:
        return LowRankParameter(value, min(rank, *value.flatten(1).shape))

    copy = _with_functions(module, change, tune_biases)
    rng = generator(seed, "adapters")
    for name, own in copy.named_parameters():
        if name.endswith(".original1"):  # A
            drawn = rng.normal(0, own.shape[1] ** -0.5, tuple(own.shape))
            with torch.no_grad():
                own.copy_(torch.as_tensor(drawn))
    return copy


@gradients()
def piggyback(
    module: nn.Module, *, threshold: float = 5e-3, initial_score: float = 1e-2
) -> nn.Module:
    """min over scores s of L_T(W_S ⊙ 1[s > τ]), straight through the step; W_S is frozen.

    Mallya, Davis & Lazebnik, ECCV 2018 (arXiv 1801.06519), with their τ and start; biases are
    frozen. A step function has no curvature: train it by Adam or SGD.

    Args:
        module: see `warm_start`.
        threshold: τ.
        initial_score: of every weight, above τ.

    Returns:
        A module whose parameters are the scores.
    """
    if not initial_score > threshold:
        raise InvalidValueError(
            f"initial_score is {initial_score}, expected a number above the threshold {threshold}: "
            "every weight is there in the beginning."
        )
    return _with_functions(
        module, lambda value: MaskedParameter(value, threshold, initial_score), False
    )


def _with_functions(
    module: nn.Module, function: Callable[[torch.Tensor], ParameterFunction], tune_biases: bool
) -> nn.Module:
    """A copy all of whose matrices are functions; biases are trainable, or frozen."""
    copy = source_copy(module)
    check_freezable(copy)
    values = merged_state(copy)
    functions: dict[str, ParameterFunction] = {}
    for group in module_layout(copy).groups:
        value = values[group.name]
        if not group.is_bias:
            functions[group.name] = function(value)
        elif not tune_biases:
            functions[group.name] = FrozenParameter(
                value, torch.zeros_like(value, dtype=torch.bool)
            )
    return module_with_functions(copy, functions)


def _head(module: nn.Module, example: Any) -> str:
    layout = layout_of(module, as_probe(example))
    return next(group.layer for group in layout.groups if group.is_head)
