"""What every optimiser does, and the registry of them."""

from dataclasses import dataclass
from typing import Protocol

import torch

from pacpde.optim.least_squares import LeastSquares
from pacpde.registry import Registry

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Progress:
    """Where an optimiser has got to.

    Attributes:
        x: free parameters [free].
        loss: ½‖r‖² plus anchor at x.
        state: all the optimiser needs to go on exactly where it stopped.
        steps, evaluations: accepted steps, and residual evaluations of any kind.
        stalled: it found no way down; more steps from here on the same problem are useless.
        solver: how its linear systems were solved, where it chose.
    """

    x: torch.Tensor
    loss: float
    state: State
    steps: int
    evaluations: int
    stalled: bool = False
    solver: str = ""


class Optimiser(Protocol):
    """Lowers a least-squares problem; holds options, never state."""

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        """At most `steps` steps from x [free], going on from `state` if given.

        The result is the best point seen: its loss is never above the loss at x.
        """
        ...


optimisers: Registry[type[Optimiser]] = Registry("optimiser", "pacpde.optim")
