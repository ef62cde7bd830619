"""TransTailor for torch networks: filters of convolutions and neurons of dense layers.

The same algorithm as `pacpde.methods.transtailor`, for a plain chain of torch modules and whatever
loss it has, by first-order steps.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from pacpde.errors import InvalidValueError
from pacpde.optim.stepwise import run_alone, steps_of
from pacpde.pac.tailoring import (
    Candidate,
    check_rounds,
    relative_importance,
    remaining,
    tailor_rounds,
)
from pacpde.runtime import gradients

Losses = Callable[[nn.Module], torch.Tensor]  # a number or more a sample, [losses]
Optimisers = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Tailored:
    """A smaller network for the target.

    Attributes:
        model: really smaller; its `Scale` layers hold the importance β.
        flops, parameters: of one evaluation of the example, and of the whole model.
        rounds: (FLOPs, held-out loss) at the start and after every round, the one that was given
            up last included.
        kept: the places that the filters had among those of the given model, int [filters], of each
            hidden layer.
        masked: the same function in the given model's shape: the filters that were removed are
            multiplied by 0.
    """

    model: nn.Sequential
    flops: int
    parameters: int
    rounds: Sequence[tuple[int, float]]
    kept: Sequence[torch.Tensor] = ()
    masked: nn.Sequential | None = None


class Scale(nn.Module):
    """Multiplies every channel, [samples, channels, ...], by a factor of its own."""

    factor: torch.Tensor

    def __init__(self, factor: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def replace_factor(self, factor: torch.Tensor) -> torch.Tensor:
        """Take another factor, which may be trainable; it is returned."""
        del self.factor
        self.factor = factor
        return factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [samples, channels, ...]; factor [channels] or [samples, channels]."""
        samples = self.factor if self.factor.dim() == 2 else self.factor[None]
        return x * samples.reshape(*samples.shape, *[1] * (x.dim() - 2))


class Activation(nn.Module):
    """A function of every number, as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@gradients()
def tailor(
    model: nn.Sequential,
    losses: Losses,
    held_out: Callable[[nn.Module], float],
    example: torch.Tensor,
    *,
    flops: float = 0.1,
    tau: float = 0.3,
    rounds: int = 10,
    steps: int = 200,
    factor_steps: int = 50,
    optimiser: Optimisers | None = None,
    train: Callable[[nn.Sequential], object] | None = None,
) -> Tailored:
    """Fine-tune, then remove the filters that the target needs least, round by round.

    Liu et al., AAAI 2021 (arXiv 2103.01542); what it leaves open is read as in
    `pacpde.methods.transtailor.TransTailor`.

    Args:
        model: `nn.Sequential` of dense layers, convolutions and modules without parameters.
        losses: model → the target's losses, [losses], by one call with all samples.
        held_out: model → a loss on target data that `losses` does not see. The model is in
            evaluation mode for it, and in training mode while it is trained.
        example: one input of the model, [1, ...], by which FLOPs are counted.
        flops: share of the FLOPs that a round removes.
        tau: share by which the held-out loss may grow.
        rounds: maximal number of rounds.
        steps, factor_steps: of a fine-tuning, and of a fit of the factors.
        optimiser: parameters → torch optimiser; Adam at 1e-3 by default.
        train: what fine-tunes a model in its place, in place of `steps` of that optimiser.
    """
    check_rounds(flops, tau, rounds=rounds, steps=steps, factor_steps=factor_steps)
    make = optimiser or (lambda parameters: torch.optim.Adam(parameters, 1e-3))
    train = train or (lambda chain: _train(chain, list(chain.parameters()), losses, make, steps))

    def tuned(chain: nn.Sequential) -> Candidate[nn.Sequential]:
        size = _flops_of(chain, example)
        train(chain.train())
        return Candidate(chain, size, float(held_out(chain.eval())))

    def run_round(before: Candidate[nn.Sequential], number: int) -> Candidate[nn.Sequential] | None:
        chain = before.network
        importance = _importance(chain, losses, make, factor_steps)
        most = (1 - flops) * before.flops
        kept = remaining(importance, most, lambda kept: _flops_of(_shrunk(chain, kept), example))
        if kept is None:
            return None
        smaller = _shrunk(chain, kept)
        own = relative_importance(importance, kept)
        for scale, factor in zip(_scales(smaller), own, strict=True):
            scale.factor = factor
        pairs = zip(places[chain], kept, strict=True)
        places[smaller] = [place[mask.to(place.device)] for place, mask in pairs]
        return tuned(smaller)

    whole = _with_scales(model)
    places = {whole: [torch.arange(len(scale.factor)) for scale in _scales(whole)]}
    first = tuned(whole)
    best, chains = run_alone(tailor_rounds(first, steps_of(run_round), tau, rounds))
    best.network.train(model.training)
    size = sum(parameter.numel() for parameter in best.network.parameters())
    kept = places[best.network]
    return Tailored(
        best.network, best.flops, size, [(one.flops, one.held_out) for one in chains],
        kept, _enlarged(best.network, first.network, kept),
    )  # fmt: skip


def count_flops(model: nn.Module, example: torch.Tensor) -> int:
    """Multiplications and additions of one evaluation, as torch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(example)
    return int(counter.get_total_flops())


