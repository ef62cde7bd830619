"""Whether what a mask leaves of a network can still solve the source, and learn the target."""

import warnings
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.networks.frozen import Tensors, copy_with_values
from pacpde.runtime import gradients

NUDGE = 1e-2  # of a freed weight that has begun to move


def masked(values: Tensors, mask: Tensors) -> Tensors:
    """The values where the mask is True, and 0 elsewhere."""
    return {name: torch.where(mask[name], value, 0) for name, value in values.items()}


def check_paths(net: nn.Module, values: Tensors, mask: Tensors, inputs: Any) -> None:
    """Refuse a mask that cuts the network; warn of freed weights that would stay at 0.

    A freed weight stays at 0 where the loss has no slope in it: all weights into and out of its
    neuron are freed, and start at 0.

    Args:
        net: plain.
        values: the source's, by parameter name.
        mask: True where the source keeps a weight.
        inputs: some of the data's, at which slopes are taken.
    """
    pruned = masked(values, mask)
    whole, left = (_depends(copy_with_values(net, own), inputs) for own in (values, pruned))
    lost = [number for number, (was, now) in enumerate(zip(whole, left, strict=True)) if was > now]
    if lost:
        names = ", ".join(str(number) for number in lost)
        raise InvalidValueError(
            f"the mask cuts every path from the inputs to the output {names}, which would be "
            "constant: keep more weights (a smaller sparsity), or spread them over the layers "
            '(scope="tensor").'
        )
    free = {name: ~own for name, own in mask.items()}
    dead = _unmoved(copy_with_values(net, pruned), free, inputs)
    count = sum(int(own.sum()) for own in free.values())
    if dead == count:
        raise InvalidValueError(
            f"none of the {count} freed weights could learn the target: they start at 0 between "
            "neurons all of whose weights are freed, where the loss has no slope. Free some "
            "weights out of neurons that are kept."
        )
    if dead:
        warnings.warn(
            f"{dead} of the {count} freed weights cannot move by any gradient: they start at 0, as "
            "do all other weights into and out of their neurons. A target has the others alone.",
            TransferWarning,
            stacklevel=4,
        )


def _depends(net: Any, inputs: Any) -> list[bool]:
    """Whether each output of the network itself changes with the inputs."""
    with gradients():
        here, found = _answers(net, inputs)
        columns = [part for own in found for part in _columns(own)]
        slopes = [
            torch.autograd.grad(_mixed(own), here, allow_unused=True, retain_graph=True)
            if own.requires_grad else [None] for own in columns
        ]  # fmt: skip
    return [any(own is not None and bool(own.any()) for own in parts) for parts in slopes]


def _unmoved(net: Any, free: Tensors, inputs: Any) -> int:
    """Entries among the free ones that no gradient reaches, however often a step is taken."""
    random = torch.Generator().manual_seed(0)
    parameters = dict(net.named_parameters())
    reached = {name: torch.zeros_like(own) for name, own in free.items()}
    count = -1
    while count != (now := sum(int(own.sum()) for own in reached.values())):
        count = now
        with gradients():
            total = torch.stack([_mixed(own) for own in _answers(net, inputs)[1]]).sum()
            slopes = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        for (name, own), slope in zip(parameters.items(), slopes, strict=True):
            if slope is None:
                continue
            new = free[name] & (slope != 0) & ~reached[name]
            noise = torch.randn(own.shape, generator=random, device="cpu").to(own)
            with torch.no_grad():
                own += NUDGE * noise * new
            reached[name] |= new
    return sum(int(own.sum()) for own in free.values()) - count


def _answers(net: Any, inputs: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Inputs that ask for slopes, and the outputs of the network itself."""
    if hasattr(net, "_output_transform"):
        net._output_transform = None  # which may vanish somewhere, or depend on inputs by itself
    net.train(False)
    here = [own.clone().requires_grad_() for own in tree_leaves(inputs)]
    return here, tree_leaves(net(tuple(here) if isinstance(inputs, tuple) else here[0]))


def _columns(outputs: torch.Tensor) -> list[torch.Tensor]:
    return list(outputs.unbind(1)) if outputs.dim() == 2 else [outputs]


def _mixed(outputs: torch.Tensor) -> torch.Tensor:
    """Σ of the outputs with weights that cancel nowhere."""
    weights = torch.linspace(0.5, 1.5, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
    return (outputs.flatten() * weights).sum()
