"""TransTailor: prune the neurons that the target does not need, and weight the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.networks.protocol import Network
from pacpde.networks.reparametrised import Scaled
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.pac.tailoring import (
    Candidate,
    Masks,
    check_rounds,
    relative_importance,
    remaining,
    tailor_rounds,
)
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import FitResult, Trainer

MIN_DIVISOR = 1e-3  # smallest importance in a division


@dataclass(frozen=True)
class TransTailor(ContinuationMethod):
    """Rounds of: α* = argmin L_T(W ⊙ α), β = |∂L/∂α · α|, remove the least β, fine-tune W ⊙ β.

    Liu et al., AAAI 2021 (arXiv 2103.01542); the paper's filters are hidden neurons here.

    1. Fine-tune W on the target.
    2. Train a factor α on each neuron's output; the weights are frozen.
    3. Compute the importance β of each neuron. Remove the neurons of the lowest β until a share of
       the FLOPs is gone.
    4. Multiply each neuron's output by its β, which is then fixed, and fine-tune the weights.
    5. Repeat from 2 until the held-out residual exceeds (1 + τ) times its value after 1. Return the
       last network within this limit; its removed neurons are not stored.

    Choices of ours, where the paper leaves them open or a regression needs others:

    - α starts at 1.
    - β is the mean over points of |∂(½r²)/∂α · α|. It does not vanish at α*, where the gradient of
      the whole loss does. It is divided by its mean over the layer, which keeps the size of the
      layer's outputs.
    - Held-out residuals replace accuracy.
    - `divide`: before step 4 the weights out of a neuron are divided by its β. So fine-tuning
      starts from the function of the pruned network, and β only scales how fast a neuron changes.
      In a classifier W ⊙ β may predict the same classes; in a regression it loses all digits.

    Attributes:
        flops: share of the FLOPs that a round removes, between 0 and 1; the paper's is 0.1.
        tau: τ, relative growth of the held-out residual that is allowed; the paper's is 0.3, for
            accuracy.
        rounds: maximal number of rounds.
        factor_steps: maximal number of optimiser steps for α in a round.
        divide: see above; False starts step 4 from W ⊙ β, as in the paper.
    """

    name = "transtailor"
    summary = "fine-tune, then drop the neurons that the target needs least, round by round"

    fixes_penalty = None  # its later fits go on from weights that have seen the labels

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
        start = source.reset()
        everything = torch.ones_like(source.weights, dtype=torch.bool)
        fits = yield from steps_of(self.fits)(self.trainer(start, everything, context), target)
        tuning = _Tuning(self, target, context)
        first = tuning.candidate(start, fits)
        best, networks = yield from tailor_rounds(first, tuning.round, self.tau, self.rounds)
        every = [made for one in networks for made in one.fits]
        result = MethodResult.of(best.network, best.network.parameters, every, trained=source)
        seconds = result.seconds["calibrate"] + sum(one.seconds for one in networks)
        return replace(result, seconds={"calibrate": seconds})


@dataclass(frozen=True)
class _Tuning:
    """The fits of a round: of the factors, then of the weights with fixed factors."""

    method: TransTailor
    target: Task
    context: TransferContext

    @property
    def config(self) -> TrainingConfig:
        return self.method.config(self.context)

    def candidate(
        self, start: Surrogate, fits: Sequence[FitResult], *others: FitResult, seconds: float = 0.0
    ) -> Candidate[Surrogate]:
        """The network that `fits` from `start` produced; `others` are the fits of its factors."""
        solver = build_surrogate(start, self.target, fits, "calibrated")
        flops, held_out = solver.network.flops, fits[-1].held_out
        return Candidate(solver, flops, held_out, [*others, *fits], seconds)

    def round(
        self, before: Candidate[Surrogate], number: int
    ) -> Steps[Candidate[Surrogate] | None]:
        """Fit the factors α, remove neurons by their β, fine-tune the others under fixed β."""
        solver, method = before.network, self.method
        scaled = Scaled.of(solver.network)
        ones = torch.ones_like(solver.weights[:1]).expand(scaled.n_extra)
        vector = torch.cat([solver.weights, ones])
        config = self.config.with_steps(method.factor_steps)
        factor_fit = yield from self._fit(scaled, vector, True, config, f"factors.{number}")
        sampling, seed = config.phases.warm_start(self.target)[-1].sampling, self.context.seed
        importance = yield Work(
            partial(_importance, scaled, factor_fit.weights, self.target, sampling, seed)
        )
        most = (1 - method.flops) * before.flops
        masks = remaining(importance.value, most, partial(flops_of, solver.network))
        if masks is None:
            return None
        smaller, weights = subnetwork_of(solver, masks)
        factors = torch.cat(relative_importance(importance.value, masks))
        if method.divide:
            weights = divide_by_factors(smaller, weights, factors)
        scaled, vector = Scaled.of(smaller), torch.cat([weights, factors])
        fit = yield from self._fit(scaled, vector, False, self.config, f"tailor.{number}")
        start = replace(solver, network=scaled)
        return self.candidate(start, [fit], factor_fit, seconds=importance.seconds)

    def _fit(
        self,
        network: Scaled,
        vector: torch.Tensor,
        factors: bool,
        config: TrainingConfig,
        stage: str,
    ) -> Steps[FitResult]:
        """The fit of the factors alone, or of the weights alone."""
        trainable = torch.full_like(vector, not factors, dtype=torch.bool)
        trainable[network.inner.size :] = factors
        start = Surrogate(network, self.target.ansatz(SamplingSpec()), vector)
        trainer = Trainer(start, config, self.context.seed, self.context.callbacks, trainable)
        return steps_of(trainer.fit)(self.target, config.phases.warm_start(self.target), stage)


def subnetwork_of(surrogate: Surrogate, masks: Masks) -> tuple[Network, torch.Tensor]:
    """The network of the neurons that stay, and its weights, [its size].

    Args:
        masks: True for each neuron that stays, bool [width] a hidden layer.
    """
    smaller, places = surrogate.network.neurons.subnetwork(masks)
    return smaller, surrogate.weights[places]


def divide_by_factors(
    network: Network, weights: torch.Tensor, factors: torch.Tensor
) -> torch.Tensor:
    """Divide the weights out of each neuron by its factor, at least `MIN_DIVISOR`.

    With each neuron's output multiplied by its factor, the network is the same function as before.

    Args:
        weights: [size].
        factors: of all hidden neurons, [neurons], layer after layer.
    """
    neurons = network.neurons
    parts = factors.clamp(min=MIN_DIVISOR).split(list(neurons.widths))
    return weights / neurons.leaving(parts)


def flops_of(network: Network, masks: Masks) -> int:
    """Multiplications and additions of one evaluation of the network of the neurons that stay."""
    return network.neurons.resized([int(mask.sum()) for mask in masks]).flops


def _importance(
    network: Scaled, vector: torch.Tensor, task: Task, sampling: SamplingSpec, seed: int
) -> list[torch.Tensor]:
    """Mean over residuals of |r ∂r/∂α · α|: a list with [width] of each hidden layer."""
    terms = task.terms(network, vector, sampling, generator(seed, "importance"))
    start = network.inner.size
    factors = torch.arange(start, network.size, device=vector.device)
    r, jacobian = linearise(network, vector, terms, factors)
    slopes = r[:, None] * jacobian.dense() * vector[start:]
    return list(slopes.abs().mean(0).split(list(network.neurons.widths)))
