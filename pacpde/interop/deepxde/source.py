"""What a transfer takes from a trained model: its network, and the tensors that it uses beside it.

A transform may use a tensor that is no part of the network, and an equation a `dde.Variable`. Every
model that is made from the source uses the same ones. So each model keeps the values that they have
for it, and puts them in place while it predicts and trains. Numbers and arrays that a transform
reads are not kept: what the network gives with them is, so that a change of them is noticed.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.networks.frozen import plain_copy
from pacpde.networks.layout import WeightLayout
from pacpde.runtime import gradients

PROBES = 64  # points at which a network is tried
TINY = 1e-30
ROUNDING = 100  # in units of the last place: sums may be taken in another order


class Values:
    """Tensors that several models use, with the values that they have for one of them."""

    def __init__(self, tensors: Iterable[torch.Tensor] = ()) -> None:
        self._pairs = {id(own): (own, own.detach().clone()) for own in tensors}

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [own for own, _ in self._pairs.values()]

    @property
    def values(self) -> list[torch.Tensor]:
        return [value for _, value in self._pairs.values()]

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._pairs

    def copy(self) -> "Values":
        found = Values()
        found._pairs = dict(self._pairs)
        return found

    def take(self, tensors: Iterable[torch.Tensor]) -> None:
        """What stands in these tensors now."""
        self._pairs |= Values(tensors)._pairs

    def put(self) -> None:
        """These values into the tensors."""
        for own, value in self._pairs.values():
            if not torch.equal(own, value):
                with torch.no_grad():
                    own.copy_(value)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """These values in the tensors for a while."""
        before = Values(self.tensors)
        self.put()
        try:
            yield
        finally:
            before.put()


class Answers:
    """What a network gives at some inputs, to find out later whether it still does.

    A network follows whatever its transforms and its forward method read by name: a number, an
    array or an entry of a dict that is changed changes every copy of it, a recalled one too.

    Args:
        net: plain, and copied.
        others: auxiliary variables at the inputs, or None.
        fixed: tensors outside the network that it uses.
        follow: let the forward pass take derivatives in the inputs, which torch.func forbids.
    """

    def __init__(
        self, net: nn.Module, inputs: Any, others: Any, fixed: Values, follow: bool = True
    ) -> None:
        self.inputs, self.others, self.fixed, self.follow = inputs, others, fixed, follow
        self._net = plain_copy(net)
        self._given = self._now()

    def _now(self) -> list[torch.Tensor]:
        with self.fixed.standing(), _random_numbers_kept(self._net):
            return evaluated(self._net, self.inputs, self.others, self.follow)[1]

    def check(self) -> None:
        """Refuse a network that gives something else by now."""
        try:
            now = self._now()
            apart = max(_apart(a, b) for a, b in zip(self._given, now, strict=True))
            said = f"its outputs differ by {apart:.2g} of their size"
        except Exception as error:  # whatever the user's transform raises by now
            apart, said = np.inf, f"it ends in {type(error).__name__}: {error}"
        if apart > 0:
            raise InvalidValueError(
                "the source's network does not give what it gave when the transfer took it "
                f"({said}): a number, an array or another value that it or a transform of it reads "
                "was changed since, and all that is made from the source reads the same one. Set "
                "it back. Give a transform its value as a default argument "
                "(lambda x, y, amp=1.0: ...), and a target with another value a transform of its "
                "own (target.net.apply_output_transform(...))."
            )


def _apart(given: torch.Tensor, now: torch.Tensor) -> float:
    """max |now − given| / max |given|; 0 where it is rounding."""
    if given.shape != now.shape or given.dtype != now.dtype:
        return np.inf
    if torch.equal(given, now):
        return 0.0
    apart = (now - given).nan_to_num(np.inf).abs().max() / given.abs().max().clamp(min=TINY)
    return float(apart) if apart > ROUNDING * torch.finfo(given.dtype).eps else 0.0


@dataclass(frozen=True)
class Source:
    """A trained model, as a transfer begins from it.

    Attributes:
        net: a plain copy of its network.
        inputs: some of its data's inputs, as the network takes them.
        fixed: tensors outside the network that its forward pass uses. No stage trains them.
        variables: the external variables that the model was compiled with.
        others: the auxiliary variables at the inputs; None for none.
    """

    net: nn.Module
    inputs: Any
    fixed: Values
    variables: Values
    others: Any = None

    @property
    def layout(self) -> WeightLayout:
        """What the network's weights are, in the order of its parameters."""
        return WeightLayout.of({name: own.shape for name, own in self.net.named_parameters()})

    def answers(self, net: nn.Module, follow: bool = True) -> Answers:
        """What this network, or that of a later stage, gives at the inputs."""
        return Answers(net, self.inputs, self.others, self.fixed, follow)

    @classmethod
    def of(cls, model: Any) -> "Source":
        """
        Args:
            model: a trained `dde.Model`, which stays as it is.

        Raises:
            InvalidValueError: it is no trained model; or its network answers the same question in
                different ways; or a transform uses the network's own parameters, so that a copy
                would go on using the original's.
        """
        check_model(model)
        if not hasattr(model, "external"):
            return cls._standing(model)
        with model.fixed.standing():  # as the model itself evaluates
            return cls._standing(model)

    @classmethod
    def _standing(cls, model: Any) -> "Source":
        """A model with its values in all tensors that it uses."""
        net = plain_copy(model.net)
        if not all(bool(own.isfinite().all()) for own in net.parameters()):
            raise InvalidValueError(
                "some of the source's weights are no finite numbers: its training diverged. Train "
                "it again, more slowly."
            )
        inputs, others = _probes(model.data, net)
        used = _used(plain_copy(net), inputs, others)
        names = [
            name for name, own in model.net.named_parameters() if any(own is use for use in used)
        ]
        if names:
            raise InvalidValueError(
                f"a transform of the network uses the network's own {', '.join(names)}: a copy "
                "would go on using the original's. Use them in the forward method of the network's "
                "class instead."
            )
        fixed = Values([*used, *_used(model.net, inputs, others)])
        if hasattr(model, "external"):
            return cls(net, inputs, fixed, model.external.copy(), others)
        external = [own for own in model.external_trainable_variables if own not in fixed]
        return cls(net, inputs, fixed, Values(external), others)


