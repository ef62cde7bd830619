"""What fits to labels alone share: their rows, and the forms of a penalty."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import isfinite, sqrt
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from pacpde.networks.protocol import Network
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.penalised import Linearised, PenalisedFit, Prior, Rows
from pacpde.optim.stepwise import Steps, Work, steps_of
from pacpde.residuals.task import LabelRows, SamplingSpec, Task
from pacpde.residuals.terms import Term
from pacpde.training.callbacks import FitState
from pacpde.training.posterior import CrossValidation, numbers
from pacpde.training.trainer import Trainer

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
class LabelFit(ABC):
    """Base class: what a fit to labels alone is made of, and how its penalty is chosen.

    Attributes:
        problem: least squares of all rows.
        rows: as a function of the trainable weights.
        x0: trainable weights at the start.
        r0, J0: rows and Jacobian there.
        scale: from the rows of a loss, which is a mean, to rows of one label each.
        labels: the term of the labels.
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

    @classmethod
    def prepared(
        cls, trainer: Trainer, task: Task, sampling: SamplingSpec, drawn: LabelRows, most: int
    ) -> dict[str, Any] | None:
        """The attributes without `rows`; None where nothing can be fitted.

        Args:
            most: number of rows that may be fitted in this way.
        """
        network, start, mask = trainer.surrogate.network, trainer.surrogate.weights, trainer.mask
        memory = int(trainer.config.step_memory_gib * 2**29)
        if drawn.n_rows > most:
            return None
        problem = LeastSquares(network, start, mask, drawn.terms, None, memory)
        if not len(problem.x0) or 8 * drawn.n_rows * len(problem.x0) > memory:
            return None
        scale = sqrt(drawn.labels.batch.size)
        x0 = numbers(problem.x0)
        r0, J0 = LinearisedRows(problem, scale)(x0)
        if not (np.isfinite(r0).all() and np.isfinite(J0).all()):
            return None
        return {
            "trainer": trainer, "task": task, "sampling": sampling, "problem": problem, "x0": x0,
            "r0": r0, "J0": J0, "scale": scale, "labels": drawn.labels,
        }  # fmt: skip

    @abstractmethod
    def search(self, state: FitState) -> Steps[tuple[torch.Tensor, CrossValidation]]:
        """Choose the penalty: the weights [size] that it leads to, and how they were chosen.

        Tells the callbacks of the trainer what the best choice so far is, see `tell`.
        """

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

    def tell(self, state: FitState, weights: torch.Tensor, found: CrossValidation) -> Steps[None]:
        """An entry of the history for the best choice so far, and the callbacks."""
        state.best = state.weights = weights
        state.held_out = found.cv_error
        state.total_steps = state.steps
        state.history.append(
            {
                "stage": state.stage, "step": state.steps, "seconds": state.seconds,
                "held_out": found.cv_error, "prior": found.prior, "strength": found.strength,
            }
        )  # fmt: skip
        for callback in self.trainer.callbacks:
            yield from steps_of(callback.on_refresh)(state)


class Counted(Protocol):
    """What was fitted on a path of penalties, with what that took."""

    @property
    def steps(self) -> int: ...

    @property
    def evaluations(self) -> int: ...


Fitted = TypeVar("Fitted", bound=Counted)


def best_on(
    path: Iterator[Fitted], score: Callable[[Fitted], float], patience: int, state: FitState
) -> Steps[Fitted | None]:
    """The one of the largest score, on a path that is left after so many that are no better."""
    best: Fitted | None = None
    waited = 0
    while waited < patience and not state.done:
        stepped = yield Work(partial(next, path, None))
        found: Fitted | None = stepped.value
        if found is None:
            break
        count(state, found.steps, found.evaluations, stepped.seconds)
        waited += 1
        if best is None or score(found) > score(best):
            best, waited = found, 0
    return best


def count(state: FitState, steps: int, evaluations: int, seconds: float) -> None:
    """Adds what a fit took."""
    state.steps += steps
    state.evaluations += evaluations
    state.seconds += seconds


def _layers(network: Network) -> np.ndarray | None:
    """Number of the layer of each weight, [size]; None where the network does not say it."""
    layout = network.layout
    if layout.size != network.size:
        return None
    names = list(dict.fromkeys(group.layer for group in layout.groups))
    return np.concatenate(
        [np.full(group.size, names.index(group.layer)) for group in layout.groups]
    )


def places_of(labels: Term) -> np.ndarray:
    """Number of the place of each label, [labels]; labels at the same coordinates share one."""
    coordinates = numbers(labels.batch.coordinates)
    return np.unique(coordinates, axis=0, return_inverse=True)[1].ravel()


def _flags(mask: torch.Tensor) -> np.ndarray:
    return np.asarray(mask.cpu().numpy(), dtype=bool)
