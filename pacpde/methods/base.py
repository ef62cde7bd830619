"""Methods of transfer: what they have in common, and the registry of them."""

from abc import ABCMeta, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch

from pacpde.checks import check_count, check_flag
from pacpde.errors import InvalidValueError, KinkWarning, UnknownNameError, unknown, warn_user
from pacpde.methods.rung import Rung
from pacpde.networks.correction import without_correction
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.calls import check_call
from pacpde.physics.problem import Problem
from pacpde.registry import Registry, check_defined
from pacpde.renamed import renamed_attribute, renamed_keys, renamed_names
from pacpde.residuals.jumps import jump
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.posterior import CrossValidation
from pacpde.training.random_windows import Tries, are_solved, random_windows
from pacpde.training.refinement import SMALL_ERROR, before_refinement, is_reached, refine
from pacpde.training.restarts import (
    ENDED_WELL,
    after_given_up,
    best_of,
    is_enough,
    joined_fits,
    rank_of,
    restarts,
    with_given_up,
)
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Spent, Trainer, regraded


def _check_method(method: type["Method"]) -> None:
    """Refuse a method that is incomplete, once its file is read."""
    check_defined("method", method)
    called = ("source", "target", "context")
    check_call(method, "run", called, f"of the method {method.name!r}")
    if not isinstance(getattr(method, "summary", None), str):
        raise InvalidValueError(
            f"method {method.name!r} has no summary: write a sentence on what it does, as in "
            'summary = "all weights, from those of the source".'
        )
    bare = [option.name for option in fields(method) if option.default is MISSING
            and option.default_factory is MISSING]  # fmt: skip
    if bare:
        raise InvalidValueError(
            f"method {method.name!r} has options without a default ({', '.join(bare)}): give each "
            "one, so that the method runs without options."
        )


__getattr__ = renamed_names(__name__, Context="TransferContext", Transferred="MethodResult")

methods: Registry[type["Method"]] = Registry("method", "pacpde.methods", _check_method)


@dataclass(frozen=True)
class TransferContext:
    """The arguments of `Method.run` besides source and target.

    Attributes:
        source_task: the task that the source solves, to fit or to measure it again.
        config: settings of the fits; see `Method.config`.
        seed: of weights and points.
        callbacks: of every fit.
        new_weights: True for each weight of which the source knows nothing, as of a last layer for
            other classes, bool [size]: every method trains it. None where there is none.
    """

    source_task: Task
    config: TrainingConfig
    seed: int = 0
    callbacks: Sequence[Callback] = ()
    new_weights: torch.Tensor | None = None

    recipe = renamed_attribute("recipe", "config")


@dataclass(frozen=True)
class MethodResult:
    """The result of `Method.run`.

    Attributes:
        surrogate: of the target.
        n_trainable: number of weights that were fitted to the target.
        steps, evaluations: of the optimiser, and of the residuals, in all fits.
        seconds: stage → seconds; "calibrate" is the fit to the target, whatever the method. See
            `Surrogate.seconds` for what counts.
        snapshots: moment → surrogate of the source at it ("trained", "pruned", "allocated").
        cross_validation: of a fit to labels alone whose penalty was chosen; else None.
        rungs: of a ladder, the target last; empty without one.
    """

    surrogate: Surrogate
    n_trainable: int
    steps: int
    evaluations: int
    seconds: Mapping[str, float]
    snapshots: Mapping[str, Surrogate] = field(default_factory=dict)
    cross_validation: CrossValidation | None = None
    rungs: Sequence[Rung] = ()

    free_parameters = renamed_attribute("free_parameters", "n_trainable")

    @classmethod
    def of(
        cls,
        surrogate: Surrogate,
        n_trainable: int,
        fits: Sequence[FitResult],
        **snapshots: Surrogate,
    ) -> "MethodResult":
        """The result of a method whose fits are all to the target."""
        spent = Spent.on(fits)
        return cls(
            surrogate,
            n_trainable,
            spent.steps,
            spent.evaluations,
            {"calibrate": spent.seconds},
            snapshots,
            fits[-1].cross_validation,
        )


def unknown_option(of: str, name: str, known: Collection[str]) -> UnknownNameError:
    """An error for an option that a method does not have, with the methods that have it.

    Args:
        of: the method, or several.
        known: their options.
    """
    having = [
        each for each in methods.names()
        if name in (option.name for option in fields(methods.get(each)))
    ]  # fmt: skip
    if not having:
        return unknown(f"option of {of}", name, known)
    return UnknownNameError(
        f"unknown option of {of} {name!r}: {', '.join(having)} "
        f"{'has' if len(having) == 1 else 'have'} it; {of} has {', '.join(sorted(known))}."
    )


