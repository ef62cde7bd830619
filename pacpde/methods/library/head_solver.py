"""Solves for heads: anchors that fill the range, and targets from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from pacpde.methods.library.anchors import Anchors
from pacpde.methods.library.coordinates import CoefficientRange, spread
from pacpde.methods.library.targets import FEWEST, TargetEquations
from pacpde.physics.problem import Problem
from pacpde.residuals.error_estimate import error_estimate
from pacpde.training.callbacks import UNLIMITED, TimeLimit

MEASURED = 33  # at most, whose errors are estimated; in several coefficients as well
MOST_ANCHORS = 500
LARGER, READY = 1.1, 0.95  # times the residual around, of a head that needs no step; their share
APART = 0.5  # of the estimated error, by which an interpolated head may be off a solved one
GAIN = 0.8  # of the heads that need a step, above which more anchors are no use
SWEEPS = 8  # over anchors that have not been found


@dataclass
class HeadSolver:
    """Finds heads in a range of coefficients.

    Attributes:
        box: the range.
        equations: that the heads are found by.
        held_out: the same at other points, by which they are measured.
    """

    box: CoefficientRange
    equations: TargetEquations
    held_out: TargetEquations
    _known: tuple[Anchors, torch.Tensor] | None = field(default=None, init=False, repr=False)

    def anchored(
        self, problems: Sequence[Problem], known: Anchors, limit: TimeLimit = UNLIMITED
    ) -> Anchors:
        """Solve problems that fill the range, from sources and anchors so far.

        Those that end with a large residual are tried again from the others that did not, nearer
        ones by now.

        Args:
            problems: the first ones are to fill the range too, see `CoefficientRange.candidates`.
            limit: when it is over, the others are left out.
        """
        known = known.trusted
        found = self.solved(problems, known.start(self.units(problems)), limit=limit)
        for sweep in range(SWEEPS):
            bad = found.poor if sweep else found.doubtful
            near = found.chosen(np.delete(np.arange(len(found.units)), bad)).joined(known)
            if not len(bad) or not len(near.units) or limit.is_over:
                break
            some, units = [problems[int(k)] for k in bad], found.units[bad]
            starts = near.start(units), near.heads[near.nearest(units)]
            again = [self.solved(some, start, limit=limit) for start in starts]
            if not found.improved(bad, *again):
                break
        return found

    def with_factors(
        self, problems: Sequence[Problem], anchors: Anchors, limit: TimeLimit = UNLIMITED
    ) -> Anchors:
        """With the errors of anchors that fill the range estimated by the linearised equation.

        Args:
            problems: of the anchors; there may be more of them after these.
            limit: when it is over, so many as tell anything are estimated.
        """
        factors = anchors.factors.copy()
        for count, k in enumerate(spread(anchors.units, MEASURED)):
            if limit.is_over and count >= FEWEST:
                break
            solver = self.equations.backbone.solver(problems[k], anchors.heads[k])
            estimate = error_estimate(solver)
            if estimate is not None:
                factors[k] = estimate / max(anchors.shares[k], 1e-300)
        return replace(anchors, factors=factors)

    def refined(self, anchors: Anchors, limit: TimeLimit = UNLIMITED) -> Anchors:
        """With anchors between those of one coefficient, where interpolated heads are not as good.

        They are where their residual is as small as the anchors around, so that they need no step,
        and what a step would change in the fields is less than the estimated error: an interpolated
        head can be wrong by more in a direction that the residual hardly sees. A step is left to
        targets where more anchors leave nearly as many that need one.
        """
        before = np.inf
        while len(self.box.names) == 1 and len(anchors.units) < MOST_ANCHORS and not limit.is_over:
            units = anchors.between
            problems = [self.box.at(unit) for unit in units]
            guessed = self.measured(problems, anchors.trusted.start(units))
            matrices = self._matrices(units, anchors)
            solved = self.solved(problems, guessed.heads, matrices, limit)
            count = len(solved.units)  # fewer than all where the time is over
            guessed = guessed.chosen(np.arange(count))
            unready = ~self._ready(guessed, anchors)
            if unready.mean() <= 1 - READY or unready.mean() > GAIN * before:
                unready[:] = False
            else:
                before = unready.mean()
            apart = self.held_out.differences(problems[:count], guessed.heads, solved.heads)
            wanted = unready | (apart > APART * anchors.factor(solved.units) * solved.shares)
            if not wanted.any():
                break
            anchors = anchors.joined(solved.chosen(wanted))
        return anchors

    def found(self, problems: Sequence[Problem], anchors: Anchors) -> Anchors:
        """Heads, interpolated, and solved where that is not good enough."""
        inside = np.clip(self.units(problems), 0, 1)
        found = self.measured(problems, anchors.trusted.start(inside))
        rest = np.flatnonzero(~self._ready(found, anchors))
        if len(rest):
            some = [problems[int(k)] for k in rest]
            heads = found.heads[torch.from_numpy(rest)]
            found.improved(rest, self.solved(some, heads, self._matrices(inside[rest], anchors)))
        return found

    def doubts(self, problems: Sequence[Problem], heads: torch.Tensor) -> np.ndarray:
        """What heads would change by if they were found at the held-out points, [targets].

        As relative L2 of the worst field. It is large where the equation is nearly singular, as at
        a resonance between two anchors, whose factors say nothing of it.
        """
        moved = heads + self.held_out.steps(problems, heads)
        return self.held_out.differences(problems, moved, heads)

    def solved(
        self,
        problems: Sequence[Problem],
        heads: torch.Tensor,
        factors: Callable[[slice], torch.Tensor] | None = None,
        limit: TimeLimit = UNLIMITED,
    ) -> Anchors:
        """Heads from heads near them, of the first problems; see `TargetEquations.solve`."""
        solved = self.equations.solve(problems, heads, factors, limit).heads
        return self.measured(problems[: len(solved)], solved)

    def measured(self, problems: Sequence[Problem], heads: torch.Tensor) -> Anchors:
        """Heads as they are, with their residuals."""
        shares = self.held_out.shares(problems, heads)
        return Anchors.unmeasured(self.units(problems), heads, shares)

    def units(self, problems: Sequence[Problem]) -> np.ndarray:
        """Coordinates [problems, coefficients], see `CoefficientRange.unit`."""
        return np.stack([self.box.unit(problem) for problem in problems])

    def _ready(self, found: Anchors, anchors: Anchors) -> np.ndarray:
        """Whether residuals are as small as those of the anchors around."""
        return found.shares <= LARGER * anchors.trusted.share_around(found.units)

    def _matrices(self, units: np.ndarray, anchors: Anchors) -> Callable[[slice], torch.Tensor]:
        """Gives the matrices of the measured anchors that are nearest to some of the targets."""
        measured = anchors.measured
        if self._known is None or self._known[0] is not measured:
            problems = [self.box.at(unit) for unit in measured.units]
            self._known = measured, self.equations.factors(problems, measured.heads)
        nearest, factors = measured.nearest(units), self._known[1]
        return lambda some: factors[nearest[some]]
