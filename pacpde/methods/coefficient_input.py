"""The coefficient as an input: one network for the whole way from source to target."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from numpy.random import Generator

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, MethodResult, TransferContext, train_from_scratch
from pacpde.methods.scratch import Scratch
from pacpde.networks.batch import Batch, DerivedAnsatz
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.way import interpolate
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Term


@dataclass(frozen=True)
class CoefficientInput(Method):
    """min over w of Σ_k L_k(u(·, s_k; w)) over problems k from source to target, s_k ∈ [0, 1].

    The way in between is one more input of a network that is trained from nothing; the target is
    s = 1. For many queries along the way this is what transfer has to beat; for one query it pays
    for all. The points are shared among the problems. In the end s = 1 is added into the biases,
    which leaves a network like the source's. Labels alone know one coefficient: there it is
    scratch.

    Attributes:
        stations: problems, source and target among them.
    """

    name = "coefficient_input"
    summary = "min Σ L over problems from source to target, their place on the way as an input"

    stations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("stations", self.stations, 2)

    def check(self, network: Network, physics: bool = True) -> None:
        super().check(network, physics)
        if not physics and self.stations != CoefficientInput.stations:
            raise InvalidValueError(
                f"stations is {self.stations}, without effect where the equation is left out: "
                "leave stations out too."
            )

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        if not target.solves_equation:
            return (yield from steps_of(Scratch(self.steps).run)(source, target, context))
        config = self.config(context)
        task = AlongTask.of(source, target.physics_task, self.stations)
        network, _ = source.network.enlarged(extra_inputs=1)
        surrogate, fit = yield from steps_of(train_from_scratch)(
            task, network, config, context.seed, context.callbacks, stage="along"
        )
        folded = replace(surrogate, stage="calibrated")
        return MethodResult.of(folded, source.parameters, [fit])


def fold(network: Network, weights: torch.Tensor, value: float) -> torch.Tensor:
    """Weights of `network`, from those of the same one with a last input that is always `value`."""
    larger, places = network.enlarged(extra_inputs=1)
    first, _ = larger.matrices(weights)[0]
    folded = weights[places.to(weights.device)]
    folded[network.layers[0].biases] += value * first[:, -1]
    return folded


@dataclass(frozen=True)
class AtShare(DerivedAnsatz):
    """An ansatz whose network gets one more input, the same everywhere."""

    share: float

    @property
    def inputs(self) -> int:
        return self.ansatz.inputs + 1

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        batch = self.ansatz.batch(points, names)
        share = torch.zeros_like(batch.inputs[..., :1])
        share[batch.names.index("")] = self.share
        return replace(batch, inputs=torch.cat([batch.inputs, share], -1))


@dataclass(frozen=True)
class AlongTask(PhysicsTask):
    """The problem at a share of the way, and others along it; held out at its own share.

    Attributes:
        share: of its own problem.
        others: the rest of the way.
        network: the one without the input for the share.
    """

    network: Network = field(kw_only=True)
    share: float = 1.0
    others: tuple["AlongTask", ...] = ()

    @classmethod
    def of(cls, source: Surrogate, target: PhysicsTask, stations: int) -> "AlongTask":
        shares = [k / (stations - 1) for k in range(stations)]
        along = [
            cls(
                interpolate(source.problem, target.problem, share),
                hard=target.hard,
                seed=target.seed,
                runtime=target.runtime,
                like=target.like,
                share=share,
                network=source.network,
            )
            for share in shares
        ]
        return replace(along[-1], labels=target.labels, others=tuple(along[:-1]))

    def ansatz(self, sampling: SamplingSpec) -> AtShare:
        return AtShare(super().ansatz(sampling), self.share)

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        own = fold(self.network, weights, self.share)
        return Surrogate(self.network, super().ansatz(sampling), own)

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        own = replace(sampling, points=max(1, sampling.points // (1 + len(self.others))))
        terms = super().terms(network, weights, own, rng)
        for other in self.others:
            terms += other.terms(network, weights, own, rng)
        return terms
