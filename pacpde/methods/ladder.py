"""Methods that walk to a far target over a ladder of problems, each solved to the full."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pacpde.errors import InvalidValueError, PacpdeError
from pacpde.expressions import evaluate
from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.methods.rung import (
    Rung,
    after,
    callbacks_of,
    named_history,
    rung_name,
    with_more_of_last,
    with_notes_of,
)
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task
from pacpde.training.continuation import ladder
from pacpde.training.restarts import best_of

AUTO = "auto"
WITHOUT = "without ladder"


@dataclass(frozen=True)
class LadderMethod(ContinuationMethod):
    """A method that reaches the target over rungs; between two of them it walks by `continuation`.

    Continuation passes through the problems on its way by short fits on few points. A rung is a fit
    of its own, with all points and phases, an outcome and an error estimate.

    Attributes:
        ladder: None for the target at once; "auto" for rungs at equal steps, no more than a factor
            of 3 apart in a positive coefficient; or their values, as [0.0025, 0.001] or
            "1/400, 1/1000": of the one coefficient that the target changes, or of the end of the
            time span.
    """

    fixes_penalty: ClassVar[tuple[str, ...] | None] = ("steps", "continuation", "ladder")

    ladder: "str | Sequence[float] | None" = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ladder is None or self.ladder == AUTO:
            return
        values = self._values(self.ladder)
        object.__setattr__(self, "ladder", ", ".join(repr(value) for value in values))

    @staticmethod
    def _values(given: Any) -> list[float]:
        words = given.split(",") if isinstance(given, str) else given
        wanted = "expected auto, or values of the coefficient, as 1/400, 1/1000"
        try:
            values = [evaluate(each) if isinstance(each, str) else float(each) for each in words]
        except (PacpdeError, TypeError, ValueError) as error:
            raise InvalidValueError(f"ladder is {given!r}, {wanted}.") from error
        if not values:
            raise InvalidValueError(f"ladder is empty, {wanted}.")
        return values

    def check(self, network: Network, physics: bool = True) -> None:
        super().check(network, physics)
        if self.ladder is not None and not physics:
            raise InvalidValueError(
                f"ladder={self.ladder} solves the equation on its rungs, which is left out: leave "
                "ladder out too."
            )

    def rungs(self, source: Problem, target: Problem) -> list[Problem]:
        if self.ladder is None:
            return []
        return ladder(source, target, None if self.ladder == AUTO else self._values(self.ladder))

    @stepwise
    def run_ladder(
        self, source: Surrogate, target: Task, context: TransferContext, rungs: Sequence[Problem]
    ) -> Steps[MethodResult]:
        """Rung after rung, each a transfer from the one before, whose solver is then lost.

        After one that does not converge the target follows, from the rung before it.
        """
        here, before = source, source.reset()
        first: MethodResult | None = None
        found: list[Rung] = []
        spent = {"steps": 0, "evaluations": 0, "seconds": 0.0}
        left = list(enumerate(rungs, 1))
        while left:
            number, problem = left.pop(0)
            name, last = rung_name(number), number == len(rungs)
            own = replace(context, source_task=context.source_task.equation_at(here.problem))
            if not last:
                own = replace(own, callbacks=callbacks_of(context.callbacks, name))
            task = target if last else target.equation_at(problem)
            result = yield from steps_of(self.run)(here, task, own)
            solved = result.surrogate
            before = after(before, solved if last else named_history(solved, name))
            if last or solved.outcome == Outcome.CONVERGED:
                here = before
            else:
                left = left[-1:]
            seconds = sum(result.seconds.values())
            found.append(
                Rung(name, problem, solved.outcome, solved.assessment, result.steps, seconds)
            )
            spent["steps"] += result.steps
            spent["evaluations"] += result.evaluations
            spent["seconds"] += seconds
            first = first or result
        assert first is not None
        retained = dict(here.retained)
        if SOURCE in retained:  # that of the last rung is the rung before
            retained[SOURCE] = first.surrogate.retained[SOURCE]
        solver = with_notes_of(replace(here, retained=retained), found)
        result = replace(
            result,
            surrogate=solver,
            snapshots=first.snapshots,
            steps=int(spent["steps"]),
            evaluations=int(spent["evaluations"]),
            seconds={**result.seconds, "calibrate": spent["seconds"]},
            rungs=found,
        )
        return (yield from steps_of(self.or_without_ladder)(result, source, target, context))

    @stepwise
    def or_without_ladder(
        self, result: MethodResult, source: Surrogate, target: Task, context: TransferContext
    ) -> Steps[MethodResult]:
        """The result of a ladder; where it did not converge, and a transfer without ends better,
        that of this one.
        """
        climbed = any(rung.outcome == Outcome.CONVERGED for rung in result.rungs[:-1])
        if result.surrogate.outcome == Outcome.CONVERGED or not climbed:
            return result  # from no rung it is that transfer already
        callbacks = [each.part(WITHOUT) for each in context.callbacks]
        at_once = yield from steps_of(self.run)(
            source, target, replace(context, callbacks=callbacks)
        )
        ended, one = (
            result.surrogate,
            after(result.surrogate, named_history(at_once.surrogate, WITHOUT)),
        )
        if best_of([ended, one]) == 0:
            ended = replace(ended, history=one.history, seconds=one.seconds, steps=one.steps)
            best = replace(result, surrogate=ended)
        else:
            note = f"the ladder ended {ended.outcome}: the target was reached without it"
            best = replace(at_once, surrogate=one.with_notes([note]))
        return replace(
            best,
            steps=result.steps + at_once.steps,
            evaluations=result.evaluations + at_once.evaluations,
            seconds={
                stage: result.seconds.get(stage, 0.0) + seconds
                for stage, seconds in at_once.seconds.items()
            },
            rungs=with_more_of_last(result.rungs, at_once.steps, sum(at_once.seconds.values())),
        )
