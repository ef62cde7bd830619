"""The module that a transfer starts from: what it must be, and its last layer."""

from typing import Any

import torch
from torch import nn

from pacpde.errors import InvalidValueError, short
from pacpde.networks.frozen import (
    FrozenParameter,
    check_freezable,
    merged_state,
    module_with_functions,
    plain_copy,
)
from pacpde.networks.layout import WeightLayout, module_layout
from pacpde.networks.probe import Probe, last_evaluated, relative_difference
from pacpde.runtime import gradients

DIVERGED = (
    "some of the source's weights are no finite numbers: its training diverged. Train it again, "
    "more slowly."
)
MOVE = 0.01  # of every weight, to see whether a module follows


def source_copy(module: Any) -> nn.Module:
    """A plain copy of a module that can be the source of a transfer.

    Raises:
        InvalidValueError: it is no torch module, or some of its weights are no finite numbers.
    """
    if not isinstance(module, nn.Module):
        raise InvalidValueError(f"the source is {short(module)}, expected a torch.nn.Module.")
    copy = plain_copy(module)
    if not all(bool(own.isfinite().all()) for own in copy.parameters()):
        raise InvalidValueError(DIVERGED)
    return copy


def as_probe(example: Any) -> Probe | None:
    """An example as a probe; None for none."""
    if example is None or isinstance(example, Probe):
        return example
    leaves = example if isinstance(example, tuple) else (example,)
    if not leaves or not any(isinstance(own, torch.Tensor) for own in leaves):
        raise InvalidValueError(
            f"the example is {short(example)}, expected inputs of the module as a tensor, or a "
            "tuple of its arguments."
        )
    return Probe(example)


@gradients()
def check_follows(module: nn.Module, probe: Probe) -> None:
    """Refuse a module that does not follow its parameters where they are functions of others.

    Such a module stores its weights elsewhere, or writes into them when it is evaluated.

    Args:
        module: plain; it stays as it is.
    """
    check_freezable(module)
    moved = plain_copy(module)
    with torch.no_grad():
        for own in moved.parameters():
            own.mul_(1 + MOVE)
    other = plain_copy(module)
    everything = {
        name: FrozenParameter(own, torch.ones_like(own, dtype=torch.bool))
        for name, own in merged_state(other).items()
    }
    module_with_functions(other, everything)
    with torch.no_grad():
        for own in other.parameters():
            own.mul_(1 + MOVE)
    before, one, two = (probe.outputs(own) for own in (module, moved, other))
    ignored = all(torch.equal(a, b) for a, b in zip(before, one, strict=True))
    if ignored or any(relative_difference(a, b) > 0 for a, b in zip(one, two, strict=True)):
        raise InvalidValueError(
            "the network does not follow its parameters: it stores its weights elsewhere too, or "
            "writes into them when it is evaluated, so that none of them can be held. Let its "
            "forward method use the parameters themselves."
        )


def layout_of(module: nn.Module, probe: Probe | None) -> WeightLayout:
    """The layout of a module's parameters; its head is the layer that is evaluated last.

    Without a probe it is the layer that the module names last.
    """
    layout = module_layout(module)
    return layout if probe is None else layout.with_head(last_evaluated(module, probe))
