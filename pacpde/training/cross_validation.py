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
"""

from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, log, sqrt

import numpy as np
import torch

from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.penalised import (
    Linearised,
    PenalisedFit,
    Prior,
    Rows,
    penalty_path,
    untouched_evidence,
)
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import LabelTerm, Term
from pacpde.runtime import generator
from pacpde.training.callbacks import FitState
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
LEAST = 1e-6  # of the mean variance of the prior "relative", for weights near 0


@dataclass(frozen=True)
class LinearisedRows:
    """x [weights] → rows and Jacobian of a problem, times `scale`; `kept` of them, by default all.

    An object that can be pickled, as results of transfers can.
    """

    problem: LeastSquares
    scale: float
    kept: np.ndarray | None = None

    def __call__(self, x: np.ndarray) -> Linearised:
        r, jacobian = self.problem.linearise(self.problem.weights.new_tensor(x))
        chosen = slice(None) if self.kept is None else self.kept
        return numbers(r)[chosen] * self.scale, numbers(jacobian.dense())[chosen] * self.scale


@dataclass(frozen=True)
class LabelFit:
    """What a fit to labels alone is made of.

    Attributes:
        problem: least squares of all rows.
        rows: as a function of the trainable weights; a field that was not measured has none.
        x0: trainable weights at the start.
        r0, J0: rows and Jacobian there.
        scale: from the rows of a loss, which is a mean, to rows of one label each.
        labels: the term of the labels.
        measured: numbers of the rows of that term that are labels.
        few: see `CrossValidation`.
    """

    trainer: Trainer
    task: Task
    sampling: SamplingSpec
    problem: LeastSquares
    rows: Rows
    x0: np.ndarray
    r0: np.ndarray
    J0: np.ndarray
    scale: float
    labels: Term
    measured: np.ndarray
    few: bool

    @classmethod
    def of(cls, trainer: Trainer, task: Task) -> "LabelFit | None":
        """None where labels are many, where there are none, or where nothing can be fitted."""
        sampling = trainer.config.phases.warm_start(task)[-1].sampling
        network, start, mask = trainer.surrogate.network, trainer.surrogate.weights, trainer.mask
        rng = generator(trainer.seed, trainer.stage, "labels")
        drawn = task.label_rows(network, start, sampling, rng)
        memory = int(trainer.config.step_memory_gib * 2**29)
        if drawn is None or drawn.n_rows > MOST_ROWS:
            return None
        problem = LeastSquares(network, start, mask, drawn.terms, None, memory)
        if not len(problem.x0) or 8 * drawn.n_rows * len(problem.x0) > memory:
            return None
        scale = sqrt(drawn.labels.batch.size)
        x0 = numbers(problem.x0)
        r0, J0 = LinearisedRows(problem, scale)(x0)
        kept = np.flatnonzero((r0 != 0) | (J0 != 0).any(1))
        labels = kept[kept < drawn.n_labels]
        if len(labels) < 2 or not (np.isfinite(r0).all() and np.isfinite(J0).all()):
            return None
        coordinates = numbers(drawn.labels.batch.coordinates)
        places = np.unique(coordinates, axis=0, return_inverse=True)[1].ravel()
        points = np.tile(places, drawn.labels.n_components)[labels]
        n_fields = len(np.unique(labels // drawn.labels.batch.size))
        few, noise = drawn.noise is None and len(labels) < FEW * n_fields, drawn.noise
        if few:
            noise = FEW_NOISE * _rms(r0[labels])
        own = Rows(LinearisedRows(problem, scale, kept), len(labels), points, noise)
        return cls(
            trainer, task, sampling, problem, own, x0, r0[kept], J0[kept], scale, drawn.labels,
            labels, few,
        )  # fmt: skip

    @property
    def start_error(self) -> float:
        """Error of the labels at the start, which they did not touch."""
        return _rms(self.r0[: self.rows.n_labels])

    @property
    def untouched(self) -> float:
        """Evidence of the start."""
        return untouched_evidence(self.rows, self.r0[: self.rows.n_labels])

    def priors(self) -> list[Prior]:
        """Forms of the penalty; K has trace n at the start."""
        anchor, mask = self.trainer.anchor, self.trainer.mask
        if anchor is not None and not anchor.uniform and bool((anchor.strength > 0).all()):
            strength = numbers(anchor.strength)
            least = LEAST * max(strength.mean(), np.finfo(float).tiny)
            forms = {"given": 1 / np.maximum(strength, least)}
        else:
            network = self.trainer.surrogate.network
            forms = {"uniform": np.ones_like(self.x0)}
            layers = _layers(network)
            if layers is not None:
                by_layer = self._by_layer(layers[_flags(mask)])
                forms |= {} if by_layer is None else {"layer": by_layer}
            weights = self.trainer.prior_weights
            weights = self.trainer.surrogate.weights if weights is None else weights
            squares = numbers(weights[mask]) ** 2
            if np.count_nonzero(squares) > len(squares) / 2:
                forms["relative"] = squares + LEAST * squares.mean()
        found = []
        for name, variance in forms.items():
            trace = float(np.sum(self.J0**2 * variance))
            if isfinite(trace) and trace > 0:
                found.append(Prior(name, variance * len(self.r0) / trace, self.x0))
        return found

    def _by_layer(self, layers: np.ndarray) -> np.ndarray | None:
        """Variances by which all layers have the same trace in K; None of one layer."""
        traces = np.bincount(layers, (self.J0**2).sum(0))
        seen = np.unique(layers)
        used = [layer for layer in seen if traces[layer] > LEAST**2 * traces.sum()]
        if len(seen) < 2 or not used:
            return None
        variances = np.full(len(traces), 1 / max(traces[used]))
        variances[used] = 1 / traces[used]
        return variances[layers]

    def weights(self, fit: PenalisedFit | None) -> torch.Tensor:
        """The whole vector of a fit; that of the start for None."""
        start = self.problem.weights
        return start if fit is None else self.problem.insert(start.new_tensor(fit.x))

    def strength(self, fit: PenalisedFit) -> float:
        """λ of the loss ½ mean r² + λ Σ (w − w_start)², of a weight of mean variance."""
        return fit.penalty / (2 * self.scale**2 * float(fit.prior.variance.mean()))

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
                )  # fmt: skip
                return fit, found
        start, missed = self.start_error, self._largest(self.r0[:n])
        return None, CrossValidation(
            start, start, n, None, "", start, False, posterior, self.few, self._span, missed
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


@stepwise
def fit_labels(trainer: Trainer, task: Task) -> Steps[FitResult | None]:
    """The fit to labels alone with the penalty that the labels choose; None where there are many.

    A penalty of the trainer on all weights that differs from weight to weight gives the form in
    place of the ones above. Size and centre are as for all: without a label nothing moves.
    """
    task = trainer.task_transform(task)
    prepared = yield Work(partial(LabelFit.of, trainer, task))
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
    best: PenalisedFit | None = None
    for prior in labels.priors():
        path = penalty_path(labels.rows, prior, labels.x0, PENALTIES, STEPS, TOLERANCE)
        own: PenalisedFit | None = None
        waited = 0
        while waited < PATIENCE and not state.done:
            stepped = yield Work(partial(next, path, None))
            fit: PenalisedFit | None = stepped.value
            if fit is None:
                break
            _count(state, fit, stepped.seconds)
            waited += 1
            if own is None or fit.evidence > own.evidence:
                own, waited = fit, 0
        best = max((one for one in (best, own) if one is not None), key=lambda one: one.evidence)
        yield from _tell(labels, state, best)
    if best is not None:
        begun = replace(best, steps=0, evaluations=0)
        last = yield Work(partial(begun.minimised, LAST_STEPS, LAST_TOLERANCE))
        best = last.value
        _count(state, best, last.seconds)
    chosen, found = labels.choice(best)
    yield from _tell(labels, state, chosen)
    weights = labels.weights(chosen)
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


def _count(state: FitState, fit: PenalisedFit, seconds: float) -> None:
    state.steps += fit.steps
    state.evaluations += fit.evaluations
    state.seconds += seconds


def _tell(labels: LabelFit, state: FitState, fit: PenalisedFit | None) -> Steps[None]:
    """An entry of the history for the best choice so far, and the callbacks."""
    chosen, found = labels.choice(fit)
    state.best = state.weights = labels.weights(chosen)
    state.held_out = found.cv_error
    state.total_steps = state.steps
    state.history.append(
        {
            "stage": state.stage, "step": state.steps, "seconds": state.seconds,
            "held_out": found.cv_error, "prior": found.prior, "strength": found.strength,
        }
    )  # fmt: skip
    for callback in labels.trainer.callbacks:
        yield from steps_of(callback.on_refresh)(state)


def _layers(network: Network) -> np.ndarray | None:
    """Number of the layer of each weight, [size]; None where the network does not say it."""
    layout = network.layout
    if layout.size != network.size:
        return None
    names = list(dict.fromkeys(group.layer for group in layout.groups))
    return np.concatenate(
        [np.full(group.size, names.index(group.layer)) for group in layout.groups]
    )


def _flags(mask: torch.Tensor) -> np.ndarray:
    return np.asarray(mask.cpu().numpy(), dtype=bool)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
