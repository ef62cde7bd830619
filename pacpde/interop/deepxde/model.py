"""DeepXDE models whose start is given, with one clear sentence where DeepXDE would fail late."""

from collections.abc import Callable
from copy import copy
from typing import Any

import deepxde as dde
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.held import check_module

Penalty = Callable[[nn.Module], torch.Tensor]
Transform = Callable[..., torch.Tensor]


class Model(dde.Model):
    """A `dde.Model` to compile and train, as every other; it predicts without.

    Args:
        data: any DeepXDE data.
        net: its own, so that what it was copied from stays as it is.
        penalty: net → a number that joins the losses, as the last of them.
    """

    opt: Any  # None until it is compiled

    def __init__(self, data: Any, net: nn.Module, penalty: Penalty | None = None) -> None:
        if not isinstance(data, dde.data.Data):
            raise InvalidValueError(
                f"the data are {data!r}, expected DeepXDE's: a dde.data.TimePDE or dde.data.PDE, "
                "or what pacpde.interop.deepxde.data makes of a problem."
            )
        super().__init__(data if penalty is None else _penalised(data, net, penalty), net)
        self.penalty = penalty

    def compile(
        self,
        optimizer: Any,
        lr: float | None = None,
        loss: Any = "MSE",
        metrics: Any = None,
        decay: Any = None,
        loss_weights: Any = None,
        **settings: Any,
    ) -> None:
        """As DeepXDE's, which see; loss and weights are those of the data's own losses."""
        if isinstance(optimizer, torch.optim.Optimizer):
            self._check_own(optimizer)
        if self.penalty is not None and loss_weights is not None:
            loss_weights = [*loss_weights, 1.0]
        super().compile(optimizer, lr, loss, metrics, decay, loss_weights, **settings)

    def train(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        self._check_compiled("train")
        return super().train(*args, **settings)

    def save(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        self._check_compiled("save")
        return super().save(*args, **settings)

    def restore(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see; a checkpoint of another stage is refused, see `held`."""
        self._check_compiled("restore")
        return super().restore(*args, **settings)

    def predict(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        if self.opt is not None:
            return super().predict(*args, **settings)
        super().compile("adam", lr=1e-3, verbose=0)
        try:
            return super().predict(*args, **settings)
        finally:
            self.opt = None  # it is still to be compiled by who trains it

    def _train_step(self, *args: Any) -> None:
        """As DeepXDE's; a step of L-BFGS that finds nothing to do ends the training.

        DeepXDE 1.15 would take such steps for ever.
        """
        before = _iterations(self.opt)
        super()._train_step(*args)
        if before is not None and _iterations(self.opt) == before:
            self.stop_training = True

    def _check_compiled(self, what: str) -> None:
        if self.opt is None:
            raise InvalidValueError(
                "this model is not compiled yet: every stage is a model of its own; call its "
                f'compile, such as model.compile("adam", lr=1e-3), before {what}.'
            )

    def _check_own(self, optimizer: torch.optim.Optimizer) -> None:
        own = {id(parameter) for parameter in self.net.parameters()}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if id(parameter) not in own and parameter.numel():
                    raise InvalidValueError(
                        "the optimiser moves tensors that are no parameters of this model's "
                        "network: make it from model.net.parameters() of this very model."
                    )


def anchored(net: nn.Module, strength: float) -> Penalty:
    """strength · ‖w − w₀‖² over a network's parameters, with w₀ what they are now."""
    start = [parameter.detach().clone() for parameter in net.parameters()]

    def penalty(module: nn.Module) -> torch.Tensor:
        pairs = zip(module.parameters(), start, strict=True)
        return strength * torch.stack([((w - w_0) ** 2).sum() for w, w_0 in pairs]).sum()

    return penalty


def _iterations(optimiser: Any) -> int | None:
    """Of L-BFGS, so far; None of another optimiser."""
    if not isinstance(optimiser, torch.optim.LBFGS):
        return None
    first = optimiser.param_groups[0]["params"][0]
    return int(optimiser.state[first].get("n_iter", 0))


def check_model(model: Any) -> None:
    """Refuse what is no DeepXDE model that can be a source."""
    if not isinstance(model, dde.Model):
        raise InvalidValueError(
            f"the source is a {type(model).__name__}, expected a deepxde.Model."
        )
    if model.opt is None and not isinstance(model, Model):
        raise InvalidValueError(
            "the source model is not compiled: compile and train it before it is transferred, or "
            "restore what was trained."
        )
    if not isinstance(model.net, nn.Module):
        raise InvalidValueError(
            f"the source's network is a {type(model.net).__name__}, expected a torch module."
        )


def check_source(model: Any) -> None:
    """Refuse a model whose weights cannot be taken apart."""
    check_model(model)
    if not hasattr(model.net, "plain_module"):
        check_module(model.net)


def activations(net: Any) -> list[Transform]:
    """Of an FNN's hidden layers, one each."""
    own = net.activation
    hidden = len(net.linears) - 1
    return own[:hidden] if isinstance(own, list) else [own] * hidden


def _penalised(data: Any, net: nn.Module, penalty: Penalty) -> Any:
    """The data with one more loss; its points are its own from then on."""
    made = copy(data)

    def more(losses: Callable[..., Any]) -> Callable[..., list[Any]]:
        def every(*args: Any, **settings: Any) -> list[Any]:
            found = losses(*args, **settings)
            return [*(found if isinstance(found, list) else [found]), penalty(net)]

        return every

    made.losses_train, made.losses_test = more(data.losses_train), more(data.losses_test)
    return made
