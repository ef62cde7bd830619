"""Random features: a random hidden layer and a trained linear layer; the source is not used."""

from dataclasses import dataclass

import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, MethodResult, TransferContext, build_surrogate
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.residuals.task import Task
from pacpde.runtime import generator


@dataclass(frozen=True)
class RandomFeatures(Method):
    """min over the head of L_T(head ∘ σ(V x + c)) with random, frozen V and c.

    For a linear equation this is linear least squares: an extreme learning machine (Huang, Zhu &
    Siew 2006; for equations Dong & Li 2021, doi:10.1016/j.cma.2021.114129). The method is a
    control: where it wins, the problem needs no trained hidden layers and no source.

    Attributes:
        features: number of hidden units, in one layer; σ is the source's activation.
        spread: standard deviation of V; each input runs over [−1, 1]. c = −Σ V x₀, with a centre x₀
            for each unit, uniform over the inputs.
    """

    name = "random_features"
    summary = "min L_T over a linear layer on random features; no source, a control"
    partial = True

    features: int = 300
    spread: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("features", self.features, 1)
        if not self.spread > 0:
            raise InvalidValueError(f"spread is {self.spread}, expected a number above 0.")

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        config = self.config(context)
        network = source.network.neurons.resized((self.features,))
        rng = generator(context.seed, "random features")
        weights = target.runtime.tensor(network.init_weights(rng, self.spread))
        weights[network.head] = 0
        trainable = torch.zeros_like(weights, dtype=torch.bool)
        trainable[network.head] = True
        phases = config.phases.warm_start(target)
        blank = Surrogate(network, target.ansatz(phases[-1].sampling), weights)
        trainer = self.trainer(blank, trainable, context, stage="features")
        fits = yield from steps_of(self.fits)(trainer, target)
        surrogate = build_surrogate(blank, target, fits, "calibrated")
        return MethodResult.of(surrogate, int(trainable.sum()), fits)
