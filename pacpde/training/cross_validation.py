"""Fits to labels alone: how far the weights may leave their start, chosen by the labels.

Few labels do not tell all weights. So a fit to labels alone has a penalty that pulls the weights to
their start,

    min over w of mean (u − y)² / 2 + Σ λ_i (w_i − w_start,i)²,

whose size and form are chosen:

- form: the same λ for all weights ("uniform"), one a layer so that every layer counts alike
  ("layer"), or λ_i ∝ 1/w_i² ("relative");
- size: from the start itself, λ = ∞, down by decades; each fit begins from the one before.

The choice is the most probable one (marginal likelihood, by Laplace's approximation at the end of
each nonlinear fit). It is checked by leave-one-out cross-validation, in closed form at the end of
the fit; where it fails there, the weights stay at their start. Over Burgers, heat and Lorenz, 6
draws of 10, 25 and 100 labels each, the least cross-validated error itself was no good guide: it
chose fits up to 3 times worse than the source (9 times after one linear step), the marginal
likelihood nowhere more than 1.2 times.

Labels that are classes choose by cross-validation, see `pacpde.training.class_validation`.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, sqrt

import numpy as np
import torch

from pacpde.networks.outcome import Outcome
from pacpde.optim.penalised import PenalisedFit, Rows, penalty_path, untouched_evidence
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.residuals.task import LabelRows, SamplingSpec, Task
from pacpde.residuals.terms import LabelTerm
from pacpde.runtime import generator
from pacpde.training.callbacks import FitState
from pacpde.training.class_validation import ClassFit
from pacpde.training.label_fit import LabelFit, LinearisedRows, best_on, count, places_of
from pacpde.training.posterior import CrossValidation, LargestMiss, Posterior, numbers
from pacpde.training.trainer import FitResult, Trainer

MOST_ROWS = 500  # steps take their cube; more labels are not few, and a fifth can be held out
PENALTIES = tuple(10.0**power for power in range(2, -9, -1))  # λ, where K has trace n
PATIENCE = 3  # values of λ after the best one so far
STEPS, TOLERANCE = 6, 1e-3  # of each fit on the path
LAST_STEPS, LAST_TOLERANCE = 20, 1e-8  # of the one that is chosen
CLEARLY = log(20)  # log of a Bayes factor that is called strong (Kass & Raftery 1995)
FEW = 8  # values a field; fewer do not tell noise from an interpolation
FEW_NOISE = 0.25  # least σ of few values, a share of the misfit of the start


@dataclass(frozen=True)
class ValueFit(LabelFit):
    """Of values: the most probable penalty, checked by leave-one-out errors in closed form.

    Attributes:
        measured: numbers of the rows of the labels' term that are labels; a field that was not
            measured has none.
        few: see `CrossValidation`.
    """

    measured: np.ndarray
    few: bool

    @classmethod
    def of(
        cls, trainer: Trainer, task: Task, sampling: SamplingSpec, drawn: LabelRows
    ) -> "ValueFit | None":
        """None where labels are many, where there are none, or where nothing can be fitted."""
        own = cls.prepared(trainer, task, sampling, drawn, MOST_ROWS)
        if own is None:
            return None
        r0, J0 = own["r0"], own["J0"]
        kept = np.flatnonzero((r0 != 0) | (J0 != 0).any(1))
        labels = kept[kept < drawn.n_labels]
        if len(labels) < 2:
            return None
        points = np.tile(places_of(drawn.labels), drawn.labels.n_components)[labels]
        n_fields = len(np.unique(labels // drawn.labels.batch.size))
        few, noise = drawn.noise is None and len(labels) < FEW * n_fields, drawn.noise
        if few:
            noise = FEW_NOISE * _rms(r0[labels])
        linear = LinearisedRows(own["problem"], own["scale"], kept)
        own |= {"r0": r0[kept], "J0": J0[kept]}
        return cls(**own, rows=Rows(linear, len(labels), points, noise), measured=labels, few=few)

    @property
    def start_error(self) -> float:
        """Error of the labels at the start, which they did not touch."""
        return _rms(self.r0[: self.rows.n_labels])

    @property
    def untouched(self) -> float:
        """Evidence of the start."""
        return untouched_evidence(self.rows, self.r0[: self.rows.n_labels])

    def search(self, state: FitState) -> Steps[tuple[torch.Tensor, CrossValidation]]:
        best: PenalisedFit | None = None
        for prior in self.priors():
            path = penalty_path(self.rows, prior, self.x0, PENALTIES, STEPS, TOLERANCE)
            own = yield from best_on(path, lambda fit: fit.evidence, PATIENCE, state)
            best = max(
                (one for one in (best, own) if one is not None), key=lambda one: one.evidence
            )
            yield from self._tell(state, best)
        if best is not None:
            begun = replace(best, steps=0, evaluations=0)
            last = yield Work(partial(begun.minimised, LAST_STEPS, LAST_TOLERANCE))
            best = last.value
            count(state, best.steps, best.evaluations, last.seconds)
        chosen, found = self.choice(best)
        yield from self._tell(state, chosen)
        return self.weights(chosen), found

    def _tell(self, state: FitState, fit: PenalisedFit | None) -> Steps[None]:
        chosen, found = self.choice(fit)
        return self.tell(state, self.weights(chosen), found)

    def choice(self, fit: PenalisedFit | None) -> "tuple[PenalisedFit | None, CrossValidation]":
        """A fit where it beats the start, else the start."""
        posterior, n = None, self.rows.n_labels
        if fit is not None:
            network, ansatz = self.problem.network, self.task.ansatz(self.sampling)
            mask = self.problem.trainable_mask
            posterior = Posterior(network, ansatz, self.weights(fit), mask, fit, self.few)
            error, noise = _rms(fit.left_out), sqrt(fit.noise_variance)
            if self._beats_start(fit):
                found = CrossValidation(
                    error, self.start_error, n, self.strength(fit), fit.prior.name, noise,
                    False, posterior, self.few, self._span, self._largest(fit.left_out),
                    evidence=fit.evidence,
                )  # fmt: skip
                return fit, found
        start, missed = self.start_error, self._largest(self.r0[:n])
        return None, CrossValidation(
            start,
            start,
            n,
            None,
            "",
            start,
            False,
            posterior,
            self.few,
            self._span,
            missed,
            evidence=self.untouched,
        )

    @property
    def _span(self) -> tuple[tuple[float, float], ...]:
        """Least and largest coordinate of the labels, an axis."""
        at = numbers(self.labels.batch.coordinates)[self.measured % self.labels.batch.size]
        return tuple((float(axis.min()), float(axis.max())) for axis in at.T)

    def _largest(self, missed: np.ndarray) -> LargestMiss | None:
        """The label with the largest of these rows."""
        if not isinstance(self.labels, LabelTerm) or not missed.any():
            return None
        worst = int(np.abs(missed).argmax())
        field, row = divmod(int(self.measured[worst]), self.labels.batch.size)
        point = numbers(self.labels.batch.coordinates)[row]
        value = float(numbers(self.labels.values)[row, field])
        share = float(missed[worst] ** 2 / (missed @ missed))
        return LargestMiss(share, row + 1, field, value, tuple(point.tolist()))

    def _beats_start(self, fit: PenalisedFit) -> bool:
        """Whether a fit is more probable than the start and has a smaller leave-one-out error.

        The error has to be smaller by one standard error of the difference, or the probability to
        be clearly greater: few labels with large errors of their own hide any difference.
        """
        gains = self.r0[: self.rows.n_labels] ** 2 - fit.left_out**2
        by_point = np.bincount(self.rows.points, gains)[np.unique(self.rows.points)]
        spread = by_point.std(ddof=1) if len(by_point) > 1 else np.inf
        bayes_factor = fit.evidence - self.untouched
        if not (bayes_factor > 0 and gains.sum() > 0):
            return False
        return bool(by_point.mean() > spread / sqrt(len(by_point)) or bayes_factor > CLEARLY)


def label_fit(trainer: Trainer, task: Task) -> LabelFit | None:
    """What a fit to labels alone is made of; None where there are many, or an equation."""
    sampling = trainer.config.phases.warm_start(task)[-1].sampling
    network, start = trainer.surrogate.network, trainer.surrogate.weights
    rng = generator(trainer.seed, trainer.stage, "labels")
    drawn = task.label_rows(network, start, sampling, rng)
    if drawn is None:
        return None
    kind = ValueFit if drawn.labels.is_least_squares else ClassFit
    return kind.of(trainer, task, sampling, drawn)


@stepwise
def fit_labels(trainer: Trainer, task: Task) -> Steps[FitResult | None]:
    """The fit to labels alone with the penalty that the labels choose; None where there are many.

    A penalty of the trainer on all weights that differs from weight to weight gives the form in
    place of the ones above. Size and centre are as for all: without a label nothing moves.
    """
    task = trainer.task_transform(task)
    prepared = yield Work(partial(label_fit, trainer, task))
    labels: LabelFit | None = prepared.value
    if labels is None:
        return None
    start = trainer.surrogate.weights
    state = FitState(
        trainer.stage, 0, (), start, start,
        lambda: task.solver(trainer.surrogate.network, state.best, labels.sampling),
        labels.sampling, seconds=prepared.seconds,
    )  # fmt: skip
    for callback in trainer.callbacks:
        yield from steps_of(callback.on_start)(replace(state))  # too short to be resumed
    weights, found = yield from labels.search(state)
    assessed = task.assess(trainer.surrogate.network, weights, labels.sampling, False)
    assessment = replace(assessed, residual=found.cv_error)
    met = assessment.meets(trainer.config.tolerance)
    return FitResult(
        weights,
        Outcome.CONVERGED if met else Outcome.NOT_CONVERGED,
        found.cv_error,
        state.steps,
        state.evaluations,
        state.seconds,
        tuple(state.history),
        assessment,
        labels.sampling,
        found,
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