def _flops_of(model: nn.Sequential, example: torch.Tensor) -> int:
    try:
        return count_flops(model, example)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidValueError(
            f"the model cannot be evaluated at the example, which is shaped "
            f"{tuple(example.shape)} ({error}): give an input that it takes; and no module between "
            "its layers may need a fixed number of channels."
        ) from error


def _with_scales(model: nn.Sequential) -> nn.Sequential:
    """A copy with a scale of ones after each layer's activation, the last layer excepted."""
    if not isinstance(model, nn.Sequential):
        raise InvalidValueError(
            f"the model is a {type(model).__name__}, expected a torch.nn.Sequential of its layers."
        )
    modules = list(deepcopy(model).requires_grad_(True))
    for number, module in enumerate(modules):
        if parametrize.is_parametrized(module):
            raise InvalidValueError(
                f"module {number} has parametrized weights, whose filters cannot go: remove them "
                "with torch.nn.utils.parametrize.remove_parametrizations first."
            )
        if isinstance(module, LAYERS) and any(module is other for other in modules[:number]):
            raise InvalidValueError(
                f"the model uses its layer {number} twice, whose filters cannot go in one place "
                "alone: copy it."
            )
        own = sum(1 for _ in module.parameters()) + sum(1 for _ in module.buffers())
        if own and not isinstance(module, (*LAYERS, Scale)):
            raise InvalidValueError(
                f"the model holds {type(module).__name__}, expected dense layers, convolutions and "
                "modules without parameters: fold it into its neighbours first."
            )
        if getattr(module, "groups", 1) != 1:
            raise InvalidValueError("a convolution in groups has no filters that can go alone.")
    layers = [number for number, module in enumerate(modules) if isinstance(module, LAYERS)]
    if len(layers) < 2:
        raise InvalidValueError("the model has no hidden layer whose filters could go.")
    result: list[nn.Module] = []
    for number, module in enumerate(modules):
        result.append(module)
        if number in layers[:-1] and not _is_scaled(modules, number):
            weight: Any = module.weight
            result.append(Scale(weight.detach().new_ones(len(weight))))
        elif _is_activation(module) and isinstance(result[-2], Scale):
            result[-2:] = result[:-3:-1]  # behind the activation: that is a filter's output
    return nn.Sequential(*result)


def _is_scaled(modules: Sequence[nn.Module], layer: int) -> bool:
    """Whether a layer has a scale already, before the next layer: of an earlier target."""
    following = (own for own in modules[layer + 1 :] if isinstance(own, (*LAYERS, Scale)))
    return isinstance(next(following, None), Scale)


def _is_activation(module: nn.Module) -> bool:
    return isinstance(module, Activation) or type(module).__module__.endswith("activation")


def _scales(model: nn.Sequential) -> list[Scale]:
    return [module for module in model if isinstance(module, Scale)]


