"""A scipy solution in the place of a network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.batch import Batch
from pacpde.reference import Reference, solve
from pacpde.reference.certificate import LOOSEST


@dataclass(frozen=True)
class ReferenceAnsatz(PhysicsAnsatz):
    """u = the certified scipy solution, for any network; it is computed at the first use.

    Attributes:
        tolerance: relative L2 to which it is certified, or the best that can be had instead.
    """

    tolerance: float = 1e-6

    @cached_property
    def reference(self) -> Reference:
        return solve(self.problem, tolerance=self.tolerance, loosest=LOOSEST)

    @property
    def uses_network(self) -> bool:
        return False

    @property
    def field_ansatz(self) -> PhysicsAnsatz:
        return PhysicsAnsatz(self.problem, self.hard, self.odd)

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        if tuple(names) != ("",):
            raise InvalidValueError(f"a scipy solution has no derivatives here, got {names}.")
        if points.requires_grad:
            raise InvalidValueError(
                "a scipy solution cannot be differentiated by torch: give it coordinates without "
                "requires_grad, or take a network."
            )
        values = self.reference(*points.detach().cpu().double().numpy().T)
        offset = torch.as_tensor(values.T, dtype=points.dtype, device=points.device)
        plain = super().batch(points)
        return replace(plain, offset=offset[None], product=torch.zeros_like(plain.product))
