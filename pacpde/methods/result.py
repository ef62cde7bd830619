"""The result of a transfer: the solver of the target, its errors, and a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pacpde.methods.base import MethodResult
from pacpde.methods.few_labels import Predictive, predictive
from pacpde.methods.rung import Rung
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.renamed import renamed_attribute
from pacpde.runtime import versions
from pacpde.training.posterior import CrossValidation

CHOSEN = ("cv_error", "zero_shot_cv", "strength", "prior", "source_returned")
MOMENTS = ("trained", "pruned", "allocated", "recalled", "unmasked")


@dataclass(frozen=True)
class TransferResult:
    """A transfer, with its errors where references graded it.

    Attributes:
        method: name of the method.
        source: the surrogate that the transfer started from.
        method_result: what the method returned.
        labels: number of measured values of the target; of a table its rows.
        noise: of labels drawn from the reference, relative to the fields' spread; of measurements
            that are given, in scales of the fields, None where it is not known; None of a table.
        physics: whether the target's equation was used.
        target_error, zero_shot_error: relative L2 against the certified reference of the target,
            of all fields taken together; None without a reference.
        source_error: moment → relative L2 against the source's reference. None without a
            reference, and where a method has no such moment.
        reference_error: the certificate of the target's reference; None without one.
        target_error_by_field: field → relative L2 in its own size; None without a reference.
    """

    method: str
    source: Surrogate
    method_result: MethodResult
    seed: int
    labels: int
    noise: float | None
    physics: bool
    zero_shot_error: float | None
    target_error: float | None
    source_error: Mapping[str, float | None]
    reference_error: float | None = None
    target_error_by_field: Mapping[str, float] | None = None

    made = renamed_attribute("made", "method_result")
    free_parameters = renamed_attribute("free_parameters", "n_trainable")

    @property
    def worst_field_error(self) -> float | None:
        """The largest error of any field; a small field hardly counts in `target_error`."""
        errors = self.target_error_by_field
        return None if errors is None else max(errors.values())

    @property
    def surrogate(self) -> Surrogate:
        """The solver of the target."""
        return self.method_result.surrogate

    @property
    def snapshots(self) -> Mapping[str, Surrogate]:
        """Moment → surrogate of the source at it: "trained", "pruned", "allocated"."""
        return self.method_result.snapshots

    @property
    def n_trainable(self) -> int:
        """Number of weights that were fitted to the target."""
        return self.method_result.n_trainable

    @property
    def outcome(self) -> Outcome:
        """Outcome of the transfer; see `Surrogate.outcome`."""
        return self.surrogate.outcome

    @property
    def cross_validation(self) -> CrossValidation | None:
        """How far labels alone moved the source, and their error where they are left out; None
        with an equation, and where options fix the penalty.
        """
        return self.method_result.cross_validation

    def predictive(self, *coordinates: Any, level: float = 0.9, noise: bool = True) -> Predictive:
        """Prediction and interval at t, x, ... of a fit to labels alone, whose penalty they chose.

        The weights have the posterior of the Gauss–Newton matrix (Laplace's approximation; MacKay
        1992), the fields Student's distribution with as many degrees of freedom as there are
        labels; with fewer than 8 values a field of unknown noise, as many as the fit leaves free,
        and noise of a quarter of the source's misfit at least. Where no label moved the source, its
        error at the labels is the deviation. `notes` of what comes back say where the labels tell
        little: those few values, or points outside a small part of the domain that they span.

        Args:
            level: probability of the interval.
            noise: an interval for a new measurement; without, for the field itself, as far as the
                labels tell its error from their noise: it is often too narrow.

        Example:
            >>> data = Measurements(points, values)
            >>> result = transfer(source, Heat(alpha=0.3), data=data, physics=False)
            >>> found = result.predictive(0.5, x, level=0.95)
            >>> found.mean, found.std, found.lower, found.upper
        """
        return predictive(self.surrogate, self.cross_validation, coordinates, level, noise)

    @property
    def rungs(self) -> Sequence[Rung]:
        """The rungs of a ladder, the target last, each with its outcome; empty without one.

        The target's is the result, refined where a small tolerance asks for it; the others are
        fitted to the default tolerance then.
        """
        rungs, found = self.method_result.rungs, self.surrogate
        if not rungs:
            return rungs
        last = replace(rungs[-1], outcome=found.outcome, assessment=found.assessment)
        return [*rungs[:-1], last]

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """stage, step, seconds, held_out, and error against the target's reference."""
        return self.surrogate.history

    def recall(self, name: str = "source") -> Surrogate:
        """A solver that is stored with the target's, to the last bit."""
        return self.surrogate.recall(name)

    def _chosen(self) -> dict[str, Any]:
        """The choice of a fit to labels alone; null where nothing was chosen."""
        found = self.cross_validation
        return dict.fromkeys(CHOSEN) if found is None else found.as_json()

    def record(self) -> dict[str, Any]:
        """The result as a JSON object, as `pacpde transfer --json` writes it."""
        spent = {
            stage: self.method_result.seconds.get(stage)
            for stage in ("prune", "allocate", "calibrate")
        }
        runtime, errors = self.surrogate.runtime, self.target_error_by_field
        total = sum(value for value in spent.values() if value is not None)
        source, target = (solver.ansatz.problem_or_none for solver in (self.source, self.surrogate))
        return {
            "family": target and target.name,
            "method": self.method,
            "seed": self.seed,
            "source": source and source.coefficients,
            "target": target and target.coefficients,
            "labels": self.labels,
            "noise": self.noise,
            "physics": self.physics,
            "zero_shot_error": self.zero_shot_error,
            "target_error": self.target_error,
            "target_error_by_field": errors and dict(errors),
            "worst_field_error": self.worst_field_error,
            **self._chosen(),
            "source_error": dict(self.source_error),
            "free_parameters": self.n_trainable,
            "total_parameters": self.surrogate.n_stored,
            "steps": self.method_result.steps,
            "evaluations": self.method_result.evaluations,
            "seconds": {"source": self.source.seconds, **spent, "total": total},
            "outcome": self.outcome,
            "outcomes": dict(self.surrogate.outcomes),
            "assessment": self.surrogate.assessment and self.surrogate.assessment.as_json(),
            "rungs": [rung.as_json() for rung in self.rungs] or None,
            "device": runtime.device,
            "dtype": runtime.dtype,
            "versions": versions(),
            "provenance": dict(self.surrogate.provenance),
        }