def _train(
    model: nn.Module, moved: Sequence[Any], losses: Losses, make: Optimisers, steps: int
) -> None:
    optimiser = make(moved)
    for _ in range(steps):
        optimiser.zero_grad()
        losses(model).mean().backward()
        optimiser.step()


def _importance(
    model: nn.Sequential, losses: Losses, make: Optimisers, steps: int
) -> list[torch.Tensor]:
    """Mean over samples of |∂ℓ/∂α · α| at α* for the filters of each layer, [channels]."""
    trial = deepcopy(model).requires_grad_(False)
    scales = _scales(trial)
    factors = [scale.replace_factor(nn.Parameter(scale.factor.clone())) for scale in scales]
    _train(trial, factors, losses, make, steps)
    shape = _samples(trial, losses), -1
    own = [factor.detach().expand(shape).clone().requires_grad_() for factor in factors]
    for scale, factor in zip(scales, own, strict=True):
        scale.replace_factor(factor)
    slopes = torch.autograd.grad(losses(trial).sum(), own)
    pairs = zip(slopes, own, strict=True)
    return [(slope * factor.detach()).abs().mean(0) for slope, factor in pairs]


def _samples(model: nn.Sequential, losses: Losses) -> int:
    """How many the model is given at once; each may have several losses."""
    sizes: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    with torch.no_grad():
        losses(model)
    hook.remove()
    return sizes[-1]


def _shrunk(model: nn.Sequential, kept: Sequence[torch.Tensor]) -> nn.Sequential:
    """The model of the filters that stay."""
    modules = list(deepcopy(model))
    inputs, outputs = None, iter(kept)
    for module in modules:
        if isinstance(module, Scale):
            module.factor = module.factor[inputs]
        elif isinstance(module, LAYERS):
            own = next(outputs, None)
            _cut(module, inputs, own)
            inputs = own
    return nn.Sequential(*modules)


def _enlarged(
    small: nn.Sequential, like: nn.Sequential, kept: Sequence[torch.Tensor]
) -> nn.Sequential:
    """A smaller model in the shape of the one that it was made from, all else in it 0."""
    modules = list(deepcopy(like).train(small.training))
    outputs = iter(kept)
    inputs: torch.Tensor | None = None
    for module, own in zip(modules, small, strict=True):
        if isinstance(module, LAYERS):
            places = next(outputs, None)
            _paste(module, own, inputs, places)
            inputs = places
        elif isinstance(module, Scale) and inputs is not None:
            factor: Any = own.factor
            places = inputs.to(factor.device)
            module.factor = torch.zeros_like(module.factor).index_copy(0, places, factor)
    return nn.Sequential(*modules)


@torch.no_grad()
def _paste(layer: Any, own: Any, inputs: torch.Tensor | None, outputs: torch.Tensor | None) -> None:
    """Put the weights of a smaller layer into a larger one, whose other weights become 0."""
    weight = own.weight
    if inputs is not None:
        each = weight.shape[1] // len(inputs)  # of a flattened channel
        columns = (inputs[:, None] * each + torch.arange(each)).flatten().to(weight.device)
        shape = len(weight), *layer.weight.shape[1:]
        weight = weight.new_zeros(shape).index_copy(1, columns, weight)
    rows = torch.arange(len(weight)) if outputs is None else outputs
    rows = rows.to(weight.device)
    layer.weight.zero_().index_copy_(0, rows, weight)
    if layer.bias is not None:
        layer.bias.zero_().index_copy_(0, rows, own.bias)


def _cut(layer: Any, inputs: torch.Tensor | None, outputs: torch.Tensor | None) -> None:
    """Keep some inputs and outputs of a layer; a flattened channel is several inputs."""
    weight, bias = layer.weight.detach(), layer.bias
    if inputs is not None:
        weight = weight[:, inputs.repeat_interleave(weight.shape[1] // len(inputs))]
    if outputs is not None:
        weight = weight[outputs]
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach()[outputs].clone())
    layer.weight = nn.Parameter(weight.clone())
    unit = "features" if isinstance(layer, nn.Linear) else "channels"
    setattr(layer, f"out_{unit}", weight.shape[0])
    setattr(layer, f"in_{unit}", weight.shape[1])
