"""Schedules: in which phases a fit draws points and takes steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

from pacpde.residuals.task import SamplingSpec, Task

# A fit starts on few points and ends on many: a step costs their square, and far from the solution
# the few, drawn anew more often, show the way as well.
EARLY = ((0.35, 5), (0.6, 10))  # share of the points, steps before they are drawn anew
# Of the last phase. Its first draw always gains, so that it ends early after 1 + PATIENCE draws at
# the soonest: above the default of steps, whose fits patience leaves alone.
REFRESH, PATIENCE = 20, 4


@dataclass(frozen=True)
class Phase:
    """Optimiser steps on points that are drawn in one way.

    Attributes:
        steps: maximal number of steps.
        refresh: number of steps between two draws of points; the loss is fixed in between.
        sampling: number of points, ansatz and time window.
        target_residual: the phase ends when the held-out residual is below it.
        patience: the phase ends after this number of draws in a row without a reduction of the
            held-out residual by 5 %; 0 for never.
        from_random: for random weights alone.
        window: number of the time window of the network whose weights alone move; None for all.
        from_previous: the window begins with the weights of the one before.
        spare: taken only where the phase before it left a held-out residual above the tolerance of
            the fit, which ends where this one leaves that, too.
    """

    steps: int
    refresh: int
    sampling: SamplingSpec
    target_residual: float = 0.0
    patience: int = 0
    from_random: bool = False
    window: int | None = None
    from_previous: bool = False
    spare: bool = False


def in_time_windows(phases: Sequence[Phase], count: int) -> tuple[Phase, ...]:
    """The phases of a network of `count` time windows: all of them in each window, one by one.

    A later window of a fit from random weights begins with those of the one before, which solve it
    nearly, and takes the last phase alone. Each has its last phase once more to spare.

    Args:
        phases: of a fit of all weights; those on a part of the time span are left out.
    """
    whole = [phase for phase in phases if phase.sampling.horizon == 1]
    again = any(phase.from_random for phase in phases)
    spare = replace(whole[-1], spare=True)
    result: list[Phase] = []
    for window in range(count):
        copied = again and window > 0
        own = [*(whole[-1:] if copied else whole), spare]
        for number, phase in enumerate(own):
            box = replace(phase.sampling, start=window / count, horizon=(window + 1) / count)
            first = copied and number == 0
            result.append(replace(phase, sampling=box, window=window, from_previous=first))
    return tuple(result)


class Schedule(Protocol):
    """The phases of every kind of fit. A class of your own may take the place of the default."""

    def cold_start(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from random weights."""
        ...

    def warm_start(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from weights that already solve something near."""
        ...

    def after_pruning(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from weights that solved the task before most of them were pruned."""
        ...

    def corrector(self, task: Task, share: float, target_residual: float) -> Phase:
        """A short fit on a share of the points, from weights that are nearly there."""
        ...


@dataclass(frozen=True)
class StandardSchedule:
    """The default phases, from what the task's problem declares.

    Attributes:
        points: collocation points of the last phase.
        steps: maximal number of steps of the last phase.
        tolerance: held-out residual at which a time window counts as solved.
        time_windows: number of time windows; by default what the problem declares.
    """

    points: int
    steps: int
    tolerance: float
    time_windows: int | None = None

    def cold_start(self, task: Task) -> tuple[Phase, ...]:
        """Few points first, and the odd ansatz late: from random weights it often ends in a false
        front. A problem of several time windows is solved on the first ones first.
        """
        if not task.solves_equation:
            return self._without_equation()
        windows = self._windows(task)
        if windows > 1:
            half = self._share(0.5)
            longer = [
                Phase(
                    self.steps, 5, SamplingSpec(half, horizon=k / windows),
                    target_residual=self.tolerance, from_random=True,
                )
                for k in range(1, windows)
            ]  # fmt: skip
            return (*longer, *self.warm_start(task))
        few = SamplingSpec(self._share(0.25))
        early = Phase(4 * self.steps, 3, few, target_residual=4e-2, from_random=True)
        return (early, *self.warm_start(task))

    def warm_start(self, task: Task) -> tuple[Phase, ...]:
        """More points from phase to phase; labels alone are all used at once."""
        if not task.solves_equation:
            return self._without_equation(task.odd)
        odd = bool(task.problem.odd)
        early = [
            Phase(max(1, self.steps // 2), refresh, SamplingSpec(self._share(share), odd=odd))
            for share, refresh in EARLY
        ]
        every = SamplingSpec(self.points, odd=odd)
        return (*early, Phase(self.steps, REFRESH, every, 1e-5, patience=PATIENCE))

    def after_pruning(self, task: Task) -> tuple[Phase, ...]:
        """The phases of a warm start; with several time windows, those of a cold start."""
        windows = task.solves_equation and self._windows(task) > 1
        return self.cold_start(task) if windows else self.warm_start(task)

    def corrector(self, task: Task, share: float, target_residual: float) -> Phase:
        """Ten steps, the points drawn twice."""
        sampling = SamplingSpec(self._share(share), odd=bool(task.problem.odd))
        return Phase(10, 5, sampling, target_residual)

    def _without_equation(self, odd: bool = False) -> tuple[Phase, ...]:
        return (Phase(self.steps, 2, SamplingSpec(odd=odd), patience=5),)

    def _windows(self, task: Task) -> int:
        """Number of time windows of a cold start; more for a longer time span."""
        declared = task.problem.time_windows
        windows = ceil(declared * task.problem.span_ratio) if declared > 1 else 1
        return self.time_windows or windows

    def _share(self, share: float) -> int:
        return max(1, round(share * self.points))
