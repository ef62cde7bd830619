"""Many targets in one backbone: each in weights of its own, beside those of all before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pacpde.datasets import grading_reference
from pacpde.datasets.grading import AUTO
from pacpde.errors import InvalidValueError
from pacpde.keywords import checked_call
from pacpde.methods.arguments import Settings, check_arguments, config_after
from pacpde.methods.base import TransferContext, build_surrogate
from pacpde.methods.checks import check_transfer
from pacpde.methods.grading import errors_of
from pacpde.methods.own_weights import fit_beside, n_unused, uses
from pacpde.methods.pac import PAC
from pacpde.methods.provenance import of_sequence
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.pac import SOURCE
from pacpde.physics.problem import Problem, check_problem
from pacpde.reference import Reference
from pacpde.renamed import renamed_attribute
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.runtime import check_seed, gradients
from pacpde.training.callbacks import Progress, ProgressReport, prefixed

MIN_OWN = 10  # own weights of a target: fewer solve nothing


@dataclass(frozen=True)
class FrozenSolver:
    """One solver in a backbone; its weights are frozen.

    Attributes:
        name: under which it is recalled.
        n_own: number of weights that no other solver uses.
        error: relative L2 against the certified reference of what is recalled; None without one.
        seconds: that its fits took.
        error_by_field: the same of every field, in its own size.
    """

    name: str
    problem: Problem
    n_own: int
    error: float | None
    outcome: str
    seconds: float
    error_by_field: Mapping[str, float] | None = None

    own = renamed_attribute("own", "n_own")


@dataclass(frozen=True)
class Backbone:
    """A source and targets in one set of weights.

    Attributes:
        surrogate: of the last target; it retains "source", "target 1", "target 2", ...
        solvers: the source, then every target, each with its error and how it ended. A target whose
            weights were too few is there as far as it came.
    """

    surrogate: Surrogate
    solvers: Sequence[FrozenSolver]

    held = renamed_attribute("held", "solvers")
    free = renamed_attribute("free", "n_unused")

    @property
    def n_unused(self) -> int:
        """Number of weights that no solver uses."""
        return n_unused(self.surrogate)

    def recall(self, name: str = SOURCE) -> Surrogate:
        """The solver of a name, to the last bit."""
        return self.surrogate.recall(name)


@checked_call
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
    settings: Settings | None = None,
    reference: str | None = AUTO,
    reference_tolerance: float | None = None,
) -> Backbone:
    """PAC target after target, each into weights that no solver uses.

    A target is calibrated in all unused weights, from the solver before it. Then those that it
    depends on least are set to 0, and its own are calibrated once more without them (Mallya &
    Lazebnik 2018, arXiv 1711.05769, for tasks in a row). Weights of earlier solvers are not
    trainable, so that every solver can be recalled to the last bit. Targets that are near each
    other should follow each other.

    Args:
        sparsity: share of the weights taken from the source.
        share: of the weights that the source does not use, what each target gets; an equal part by
            default.
        strength: λ of λ‖trainable weights‖².
        settings: of the fits, see `pacpde.TrainingConfig`; the network is the source's.
        reference: grades the solvers, and nothing more: "auto" or None.
        reference_tolerance: relative error that "auto" tries to certify first.
    """
    check_arguments(progress=progress, settings=settings)
    if isinstance(targets, Problem):
        raise InvalidValueError(f"targets is {targets}, expected a list of problems.")
    problems = list(targets)
    for target in problems:
        check_problem(target, "target")
        check_transfer(source, target, 0, 0.0, True)
    if not problems:
        raise InvalidValueError("there are no targets: give at least one problem.")
    source = unrefined(source)
    share = _checked_share(share, len(problems))
    method = PAC(sparsity=sparsity, strength=strength)
    pruned = int(sparsity * source.parameters)
    if round(share * pruned) < MIN_OWN:
        raise InvalidValueError(
            f"each target gets {share:g} of the {pruned} weights that are free, expected {MIN_OWN} "
            "at least: give fewer targets, or a source with more weights."
        )
    references = {
        problem: grading_reference(problem, reference, reference_tolerance)
        for problem in dict.fromkeys([source.problem, *problems])
    }
    stages = _Stages(method, check_seed(seed), progress, settings or {})
    surrogate = stages.allocate(source)
    count = int(share * n_unused(surrogate) + 1e-9)
    solvers = [_graded(surrogate, SOURCE, surrogate.seconds, references)]
    for number, target in enumerate(problems, 1):
        name = f"target {number}"
        before = surrogate.seconds
        surrogate = stages.calibrate(surrogate, target, name, count)
        solvers.append(_graded(surrogate, name, surrogate.seconds - before, references))
    options = {"sparsity": sparsity, "share": share, "strength": strength}
    provenance = of_sequence(source, problems, options, seed, settings or {})
    return Backbone(replace(surrogate, provenance=provenance), solvers)


def _checked_share(share: float | None, targets: int) -> float:
    """The share of the unused weights that each target gets."""
    equal = 1 / targets
    share = equal if share is None else share
    if not 0 < share <= equal + 1e-9:
        raise InvalidValueError(
            f"share is {share:g} for {targets} targets, expected a number above 0 and at most "
            f"{equal:g}: more is not there."
        )
    return share


def _graded(
    surrogate: Surrogate, name: str, seconds: float, references: Mapping[Problem, Reference | None]
) -> FrozenSolver:
    """What there is to say of a solver of a name."""
    n_own = int((uses(surrogate) == 1)[surrogate.retained[name].mask].sum())
    recalled = surrogate.recall(name)
    errors = errors_of(recalled, references[recalled.problem])
    total, by_field = (errors.total, errors.by_field) if errors else (None, None)
    return FrozenSolver(name, recalled.problem, n_own, total, surrogate.outcome, seconds, by_field)


@dataclass(frozen=True)
class _Stages:
    """The stages of the source and of every target, with the options of `method`.

    Attributes:
        settings: of all fits.
    """

    method: PAC
    seed: int
    progress: Progress | None
    settings: Settings

    def allocate(self, source: Surrogate) -> Surrogate:
        """The source in the weights that it depends on most."""
        context = self._context(source, source.problem, SOURCE)
        return self.method.allocate(source.reset(), context).allocated

    def calibrate(self, before: Surrogate, target: Problem, name: str, count: int) -> Surrogate:
        """A target in all unused weights, then in `count` of them."""
        context, task = self._context(before, target, name), self._task(before, target)
        used = uses(before) > 0
        start, fits, own = fit_beside(self.method, before, task, context, count)
        solved = build_surrogate(start, task, fits, "calibrated")
        solver = RetainedSolver(
            solved.ansatz, used | own, outcome=solved.outcome, assessment=solved.assessment
        )
        return replace(solved, retained={**before.retained, name: solver})

    def _context(self, surrogate: Surrogate, problem: Problem, name: str) -> TransferContext:
        config = config_after(surrogate, problem, self.settings)
        callbacks = [ProgressReport(prefixed(name, self.progress))] if self.progress else ()
        source_task = self._task(surrogate, surrogate.problem)
        return TransferContext(source_task, config, self.seed, callbacks)

    def _task(self, surrogate: Surrogate, problem: Problem) -> PhysicsTask:
        ansatz = surrogate.field_ansatz
        return PhysicsTask(problem, seed=self.seed, runtime=surrogate.runtime, like=ansatz)
