"""L-BFGS on the flat vector of trainable weights, by scipy."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize

from pacpde.checks import check_count
from pacpde.optim.base import Progress, State, optimisers
from pacpde.optim.least_squares import LeastSquares


@optimisers.registering("lbfgs")
@dataclass(frozen=True)
class LBFGS:
    """x ← x + α p, where p = −H g and H is made of the last `history` pairs of steps and slopes.

    Byrd, Lu, Nocedal & Zhu (1995), doi:10.1137/0916069, without bounds, as L-BFGS-B in scipy. The
    line search runs in float64 on the CPU, the loss in the device and dtype of the problem. The
    state is empty: every run gathers its curvature anew, so two short runs are not one long one.
    A line search that fails starts the history anew too; where that finds no way down either, the
    run ends as stalled.

    Attributes:
        history: pairs kept.
    """

    history: int = 50

    def __post_init__(self) -> None:
        check_count("history of LBFGS", self.history, 1, expected="a whole number above 0")

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        best = _BestPoint(problem, x, problem.loss(x))
        taken, stalled = 0, not math.isfinite(best.loss)
        while taken < steps and not stalled:
            before = best.loss
            # scipy's own tolerances stop far above what float64 can reach
            result = minimize(
                best,
                best.x.double().cpu().numpy(),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": steps - taken,
                    "maxcor": self.history,
                    "ftol": 0.0,
                    "gtol": 0.0,
                    "maxfun": 100 * steps,  # never the limit: a line search takes 20 at most
                },
            )
            stalled = not best.loss < before
            if not stalled:  # a failed line search that passed a lower point has made a step
                taken += max(int(result.nit), 1)
        return Progress(best.x, best.loss, {}, taken, best.evaluations, stalled)


@dataclass
class _BestPoint:
    """The loss as a function for scipy; it records the best point that was evaluated."""

    problem: LeastSquares
    x: torch.Tensor
    loss: float
    evaluations: int = field(default=1)

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient [n_trainable], float64; where one is not finite, a wall, high and flat.

        A finite wall makes the line search step back, where nan or inf would end it.
        """
        x = torch.tensor(values, dtype=self.x.dtype, device=self.x.device)
        loss, gradient = self.problem.loss_and_gradient(x)
        self.evaluations += 1
        if not (math.isfinite(loss) and bool(gradient.isfinite().all())):
            return 10 * self.loss, np.zeros_like(values)
        if loss < self.loss:
            self.x, self.loss = x, loss
        return loss, gradient.double().cpu().numpy()
