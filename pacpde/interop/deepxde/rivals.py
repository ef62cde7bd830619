"""Other ways to transfer a DeepXDE model: warm start, L2-SP and TransTailor."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import deepxde as dde
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.model import Model, activations, anchored, check_source
from pacpde.interop.held import plain
from pacpde.interop.modules import Activation, Tailored, tailor
from pacpde.methods.base import check_strength


def warm_start(model: Any, data: Any) -> Model:
    """min L_T(w) over all weights, from the source's: a model of the target to compile and train.

    The given model stays as it is, and its optimiser's state stays behind, which `restore` would
    bring along.
    """
    check_source(model)
    return Model(data, plain(model.net))


def l2_sp(model: Any, data: Any, *, alpha: float = 0.01) -> Model:
    """min L_T(w) + (α/2)‖w − w_S‖² from w = w_S (Li et al., ICML 2018, arXiv 1802.01483).

    The penalty joins the losses, as the last of them.
    """
    check_source(model)
    check_strength("alpha (α)", alpha)
    net = plain(model.net)
    return Model(data, net, anchored(net, alpha / 2))


class Chain(dde.nn.NN):
    """A DeepXDE network of a chain of torch modules, with another network's transforms."""

    def __init__(self, chain: nn.Module, like: Any) -> None:
        super().__init__()
        self.chain = chain
        self.regularizer = like.regularizer
        self._input_transform = like._input_transform
        self._output_transform = like._output_transform

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs [points, axes] → outputs [points, fields]."""
        found = self.chain(self.features(inputs))
        return found if self._output_transform is None else self._output_transform(inputs, found)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the chain is given."""
        return inputs if self._input_transform is None else self._input_transform(inputs)


def transtailor(
    model: Any,
    data: Any,
    train: Callable[[Model], object],
    *,
    flops: float = 0.1,
    tau: float = 0.3,
    rounds: int = 10,
    factor_steps: int = 50,
    loss_weights: Sequence[float] | None = None,
) -> tuple[Model, Tailored]:
    """Fine-tune on the target, then remove the neurons it needs least, round by round.

    Liu et al., AAAI 2021 (arXiv 2103.01542); see `pacpde.methods.transtailor`. It takes an FNN, or
    a network that it returned before.

    Args:
        data: of the target; points drawn anew from it are what the rounds end on.
        train: your own `compile` and `train` of the model it is given, called in every round.
        flops, tau, rounds, factor_steps: see `pacpde.interop.modules.tailor`.
        loss_weights: those that `train` compiles with.

    Returns:
        A model of the smaller network, and what became of it in every round.
    """
    check_source(model)
    if not callable(train):
        raise InvalidValueError(f"train is {train!r}, expected a function that trains a model.")
    source = plain(model.net)
    chain, held_out = as_chain(source), _other_points(data)

    def losses(core: nn.Module) -> torch.Tensor:
        return _losses(data, Chain(core, source), loss_weights)

    def measured(core: nn.Module) -> float:
        return float(_losses(held_out, Chain(core, source), loss_weights).detach().mean())

    def trained(core: nn.Sequential) -> None:
        train(Model(data, Chain(core, source)))

    x = _as(data.train_next_batch()[0][:1], chain)
    with torch.no_grad():
        example = Chain(nn.Identity(), source).features(x)
    made = tailor(
        chain, losses, measured, example,
        flops=flops, tau=tau, rounds=rounds, factor_steps=factor_steps, train=trained,
    )  # fmt: skip
    return Model(data, Chain(made.model, source)), made


def as_chain(net: Any) -> nn.Sequential:
    """The layers of an FNN one after the other, without its transforms."""
    if isinstance(net, Chain) and isinstance(net.chain, nn.Sequential):
        return net.chain
    if not isinstance(net, dde.nn.FNN):
        raise InvalidValueError(
            f"the network is a {type(net).__name__}: TransTailor removes neurons of a plain chain "
            "of layers, a deepxde.nn.FNN; PAC, warm start and L2-SP take any."
        )
    modules: list[nn.Module] = []
    for linear, bend in zip(net.linears, activations(net), strict=False):
        modules += [linear, Activation(bend)]
    return nn.Sequential(*modules, net.linears[-1])


def _losses(data: Any, net: Any, weights: Sequence[float] | None) -> torch.Tensor:
    """The squared errors of every condition at every point, [losses]; their mean is the loss."""
    points, targets, others = data.train_next_batch()
    x = _as(points, net).requires_grad_()
    net.auxiliary_vars = None if others is None else _as(others, net)
    with torch.enable_grad():  # the equation differentiates, whoever asks
        squared = data.losses_train(
            targets, net(x), lambda _, error: error**2, x, dde.Model(data, net), aux=[net]
        )
    dde.grad.clear()
    parts = [loss.flatten() for loss in (squared if isinstance(squared, list) else [squared])]
    total = sum(len(part) for part in parts)
    shares = weights or [1.0] * len(parts)
    if len(shares) != len(parts):
        raise InvalidValueError(f"loss_weights has {len(shares)} numbers for {len(parts)} losses.")
    return torch.cat(
        [
            part * (share * total / max(len(part), 1))
            for part, share in zip(parts, shares, strict=True)
        ]
    )


def _as(points: Any, module: nn.Module) -> torch.Tensor:
    """Numbers as a tensor where a module's parameters are."""
    like = next(module.parameters())
    return torch.as_tensor(points, dtype=like.dtype, device=like.device)


def _other_points(data: Any) -> Any:
    """The same data at points of its own, where it can draw them; else its test points."""
    made = copy(data)
    if hasattr(made, "resample_train_points"):
        made.train_distribution = "pseudo"
        made.resample_train_points()
        return made
    made.train_next_batch = data.test
    return made
