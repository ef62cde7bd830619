"""The rungs of a ladder: what a transfer says of each problem on its way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.training.callbacks import Callback


@dataclass(frozen=True)
class Rung:
    """One problem of a ladder, and how its fits ended.

    Attributes:
        name: under which a method that retains its rungs recalls it.
        assessment: of its last fit; None where it diverged.
        steps, seconds: of its fits, of the optimiser and of a clock; see `Surrogate.seconds`. Those
            of the last rung have the refinement of the target, and a transfer without the ladder.
        n_own: number of weights that no earlier solver uses; None where only the last rung is left.
        added_neurons: that its hidden layers got, each; 0 where there was room.
    """

    name: str
    problem: Problem
    outcome: Outcome
    assessment: Assessment | None
    steps: int
    seconds: float
    n_own: int | None = None
    added_neurons: int = 0

    @property
    def error_estimate(self) -> float | None:
        """The estimated relative L2 error of the worst field; None where there is none."""
        return None if self.assessment is None else self.assessment.error_estimate

    def as_json(self) -> dict[str, Any]:
        """The rung as a JSON object, as in records."""
        about = self.assessment
        return {
            "name": self.name,
            "coefficients": self.problem.coefficients,
            "until": self.problem.until,
            "outcome": self.outcome,
            "residual": None if about is None else about.residual,
            "error_estimate": self.error_estimate,
            "steps": self.steps,
            "seconds": self.seconds,
            "own_parameters": self.n_own,
            "added_neurons": self.added_neurons,
        }


def with_more_of_last(rungs: Sequence[Rung], steps: int, seconds: float) -> Sequence[Rung]:
    """The rungs, with more steps and seconds of the last one; none where there are none."""
    if not rungs:
        return rungs
    *others, last = rungs
    return [*others, replace(last, steps=last.steps + steps, seconds=last.seconds + seconds)]


def rung_name(number: int) -> str:
    """The name of a rung, the first being number 1."""
    return f"rung {number}"


def callbacks_of(callbacks: Sequence[Callback], name: str) -> list[Callback]:
    """The callbacks of the fits of a rung before the last."""
    return [each.part(name) for each in callbacks if not each.target_only]


def with_notes_of(surrogate: Surrogate, rungs: Sequence[Rung]) -> Surrogate:
    """With a note on every rung before the last that did not converge."""
    return surrogate.with_notes(
        [
            f"{rung.name} of the ladder, {rung.problem}, ended {rung.outcome}: the target follows "
            "from what was solved before it"
            for rung in rungs[:-1]
            if rung.outcome != Outcome.CONVERGED
        ]
    )


def after(before: Surrogate, surrogate: Surrogate) -> Surrogate:
    """A surrogate whose history goes on from that of another one, on one clock."""
    later = ({**one, "seconds": before.seconds + one["seconds"]} for one in surrogate.history)
    return replace(
        surrogate,
        history=(*before.history, *later),
        seconds=before.seconds + surrogate.seconds,
        steps=before.steps + surrogate.steps,
    )


def named_history(surrogate: Surrogate, name: str) -> Surrogate:
    """With the name of a rung before the stages of its history."""
    own = ({**entry, "stage": f"{name}, {entry['stage']}"} for entry in surrogate.history)
    return replace(surrogate, history=tuple(own))
