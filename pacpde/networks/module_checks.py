"""What a torch module must be to be a network: each point by itself, the same at every call."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from pacpde.errors import InvalidValueError, short
from pacpde.networks.frozen import copied
from pacpde.networks.module_probe import DrawnBy, TensorReads, tensors_used
from pacpde.networks.probe import Probe, last_evaluated
from pacpde.runtime import gradients

T = TypeVar("T")
POINTS = 5  # at which a module is tried
ROUNDING = 1e-9  # of the largest output: sums of few points are taken in another order


def reseeded(make: Callable[[], T], seed: int) -> T:
    """What a function makes with torch's random numbers of a seed; no global state changes."""
    with DrawnBy(torch.Generator(device="cpu").manual_seed(seed)), gradients():
        return make()


def check_module(module: nn.Module) -> None:
    """Refuse a module whose parameters cannot be a weight vector."""
    name = type(module).__name__
    parameters = list(module.named_parameters())
    lazy = [own for own, value in parameters if is_lazy(value)]
    if lazy:
        raise InvalidValueError(
            f"the module {name} has no shapes yet ({', '.join(lazy)}): evaluate it once, or give "
            "its layers their numbers of inputs."
        )
    if not any(value.requires_grad for _, value in parameters):
        raise InvalidValueError(
            f"the module {name} has no parameters that require gradients: there is nothing to fit."
        )
    for own, value in parameters:
        if value.requires_grad and value.dtype not in (torch.float64, torch.float32, torch.float16,
                                                      torch.bfloat16):  # fmt: skip
            raise InvalidValueError(
                f"the parameter {own} of the module {name} is of {value.dtype}, expected real "
                "numbers of floating point: split complex ones into two."
            )


def input_shape_of(module: nn.Module, wanted: Any) -> tuple[int, ...]:
    """The shape of one point: the wanted one, else the inputs of a dense layer that fit it."""
    if wanted is not None:
        shape = (wanted,) if isinstance(wanted, int) else wanted
        if (
            isinstance(shape, (tuple, list, torch.Size))
            and shape
            and all(isinstance(own, int) and not isinstance(own, bool) and own > 0 for own in shape)
        ):
            return tuple(shape)
        raise InvalidValueError(
            f"input_shape is {short(wanted)}, expected the shape of one point: write 2 for two "
            "numbers, (1, 8, 8) for an image of one channel."
        )
    own = copied(module).double().cpu().eval()
    linear = [part.in_features for part in module.modules() if isinstance(part, nn.Linear)]
    for inputs in dict.fromkeys(linear):
        with suppress(Exception), torch.no_grad():  # of the user's class
            deepcopy(own)(torch.zeros(POINTS, inputs, dtype=torch.float64, device="cpu"))
            return (inputs,)
    raise InvalidValueError(
        f"the shape of a point is not known from the module {type(module).__name__}, which takes "
        "the inputs of none of its dense layers: write TorchModule(module, input_shape=2) for two "
        "numbers, input_shape=(1, 8, 8) for an image of one channel."
    )


@gradients()
def check_outputs(module: nn.Module, shape: Sequence[int]) -> int:
    """The number of outputs of a module in evaluation mode.

    Raises:
        InvalidValueError: it cannot be evaluated, gives another shape, mixes points, gives other
            outputs at every call, moves buffers, or depends on parameters outside of it.
    """
    name, own = type(module).__name__, copied(module).double().eval()
    random = torch.Generator(device="cpu").manual_seed(0)
    x = torch.rand(POINTS, *shape, generator=random, dtype=torch.float64, device="cpu") * 2 - 1
    own = own.to("cpu")
    outputs = _evaluated(own, x, name)
    if not isinstance(outputs, torch.Tensor) or outputs.dim() != 2 or len(outputs) != POINTS:
        got = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else short(outputs)
        raise InvalidValueError(
            f"the module {name} gives {got} at {POINTS} points of shape {tuple(shape)}, expected "
            f"a tensor [points, outputs], here ({POINTS}, outputs): end it with a reshape, or give "
            "input_shape."
        )
    if not outputs.is_floating_point():
        raise InvalidValueError(
            f"the module {name} gives outputs of {outputs.dtype}, expected real numbers."
        )

    def evaluate() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        with TensorReads([x]) as reads:
            made = own(x)
        return list(reads.taken), [leaf.detach() for leaf in tree_leaves(made)]

    try:
        outside = tensors_used(own, evaluate)
    except InvalidValueError as error:
        raise InvalidValueError(f"the module {name} cannot be a network: {error}") from None
    if any(tensor.requires_grad for tensor in outside):
        raise InvalidValueError(
            f"the module {name} uses a parameter that is not among its own, which no fit would "
            "train: register it in the module, or detach it."
        )
    alone = torch.cat([_evaluated(own, one[None], name) for one in x])
    size = outputs.abs().max().clamp(min=1e-300)
    if not bool(((alone - outputs).abs().max() <= ROUNDING * size) | ~outputs.isfinite().all()):
        raise InvalidValueError(
            f"the module {name} gives a point other outputs alone than among other points, as "
            "normalisation over a batch does: let every point be evaluated by itself (LayerNorm "
            "in place of BatchNorm without running statistics)."
        )
    return outputs.shape[1]


def last_layer(module: nn.Module, shape: Sequence[int]) -> str:
    """The name of the part with parameters of its own that is evaluated last."""
    own = copied(module).double().cpu()
    return last_evaluated(
        own, Probe(torch.zeros(POINTS, *shape, dtype=torch.float64, device="cpu"))
    )


def _evaluated(module: nn.Module, x: torch.Tensor, name: str) -> Any:
    try:
        return deepcopy(module)(x)
    except Exception as error:  # of the user's class
        raise InvalidValueError(
            f"the module {name} cannot be evaluated in float64 at {len(x)} points of shape "
            f"{tuple(x.shape[1:])} ({type(error).__name__}: {error}): let its forward take one "
            f"tensor {[*x.shape]} and make tensors of the dtype of its input; for points of "
            "another shape give input_shape."
        ) from error
