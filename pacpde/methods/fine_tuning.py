"""Fine-tuning: some of the source's weights, or all of them, go on to the target."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from pacpde.methods.base import Method, MethodResult, TransferContext, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.networks.heads import ExtendedNetwork
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.renamed import warn_renamed
from pacpde.residuals.augmented_task import AugmentedTask, ExtraTerms
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class TuningStart:
    """Where the fits to the target start, and what they may move.

    Attributes:
        surrogate: network and weights at the start.
        trainable_mask: which weights may move, bool [size].
        anchor: penalty on the weights, trainable or not, [size]; None for none.
        task_transform: what is fitted in place of a task.
        own: where the weights of the target's solver lie among those of the network, [solver size];
            None where they are the same.
    """

    surrogate: Surrogate
    trainable_mask: torch.Tensor
    anchor: Anchor | None = None
    task_transform: Callable[[Task], Task] = lambda task: task
    own: torch.Tensor | None = None

    @property
    def n_trainable(self) -> int:
        """Number of trainable weights of the target's solver."""
        mask = self.trainable_mask if self.own is None else self.trainable_mask[self.own]
        return int(mask.sum())


@dataclass(frozen=True)
class WeightTuning(Method):
    """min over the trainable w of L_T(w) + penalty, in one chain of fits."""

    @abstractmethod
    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        """Where the fits start."""

    def source_solver(self, source: Surrogate, weights: torch.Tensor) -> Surrogate | None:
        """The solver of the source that is stored with the target's; None where it is forgotten.

        Args:
            weights: after the last fit, [size].
        """
        return None

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        start = self.tuning_start(source, target, context)
        mask, transform = start.trainable_mask, start.task_transform
        anchor = None if start.anchor is None else start.anchor.select(mask)
        fits = yield from steps_of(self.fits)(
            start.surrogate, target, mask, context, anchor=anchor, task_transform=transform
        )
        phases = self.config(context).phases.warm_start(target)
        surrogate = build_surrogate(start.surrogate, transform(target), phases, fits, "calibrated")
        snapshots = {"trained": source}
        retained = self.source_solver(source, fits[-1].weights)
        if retained is not None:
            snapshots["allocated"] = retained
            solvers = {SOURCE: RetainedSolver.separate(retained)}
            surrogate = replace(surrogate, retained=solvers)
        return MethodResult.of(surrogate, start.n_trainable, fits, **snapshots)


@dataclass(frozen=True)
class FineTuning(WeightTuning, ContinuationMethod):
    """min over the trainable w of L_T(w) + penalty, from w_S.

    A subclass says which weights are trainable, and which penalty holds them.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "free" in cls.__dict__:
            warn_renamed(f"{cls.__name__}.free", "trainable_mask")
        super().__init_subclass__(**kwargs)

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        """Which weights may move, bool [size]; here all."""
        return torch.ones_like(source.weights, dtype=torch.bool)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor | None:
        """Penalty on the weights, trainable or not, [size]; here none."""
        return None

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        trainable_mask = getattr(self, "free", self.trainable_mask)  # its old name
        return TuningStart(source.reset(), trainable_mask(source), self.anchor(source, context))


@dataclass(frozen=True)
class AugmentedFineTuning(FineTuning):
    """min over w of L_T(w) + other terms, from w_S, in a network with more outputs."""

    @abstractmethod
    def widened(self, source: Surrogate) -> ExtendedNetwork:
        """The network with more outputs."""

    @abstractmethod
    def extra_terms(
        self, source: Surrogate, wide: ExtendedNetwork, target: Task, context: TransferContext
    ) -> ExtraTerms:
        """The terms beside those of the target."""

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        wide = self.widened(source)
        terms = self.extra_terms(source, wide, target, context)
        return TuningStart(
            source.reset(network=wide.network, weights=wide.weights),
            self.trainable_mask(source),
            self.anchor(source, context),
            lambda task: AugmentedTask(task, source.network, wide, terms),
            wide.own,
        )
