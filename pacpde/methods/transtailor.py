"""TransTailor: prune what the target does not need, and use how much it needs the rest."""

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
        start = source.reset()
        everything = torch.ones_like(source.weights, dtype=torch.bool)
        fits = yield from steps_of(self.fits)(start, target, everything, context)
        tuning = _Tuning(self, target, context)
        first = tuning.candidate(start, fits)
        best, networks = yield from tailor_rounds(first, tuning.round, self.tau, self.rounds)
        every = [made for one in networks for made in one.fits]
        result = MethodResult.of(best.network, best.network.parameters, every, trained=source)
        seconds = result.seconds["calibrate"] + sum(one.seconds for one in networks)
        return replace(result, seconds={"calibrate": seconds})


@dataclass(frozen=True)
class _Tuning:
    """Fits of factors, and of weights under them."""

    method: TransTailor
    target: Task
    context: TransferContext

    @property
    def config(self) -> TrainingConfig:
        return self.method.config(self.context)

    def candidate(
        self, start: Surrogate, fits: Sequence[FitResult], *others: FitResult, seconds: float = 0.0
    ) -> Candidate[Surrogate]:
        """What fits from a start led to; other fits were for the choice of its neurons."""
        phases = self.config.phases.warm_start(self.target)
        solver = build_surrogate(start, self.target, phases, fits, "calibrated")
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
        config = replace(self.config, steps=method.factor_steps)
        factor_fit = yield from self._fit(scaled, vector, True, config, f"factors.{number}")
        sampling, seed = config.phases.warm_start(self.target)[-1].sampling, self.context.seed
        importance = yield Work(
            partial(_importance, scaled, factor_fit.weights, self.target, sampling, seed)
        )
        most = (1 - method.flops) * before.flops
        kept = remaining(importance.value, most, partial(flops_of, solver.network))
        if kept is None:
            return None
        smaller, weights = shrunk(solver, kept)
        factors = torch.cat(relative_importance(importance.value, kept))
        if method.divide:
            weights = divided(smaller, weights, factors)
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


def shrunk(surrogate: Surrogate, kept: Masks) -> tuple[Network, torch.Tensor]:
    """The network of the neurons that stay, and its weights [size]."""
    smaller, places = surrogate.network.neurons.subnetwork(kept)
    return smaller, surrogate.weights[places]


def divided(network: Network, weights: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The weights whose function, once neurons are multiplied by factors, is that of `weights`."""
    neurons = network.neurons
    parts = factors.clamp(min=SMALLEST).split(list(neurons.widths))
    return weights / neurons.leaving(parts)


def flops_of(network: Network, kept: Masks) -> int:
    """Multiplications and additions of one evaluation of the network of the neurons that stay."""
    return network.neurons.resized([int(mask.sum()) for mask in kept]).flops


def _importance(
    network: Scaled, vector: torch.Tensor, task: Task, sampling: SamplingSpec, seed: int
) -> list[torch.Tensor]:
    """Mean over residuals of |r ∂r/∂α · α|, [width] a hidden layer."""
    terms = task.terms(network, vector, sampling, generator(seed, "importance"))
    start = network.inner.size
    factors = torch.arange(start, network.size, device=vector.device)
    r, jacobian = linearise(network, vector, terms, factors)
    slopes = r[:, None] * jacobian.dense() * vector[start:]
    return list(slopes.abs().mean(0).split(list(network.neurons.widths)))
