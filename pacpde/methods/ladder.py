"""Methods that walk to a far target over a ladder of problems, each solved to the full."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pacpde.errors import InvalidValueError, PacpdeError
from pacpde.expressions import evaluate
from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.methods.rung import Rung, callbacks_of, named_history, rung_name, with_notes_of
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task
from pacpde.training.continuation import ladder

AUTO = "auto"


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
        """Rung after rung, each a transfer from the one before, whose solver is then lost."""
        here, before = source, source.reset()
        first: MethodResult | None = None
        found: list[Rung] = []
        spent = {"steps": 0, "evaluations": 0, "seconds": 0.0}
        for number, problem in enumerate(rungs, 1):
            name, last = rung_name(number), number == len(rungs)
            own = replace(context, source_task=context.source_task.equation_at(here.problem))
            if not last:
                own = replace(own, callbacks=callbacks_of(context.callbacks, name))
            task = target if last else target.equation_at(problem)
            result = yield from steps_of(self.run)(here, task, own)
            here = result.surrogate
            history = (
                {**entry, "seconds": before.seconds + entry["seconds"]}
                for entry in (here if last else named_history(here, name)).history
            )
            here = before = replace(
                here, history=(*before.history, *history), seconds=before.seconds + here.seconds,
                steps=before.steps + here.steps,
            )  # fmt: skip
            seconds = sum(result.seconds.values())
            found.append(Rung(name, problem, here.outcome, here.assessment, result.steps, seconds))
            spent["steps"] += result.steps
            spent["evaluations"] += result.evaluations
            spent["seconds"] += seconds
            first = first or result
        assert first is not None
        retained = dict(here.retained)
        if SOURCE in retained:  # that of the last rung is the rung before
            retained[SOURCE] = first.surrogate.retained[SOURCE]
        solver = with_notes_of(replace(here, retained=retained), found)
        return replace(
            result,
            surrogate=solver,
            snapshots=first.snapshots,
            steps=int(spent["steps"]),
            evaluations=int(spent["evaluations"]),
            seconds={**result.seconds, "calibrate": spent["seconds"]},
            rungs=found,
        )
