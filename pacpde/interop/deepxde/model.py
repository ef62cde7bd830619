"""DeepXDE models that start from a source; they say early what DeepXDE would fail on late."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn

from pacpde.checks import check_choice
from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.conditions import clear_cached_values
from pacpde.interop.deepxde.source import Source
from pacpde.interop.modules.penalties import Penalty
from pacpde.networks.probe import (
    OutputCheck,
    TensorValues,
    set_values,
    snapshot,
    temporary_values,
)
from pacpde.runtime import gradients

Transform = Callable[..., torch.Tensor]
Losses = Callable[..., tuple[torch.Tensor, torch.Tensor]]
# whose loss is that of targets beside outputs
TABLES = (dde.data.DataSet, dde.data.Function, dde.data.Triple, dde.data.TripleCartesianProd)


class Model(dde.Model):
    """A `dde.Model` to compile and train, as every other; it predicts before it is compiled, too.

    Args:
        data: any DeepXDE data. They are not copied: what is done to them later counts.
        net: of this model alone.
        penalty: gives a number that joins the losses, as the last of them.
        constants: tensors outside the network that its forward pass uses, with their values.
        variables: external variables of the source, with the values that they start with.
        checks: of networks that must not have changed when this one trains or predicts.
        source_weights: of losses, that the source was compiled with last.
    """

    opt: Any  # None until it is compiled
    loss_weights: Any
    outputs_losses_train: Losses
    outputs_losses_test: Losses
    train_step: Any

    def __init__(
        self,
        data: Any,
        net: nn.Module,
        penalty: Penalty | None = None,
        *,
        constants: TensorValues | None = None,
        variables: TensorValues | None = None,
        checks: Sequence[OutputCheck] = (),
        source_weights: Any = None,
    ) -> None:
        if not isinstance(data, dde.data.Data):
            raise InvalidValueError(
                f"the data are {data!r}, expected DeepXDE's: a dde.data.TimePDE or dde.data.PDE, "
                "or what pacpde.interop.deepxde.data makes of a problem."
            )
        super().__init__(data, net)
        self.penalty = penalty
        self.constants = constants or {}
        self.external = dict(variables or {})
        set_values(self.external)
        self._checks = tuple(checks)
        self.source_weights = source_weights
        self._is_training = False
        self._points: Any = None
        self._check_data()

    @classmethod
    def of(
        cls,
        source: Source,
        data: Any,
        net: nn.Module,
        penalty: Penalty | None = None,
        *,
        variables: TensorValues | None = None,
        checks: Sequence[OutputCheck] = (),
    ) -> "Model":
        """A model that goes on from a source, with the source's external variables by default."""
        external = source.variables if variables is None else variables
        return cls(
            data, net, penalty, constants=source.constants, variables=external, checks=checks,
            source_weights=source.loss_weights,
        )  # fmt: skip

    @property
    def variables(self) -> list[torch.Tensor]:
        """The external variables' values, as this model started with them or trained them.

        A `dde.Variable` itself has those of the model that was made or trained last.
        """
        return [value.clone() for value in self.external.values()]

    def compile(
        self,
        optimizer: Any,
        lr: float | None = None,
        loss: Any = "MSE",
        metrics: Any = None,
        decay: Any = None,
        loss_weights: Any = None,
        external_trainable_variables: Any = None,
        **settings: Any,
    ) -> None:
        """As DeepXDE's, which see; loss and weights are those of the data's own losses.

        A weight more than these is the penalty's, which is 1 otherwise. `loss_weights="source"`
        takes the weights that the source was compiled with last. An optimiser of your own may move
        external variables, too.
        """
        if isinstance(loss_weights, str):
            check_choice("loss_weights", loss_weights, ["source"])
            loss_weights = self.source_weights
        external = [] if external_trainable_variables is None else external_trainable_variables
        external = list(external) if isinstance(external, (list, tuple)) else [external]
        if isinstance(optimizer, torch.optim.Optimizer):
            external += self._unnamed_variables(optimizer, external)
        if any(own in self.constants for own in external):
            raise InvalidValueError(
                "an external variable stands in the network or in a transform of it, which the "
                "source shares: its training would change the source. Make it a parameter of the "
                "network (torch.nn.Parameter, used in its forward method), or leave it out of "
                "external_trainable_variables, so that it keeps its value."
            )
        with gradients():
            super().compile(
                optimizer, lr, loss, metrics, decay, loss_weights, external or None, **settings
            )
        self.external |= snapshot(own for own in external if own not in self.external)

    def train(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        self._check_compiled("train")
        self._check_outputs()
        self._is_training = True
        try:
            with gradients(), temporary_values(self.constants):
                return super().train(*args, **settings)
        finally:
            self._is_training = False
            self.external |= snapshot(self.external_trainable_variables)

    def save(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        self._check_compiled("save")
        return super().save(*args, **settings)

    def restore(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see; a checkpoint of another stage is refused."""
        self._check_compiled("restore")
        return super().restore(*args, **settings)

    def predict(self, *args: Any, **settings: Any) -> Any:
        """As DeepXDE's, which see."""
        if not self._is_training:  # in which a callback may change a value for a while
            self._check_outputs()
        external = {} if self._is_training else self.external
        with gradients(), temporary_values(self.constants), temporary_values(external):
            if self.opt is not None:
                return super().predict(*args, **settings)
            self._compile_temporarily()
            try:
                return super().predict(*args, **settings)
            finally:
                self.opt = None  # it is still to be compiled by who trains it

    def _check_outputs(self) -> None:
        for check in self._checks:
            check.check()

    def _compile_temporarily(self) -> None:
        super().compile("adam", lr=1e-3, verbose=0)

    def _check_data(self) -> None:
        """Refuse data that the network cannot be evaluated on, rather than fail in training."""
        points, targets, *others = self.data.test()
        self._compile_temporarily()
        try:
            with gradients(), temporary_values(self.constants):
                outputs, _ = self._outputs_losses(False, points, targets, *(others or [None]))
        except Exception as error:  # whatever the user's equation raises
            dde.grad.clear()
            raise InvalidValueError(
                f"the network does not fit the data: their losses end in {type(error).__name__}: "
                f"{error} The points have {_columns(points)}. Give data with as many inputs and "
                "outputs as the network has, in its precision."
            ) from error
        finally:
            self.opt = None
        # DeepXDE's losses would broadcast one against the other
        if isinstance(self.data, TABLES) and np.shape(targets) != np.shape(outputs):
            raise InvalidValueError(
                f"the data's values are shaped {np.shape(targets)} and the network's outputs "
                f"{np.shape(outputs)}: give values of [points, outputs]."
            )

    def _compile_pytorch(self, *args: Any) -> None:
        """As DeepXDE's; the penalty joins the losses here, so that the data are left alone."""
        super()._compile_pytorch(*args)
        if self.penalty is None:
            return
        self.outputs_losses_train = self._penalised(self.outputs_losses_train)
        self.outputs_losses_test = self._penalised(self.outputs_losses_test)
        self.train_step = self._penalised_step

    def _penalised(self, outputs_losses: Losses) -> Losses:
        def with_penalty(*batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
            weights, self.loss_weights = self.loss_weights, None
            try:
                outputs, losses = outputs_losses(*batch)
            finally:
                self.loss_weights = weights
            assert self.penalty is not None
            losses = torch.cat([losses, self.penalty()[None]])
            return outputs, losses if weights is None else losses * self._shares(losses, weights)

        return with_penalty

    def _shares(self, losses: torch.Tensor, weights: Any) -> torch.Tensor:
        """A weight for every loss: the data's own, DeepXDE's l1 regularisation, the penalty."""
        regularizer = getattr(self.net, "regularizer", None)
        l1 = regularizer is not None and regularizer[0] == "l1" and regularizer[1] > 0
        own = len(losses) - 1 - int(l1)
        shares = torch.as_tensor(weights).to(losses)
        if len(shares) not in (own, own + 1):
            raise InvalidValueError(
                f"loss_weights has {len(shares)} numbers, expected {own}, one for each loss of the "
                f"data, or {own + 1} with the penalty's as the last."
            )
        ones = torch.ones_like(losses)
        return torch.cat([shares[:own], ones[: len(losses) - len(shares)], shares[own:]])

    def _penalised_step(self, *batch: Any) -> None:
        def closure() -> torch.Tensor:
            total = self.outputs_losses_train(*batch)[1].sum()
            self.opt.zero_grad()
            if self.opt_name != "NNCG":  # which differentiates for itself
                total.backward()
            return total

        kind = torch.get_default_device().type
        with torch.autocast(kind, torch.float16) if dde.config.mixed else nullcontext():
            self.opt.step(closure)
        if self.lr_scheduler is not None:
            self.lr_scheduler.step()

    def _drop_old_points(self) -> None:
        """Drop the values of conditions at points that were replaced since the latest step.

        DeepXDE 1.15 stores them by the address of the array, where other points may be by now.
        """
        points = getattr(self.data, "train_x", None)
        if points is not self._points:
            clear_cached_values(getattr(self.data, "bcs", ()))
            self._points = points  # and their address stays theirs

    def _outputs_losses(self, *args: Any) -> Any:
        self._drop_old_points()
        return super()._outputs_losses(*args)

    def _train_step(self, *args: Any) -> None:
        """As DeepXDE's; a step of L-BFGS that finds nothing to do ends the training.

        DeepXDE 1.15 would take such steps for ever.
        """
        self._drop_old_points()
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

    def _unnamed_variables(
        self, optimizer: torch.optim.Optimizer, named: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        """The external variables that an optimiser moves and that are not named."""
        known = {id(own) for own in (*self.net.parameters(), *named)}
        others = [
            own
            for group in optimizer.param_groups
            for own in group["params"]
            if id(own) not in known and own.numel()
        ]
        if any(isinstance(own, nn.Parameter) for own in others):
            raise InvalidValueError(
                "the optimiser moves parameters that are no parameters of this model's network: "
                "make it from model.net.parameters() of this very model, and name what else it "
                "moves in external_trainable_variables."
            )
        return others


def activations(net: Any) -> list[Transform]:
    """The activation of each hidden layer of an FNN."""
    own = net.activation
    hidden = len(net.linears) - 1
    return own[:hidden] if isinstance(own, list) else [own] * hidden


def _iterations(optimiser: Any) -> int | None:
    """Number of iterations of L-BFGS so far; None for other optimisers."""
    if not isinstance(optimiser, torch.optim.LBFGS):
        return None
    first = optimiser.param_groups[0]["params"][0]
    return int(optimiser.state[first].get("n_iter", 0))


def _columns(points: Any) -> str:
    parts = points if isinstance(points, (tuple, list)) else [points]
    return " and ".join(f"{np.shape(own)[-1]} columns" for own in parts)
