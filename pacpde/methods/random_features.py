"""Random features: no source, and only a linear layer to fit."""

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
    """min over the head of L_T(head ∘ tanh(V x + c)) with random V, c: least squares where linear.

    Extreme learning machines (Huang, Zhu & Siew 2006; for equations Dong & Li 2021,
    doi:10.1016/j.cma.2021.114129). A control: where it wins, the problem needs no network that was
    trained, and no source.

    Attributes:
        features: hidden units, in one layer.
        spread: standard deviation of V, for inputs that run over an interval of length 2; the units
            are centred all over them.
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
        fits = yield from steps_of(self.fits)(blank, target, trainable, context, stage="features")
        surrogate = build_surrogate(blank, target, phases, fits, "calibrated")
        return MethodResult.of(surrogate, int(trainable.sum()), fits)
