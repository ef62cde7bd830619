"""PAC: prune, allocate, calibrate."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from pacpde.checks import check_choice, check_count, check_nonnegative
from pacpde.errors import InvalidValueError
from pacpde.methods.allocation import allocate_source
from pacpde.methods.base import MethodResult, TransferContext, best_last, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.methods.ladder import LadderMethod
from pacpde.methods.own_weights import fit_beside, missing_neurons, n_unused, uses
from pacpde.methods.rung import (
    Rung,
    callbacks_of,
    named_history,
    rung_name,
    with_notes_of,
)
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE, prune
from pacpde.pac.mask import SCOPES, TREATMENTS, check_sparsity, score_mask
from pacpde.pac.reinit import REINIT_MODES, reinit_dead_neurons, widen
from pacpde.pac.scores import SCORES
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import FitResult

LADDER = (0.0, 1e-9, 1e-7, 1e-5, 1e-3)  # of λ
WIDEST = 256  # extra_neurons; the weights of a layer go with its square
LARGEST_SCALE = 1e6  # reinit_scale; units that saturate so far have no slopes


@dataclass(frozen=True)
class PAC(LadderMethod):
    """w_U ← argmin L_S(w ⊙ m); then min over w_P of L_T(w_U + w_P) + λ‖w_P‖².

    Myung et al., ICML 2022 (arXiv 2206.05703), with what was measured to serve it best:

    - the source keeps whole neurons, those that its loss depends on most;
    - the target starts from noisy copies of these in the place of the other neurons, whose outputs
      are not used at the start.

    With a `ladder` every rung gets an equal part of the freed weights and is kept in them beside
    the source, as "rung 1", "rung 2", ...; a rung that is not solved in its part keeps all that it
    was solved in, and those after it get as many. Where too few are left for the next one, or where
    it is not solved in them, every hidden layer gets neurons. The target takes what is left.

    `pac_net` is closer to the paper; no number of theirs is claimed.

    Few labels choose the sparsity too, by default: 0.65 or 0.8, the more probable one (MacKay 1992,
    "Bayesian interpolation"). Of classes 0.5 or 0.8, by cross-validation; there single weights are
    kept, from 0 (`scope="global"`, `reinit_scale=0.0`): small networks that lost whole neurons were
    far worse on rows that are unlike the source's.

    Attributes:
        sparsity: share of the weights taken from the source and freed for the target.
        strength: λ. With labels alone the default is no λ but the one that they choose, see
            `pacpde.training.cross_validation`; another λ is taken as it is.
        tune_penalty: calibrate with each λ of `LADDER` instead of `strength`, and take the result
            of the lowest held-out residual; the record counts all of them.
        scope, biases, head: see `pacpde.pac.score_mask`.
        mask: what decides which weights are kept: "magnitude", "sensitivity", or as controls
            "random" and "inverted"; see `pacpde.pac.scores`.
        rounds: number of rounds of pruning. Each prunes the same share of the remaining weights,
            and is followed by an allocate (Han et al. 2015, arXiv 1506.02626).
        max_source_loss_ratio: the held-out residual of the source may grow by this factor; the
            rounds end before it is exceeded, and `sparsity` is then the most that is pruned. None
            for no limit.
        extra_neurons: neurons that every hidden layer gets for the target. All of their weights are
            trainable, the source does not use them. More is stored and evaluated.
        reinit_scale: size of the random part of the weights into neurons that the source no longer
            uses, at the start of the target's fit; see `pacpde.pac.reinit`. 0 leaves these weights
            at 0, as PAC-Net does.
        reinit_mode: "copy": these weights are copies of those of neurons that the source uses, plus
            noise; `reinit_scale` is in the mean size of the copied weights. "random": they are
            drawn anew; `reinit_scale` is in the spread of the weights at the start of a fit.
        allocate_steps: maximal number of steps of an allocate; None takes the config's.
    """

    name = "pac"
    random_windows_way = "beside"
    summary = "prune, allocate on the source, then min L_T(w_U + w_P) + λ‖w_P‖² over the freed w_P"

    renamed_options = {
        **ContinuationMethod.renamed_options,
        "choose": "tune_penalty",
        "lose": "max_source_loss_ratio",
        "grow": "extra_neurons",
        "wake": "reinit_scale",
        "wake_from": "reinit_mode",
    }
    renamed_values = {**ContinuationMethod.renamed_values, "reinit_mode": {"kept": "copy"}}

    fixes_penalty: ClassVar[tuple[str, ...] | None] = (
        "steps",
        "continuation",
        "ladder",
        "strength",
        "tune_penalty",
    )

    class_options: ClassVar[Mapping[str, Any]] = {"scope": "global", "reinit_scale": 0.0}
    # that few labels choose of, of classes and of values
    class_sparsities: ClassVar[Sequence[float]] = (0.5, 0.8)
    value_sparsities: ClassVar[Sequence[float]] = (0.65, 0.8)

    sparsity: float = 0.65
    strength: float = 1e-12
    scope: str = "neuron"
    biases: str = "prune"
    head: str = "prune"
    mask: str = "sensitivity"
    tune_penalty: bool = False
    rounds: int = 1
    max_source_loss_ratio: float | None = None
    extra_neurons: int = 0
    reinit_scale: float = 1.0
    reinit_mode: str = "copy"
    allocate_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sparsity(self.sparsity)
        check_choice("scope", self.scope, SCOPES)
        check_choice("treatment of biases", self.biases, TREATMENTS)
        check_choice("treatment of the head", self.head, TREATMENTS)
        check_choice("mask", self.mask, tuple(SCORES))
        check_choice("reinit_mode", self.reinit_mode, REINIT_MODES)
        check_nonnegative("strength (λ)", self.strength)
        check_nonnegative("reinit_scale", self.reinit_scale)
        if self.reinit_scale > LARGEST_SCALE:
            raise InvalidValueError(
                f"reinit_scale is {self.reinit_scale}, expected at most {LARGEST_SCALE:g}."
            )
        check_count("rounds", self.rounds, 1)
        check_count("extra_neurons", self.extra_neurons, 0, WIDEST)
        if self.allocate_steps is not None:
            check_count("allocate_steps", self.allocate_steps, 1)
        if self.tune_penalty and self.strength != type(self).strength:
            raise InvalidValueError(
                f"strength is {self.strength:g}, and tune_penalty tries other values: leave one of "
                "them out."
            )
        if self.tune_penalty and self.ladder is not None:
            raise InvalidValueError(
                f"ladder is {self.ladder}, and tune_penalty tries several λ: leave one of them out."
            )
        if not self.reinit_scale and self.reinit_mode != type(self).reinit_mode:
            raise InvalidValueError(
                f"reinit_mode is {self.reinit_mode!r}, without effect where reinit_scale is 0: "
                "leave one of them out."
            )
        if self.max_source_loss_ratio is not None and self.rounds == 1:
            raise InvalidValueError(
                "max_source_loss_ratio needs rounds above 1: the last one before it is kept."
            )
        if self.max_source_loss_ratio is not None and not self.max_source_loss_ratio > 1:
            raise InvalidValueError(
                f"max_source_loss_ratio is {self.max_source_loss_ratio}, expected a number above "
                "1: the factor by which the source's held-out residual may grow."
            )

    def check_network(self, network: Network) -> None:
        asked = [name for name in ("reinit_scale", "extra_neurons") if getattr(self, name)]
        asked = ["scope='neuron'"] * (self.scope == "neuron") + asked
        if asked and not network.has_neurons:
            raise InvalidValueError(
                f"a network of the class {type(network).__name__} does not say which weights its "
                f"hidden neurons have, and {' and '.join(asked)} of {self.name} need that: write "
                f'{type(self).__name__}(scope="filter", reinit_scale=0.0), which keeps whole '
                f"filters and rows of matrices, or another scope. {network.lacks_neurons}".rstrip()
            )
        if self.extra_neurons:
            network.enlarged(extra_neurons=self.extra_neurons)  # or a sentence
        if self.ladder is not None:
            network.enlarged(extra_neurons=1)  # or a sentence
        alike = torch.ones(network.size, device="cpu")  # how many are kept is the same for any
        try:
            for sparsity in self._sparsities:
                score_mask(network, alike, sparsity, **self._treatment)
        except InvalidValueError as error:
            advice = " Or take fewer rounds." if self.rounds > 1 else ""
            raise InvalidValueError(f"{error}{advice}") from None

    @property
    def unused_settings(self) -> Mapping[str, str]:
        return super().unused_settings if self.allocate_steps else {}  # an allocate takes its steps

    @property
    def _treatment(self) -> dict[str, str]:
        return {"scope": self.scope, "biases": self.biases, "head": self.head}

    @property
    def _sparsities(self) -> list[float]:
        """Of every round; each takes the same share of what is left."""
        left = 1 - self.sparsity
        return [*(1 - left ** (k / self.rounds) for k in range(1, self.rounds)), self.sparsity]

    def for_classes(self) -> Self:
        options = {*self.class_options, "reinit_mode", "extra_neurons"}
        given = bool(options & {*self.changed_options})
        return self if given else replace(self, **self.class_options)

    def _candidates(self, target: Task, config: TrainingConfig) -> list[Self]:
        """With each sparsity that the labels choose of; itself alone where there is no choice."""
        given = self.sparsity != type(self).sparsity or self.rounds > 1
        if given or not self.chooses_penalty(target, config):
            return [self]
        sparsities = self.class_sparsities if target.has_classes else self.value_sparsities
        return [replace(self, sparsity=each) for each in sparsities] or [self]

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        tried: list[tuple[PAC, MethodResult]] = []
        for candidate in self._candidates(target, self.config(context)):
            found = yield from steps_of(candidate.run_once)(source, target, context)
            tried.append((candidate, found))
            if found.cross_validation is None:  # many labels: there is nothing to compare by
                break
        if len(tried) == 1:
            return tried[0][1]
        best, result = max(tried, key=lambda each: _score(each[1]))
        name, sign = ("log-loss at labels left out", -1) if target.has_classes else ("evidence", 1)
        scores = ", ".join(f"{own.sparsity:g}: {sign * _score(found):.3g}" for own, found in tried)
        note = f"labels chose the sparsity {best.sparsity:g}; {name}: {scores}"
        return replace(
            result,
            surrogate=result.surrogate.with_notes([note]),
            steps=sum(each.steps for _, each in tried),
            evaluations=sum(each.evaluations for _, each in tried),
            seconds={
                stage: sum(each.seconds[stage] for _, each in tried) for stage in result.seconds
            },
        )

    @stepwise
    def run_once(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> Steps[MethodResult]:
        """With the sparsity as it is."""
        config = self.config(context)
        stage = yield from steps_of(self.allocate)(source.reset(), context)
        allocated = widen(stage.allocated, self.extra_neurons, context.seed)
        mask = allocated.retained[SOURCE].mask
        if self.reinit_scale:
            allocated = reinit_dead_neurons(
                allocated, mask, context.seed, self.reinit_scale, config.frequency, self.reinit_mode
            )
        trainable = ~mask
        fits: list[FitResult] = []
        prior = None if self.extra_neurons else source.weights  # the freed ones are 0 by now
        for number, strength in enumerate(LADDER if self.tune_penalty else (self.strength,)):
            anchor = Anchor.at(torch.zeros_like(allocated.weights[trainable]), strength)
            name = f"calibrate.{number}" if self.tune_penalty else "calibrate"
            trainer = self.trainer(
                allocated, trainable, context, anchor=anchor, stage=name, prior_weights=prior
            )
            fits = best_last(fits, (yield from steps_of(self.fits)(trainer, target)))
        surrogate = build_surrogate(allocated, target, fits, "calibrated")
        return stage.result(source, allocated, surrogate, trainable, fits)

    @stepwise
    def run_ladder(
        self, source: Surrogate, target: Task, context: TransferContext, rungs: Sequence[Problem]
    ) -> Steps[MethodResult]:
        """Rung after rung, each beside all before it.

        One that does not converge is not kept: the target follows, beside those before it.
        """
        stage = yield from steps_of(self.allocate)(source.reset(), context)
        allocated = here = widen(stage.allocated, self.extra_neurons, context.seed)
        count = max(1, n_unused(here) // len(rungs))
        found: list[Rung] = []
        every: list[FitResult] = []
        left = list(enumerate(rungs, 1))
        while left:
            number, problem = left.pop(0)
            name, last = rung_name(number), number == len(rungs)
            task = target if last else target.equation_at(problem)
            fits: list[FitResult] = []
            added = missing_neurons(here, count, WIDEST)
            larger = missing_neurons(here, n_unused(here) + count, WIDEST)
            best: tuple[Surrogate, torch.Tensor] | None = None
            for more, part in {added: name, larger: f"{name}, wider"}.items():
                callbacks = [*context.callbacks] if last else callbacks_of(context.callbacks, name)
                if more != added:
                    callbacks = [each.part(part) for each in context.callbacks
                                 if last or not each.target_only]  # fmt: skip
                start, tried, own = yield from steps_of(fit_beside)(
                    self, widen(here, more, context.seed + number), task,
                    replace(context, callbacks=callbacks),
                    sys.maxsize if last else count, not last,
                )  # fmt: skip
                if best is None or tried[-1].held_out < fits[-1].held_out:
                    best, fits, added = (start, own), [*fits, *tried], more
                else:
                    fits = [*tried, *fits]
                if fits[-1].outcome == Outcome.CONVERGED:
                    break
            assert best is not None
            start, own = best
            used = uses(start) > 0
            solved = build_surrogate(start, task, fits, "calibrated")
            if not last:
                before = len(here.history)
                named = named_history(replace(solved, history=solved.history[before:]), name)
                solver = RetainedSolver(
                    solved.ansatz, used | own, outcome=solved.outcome, assessment=solved.assessment
                )
                history = (*here.history, *named.history)
                if solved.outcome == Outcome.CONVERGED:
                    count = max(count, int(own.sum()))  # a harder rung needs no fewer
                    here = replace(
                        solved, history=history, retained={**start.retained, name: solver},
                        weights=torch.where(used | own, solved.weights, 0),
                    )  # fmt: skip
                else:
                    left = left[-1:]
                    here = replace(
                        here, history=history, seconds=solved.seconds, steps=solved.steps
                    )
            else:
                here = solved
            found.append(
                Rung(
                    name, problem, solved.outcome, solved.assessment,
                    sum(fit.steps for fit in fits), sum(fit.seconds for fit in fits),
                    int(own.sum()), added,
                )
            )  # fmt: skip
            every += fits
        result = stage.result(source, allocated, with_notes_of(here, found), own, every)
        result = replace(result, rungs=found)
        return (yield from steps_of(self.or_without_ladder)(result, source, target, context))

    @stepwise
    def allocate(self, source: Surrogate, context: TransferContext) -> Steps["SourceStage"]:
        """Prune and allocate, round by round."""
        own = context.config.with_steps(self.allocate_steps or context.config.steps)
        task, limit = context.source_task, None
        if self.max_source_loss_ratio is not None:
            sampling = own.phases.after_pruning(task)[-1].sampling
            before = task.held_out(source.network, source.weights, sampling)
            limit = self.max_source_loss_ratio * before
        result: SourceStage | None = None
        latest, fits, seconds = source, [], 0.0
        for number, sparsity in enumerate(self._sparsities, 1):
            clock = time.perf_counter()
            scores = SCORES[self.mask](latest, task, context.seed)
            if number > 1:  # what was pruned once stays so
                scores = torch.where(latest.retained[SOURCE].mask, scores, -torch.inf)
            pruned = prune(
                latest, sparsity, scores=scores, **self._treatment, new_weights=context.new_weights
            )
            seconds += time.perf_counter() - clock
            latest, more = yield from steps_of(allocate_source)(
                pruned,
                task,
                own,
                stage="allocate" if number == self.rounds else f"allocate.{number}",
                seed=context.seed,
                callbacks=[each for each in context.callbacks if not each.target_only],
            )
            fits += more
            if result and limit is not None and not more[-1].held_out <= limit:
                # the clock and the history go on; the weights are those of the round before
                result = replace(result, allocated=replace(
                    result.allocated, history=latest.history, seconds=latest.seconds,
                    steps=latest.steps,
                ))  # fmt: skip
                break
            result = SourceStage(latest, pruned)
        assert result is not None
        return replace(result, fits=fits, pruning_seconds=seconds)


def _score(result: MethodResult) -> float:
    """By which the choices of few labels are compared: the evidence; of classes, −log-loss.

    Both are of the choice before the source is returned: the weights may be untouched.
    """
    found = result.cross_validation
    if found is None:
        return -math.inf
    return -(found.cv_error**2) / 2 if found.evidence is None else found.evidence


@dataclass(frozen=True)
class SourceStage:
    """The source in the weights of the last round, and what the rounds took."""

    allocated: Surrogate
    pruned: Surrogate
    fits: Sequence[FitResult] = ()
    pruning_seconds: float = 0.0

    def result(
        self,
        source: Surrogate,
        allocated: Surrogate,
        solver: Surrogate,
        trained: torch.Tensor,
        fits: Sequence[FitResult],
    ) -> MethodResult:
        """The result of a calibrate after this stage; a poor source is said in its outcome.

        Args:
            allocated: of this stage, with the neurons and weights that the calibrate began with.
            solver: of the target.
            trained: weights that the calibrate trained last, bool [size].
            fits: of the calibrate.
        """
        if allocated.outcome != "converged" and solver.outcome == "converged":
            solver = replace(solver, outcome=allocated.outcome.in_stage("allocate"))
        snapshots = {"trained": source, "pruned": self.pruned, "allocated": allocated}
        every = [*self.fits, *fits]
        result = MethodResult.of(solver, int(trained.sum()), every, **snapshots)
        allocate, calibrate = (sum(fit.seconds for fit in some) for some in (self.fits, fits))
        seconds = {"prune": self.pruning_seconds, "allocate": allocate, "calibrate": calibrate}
        return replace(result, seconds=seconds)