def _short_repr(method: "Method") -> str:
    """As it is written in Python: the options that are not the default."""
    options = ", ".join(f"{name}={value!r}" for name, value in method.changed_options.items())
    return f"{type(method).__name__}({options})"


class _MethodType(ABCMeta):
    """Makes methods from their options: old names are taken, unknown ones are refused."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **others: Any
    ) -> "_MethodType":
        namespace.setdefault("__repr__", _short_repr)  # which dataclass then leaves as it is
        return super().__new__(mcs, name, bases, namespace, **others)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        kind: Any = cls
        options = kind.with_new_names(options)
        known = [option.name for option in fields(kind)]
        for name in options:
            if name not in known:
                raise unknown_option(kind.name, name, known)
        return super().__call__(*args, **options)


@dataclass(frozen=True)
class Method(metaclass=_MethodType):
    """A way to transfer; its dataclass fields are its options.

    Two methods are equal if they are of one class and all their options are equal.

    Attributes:
        renamed_options: old name of an option → its name.
        renamed_values: option → {old value: value}.
        partial: True if the method trains too little to solve most targets; its contract tests then
            only ask for a smaller error than the untouched source has.
        labels_suffice: whether the method can be used with labels alone, without the equation.
        fixes_penalty: options that, once they are not the default, say how far a fit to labels
            alone goes; else cross-validation chooses it. None where the method never chooses.
        random_windows_way: what is left of a source in random windows where the target gets such of
            its own, see `pacpde.methods.moved_windows`; None where the method fits the source's
            weights all the same.
        steps: maximal number of steps of the last fit to the target; None takes the settings'.
            Where it is given it counts, and not the `steps` of the settings.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    partial: ClassVar[bool] = False
    labels_suffice: ClassVar[bool] = True
    fixes_penalty: ClassVar[tuple[str, ...] | None] = None
    random_windows_way: ClassVar[str | None] = None
    renamed_options: ClassVar[Mapping[str, str]] = {}
    renamed_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    steps: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "random_windows_way" not in cls.__dict__:  # another method leaves something else
            cls.random_windows_way = None
        if "name" in cls.__dict__:
            methods.register(cls.name, cls)

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, bool):
                check_flag(option.name, value)
        if self.steps is not None:
            check_count("steps", self.steps, 1)

    @classmethod
    def with_new_names(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options under the names that they have today.

        Args:
            options: name → value, or a list of values.
        """
        return renamed_keys(options, cls.renamed_options, cls.renamed_values, stacklevel=5)

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its value."""
        return asdict(self)

    @property
    def changed_options(self) -> dict[str, Any]:
        """The options that are not the default, with their values."""
        values = ((option, getattr(self, option.name)) for option in fields(self))
        return {option.name: value for option, value in values if value != option.default}

    @property
    def unused_settings(self) -> Mapping[str, str]:
        """Settings of the fits that have no effect on this method → why.

        `transfer` refuses them; in studies and comparisons, whose settings are of all fits, they
        are left out.
        """
        return {} if self.steps is None else {"steps": f"{self.name} has its own, as an option"}

    def for_classes(self) -> Self:
        """The same method with the defaults that it has for classes."""
        return self

    def check(self, network: Network, physics: bool = True) -> None:
        """Refuse what does not suit, before anything runs.

        Args:
            network: of the source; fits begin from the solver below its correction.
            physics: whether the target's equation is used.
        """
        if not physics and not self.labels_suffice:
            raise InvalidValueError(
                f"{self.name} solves the target's equation, which is left out: leave physics on, "
                "or take another method."
            )
        self.check_network(without_correction(network))

    def rungs(self, source: Problem, target: Problem) -> Sequence[Problem]:
        """The problems of the ladder from source to target, which is the last; empty without one.

        Raises:
            InvalidValueError: the ladder does not lead from source to target.
        """
        return ()

    def run_ladder(
        self,
        source: Surrogate,
        target: Task,
        context: TransferContext,
        rungs: Sequence[Problem],
    ) -> MethodResult:
        """Transfer over these rungs; only called where `rungs` gives any."""
        raise NotImplementedError

    def check_network(self, network: Network) -> None:
        """Refuse options that do not suit a network."""

    @abstractmethod
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        """Transfer a source surrogate to a target task.

        Mark it `stepwise`, and run fits by `yield from steps_of(fit)(...)`, so that fits of several
        transfers can be computed together; written as a plain function, its fits run alone.
        """

    recipe = renamed_attribute("recipe", "config")  # a method of the same arguments

    def config(self, context: TransferContext) -> TrainingConfig:
        """Settings of the fits to the target, with the method's own number of steps."""
        config = context.config
        return config if self.steps is None else config.with_steps(self.steps)

    def chooses_penalty(self, target: Task, config: TrainingConfig) -> bool:
        """Whether a fit to this target has the penalty that its labels choose.

        Not where there is an equation, and not where options, an optimiser or a schedule of the
        user say how to fit.
        """
        if target.solves_equation or self.fixes_penalty is None:
            return False
        given = config.optimiser != TrainingConfig.optimiser or config.schedule is not None
        return not given and not set(self.fixes_penalty) & set(self.changed_options)

    @stepwise
    def fits(self, trainer: Trainer, target: Task) -> Steps[list[FitResult]]:
        """Every fit on the way from the trainer's surrogate to the target: here one."""
        phases = trainer.config.phases.warm_start(target)
        return [(yield from steps_of(trainer.fit)(target, phases))]

    def trainer(
        self,
        start: Surrogate,
        trainable_mask: torch.Tensor,
        context: TransferContext,
        **others: Any,
    ) -> Trainer:
        """The trainer of the fits to the target.

        Args:
            trainable_mask: which weights may move, bool [size].
            others: other attributes of `Trainer`.
        """
        config = self.config(context)
        return Trainer(start, config, context.seed, context.callbacks, trainable_mask, **others)


def best_last(fits: list[FitResult], others: list[FitResult]) -> list[FitResult]:
    """Two chains of fits as one; the chain with the smaller final held-out residual comes last."""
    better = not fits or others[-1].held_out < fits[-1].held_out
    return [*fits, *others] if better else [*others, *fits]


@stepwise
def train_from_scratch(
    task: Task,
    network: Network | None,
    config: TrainingConfig,
    seed: int,
    callbacks: Sequence[Callback] = (),
    stage: str = "train",
    budget: int = 0,
) -> Steps[tuple[Surrogate, FitResult]]:
    """Fit a network from random weights; where that falls short, again, see `restarts`. What is
    right, but not to the tolerance, is refined, see `pacpde.training.refinement`; where that does
    not help, and before restarts, random windows follow, see `pacpde.training.random_windows`.
    Where these miss the tolerance, one restart is refined beside them.

    Args:
        network: None for the one of the settings, of which a restart may take a larger one.
        budget: so many steps more in the last phase, which then takes all of its steps.
    """

    def start(config: TrainingConfig, task: Task, phases: Sequence[Phase], *name: str) -> Surrogate:
        ansatz = task.ansatz(phases[-1].sampling)
        own = network or config.build_network(ansatz)
        rng = generator(seed, "weights", *name)
        weights = task.runtime.tensor(own.init_weights(rng, config.frequency))
        return Surrogate(own, ansatz, weights)

    given = network or config.build_network(task.ansatz(SamplingSpec()))
    wanted, config = config, before_refinement(given, task, config)
    if given.time_windows > 1:
        task = task.in_time_windows(given.time_windows) or task
    phases = config.phases.cold_start(task)
    if budget:
        last = phases[-1]
        phases = (
            *phases[:-1],
            replace(last, steps=last.steps + budget, target_residual=0.0, patience=0),
        )
    blank = start(config, task, phases)
    has_fields = task.solves_equation and blank.ansatz.problem_or_none is not None
    if has_fields and (kink := jump(blank)) is not None:
        warn_user(str(kink), KinkWarning)
    fit = yield from steps_of(Trainer(blank, config, seed, callbacks).fit)(task, phases, stage)
    tries: Tries = [(blank, task, fit)]
    late = fit.outcome in ENDED_WELL  # random windows come in place of restarts, or at the end
    random: Tries = []
    if network is None and not late:
        random = yield from steps_of(random_windows)(
            task, wanted, seed, callbacks, f"{stage}.random"
        )
    whole, found = task, [fit for *_, fit in random]
    solved = are_solved(found)
    # one restart then: what is refined may go beyond what random windows miss
    beyond = config is not wanted and _are_near(found) and not _are_final(found, wanted)
    for again in restarts(task, config, stage, chosen=network is not None):
        enough = solved or is_enough([*(fit for *_, fit in tries), *found])
        if enough and not (beyond and len(tries) == 1):
            break
        phases = again.config.phases.cold_start(again.task)
        blank = start(again.config, again.task, phases, again.stage)
        trainer = Trainer(blank, again.config, seed, callbacks)
        fit = yield from steps_of(trainer.fit)(again.task, phases, again.stage)
        tries.append((blank, again.task, fit))
    fits = [fit for *_, fit in tries]
    place = best_of([*fits, *found]) - len(fits)
    if place >= 0 and not (beyond and any(fit.outcome in ENDED_WELL for fit in fits)):
        blank, task, fit = random[place]
        return _ended(blank, task, [*fits, *_without(found, fit)], fit, wanted)
    blank, task, fit = tries[best_of(fits)]
    others = _without(fits, fit)
    solver, joined = _ended(blank, task, [*others, *found], fit, wanted)
    refined = yield from steps_of(refine)(solver, task, wanted, seed, callbacks, f"{stage}.refine")
    solver, joined = refined.surrogate, with_given_up(joined, refined.given_up)
    if refined.fits:
        solver = build_surrogate(solver, task, refined.fits, "trained")
        joined = joined_fits([joined, *refined.fits])
    if network is None and late and not is_reached(solver, wanted):
        random = yield from steps_of(random_windows)(
            whole, wanted, seed, callbacks, f"{stage}.random"
        )
    best = min(random, key=lambda own: rank_of(own[-1]), default=None)
    if best is not None and rank_of(best[-1]) < rank_of(joined):
        found = _without([fit for *_, fit in random], best[-1])
        given_up = [*refined.given_up, *found]
        return _ended(*best[:2], [*others, fit, *refined.fits, *given_up], best[-1], wanted)
    found = [fit for *_, fit in random]
    return after_given_up(solver, found), with_given_up(joined, found)


def _without(fits: Sequence[FitResult], one: FitResult) -> list[FitResult]:
    """The other fits."""
    return [fit for fit in fits if fit is not one]


def _are_near(fits: Sequence[FitResult]) -> bool:
    """Whether one of them is right enough for a refinement, as none is along a chaotic orbit."""
    return any(rank_of(fit)[0] <= SMALL_ERROR for fit in fits)


def _are_final(fits: Sequence[FitResult], config: TrainingConfig) -> bool:
    """Whether one of them meets the equation to the tolerance, or the device was lost.

    Where its estimated error is above it all the same, that grows in time, and so it would again.
    """
    return any(
        fit.outcome == Outcome.DEVICE_LOST
        or (fit.assessment is not None and fit.assessment.meets(config.tolerance))
        for fit in fits
    )


def _ended(
    blank: Surrogate,
    task: Task,
    others: Sequence[FitResult],
    fit: FitResult,
    wanted: TrainingConfig,
) -> tuple[Surrogate, FitResult]:
    """What the best of several tries gives, by the tolerance that is wanted, and all as one fit.

    Args:
        others: the tries beside it.
        fit: the best one, which began with `blank`.
    """
    fit = replace(fit, outcome=regraded(fit.outcome, fit.assessment, wanted.tolerance))
    joined = joined_fits([*others, fit])
    return build_surrogate(blank, task, [joined], "trained"), joined


def build_surrogate(
    start: Surrogate,
    task: Task,
    fits: Sequence[FitResult],
    stage: str,
) -> Surrogate:
    """The surrogate that a chain of fits ends in, with their history on one clock.

    Args:
        start: whose network the fits were of, and whose retained solvers and history go on.
    """
    fit = joined_fits(fits)
    later = ({**entry, "seconds": start.seconds + entry["seconds"]} for entry in fit.history)
    solver = task.solver(start.network, fit.weights, fit.sampling)
    ended = replace(
        start,
        network=solver.network,
        ansatz=solver.ansatz,
        weights=solver.weights,
        stage=stage,
        outcome=fit.outcome,
        assessment=fit.assessment,
        history=(*start.history, *later),
        seconds=start.seconds + fit.seconds,
        steps=start.steps + fit.steps,
        points=fit.sampling.points if task.solves_equation else start.points,
        held_out=fit.held_out,
        provenance={},
        outcomes={**start.outcomes, stage: fit.outcome},
    )
    return ended.to(ended.runtime)  # a lost device leaves the weights on the CPU: masks follow
