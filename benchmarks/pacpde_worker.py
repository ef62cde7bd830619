"""One fit of pacpde by its one call, `fit(problem, tolerance=...)`; run by `peers.py`."""

import json
import signal
import sys
import time
from typing import Any

import numpy as np
import torch
from peers import PROBLEMS

from pacpde import Callback, Surrogate, fit
from pacpde.physics.numbers import relative_l2
from pacpde.training import FitState


class TimeIsUpError(Exception):
    """The CPU seconds are spent."""


class Clock(Callback):
    """CPU seconds of a fit, graded after every refresh with the clock stopped."""

    def __init__(self, points: np.ndarray, expected: np.ndarray, limit: float) -> None:
        self.points, self.expected, self.limit = points.T, expected, limit
        self.curve: list[tuple[float, float]] = []
        self.spent, self.since = 0.0, time.process_time()
        self.steps = 0
        signal.signal(signal.SIGPROF, self.on_alarm)
        signal.setitimer(signal.ITIMER_PROF, limit)

    def seconds(self) -> float:
        """So far, without the gradings."""
        return self.spent + time.process_time() - self.since

    def on_alarm(self, *_: Any) -> None:
        """End the fit, unless the seconds were those of gradings."""
        left = self.limit - self.seconds()
        if left <= 0:
            raise TimeIsUpError
        signal.setitimer(signal.ITIMER_PROF, left + 0.1)

    def on_refresh(self, fit: FitState) -> None:
        self.steps += 1
        self.grade(fit.surrogate())

    def grade(self, surrogate: Surrogate) -> None:
        self.spent = self.seconds()
        error = relative_l2(np.asarray(surrogate(*self.points)).ravel(), self.expected)
        self.curve.append((self.spent, error))
        self.since = time.process_time()


def main() -> None:
    options = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    grid = np.load(options["grid"])
    clock = Clock(grid["points"], grid["values"], options["seconds"])
    made: dict[str, Any] = {"outcome": "limit"}
    try:
        surrogate = fit(
            PROBLEMS[options["problem"]](), tolerance=options["tolerance"], seed=options["seed"],
            callbacks=[clock],
        )  # fmt: skip
    except TimeIsUpError:
        pass
    else:
        signal.setitimer(signal.ITIMER_PROF, 0)
        clock.grade(surrogate)
        made = {
            "outcome": str(surrogate.outcome),
            "steps": surrogate.steps,
            "parameters": surrogate.parameters,
        }
    print(json.dumps({"curve": clock.curve, "seconds": clock.curve[-1][0], **made}))


if __name__ == "__main__":
    main()
