"""What a library finds for many coefficients at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import torch

from pacpde.methods.library.backbone import Backbone
from pacpde.methods.library.heads import HeadTerm
from pacpde.methods.provenance import of_library_solution
from pacpde.networks.assessment import Assessment
from pacpde.networks.coordinates import as_points, clipped
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.terms import LabelTerm
from pacpde.runtime import Runtime


@dataclass(frozen=True)
class LibrarySolutions(Sequence[Surrogate]):
    """Solutions of many problems on one backbone; `solutions[k]` is the surrogate of one.

    Attributes:
        backbone: the frozen functions.
        sources: that they come from.
        problems: what was solved.
        heads: [targets, fields, functions].
        residuals: root mean square residuals at held-out points, of the worst equation, as shares
            of the size of its terms, [targets].
        error_estimates: relative L2 errors of the worst field, [targets]; nan where none can be
            estimated.
        outcomes: of each.
        seconds: for all together.
        alike: whether offsets and multipliers are the same for all.
    """

    backbone: Backbone
    sources: tuple[Surrogate, ...]
    problems: tuple[Problem, ...]
    heads: torch.Tensor
    residuals: np.ndarray
    error_estimates: np.ndarray
    outcomes: tuple[Outcome, ...]
    seconds: float
    alike: bool

    def __len__(self) -> int:
        return len(self.problems)

    @overload
    def __getitem__(self, number: int) -> Surrogate: ...

    @overload
    def __getitem__(self, number: slice) -> list[Surrogate]: ...

    def __getitem__(self, number: int | slice) -> Surrogate | list[Surrogate]:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        return self.surrogate(range(len(self))[number])

    def __iter__(self) -> Iterator[Surrogate]:
        return (self.surrogate(k) for k in range(len(self)))

    def surrogate(self, number: int) -> Surrogate:
        """One solution; its weights are put together now."""
        estimate = float(self.error_estimates[number])
        residual = float(self.residuals[number])
        solver = self.backbone.solver(self.problems[number], self.heads[number])
        return replace(
            solver,
            outcome=self.outcomes[number],
            held_out=residual,
            provenance=of_library_solution(self.sources, self.problems[number]),
            seconds=self.seconds / len(self),
            assessment=Assessment(residual, None if np.isnan(estimate) else estimate),
        )

    def __call__(self, *coordinates: object) -> np.ndarray:
        """The fields of all at the same coordinates: [targets, ...], or [targets, fields, ...].

        Much quicker than one by one: the functions are evaluated once.
        """
        if not self.alike:
            return np.stack([one(*coordinates) for one in self])
        ansatz, weights = self.backbone.ansatz, self.backbone.trunks
        runtime = Runtime(str(weights.device), str(weights.dtype).removeprefix("torch."))
        points, shape = as_points(coordinates, ansatz.coordinates, str(self.problems[0]), runtime)
        term = at_points(self.backbone, clipped(points, ansatz.problem.domain))
        values = term.fields(self.heads)[:, 0].mT.reshape(len(self), -1, *shape)
        return (values[:, 0] if values.shape[1] == 1 else values).cpu().numpy()


def at_points(backbone: Backbone, points: torch.Tensor) -> HeadTerm:
    """Gives the fields of heads at points [points, axes] by one product, of problems alike."""
    batch = backbone.ansatz.batch(points)
    functions = batch.multiplied(backbone.at(batch.inputs, batch.names))
    return HeadTerm(LabelTerm(batch, batch.offset[0]), functions)
