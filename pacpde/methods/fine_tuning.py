"""Fine-tuning: train some or all weights of the source on the target."""

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
from pacpde.renamed import renamed_attribute, renamed_declarations
from pacpde.residuals.augmented_task import AugmentedTask, ExtraTerms
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class TuningStart:
    """The start of the fits to the target: network, weights, trainable weights, penalty.

    Attributes:
        surrogate: network and initial weights.
        trainable_mask: True for each trainable weight, bool [size].
        anchor: penalty Σ strengthᵢ (wᵢ − centreᵢ)² over all weights, [size]; None for none.
        task_transform: task → task that is fitted in its place.
        solver_indices: positions of the target solver's weights in the network's flat vector,
            int [solver size]; None if the solver is the whole network.
    """

    surrogate: Surrogate
    trainable_mask: torch.Tensor
    anchor: Anchor | None = None
    task_transform: Callable[[Task], Task] = lambda task: task
    solver_indices: torch.Tensor | None = None

    @property
    def n_trainable(self) -> int:
        """Number of trainable weights of the target's solver."""
        indices = slice(None) if self.solver_indices is None else self.solver_indices
        return int(self.trainable_mask[indices].sum())

    def with_new_weights(self, new: torch.Tensor | None) -> "TuningStart":
        """The same with weights trainable of which the source knows nothing, bool [source size].

        The source's weights come first in a network with more of them, unless `solver_indices` say
        where they are.
        """
        if new is None:
            return self
        mask = self.trainable_mask.clone()
        own = torch.arange(len(new), device=mask.device)
        own = own if self.solver_indices is None else self.solver_indices
        mask[own[new]] = True
        return replace(self, trainable_mask=mask)


@dataclass(frozen=True)
class WeightTuning(Method):
    """Base class: min over the trainable w of L_T(w) + penalty, in one sequence of fits.

    A subclass defines `tuning_start`, and `source_solver` if it retains a solver of the source.
    """

    @abstractmethod
    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        """Network, weights and penalty at the start of the fits."""

    def source_solver(self, source: Surrogate, weights: torch.Tensor) -> Surrogate | None:
        """The solver of the source to store beside the target's; None for methods that lose it.

        Args:
            weights: the network's weights after the last fit, [size].
        """
        return None

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        start = self.tuning_start(source, target, context).with_new_weights(context.new_weights)
        mask, transform = start.trainable_mask, start.task_transform
        anchor = None if start.anchor is None else start.anchor.select(mask)
        trainer = self.trainer(
            start.surrogate, mask, context, anchor=anchor, task_transform=transform
        )
        fits = yield from steps_of(self.fits)(trainer, target)
        surrogate = build_surrogate(start.surrogate, transform(target), fits, "calibrated")
        snapshots = {"trained": source}
        retained = self.source_solver(source, fits[-1].weights)
        if retained is not None:
            snapshots["allocated"] = retained
            solvers = {SOURCE: RetainedSolver.separate(retained)}
            surrogate = replace(surrogate, retained=solvers)
        return MethodResult.of(surrogate, start.n_trainable, fits, **snapshots)


@dataclass(frozen=True)
class FineTuning(WeightTuning, ContinuationMethod):
    """Base class: min over the trainable w of L_T(w) + penalty, from the source's weights w_S.

    A subclass overrides `trainable_mask`, `anchor`, or both.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        renamed_declarations(cls, {"free": "trainable_mask"}, stacklevel=6)
        super().__init_subclass__(**kwargs)

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        """True for each trainable weight, bool [size]; default: all weights."""
        return torch.ones_like(source.weights, dtype=torch.bool)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor | None:
        """Penalty over all weights, [size]; default: None, no penalty."""
        return None

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        return TuningStart(
            source.reset(), self.trainable_mask(source), self.anchor(source, context)
        )

    free = renamed_attribute("free", "trainable_mask")


@dataclass(frozen=True)
class AugmentedFineTuning(FineTuning):
    """Base class: min over w of L_T(w) + extra terms, from w_S, in a network with extra outputs."""

    @abstractmethod
    def extended_network(self, source: Surrogate) -> ExtendedNetwork:
        """The source's network and weights, with extra outputs."""

    @abstractmethod
    def extra_terms(
        self, source: Surrogate, extended: ExtendedNetwork, target: Task, context: TransferContext
    ) -> ExtraTerms:
        """Residual terms that are added to those of the target.

        Args:
            extended: what `extended_network` returned.
        """

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        extended = self.extended_network(source)
        terms = self.extra_terms(source, extended, target, context)
        return TuningStart(
            source.reset(network=extended.network, weights=extended.weights),
            self.trainable_mask(source),
            self.anchor(source, context),
            lambda task: AugmentedTask(task, source.network, extended, terms),
            extended.original_indices,
        )
