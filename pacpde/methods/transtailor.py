"""TransTailor: prune what the target does not need, and use how much it needs the rest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from numbers import Real

import torch

from pacpde.errors import InvalidValueError, check_count
from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.networks.mlp import MLP
from pacpde.networks.reparametrised import Scaled
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Answer, Steps, Work, steps_of, stepwise
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import FitResult, Trainer

SMALLEST = 1e-3  # importance by which is divided


@dataclass(frozen=True)
class TransTailor(ContinuationMethod):
    """Rounds of: α* = argmin L_T(W ⊙ α), β = |∂L/∂α · α|, remove the least β, fine-tune W ⊙ β.

    Liu et al., AAAI 2021 (arXiv 2103.01542), whose filters are hidden neurons here. First W is
    fine-tuned on the target. A round trains a factor α on each neuron's output, the weights frozen;
    removes neurons of the lowest importance β until a share of the FLOPs is gone; and fine-tunes
    the weights with β multiplied into the outputs, where it stays. It ends when the held-out
    residual has grown by more than τ; what is returned is the smaller network before that, really
    smaller.

    What the paper leaves open, and a regression asks for: α starts at 1; β is the mean over points
    of |∂(½r²)/∂α · α|, which does not vanish at α*, where the slope of the whole loss does; it is
    divided by its mean over a layer, so that a layer's outputs keep their size; held-out residuals
    take the place of accuracy. Classes survive when all outputs are multiplied by β, six digits do
    not: what leaves a neuron is divided by its β first, so that fine-tuning starts from the
    function of the pruned network, and β says how fast each neuron moves.

    Attributes:
        flops: share of the FLOPs that a round removes; 0.1 is the paper's.
        tau: τ, by how much the held-out residual may grow, as a share; 0.3 is the paper's, of
            accuracy.
        rounds: at most.
        factor_steps: at most so many steps for the factors.
        divide: by β first; without it fine-tuning starts from W ⊙ β, as the paper has it.
    """

    name = "transtailor"
    summary = "fine-tune, then drop the neurons that the target needs least, round by round"

    flops: float = 0.1
    tau: float = 0.3
    rounds: int = 10
    factor_steps: int = 10
    divide: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rounds(self.flops, self.tau, rounds=self.rounds, factor_steps=self.factor_steps)

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        config = self.config(context)
        start = source.reset()
        everything = torch.ones_like(source.weights, dtype=torch.bool)
        fits = yield from steps_of(self.fits)(start, target, everything, context)
        phases = config.phases.warm_start(target)
        best = build_surrogate(start, target, phases, fits, "calibrated")
        first = fits[-1].held_out
        tuning, deciding = _Tuning(config, target, context), 0.0
        for number in range(1, self.rounds + 1):
            found, factored = yield from tuning.importance(best, self.factor_steps, number)
            importance = found.value
            clock = time.perf_counter()
            kept = least_removed(best.network, importance, self.flops)
            deciding += found.seconds + time.perf_counter() - clock
            if kept is None:
                break
            smaller, weights, factors = shrunk(best, importance, kept)
            if self.divide:
                weights = divided(smaller, weights, factors)
            scaled = Scaled.of(smaller)
            made = yield from tuning.tune(scaled, weights, factors, number)
            fits += [factored, made]
            if not made.held_out <= (1 + self.tau) * first:
                break
            best = build_surrogate(
                replace(best, network=scaled), target, phases, [made], "calibrated"
            )
        made_of = MethodResult.of(best, best.parameters, fits, trained=source)
        spent = made_of.seconds["calibrate"] + deciding
        return replace(made_of, seconds={"calibrate": spent})


def check_rounds(flops: float, tau: float, **counts: int) -> None:
    """Refuse rounds that remove nothing or never end."""
    if not isinstance(flops, Real) or not 0 < flops < 1:
        raise InvalidValueError(f"flops is {flops!r}, expected a share between 0 and 1.")
    if not isinstance(tau, Real) or not tau >= 0:
        raise InvalidValueError(f"tau (τ) is {tau!r}, expected a number of at least 0.")
    for name, count in counts.items():
        check_count(name, count, 1)


def least_removed(
    network: MLP, importance: Sequence[torch.Tensor], share: float
) -> list[torch.Tensor] | None:
    """Which neurons stay once the least important hold a share of the FLOPs; see `remaining`."""
    return remaining(importance, (1 - share) * network.flops, partial(_flops, network))


def remaining(
    importance: Sequence[torch.Tensor], most: float, flops: Callable[[list[torch.Tensor]], int]
) -> list[torch.Tensor] | None:
    """Which neurons stay once the least important, of all layers, are gone.

    Args:
        importance: of the neurons of each hidden layer, [width].
        most: FLOPs that may be left.
        flops: which neurons stay → FLOPs of what they make up.

    Returns:
        bool [width] a hidden layer, each with one neuron at least; None where no more can go.
    """
    kept = [torch.ones_like(layer, dtype=torch.bool) for layer in importance]
    order = sorted(
        (float(value), layer, neuron)
        for layer, values in enumerate(importance)
        for neuron, value in enumerate(values)
    )
    for _, layer, neuron in order:
        if flops(kept) <= most:
            return kept
        if int(kept[layer].sum()) > 1:
            kept[layer][neuron] = False
    return None


def shrunk(
    surrogate: Surrogate, importance: Sequence[torch.Tensor], kept: Sequence[torch.Tensor]
) -> tuple[MLP, torch.Tensor, torch.Tensor]:
    """(network of the neurons that stay, their weights, their importance over its layer's mean)."""
    network = surrogate.network
    smaller = replace(network, width=tuple(int(mask.sum()) for mask in kept))
    inputs = [torch.ones(network.inputs, dtype=torch.bool, device=kept[0].device), *kept]
    outputs = [*kept, torch.ones(network.outputs, dtype=torch.bool, device=kept[0].device)]
    parts = []
    matrices = network.matrices(surrogate.weights)
    for (weight, bias), rows, columns in zip(matrices, outputs, inputs, strict=True):
        parts += [weight[rows][:, columns].flatten(), bias[rows]]
    factors = [
        values[mask] / values[mask].mean() for values, mask in zip(importance, kept, strict=True)
    ]
    return smaller, torch.cat(parts), torch.cat(factors)


def divided(network: MLP, weights: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The weights whose function, once neurons are multiplied by factors, is that of `weights`."""
    found = weights.clone()
    parts = factors.split(list(network.widths))
    for (matrix, _), own in zip(network.matrices(found)[1:], parts, strict=True):
        matrix /= own.clamp(min=SMALLEST)
    return found


def _flops(network: MLP, kept: Sequence[torch.Tensor]) -> int:
    widths = [network.inputs, *[int(mask.sum()) for mask in kept], network.outputs]
    return sum(2 * a * b for a, b in pairwise(widths))


@dataclass(frozen=True)
class _Tuning:
    """Fits of factors and of weights under them."""

    config: TrainingConfig
    target: Task
    context: TransferContext

    def importance(
        self, surrogate: Surrogate, steps: int, number: int
    ) -> Steps[tuple[Answer, FitResult]]:
        """β of the neurons of each hidden layer, and the fit of the factors."""
        network = Scaled.of(surrogate.network)
        ones = torch.ones_like(surrogate.weights[:1]).expand(network.others)
        vector = torch.cat([surrogate.weights, ones])
        free = torch.zeros_like(vector, dtype=torch.bool)
        free[surrogate.network.size :] = True
        own = replace(self.config, steps=steps)
        made = yield from self._fit(network, vector, free, own, f"factors.{number}")
        draw = own.phases.warm_start(self.target)[-1].sampling
        seed = self.context.seed
        found = yield Work(partial(_importance, network, made.weights, self.target, draw, seed))
        return found, made

    def tune(
        self, network: Scaled, weights: torch.Tensor, factors: torch.Tensor, number: int
    ) -> Steps[FitResult]:
        """The fit of the weights under fixed factors."""
        vector = torch.cat([weights, factors])
        free = torch.ones_like(vector, dtype=torch.bool)
        free[network.inner.size :] = False
        return self._fit(network, vector, free, self.config, f"tailor.{number}")

    def _fit(
        self,
        network: MLP,
        vector: torch.Tensor,
        free: torch.Tensor,
        config: TrainingConfig,
        stage: str,
    ) -> Steps[FitResult]:
        start = Surrogate(network, self.target.ansatz(SamplingSpec()), vector)
        trainer = Trainer(start, config, self.context.seed, self.context.callbacks, free)
        return steps_of(trainer.fit)(self.target, config.phases.warm_start(self.target), stage)


def _importance(
    network: Scaled, vector: torch.Tensor, task: Task, draw: SamplingSpec, seed: int
) -> list[torch.Tensor]:
    """Mean over residuals of |r ∂r/∂α · α|, a hidden layer after the other."""
    terms = task.terms(network, vector, draw, generator(seed, "importance"))
    start = network.inner.size
    free = torch.arange(start, network.size, device=vector.device)
    r, jacobian = linearise(network, vector, terms, free)
    slopes = r[:, None] * jacobian.dense() * vector[start:]
    return list(slopes.abs().mean(0).split(list(network.widths)))
