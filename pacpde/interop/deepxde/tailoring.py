"""TransTailor on a DeepXDE model."""

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from functools import partial
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn

from pacpde.errors import InvalidValueError, TransferWarning, warn_user
from pacpde.interop.deepxde.conditions import clear_cached_values
from pacpde.interop.deepxde.model import Model, activations
from pacpde.interop.deepxde.source import Source, as_inputs
from pacpde.interop.modules import Activation, Tailored, tailor
from pacpde.networks.probe import TensorValues, temporary_values
from pacpde.runtime import gradients


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
        outputs = self.chain(self.features(inputs))
        transform = self._output_transform
        return outputs if transform is None else transform(inputs, outputs)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs of the chain."""
        return inputs if self._input_transform is None else self._input_transform(inputs)


@gradients()
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

    Liu et al., AAAI 2021 (arXiv 2103.01542); see `pacpde.methods.transtailor`.

    Args:
        model: a trained `dde.Model` of the source, which stays as it is. Its network is an FNN, or
            one that `transtailor` returned before.
        data: DeepXDE data of the target. Its losses at points drawn anew end the rounds.
        train: a function of yours that compiles and trains a model; called in every round.
        flops, tau, rounds, factor_steps: see `pacpde.interop.modules.tailor`.
        loss_weights: of the losses that choose filters and end rounds; by default those that
            `train` compiled its model with last.

    Returns:
        A model of the smaller network, and its sizes and losses in every round.
    """
    if not callable(train):
        raise InvalidValueError(f"train is {train!r}, expected a function that trains a model.")
    source = Source.of(model)
    net: Any = source.net
    chain = as_chain(net)
    # that each network was trained with, in this order
    variables: dict[nn.Module, TensorValues] = {}

    def model_of(core: nn.Module) -> Model:
        latest = [source.variables, *variables.values()][-1]
        external = variables.get(core, latest)
        return Model.of(source, data, Chain(core, net), variables=external)

    weights = loss_weights

    def losses_at(points: Any, core: nn.Module) -> torch.Tensor:
        with temporary_values(source.constants):
            return _losses(points, Chain(core, net), weights)

    def tune(core: nn.Sequential) -> None:
        nonlocal weights
        tuned = model_of(core)
        train(tuned)
        variables[core] = tuned.external
        weights = tuned.loss_weights if loss_weights is None else loss_weights

    model_of(chain)  # says whether the network fits the data
    other_data = _other_points(data)
    x = as_inputs(data.train_next_batch()[0][:1], chain)
    with torch.no_grad():
        example = Chain(nn.Identity(), net).features(x)
    tailored = tailor(
        chain, partial(losses_at, data),
        lambda core: float(losses_at(other_data, core).detach().mean()), example,
        flops=flops, tau=tau, rounds=rounds, factor_steps=factor_steps, train=tune,
    )  # fmt: skip
    clear_cached_values(getattr(data, "bcs", ()))  # the held-out points, which are not kept
    return model_of(tailored.model), tailored


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
    for linear, function in zip(net.linears, activations(net), strict=False):
        modules += [linear, Activation(function)]
    return nn.Sequential(*modules, net.linears[-1])


@gradients()  # the equation differentiates, whoever asks
def _losses(data: Any, net: Any, weights: Sequence[float] | None) -> torch.Tensor:
    """The squared errors of every condition at every point, [losses]; their mean is the loss."""
    points, targets, *others = data.train_next_batch()
    x = as_inputs(points, net).requires_grad_()
    auxiliary = others[0] if others else None
    net.auxiliary_vars = None if auxiliary is None else as_inputs(auxiliary, net)
    squared = data.losses_train(
        None if targets is None else as_inputs(targets, net),
        net(x),
        lambda target, output: (target - output) ** 2,
        x,
        dde.Model(data, net),
        aux=[net],
    )
    dde.grad.clear()
    parts = [loss.flatten() for loss in (squared if isinstance(squared, list) else [squared])]
    total = sum(len(part) for part in parts)
    shares = [1.0] * len(parts) if weights is None else weights
    if len(shares) != len(parts):
        raise InvalidValueError(f"loss_weights has {len(shares)} numbers for {len(parts)} losses.")
    return torch.cat(
        [
            part * (share * total / max(len(part), 1))
            for part, share in zip(parts, shares, strict=True)
        ]
    )


def _other_points(data: Any) -> Any:
    """The same data at points of its own, where it can draw them; else its test points."""
    other = copy(data)
    if hasattr(data, "resample_train_points"):
        other.bcs = [_separate(condition) for condition in data.bcs]
        other.train_distribution = "pseudo"
        other.int_mat_train = None  # of fractional equations, which keep it for the old points
        other.resample_train_points()
    elif isinstance(data, dde.data.Function):
        other.dist_train, other.online, other.train_x = "pseudo", False, None
    else:
        other.train_next_batch = data.test
    if np.array_equal(other.train_next_batch()[0], data.train_next_batch()[0]):
        warn_user(
            "the data have no points beside those that are trained on, and the rounds end on "
            "these: a network that fits nothing else goes unnoticed. Give other test points, or "
            "points that can be drawn anew.",
            TransferWarning,
        )
    return other


def _separate(condition: Any) -> Any:
    """A condition whose batches are drawn without moving those of the given one."""
    other = copy(condition)
    if hasattr(other, "batch_sampler"):
        other.batch_sampler = deepcopy(other.batch_sampler)
    return other
