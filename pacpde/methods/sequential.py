"""Many targets in one backbone: each in weights of its own, beside those of all before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pacpde.datasets import grading_reference
from pacpde.datasets.grading import AUTO
from pacpde.errors import InvalidValueError
from pacpde.methods.allocation import allocate_source
from pacpde.methods.arguments import check_arguments
from pacpde.methods.base import build_surrogate, check_strength
from pacpde.methods.continuation_strategy import ContinuationStrategy
from pacpde.methods.grading import errors_of
from pacpde.methods.pac import PAC
from pacpde.methods.provenance import of_sequence
from pacpde.methods.transfer import check_problem, check_transfer
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.pac import SOURCE, prune
from pacpde.pac.mask import check_sparsity, mask_of
from pacpde.pac.reinit import reinit_dead_neurons
from pacpde.pac.scores import SCORES
from pacpde.physics.problem import Problem
from pacpde.reference import Reference
from pacpde.residuals.task import PhysicsTask
from pacpde.residuals.terms import Anchor
from pacpde.runtime import check_seed, gradients
from pacpde.training.callbacks import Callback, Progress, ProgressReport, prefixed
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import Trainer

LEAST = 10  # weights of a target's own: fewer solve nothing


@dataclass(frozen=True)
class FrozenSolver:
    """One target in the backbone.

    Attributes:
        name: under which it is recalled.
        own: weights that are its own.
        error: relative L2 against the certified reference of what is recalled; None without one.
        error_by_field: the same of every field, in its own size.
    """

    name: str
    problem: Problem
    own: int
    error: float | None
    outcome: str
    seconds: float
    error_by_field: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Backbone:
    """A source and targets in one set of weights.

    Attributes:
        surrogate: of the last target; its retained solvers are "source", "target 1", ...
        held: the source, then every target, each with its error and how it ended: a target for
            which the weights left were too few is held as far as it came.
    """

    surrogate: Surrogate
    held: Sequence[FrozenSolver]

    @property
    def free(self) -> int:
        """Weights that belong to nobody yet."""
        return self.surrogate.parameters - int(_taken(self.surrogate).sum())

    def recall(self, name: str = SOURCE) -> Surrogate:
        """The solver kept under a name, to the last bit."""
        return self.surrogate.recall(name)


@gradients()
def transfer_in_turn(
    source: Surrogate,
    targets: Iterable[Problem],
    *,
    sparsity: float = 0.8,
    share: float | None = None,
    strength: float = PAC.strength,
    seed: int = 0,
    progress: Progress | None = None,
    settings: dict[str, Any] | None = None,
    reference: str | None = AUTO,
    reference_tolerance: float | None = None,
) -> Backbone:
    """PAC target after target, each into the weights that are still free.

    A target is calibrated in all of them, from the solver before it; then the weights that it
    depends on least are freed again and its own are calibrated once more without them (Mallya &
    Lazebnik 2018, arXiv 1711.05769, for tasks in a row). What is held is never among the free
    parameters, so that every solver can be recalled to the last bit. Targets that are near each
    other should follow each other.

    Args:
        sparsity: share of the weights taken from the source.
        share: of the weights that are free after the source, what each target keeps; an equal part
            by default.
        strength: λ of λ‖free weights‖².
        settings: of the fits, see `pacpde.training.config.TrainingConfig`.
        reference: grades what is held, and nothing more: "auto" or None.
        reference_tolerance: relative error that "auto" tries to certify first.
    """
    check_arguments(progress=progress, settings=settings)
    if isinstance(targets, Problem):
        raise InvalidValueError(f"targets is {targets}, expected a list of problems.")
    wanted = list(targets)
    for target in wanted:
        check_problem(target, "target")
        check_transfer(source, target, 0, 0.0, True)
    if not wanted:
        raise InvalidValueError("there are no targets: give at least one problem.")
    equal = 1 / len(wanted)
    share = equal if share is None else share
    if not 0 < share <= equal + 1e-9:
        raise InvalidValueError(
            f"share is {share:g} for {len(wanted)} targets, expected a number above 0 and at most "
            f"{equal:g}: more is not there."
        )
    check_sparsity(sparsity)
    check_strength("strength (λ)", strength)
    room = int(sparsity * source.parameters)
    if round(share * room) < LEAST:
        raise InvalidValueError(
            f"each target gets {share:g} of the {room} weights that are free, expected {LEAST} at "
            "least: give fewer targets, or a source with more weights."
        )
    graded = {
        problem: grading_reference(problem, reference, reference_tolerance)
        for problem in dict.fromkeys([source.problem, *wanted])
    }
    work = _Work(strength, check_seed(seed), progress, settings or {})
    surrogate = work.source(source, sparsity)
    count = int(share * (source.parameters - int(_taken(surrogate).sum())) + 1e-9)
    held = [_held(surrogate, SOURCE, surrogate.seconds, graded)]
    for number, target in enumerate(wanted, 1):
        name = f"target {number}"
        before = surrogate.seconds
        surrogate = work.target(surrogate, target, name, count)
        held.append(_held(surrogate, name, surrogate.seconds - before, graded))
    options = {"sparsity": sparsity, "share": share, "strength": strength}
    provenance = of_sequence(source, wanted, options, seed, settings or {})
    return Backbone(replace(surrogate, provenance=provenance), held)


def _taken(surrogate: Surrogate) -> torch.Tensor:
    """Weights that some solver needs, bool [size]."""
    taken = torch.zeros_like(surrogate.weights, dtype=torch.bool)
    for solver in surrogate.retained.values():
        taken |= solver.mask
    return taken


def _held(
    surrogate: Surrogate, name: str, seconds: float, graded: Mapping[Problem, Reference | None]
) -> FrozenSolver:
    solver = surrogate.retained[name]
    others = [m.mask for key, m in surrogate.retained.items() if key != name]
    own = solver.mask.clone()
    for mask in others:
        own &= ~mask
    recalled = surrogate.recall(name)
    errors = errors_of(recalled, graded[recalled.problem])
    total, apart = (errors.total, errors.by_field) if errors else (None, None)
    return FrozenSolver(
        name, recalled.problem, int(own.sum()), total, surrogate.outcome, seconds, apart
    )


@dataclass(frozen=True)
class _Work:
    strength: float
    seed: int
    progress: Progress | None
    settings: dict[str, Any]

    def source(self, source: Surrogate, sparsity: float) -> Surrogate:
        """Pruned and allocated."""
        config, task = self._for(source, source.problem)
        scores = SCORES["sensitivity"](source, task, self.seed)
        pruned = prune(source.reset(), sparsity, scope="neuron", scores=scores)
        callbacks = self._callbacks(SOURCE)
        made, _ = allocate_source(
            pruned, task, config, stage="allocate", seed=self.seed, callbacks=callbacks
        )
        return made

    def target(self, before: Surrogate, target: Problem, name: str, count: int) -> Surrogate:
        """Calibrated in all free weights, then in so many that it keeps."""
        config, task = self._for(before, target)
        taken = _taken(before)
        before = reinit_dead_neurons(
            before, taken, self.seed, PAC.reinit_scale, config.frequency, PAC.reinit_mode
        )
        free = ~taken
        anchor = Anchor.at(torch.zeros_like(before.weights[free]), self.strength)
        trainer = Trainer(before, config, self.seed, self._callbacks(name), free, anchor)
        fits = ContinuationStrategy(trainer).run(task)
        weights, own = fits[-1].weights, free
        phases = config.phases.warm_start(task)
        if count < int(free.sum()):
            reached = task.solver(before.network, weights, phases[-1].sampling)
            scores = SCORES["sensitivity"](reached, task, self.seed)
            scores = torch.where(free, scores, -torch.inf)
            own = mask_of(before.network, scores, 1 - count / len(weights))
            weights = torch.where(free & ~own, torch.zeros_like(weights), weights)
            held = Anchor.at(torch.zeros_like(weights[own]), self.strength)
            trainer = replace(trainer, trainable_mask=own, anchor=held, stage="keep")
            fits.append(trainer.fit(task, phases, weights=weights))
        made = build_surrogate(before, task, phases, fits, "calibrated")
        solver = RetainedSolver(
            made.ansatz,
            _taken(before) | own,
            outcome=made.outcome,
            assessment=made.assessment,
        )
        return replace(made, retained={**before.retained, name: solver})

    def _for(self, surrogate: Surrogate, problem: Problem) -> tuple[TrainingConfig, PhysicsTask]:
        config = TrainingConfig.after(surrogate, problem, **self.settings)
        task = PhysicsTask(
            problem, seed=self.seed, runtime=surrogate.runtime, like=surrogate.field_ansatz
        )
        return config, task

    def _callbacks(self, name: str) -> Sequence[Callback]:
        return [ProgressReport(prefixed(name, self.progress))] if self.progress else ()
