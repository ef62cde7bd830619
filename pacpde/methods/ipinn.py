"""Incremental PINNs: a subnetwork for each equation, which may overlap."""

from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.packnet import PackNet
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.pac.mask import score_mask
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class IncrementalPINN(PackNet):
    """PackNet's stages, then the target too gets a subnetwork of the largest |w_U + w_P|.

    Dekhovich et al. 2023 (arXiv 2304.04854): what was pruned away for the target is zero in its
    solver, weights of the source among it, and the freed weights that stay are retrained. There
    importance is a signal over data; here it is the magnitude, as for the source. The source is
    kept beside the weights, for the target's solver may lack some of its own.

    Attributes:
        overlap: share of all weights in the target's subnetwork, the source's among them.
    """

    name = "ipinn"
    summary = "PackNet, then a subnetwork for the target as well, which may overlap the source's"

    fixes_penalty = None  # its later fits go on from weights that have seen the labels

    overlap: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ladder is not None:
            raise InvalidValueError(f"{self.name} has no ladder: leave it out, or take pac.")
        if not 0 < self.overlap < 1:
            raise InvalidValueError(f"overlap is {self.overlap}, expected a share between 0 and 1.")

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        packnet = yield from steps_of(super().run)(source, target, context)
        whole = packnet.surrogate
        solver, allocated = whole.retained[SOURCE], packnet.snapshots["allocated"]
        own = score_mask(whole.network, whole.weights.abs(), 1 - self.overlap)
        trainable = own & ~solver.mask
        start = replace(
            whole,
            weights=torch.where(own, whole.weights, 0),
            retained={SOURCE: replace(solver, weights=allocated.weights)},
        )
        anchor = Anchor.at(torch.zeros_like(start.weights[trainable]), self.strength)
        trainer = self.trainer(start, trainable, context, anchor=anchor)
        phases = trainer.config.phases.warm_start(target)
        fit = yield from steps_of(trainer.fit)(target, phases, "overlap")
        surrogate = build_surrogate(start, target, [fit], "calibrated")
        surrogate = replace(surrogate, outcomes={**whole.outcomes, "overlapped": fit.outcome})
        if surrogate.outcome == "converged":
            surrogate = replace(surrogate, outcome=whole.outcome)
        return replace(
            packnet,
            surrogate=surrogate,
            n_trainable=int(trainable.sum()),
            steps=packnet.steps + fit.steps,
            evaluations=packnet.evaluations + fit.evaluations,
            seconds={**packnet.seconds, "calibrate": packnet.seconds["calibrate"] + fit.seconds},
        )