def check_model(model: Any) -> None:
    """Refuse what is no DeepXDE model that can be a source; say where it was never trained."""
    if not isinstance(model, dde.Model):
        raise InvalidValueError(
            f"the source is a {type(model).__name__}, expected a deepxde.Model."
        )
    made_here = hasattr(model, "external")
    if model.opt is None and not made_here:
        raise InvalidValueError(
            "the source model is not compiled: compile and train it before it is transferred, or "
            "restore what was trained."
        )
    if not isinstance(model.net, nn.Module):
        raise InvalidValueError(
            f"the source's network is a {type(model.net).__name__}, expected a torch module."
        )
    if not made_here and not model.train_state.step and not model.opt.state:
        warnings.warn(
            "the source model has taken no step of training and restored none: unless its weights "
            "were loaded in another way, what is transferred are random weights.",
            TransferWarning,
            stacklevel=5,
        )


def as_inputs(points: Any, module: nn.Module) -> Any:
    """Points, or a tuple of them, as tensors where a module's parameters are."""
    if isinstance(points, (tuple, list)):
        return tuple(as_inputs(own, module) for own in points)
    like = next(module.parameters())
    return torch.as_tensor(points, dtype=like.dtype, device=like.device)


def _probes(data: Any, net: nn.Module) -> tuple[Any, Any]:
    """Some of the data's inputs, and the auxiliary variables there."""

    def some(points: Any) -> Any:
        if isinstance(points, (tuple, list)):
            return tuple(some(own) for own in points)
        if points is None:
            return None
        found = np.asarray(points)  # whose first rows may all lie on the boundary
        return found[np.unique(np.linspace(0, len(found) - 1, PROBES).astype(int))]

    points, _, *others = data.test()
    return as_inputs(some(points), net), some(others[0]) if others else None


def _used(net: Any, inputs: Any, others: Any) -> list[torch.Tensor]:
    """Tensors outside a network that its forward pass uses, whatever names them."""
    before = [own.clone() for own in net.buffers()]
    with _random_numbers_kept(net):
        asked = [evaluated(net, inputs, others) for _ in range(2)]
    (first, answer), (second, other) = asked
    moved = any(not torch.equal(own, was) for own, was in zip(net.buffers(), before, strict=True))
    same = all(
        torch.allclose(a, b, 0, 0, equal_nan=True) for a, b in zip(answer, other, strict=True)
    )
    if moved or not same:
        raise InvalidValueError(
            "the network answers differently when it is asked twice, by random numbers or by a "
            "buffer that moves: it cannot be recalled. Let it do so in training alone (where "
            "self.training is True)."
        )
    own = {id(tensor) for tensor in (*net.parameters(), *net.buffers())}
    # what is made anew in every pass, such as a constant, is in one of the two alone
    return [tensor for key, tensor in first.items() if key in second and key not in own]


def _random_numbers_kept(net: nn.Module) -> AbstractContextManager[None]:
    """The generators where a network is go on as if it had drawn nothing."""
    cuda = {own.device.index for own in net.parameters() if own.device.type == "cuda"}
    return torch.random.fork_rng(sorted(cuda))


def evaluated(
    net: Any, inputs: Any, others: Any, follow: bool = True
) -> tuple[dict[int, torch.Tensor], list[torch.Tensor]]:
    """The tensors that a forward pass takes and did not make, by their id, and its outputs."""
    training = net.training
    with gradients():
        net.train(False)
        if others is not None:
            net.auxiliary_vars = as_inputs(others, net)
        here = [own.clone() for own in tree_leaves(inputs)]
        here = [own.requires_grad_() for own in here] if follow else here
        with _Reads(here) as reads:
            found = _answer(net, tuple(here) if isinstance(inputs, tuple) else here[0])
        dde.grad.clear()
        net.train(training)
    return reads.read, [own.detach() for own in tree_leaves(found)]


def _answer(net: Any, inputs: Any) -> Any:
    try:
        return net(inputs)
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise InvalidValueError(
            f"the source's network cannot be evaluated at its own data's points: {error}"
        ) from error


class _Reads(TorchDispatchMode):
    """The tensors that computations take and did not make, by their id."""

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.made = {id(own): own for own in inputs}
        self.read: dict[int, torch.Tensor] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        for own in tree_leaves((args, kwargs)):
            if isinstance(own, torch.Tensor) and id(own) not in self.made:
                self.read.setdefault(id(own), own)
        found = function(*args, **(kwargs or {}))
        self.made |= {id(own): own for own in tree_leaves(found) if isinstance(own, torch.Tensor)}
        return found
