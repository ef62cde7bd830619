"""Seconds that DeepXDE trains, and errors on the way; imported where DeepXDE is run."""

import time
from collections.abc import Callable
from typing import Any

import deepxde as dde
import numpy as np
from times import Curve

CHUNK = 100  # iterations between two gradings


class Clock(dde.callbacks.Callback):
    """Grades every CHUNK iterations with the clock stopped, and ends a run at its limit.

    Give one to every `model.train` of a run: it goes on from one to the next.

    Args:
        now: the seconds of a clock.
    """

    def __init__(
        self,
        grade: Callable[[Any], float],
        limit: float,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.grade, self.limit, self.now = grade, limit, now
        self.curve: Curve = []
        self.spent = self.since = 0.0
        self.graded = 0

    def on_train_begin(self) -> None:
        self.since = self.now()

    def on_epoch_end(self) -> None:
        self._advance(self.model.train_state.step - self.graded >= CHUNK)

    def on_train_end(self) -> None:
        self._advance(self.model.train_state.step > self.graded)

    def _advance(self, due: bool) -> None:
        now = self.now()
        self.spent, self.since = self.spent + now - self.since, now
        self.model.stop_training = self.model.stop_training or self.spent > self.limit
        if due:
            self.curve.append((self.spent, self.grade(self.model)))
            self.graded = self.model.train_state.step
            self.since = self.now()


def adam_then_lbfgs(model: Any, clock: Clock, adam: int, lbfgs: int) -> tuple[float, float]:
    """The recipe of DeepXDE's examples; returns (seconds, error) after Adam."""
    model.compile("adam", lr=1e-3, verbose=0)
    model.train(iterations=adam, callbacks=[clock], verbose=0)
    after_adam = clock.curve[-1]
    if clock.spent > clock.limit:
        return after_adam
    lbfgs_alone(model, clock, lbfgs)
    return after_adam


def lbfgs_alone(model: Any, clock: Clock, lbfgs: int) -> None:
    """L-BFGS from the weights that the model has."""
    # The options it leaves at 1000 iterations a call decide only how often it can be graded.
    dde.optimizers.set_LBFGS_options(maxiter=lbfgs)
    dde.optimizers.config.LBFGS_options |= {"iter_per_step": CHUNK, "fun_per_step": 2 * CHUNK}
    model.compile("L-BFGS", verbose=0)
    model.train(callbacks=[clock], verbose=0)


def predicted(model: Any) -> Callable[..., Any]:
    """A model as a function of t, x, ...; DeepXDE has time last."""
    return lambda t, *space: np.asarray(model.predict(np.stack([*space, t], 1))).T
