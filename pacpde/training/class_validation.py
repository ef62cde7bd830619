"""Fits to few labels of classes: the penalty of the least log-loss in stratified cross-validation.

As for values (`pacpde.training.cross_validation`) a penalty pulls the weights to their start,

    min over w of mean (−log p) + Σ λ_i (w_i − w_start,i)²,

with the same λ for all weights or one a layer, in decades, each fit from the one before. Every λ is
fitted again without each fold of the labels: p of a label is that of the fit which did not have it.
The temperature of these probabilities is chosen too, where there are labels enough.

Over digits (10 and 25 labels, dense and convolutional networks) the marginal likelihood by
Laplace's approximation chose fits with 1.0 to 1.2 times the log-loss, and so did leave-one-out in
closed form, after one Newton step: labels whose class is sure have hardly any curvature. Over
breast cancer and wine the marginal likelihood chose 0.84 to 1.06 times, before a temperature; with
the temperature of the labels left out the folds were ahead there too from 25 labels on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt

import numpy as np
import torch
from scipy.special import log_softmax

from pacpde.networks.batch import Ansatz
from pacpde.networks.class_ansatz import ClassAnsatz
from pacpde.networks.protocol import Network
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.penalised import ClassRows, PenalisedFit, Prior, penalty_path
from pacpde.optim.stepwise import Steps, Work
from pacpde.residuals.class_terms import CrossEntropyTerm
from pacpde.residuals.task import LabelRows, SamplingSpec, Task
from pacpde.residuals.temperature import MIN_ROWS, temperature_of
from pacpde.residuals.terms import Term
from pacpde.runtime import generator
from pacpde.training.callbacks import FitState
from pacpde.training.label_fit import LabelFit, LinearisedRows, best_on, count, places_of
from pacpde.training.posterior import ClassChoice, CrossValidation, numbers
from pacpde.training.trainer import Trainer

MOST_ROWS = 1000  # labels times classes; steps take their cube
PENALTIES = tuple(10.0**power for power in range(1, -6, -1))  # λ, where K has trace n
PATIENCE = 2  # values of λ after the best one so far
STEPS, TOLERANCE = 3, 1e-3  # of each fit on the path
FOLDS, FEWER_FOLDS, MANY = 5, 3, 50  # of up to so many labels, and of more


@dataclass(frozen=True)
class Logits:
    """x [weights] → logits [labels, classes] of a problem, whose first term is of classes."""

    problem: LeastSquares

    def __call__(self, x: np.ndarray) -> np.ndarray:
        weights = self.problem.insert(self.problem.weights.new_tensor(x))
        return logits_of(self.problem.network, weights, self.problem.terms[0])


def logits_of(network: Network, weights: torch.Tensor, labels: Term) -> np.ndarray:
    """Of a term of classes, [labels, classes]."""
    batch = labels.batch
    with torch.no_grad():
        outputs = network.forward(weights, batch.inputs, batch.names)
        return numbers(batch.fields(outputs)[0])


def class_choice(labels: Term, logits: np.ndarray, ansatz: Ansatz) -> ClassChoice:
    """Logits at labels that did not make them, with the temperature that they choose.

    Few of them choose none: it is that of the source then.
    """
    assert isinstance(labels, CrossEntropyTerm)
    assert isinstance(ansatz, ClassAnsatz)
    own = numbers(labels.values).argmax(1)
    chosen = temperature_of(logits, own) if len(own) >= MIN_ROWS else ansatz.temperature
    log_p = log_softmax(logits / chosen, axis=1)[np.arange(len(own)), own]
    return ClassChoice(logits, chosen, -log_p, places_of(labels))


@dataclass(frozen=True)
class Candidate:
    """A penalty, and what fits of the folds say of it."""

    prior: Prior
    penalty: float
    choice: ClassChoice
    steps: int
    evaluations: int


@dataclass(frozen=True)
class ClassFit(LabelFit):
    """Of classes: the penalty of the least log-loss of labels left out.

    Attributes:
        rows: of all labels.
    """

    rows: ClassRows

    @classmethod
    def of(
        cls, trainer: Trainer, task: Task, sampling: SamplingSpec, drawn: LabelRows
    ) -> "ClassFit | None":
        """None where labels are many, of one class or one place, or where nothing can be fitted."""
        labels = drawn.labels
        plain = all(term.is_least_squares for term in drawn.others)
        own = cls.prepared(trainer, task, sampling, drawn, MOST_ROWS)
        if own is None or not plain or not isinstance(labels, CrossEntropyTerm):
            return None
        places, values = places_of(labels), numbers(labels.values)
        if len(np.unique(places)) < 2 or len(np.unique(values.argmax(1))) < 2:
            return None
        rows = ClassRows(
            LinearisedRows(own["problem"], own["scale"]), drawn.n_labels,
            np.tile(places, labels.n_components), logits=Logits(own["problem"]), values=values,
            logit_penalty=labels.logit_penalty,
        )  # fmt: skip
        return cls(**own, rows=rows)

    def search(self, state: FitState) -> Steps[tuple[torch.Tensor, CrossValidation]]:
        start = self._choice(self.rows.logits(self.x0))
        yield from self.tell(state, self.weights(None), cross_validation(start, start))
        folds = folds_of(self.rows.values.argmax(1), places_of(self.labels), self.trainer.seed)
        best: Candidate | None = None
        for prior in self.priors():
            if prior.name == "relative":  # was best in few of the measurements, and by little
                continue
            path = self._candidates(prior, folds)
            own = yield from best_on(path, lambda one: -one.choice.log_loss, PATIENCE, state)
            if own and (best is None or own.choice.log_loss < best.choice.log_loss):
                best = own
        if best is None or not best.choice.beats(start):
            return self.weights(None), cross_validation(start, start)
        fitted = yield Work(partial(self._fit, best))
        fit: PenalisedFit = fitted.value
        count(state, fit.steps, fit.evaluations, fitted.seconds)
        found = cross_validation(best.choice, start, self.strength(fit), fit.prior.name)
        yield from self.tell(state, self.weights(fit), found)
        return self.weights(fit), found

    def _candidates(self, prior: Prior, folds: np.ndarray) -> Iterator[Candidate]:
        """Fits with ever smaller λ, without each fold."""
        held = [folds == fold for fold in np.unique(folds)]
        for fits in zip(*(self._path(self.rows.without(own), prior) for own in held), strict=True):
            logits = np.empty_like(self.rows.values)
            for left_out, fit in zip(held, fits, strict=True):
                logits[left_out] = self.rows.logits(fit.x)[left_out]
            steps, evaluations = (
                sum(each) for each in zip(*((f.steps, f.evaluations) for f in fits), strict=True)
            )
            yield Candidate(prior, fits[0].penalty, self._choice(logits), steps, evaluations)

    def _fit(self, candidate: Candidate) -> PenalisedFit:
        """Of all labels, on the path that those of the folds took."""
        steps = evaluations = 0
        for fit in self._path(self.rows, candidate.prior):
            steps, evaluations = steps + fit.steps, evaluations + fit.evaluations
            if fit.penalty <= candidate.penalty:
                break
        return replace(fit, steps=steps, evaluations=evaluations)

    def _path(self, rows: ClassRows, prior: Prior) -> Iterator[PenalisedFit]:
        return penalty_path(rows, prior, self.x0, PENALTIES, STEPS, TOLERANCE)

    def _choice(self, logits: np.ndarray) -> ClassChoice:
        return class_choice(self.labels, logits, self.task.ansatz(self.sampling))


def cross_validation(
    choice: ClassChoice, start: ClassChoice, strength: float | None = None, prior: str = ""
) -> CrossValidation:
    """Of classes; errors are √(2 log-loss), as held-out residuals are."""
    own, untouched = (sqrt(2 * each.log_loss) for each in (choice, start))
    return CrossValidation(own, untouched, len(choice.losses), strength, prior, 1.0, classes=choice)


def folds_of(numbers: np.ndarray, places: np.ndarray, seed: int) -> np.ndarray:
    """The fold of each label, int [labels]: about as many of each class in each.

    Labels at one place are in one fold, with the class of its first label.
    """
    first = np.unique(places, return_index=True)[1]  # the first label of each place, by its number
    rng = generator(seed, "folds of labels")
    count = FOLDS if len(first) < MANY else FEWER_FOLDS
    of_place, used = np.empty(len(first), dtype=int), 0
    shuffled = rng.permutation(len(first))
    for number in np.unique(numbers[first]):
        own = shuffled[numbers[first][shuffled] == number]
        of_place[own] = (used + np.arange(len(own))) % count
        used += len(own)
    return of_place[places]
