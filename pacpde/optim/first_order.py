"""Adam on the flat vector of free parameters."""

import math
from dataclasses import dataclass

import torch

from pacpde.optim.base import Progress, State, optimisers
from pacpde.optim.free import LeastSquares


@optimisers.registering("adam")
@dataclass(frozen=True)
class Adam:
    """x ← x − lr m̂ / (√v̂ + eps), with bias-corrected moments m̂ and v̂ of the gradient.

    Kingma & Ba (2015), arXiv 1412.6980, algorithm 1. Adam does not descend at every step, so the
    result is the best iterate while the state keeps the last one: given the `x` it returned, a run
    goes on from the last iterate, as if it had never stopped; given any other `x`, from there.
    A loss or gradient that is not finite ends the run as stalled, with an empty state.

    Attributes:
        lr: size of a step; constant.
        betas: decay of the two moments.
        eps: keeps the denominator above zero.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        iterate = x.detach().clone()
        adam = torch.optim.Adam([iterate], lr=self.lr, betas=self.betas, eps=self.eps)
        if steps == 0:
            return Progress(x, problem.loss(x), state or {}, 0, 1)
        if state:
            moments = {name: state[name].clone() for name in ("step", "exp_avg", "exp_avg_sq")}
            # Adam counts its steps on the CPU whatever the device of the parameters
            adam.state[iterate] = moments | {"step": moments["step"].cpu()}
            if torch.equal(x, state["returned"]):
                iterate.copy_(state["iterate"])
        best, lowest, evaluations = x, problem.loss(x), 1
        for taken in range(steps):
            value, gradient = problem.loss_and_gradient(iterate)
            evaluations += 1
            if not (math.isfinite(value) and bool(gradient.isfinite().all())):
                return Progress(best, lowest, {}, taken, evaluations, stalled=True)
            if value < lowest:
                best, lowest = iterate.clone(), value
            iterate.grad = gradient
            adam.step()
        value = problem.loss(iterate)
        if value < lowest:
            best, lowest = iterate.clone(), value
        made = {"iterate": iterate, "returned": best.clone(), **adam.state[iterate]}
        return Progress(best, lowest, made, steps, evaluations + 1)
