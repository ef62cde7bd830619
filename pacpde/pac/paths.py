"""Whether what a mask leaves of a network can still solve the source, and learn the target."""

import torch
from torch import nn

from pacpde.errors import InvalidValueError, TransferWarning, warn_user
from pacpde.networks.frozen import Tensors, copy_with_values
from pacpde.networks.probe import Probe
from pacpde.runtime import gradients

NUDGE = 1e-2  # of a freed weight that has begun to move


def masked(values: Tensors, mask: Tensors) -> Tensors:
    """The values where the mask is True, and 0 elsewhere."""
    return {name: torch.where(mask[name], value, 0) for name, value in values.items()}


def check_paths(net: nn.Module, values: Tensors, mask: Tensors, probe: Probe) -> None:
    """Refuse a mask that cuts the network; warn of freed weights that would stay at 0.

    A freed weight stays at 0 where the loss has no slope in it: all weights into and out of its
    neuron are freed, and start at 0. Slopes are taken, so that the network may be any.

    Args:
        net: a plain torch module.
        values: the source's, by parameter name.
        mask: True where the source keeps a weight.
        probe: with the inputs at which slopes are taken.
    """
    pruned = masked(values, mask)
    outputs = probe.outputs(copy_with_values(net, pruned))
    if not all(bool(own.isfinite().all()) for own in outputs):
        raise InvalidValueError(
            "with the freed weights at 0 the network gives no finite numbers, as where it divides "
            "by weights that are all freed: keep some of them (a mask of your own)."
        )
    before, after = (_depends(copy_with_values(net, own), probe) for own in (values, pruned))
    pairs = enumerate(zip(before, after, strict=True))
    cut = [number for number, (once, now) in pairs if once and not now]
    if cut:
        names = ", ".join(str(number) for number in cut)
        advice = (
            "keep more weights (a smaller sparsity), or spread them over the layers "
            '(scope="tensor"), or keep biases or the last layer (biases="keep", head="keep")'
        )
        scales = [name for name, own in mask.items() if _is_scale(name, own) and not own.any()]
        if scales:
            kept = masked(values, {**mask, **{own: ~mask[own] for own in scales}})
            enough = any(_depends(copy_with_values(net, kept), probe)[k] for k in cut)
            advice = (
                f"the scales {', '.join(scales)} are all freed, and 0 times anything is 0. They "
                'have one dimension and count as biases: write biases="keep" in place of '
                f'biases="free", or keep them in your mask{"" if enough else f"; and {advice}"}'
            )
        raise InvalidValueError(
            f"the mask cuts every path from the inputs to the output {names}, which would be "
            f"constant: {advice}."
        )
    freed = {name: ~own for name, own in mask.items()}
    dead = _unmoved(copy_with_values(net, pruned), freed, probe)
    count = sum(int(own.sum()) for own in freed.values())
    if dead == count:
        raise InvalidValueError(
            f"none of the {count} freed weights could learn the target: they start at 0 between "
            "neurons all of whose weights are freed, where the loss has no slope. Free some "
            "weights out of neurons that are kept."
        )
    if dead:
        warn_user(
            f"{dead} of the {count} freed weights cannot move by any gradient: they start at 0, as "
            "do all other weights into and out of their neurons. A target has the others alone.",
            TransferWarning,
        )


def _is_scale(name: str, mask: torch.Tensor) -> bool:
    """Whether a parameter is the scales of a normalisation, by its shape and name."""
    return mask.dim() == 1 and "bias" not in name.rpartition(".")[2]


def _depends(net: nn.Module, probe: Probe) -> list[bool]:
    """Whether each output of the network itself changes with the inputs; empty where none can."""
    with gradients():
        leaves, outputs = probe.leaves_and_outputs(net)
        if not leaves:  # whole numbers alone
            return []
        columns = [part for own in outputs for part in _columns(own)]
        slopes = [
            torch.autograd.grad(_mixed(own), leaves, allow_unused=True, retain_graph=True)
            if own.requires_grad else [None] for own in columns
        ]  # fmt: skip
    return [any(own is not None and bool(own.any()) for own in parts) for parts in slopes]


def _unmoved(net: nn.Module, freed: Tensors, probe: Probe) -> int:
    """How many freed weights no gradient reaches, however often a step is taken."""
    random = torch.Generator().manual_seed(0)
    parameters = dict(net.named_parameters())
    reached = {name: torch.zeros_like(own) for name, own in freed.items()}
    count = -1
    while count != (now := sum(int(own.sum()) for own in reached.values())):
        count = now
        with gradients():
            outputs = probe.leaves_and_outputs(net)[1]
            total = torch.stack([_mixed(own) for own in outputs if own.requires_grad]).sum()
            slopes = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        for (name, own), slope in zip(parameters.items(), slopes, strict=True):
            if slope is None:
                continue
            new = freed[name] & (slope != 0) & ~reached[name]
            noise = torch.randn(own.shape, generator=random, device="cpu").to(own)
            with torch.no_grad():
                own.add_(NUDGE * noise * new)
            reached[name] |= new
    return sum(int(own.sum()) for own in freed.values()) - count


def _columns(outputs: torch.Tensor) -> list[torch.Tensor]:
    return list(outputs.unbind(1)) if outputs.dim() == 2 else [outputs]


def _mixed(outputs: torch.Tensor) -> torch.Tensor:
    """Σ of the outputs with weights that cancel nowhere."""
    if outputs.is_complex():
        outputs = torch.view_as_real(outputs)
    weights = torch.linspace(0.5, 1.5, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
    return (outputs.flatten() * weights).sum()
