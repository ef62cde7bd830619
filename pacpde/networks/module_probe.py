"""What a torch module does besides computing: tensors from outside, random numbers, buffers."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pacpde.errors import InvalidValueError

Pass = tuple[list[torch.Tensor], list[torch.Tensor]]  # tensors taken and not made, outputs


def tensors_used(net: nn.Module, evaluate: Callable[[], Pass]) -> list[torch.Tensor]:
    """Tensors outside a module that its forward pass uses, whatever names them.

    Args:
        evaluate: a forward pass, in evaluation mode, see `TensorReads`.

    Raises:
        InvalidValueError: two passes give different outputs, or a buffer moves.
    """
    before = [own.clone() for own in net.buffers()]
    with random_state_restored(net):
        (first, one), (second, other) = (evaluate() for _ in range(2))
    moved = any(not torch.equal(own, was) for own, was in zip(net.buffers(), before, strict=True))
    same = all(torch.allclose(a, b, 0, 0, equal_nan=True) for a, b in zip(one, other, strict=True))
    if moved or not same:
        raise InvalidValueError(
            "the network answers differently when it is asked twice, by random numbers or by a "
            "buffer that moves: it cannot be recalled. Let it do so in training alone (where "
            "self.training is True)."
        )
    # what is made anew in every pass, such as a constant, is in one of the two alone
    outside = set(second) - {*net.parameters(), *net.buffers()}
    return [tensor for tensor in first if tensor in outside]


def random_state_restored(net: nn.Module) -> AbstractContextManager[None]:
    """Random numbers go on, where a module is, as if it had drawn none."""
    cuda = {own.device.index for own in net.parameters() if own.device.type == "cuda"}
    return torch.random.fork_rng(sorted(cuda))


class TensorReads(TorchDispatchMode):
    """The tensors that computations take and do not make (a tensor is its own key)."""

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.made = set(inputs)
        self.taken: dict[torch.Tensor, None] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        for own in tree_leaves((args, kwargs)):
            if isinstance(own, torch.Tensor) and own not in self.made:
                self.taken.setdefault(own)
        result = function(*args, **(kwargs or {}))
        self.made |= {own for own in tree_leaves(result) if isinstance(own, torch.Tensor)}
        return result


class DrawnBy(TorchDispatchMode):
    """Random numbers of torch come from one generator; no global state changes.

    Example:
        >>> with DrawnBy(torch.Generator().manual_seed(0)):
        ...     layer = nn.Linear(2, 1)
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not _takes_generator(function):
            other = getattr(function.overloadpacket, "generator", None)
            if other is None or not _takes_generator(other):
                return function(*args, **kwargs)
            function = other
        if kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return function(*args, **kwargs)


def _takes_generator(function: Any) -> bool:
    return any(own.name == "generator" for own in function._schema.arguments)
