"""Jets through the code of a torch module: a tensor that carries derivatives from call to call.

`JetTensor` stands in the place of the inputs. What a call gives for it says a rule
(`pacpde.networks.jet_rules`); a call without one is differentiated by itself (`nested_jets`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from pacpde.networks.nested_jets import nested_jets
from pacpde.networks.parameter_use import Use

Rule = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


# calls whose results are no jets
PLAIN = (
    "size dim numel nelement stride ndimension __len__ is_floating_point is_complex is_contiguous "
    "get_device element_size type __repr__ __format__ item __bool__ __float__ __int__ __index__ "
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ eq ne lt le gt ge isnan isfinite isinf zeros_like "
    "ones_like full_like empty_like new_zeros new_ones new_full new_empty new_tensor is_nonzero "
    "argmax argmin __hash__"
)
# calls that change a tensor in its place, or cut it off
NOT_FOLLOWED = "__setitem__ __iadd__ __isub__ __imul__ __itruediv__ __ipow__ detach"
RULES: dict[str, Rule] = {}  # call → what it gives for jets; None where it gives nothing
_PLAIN, _NOT_FOLLOWED = set(PLAIN.split()), set(NOT_FOLLOWED.split())


class UnsupportedCallError(Exception):
    """A call that this way of computing jets does not follow."""


@dataclass
class Pass:
    """One evaluation of a module.

    Attributes:
        names: the derivative of each channel.
        weights: the flat vector of which every parameter is a view; None where no use is recorded.
        uses: of the parameters, in the order of the calls.
    """

    names: tuple[str, ...]
    weights: torch.Tensor | None = None
    uses: list[Use] = field(default_factory=list)

    def jet(self, channels: torch.Tensor) -> "JetTensor":
        """A jet [channels, *shape] as a tensor of this shape."""
        made = torch.Tensor._make_subclass(JetTensor, channels[0].detach())
        made.channels, made.run = channels, self
        return made

    def record(self, kind: type[Use], parameter: Any, *args: Any, **options: Any) -> None:
        """Remember a use of what is a parameter, or a view of one."""
        if self.weights is None:
            return
        whole: torch.Tensor = self.weights
        base: Any = getattr(parameter, "_base", None)
        if base is not whole:
            return
        place = parameter.storage_offset() - whole.storage_offset()
        self.uses.append(kind(parameter.shape, parameter.stride(), place, *args, **options))


class JetTensor(torch.Tensor):
    """A tensor with its jet.

    Attributes:
        channels: [channels, *its shape].
        run: the evaluation that it is part of.
    """

    channels: torch.Tensor
    run: Pass

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, func.__name__
        if name == "__get__":
            name = func.__self__.__name__
            if name not in ("T", "mT"):
                return plain(func, args, kwargs)
        if name in _PLAIN:
            return plain(func, args, kwargs)
        if name in _NOT_FOLLOWED or (name.endswith("_") and not name.endswith("__")):
            raise UnsupportedCallError(name)
        rule = RULES.get(name)
        result = None if rule is None else rule(func, args, kwargs)
        return differentiated(func, args, kwargs) if result is None else result


def value_of(thing: Any) -> Any:
    """The value of a jet; anything else as it is."""
    return thing.channels[0] if isinstance(thing, JetTensor) else thing


def plain(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call gives that depends on shapes, or on values in steps."""
    args, kwargs = tree_map(value_of, (args, kwargs))
    return func(*args, **kwargs)


def differentiated(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The jets of what any call gives, by differentiating it."""
    leaves, shape = tree_flatten((args, kwargs))
    places = [k for k, own in enumerate(leaves) if isinstance(own, JetTensor)]
    run = leaves[places[0]].run
    made: list[Any] = []

    def call(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        filled = list(leaves)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        own_args, own_kwargs = tree_unflatten(filled, shape)
        results, form = tree_flatten(func(*own_args, **own_kwargs))
        if not all(isinstance(own, torch.Tensor) and own.is_floating_point() for own in results):
            raise UnsupportedCallError(func.__name__)
        made.append(form)
        return tuple(results)

    jets = nested_jets(call, [leaves[place].channels for place in places], run.names)
    return tree_unflatten([run.jet(own) for own in jets], made[0])
