"""What labels alone have moved, beside the source untouched; and intervals of its predictions."""

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import torch
from scipy.stats import t as student

from pacpde.checks import check_number
from pacpde.errors import InvalidValueError
from pacpde.methods.base import MethodResult
from pacpde.networks.assessment import Assessment
from pacpde.networks.coordinates import as_points
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.physics.domain import Axis
from pacpde.physics.problem import Problem
from pacpde.residuals.factors import residuals
from pacpde.residuals.task import LabelRows, SamplingSpec, Task
from pacpde.runtime import generator
from pacpde.training.class_validation import class_choice, logits_of
from pacpde.training.config import TrainingConfig
from pacpde.training.cross_validation import FEW
from pacpde.training.posterior import ClassChoice, CrossValidation, numbers

NARROW = 0.5  # share of an axis; labels that span less of it say little of the rest
OUTLIER, SEVERAL = 0.5, 8  # share of the squared misses that one of so many values makes
FEW_NOTE = (
    f"fewer than {FEW} values a field, whose noise is not given, do not tell it from what is to be "
    "learned: intervals are rough; give the noise where you know it"
)


def beside_source(
    result: MethodResult, source: Surrogate, target: Task, config: TrainingConfig
) -> MethodResult:
    """The result of a fit to labels alone, or the source where the labels favour it.

    A fit that the labels chose has to have a smaller leave-one-out error than the source, as that
    was before any stage; of classes a smaller log-loss at labels left out, see
    `ClassChoice.beats`. `assessment.notes` say what was chosen.
    """
    found = result.cross_validation
    if found is None:
        return result
    if found.classes is not None:
        return _beside_source_of_classes(result, found, found.classes, source, target, config)
    found = replace(found, zero_shot_cv=_label_error(source, target, found.n_labels))
    if found.strength is not None and found.cv_error < found.zero_shot_cv:
        kept = replace(result, cross_validation=found)
        return _with_note(kept, found, config, result.surrogate)
    found = replace(
        found, cv_error=found.zero_shot_cv, strength=None, prior="", source_returned=True
    )
    return _source_returned(result, found, source, target, config)


def _beside_source_of_classes(
    result: MethodResult,
    found: CrossValidation,
    own: ClassChoice,
    source: Surrogate,
    target: Task,
    config: TrainingConfig,
) -> MethodResult:
    """Also weights that no label has moved are kept where they beat the source, as PAC's may."""
    labels = _labels_of(source, target).labels
    logits = logits_of(source.network, source.weights, labels)
    untouched = class_choice(labels, logits, target.ansatz(SamplingSpec()))
    found = replace(found, zero_shot_cv=sqrt(2 * untouched.log_loss))
    if own.beats(untouched):
        return _with_note(replace(result, cross_validation=found), found, config, result.surrogate)
    found = replace(
        found, cv_error=found.zero_shot_cv, strength=None, prior="", source_returned=True,
        classes=untouched,
    )  # fmt: skip
    return _source_returned(result, found, source, target, config)


def _source_returned(
    result: MethodResult,
    found: CrossValidation,
    source: Surrogate,
    target: Task,
    config: TrainingConfig,
) -> MethodResult:
    moved = result.surrogate
    untouched = replace(
        moved,
        network=source.network,
        ansatz=target.ansatz(SamplingSpec(odd=target.odd)),
        weights=source.weights,
        retained={name: _whole(source) for name in moved.retained},
    )
    result = replace(result, snapshots={"trained": source}, cross_validation=found)
    return _with_note(result, found, config, untouched)


def _whole(source: Surrogate) -> RetainedSolver:
    """The source, all of whose weights are those of the surrogate."""
    mask = torch.ones_like(source.weights, dtype=torch.bool)
    return RetainedSolver(source.ansatz, mask, None, source.outcome, source.assessment)


def _with_note(
    result: MethodResult, found: CrossValidation, config: TrainingConfig, surrogate: Surrogate
) -> MethodResult:
    notes = surrogate.assessment.notes if surrogate.assessment else ()
    doubts = _doubts(found, surrogate.ansatz.problem_or_none)
    assessment = Assessment(found.cv_error, None, (*notes, summary_of(found), *doubts))
    met = assessment.meets(config.tolerance)
    outcome = surrogate.outcome
    if found.source_returned:
        outcome = Outcome.CONVERGED if met else Outcome.NOT_CONVERGED
    solver = replace(
        surrogate, held_out=found.cv_error, assessment=assessment, outcome=outcome,
        outcomes={**surrogate.outcomes, surrogate.stage: outcome},
    )  # fmt: skip
    n_trainable = 0 if found.source_returned else result.n_trainable
    return replace(result, surrogate=solver, n_trainable=n_trainable)


def summary_of(found: CrossValidation) -> str:
    """What was chosen, as a sentence without its end."""
    if found.classes is not None:
        return _summary_of_classes(found)
    source = f"{found.zero_shot_cv:.2g}"
    if found.source_returned:
        return (
            f"no fit to the labels has a smaller error at labels left out than the source, {source}"
            " in scales of the fields: the source is returned"
        )
    return (
        f"the labels chose the penalty λ = {found.strength:.1e} ({found.prior}): error at labels "
        f"left out {found.cv_error:.2g} in scales of the fields, of the source {source}"
    )


def _summary_of_classes(found: CrossValidation) -> str:
    own, source = (f"{error**2 / 2:.3g}" for error in (found.cv_error, found.zero_shot_cv))
    if found.source_returned:
        return (
            f"no fit to the labels has a clearly smaller log-loss at labels left out than the "
            f"source, {source}: the source is returned"
        )
    if found.strength is None:
        return (
            f"no fit to the labels beats the allocated source, which no label has moved: its "
            f"log-loss at the labels is {own}, that of the source {source}"
        )
    return (
        f"the labels chose the penalty λ = {found.strength:.1e} ({found.prior}): log-loss at "
        f"labels left out {own}, of the source {source}"
    )


def _doubts(found: CrossValidation, problem: Problem | None) -> list[str]:
    """What the labels cannot tell, a sentence each without its end."""
    notes = []
    narrow = "" if found.source_returned else _narrow(found, problem)
    if narrow:
        notes.append(
            f"the labels lie in a small part of the domain, {narrow}: elsewhere the result may be "
            "worse than the source, and the error at labels left out does not show it"
        )
    if found.few:
        notes.append(FEW_NOTE)
    worst = found.largest_miss
    if worst is not None and found.n_labels >= SEVERAL and worst.share > OUTLIER:
        what = f"{worst.value:.4g}"
        if problem:
            names = problem.domain.names
            place = ", ".join(f"{a} = {x:.4g}" for a, x in zip(names, worst.point, strict=True))
            what = f"{problem.fields[worst.field]} = {what} at {place}"
        notes.append(
            f"one of the {found.n_labels} values makes {worst.share:.0%} of the squared error at "
            f"labels left out, row {worst.row}, {what}: look whether it is an outlier"
        )
    return notes


def _narrow(found: CrossValidation, problem: Problem | None) -> str:
    """Axes of which the labels span little, in words; "" without one."""
    return ", ".join(
        f"{(upper - lower) / axis.length:.0%} of {axis.name} ({lower:.3g} to {upper:.3g})"
        for _, axis, lower, upper in _narrow_axes(found, problem)
    )


def _narrow_axes(
    found: CrossValidation, problem: Problem | None
) -> list[tuple[int, Axis, float, float]]:
    """(number, axis, least, largest coordinate of the labels), where they span little of it."""
    if problem is None or not found.span:  # a table has no domain
        return []
    return [
        (number, axis, *ends)
        for number, (axis, ends) in enumerate(zip(problem.domain.axes, found.span, strict=True))
        if ends[1] - ends[0] < NARROW * axis.length
    ]


def _label_error(source: Surrogate, target: Task, n_labels: int) -> float:
    """Error of the source at the labels, as `CrossValidation` counts it."""
    rows = _labels_of(source, target)
    with torch.no_grad():
        r = residuals(source.network, source.weights, [rows.labels]).double()
    return float((r @ r * rows.labels.batch.size / n_labels).sqrt())


def _labels_of(source: Surrogate, target: Task) -> LabelRows:
    sampling = SamplingSpec(odd=target.odd)
    rows = target.label_rows(
        source.network, source.weights, sampling, generator(0, "labels of the source")
    )
    assert rows is not None, "a fit to labels alone has labels"
    return rows


@dataclass(frozen=True)
class Predictive:
    """A prediction with its uncertainty, in the shape of a surrogate's fields.

    Attributes:
        mean, std: of the fields, without the noise of a measurement.
        lower, upper: ends of the interval.
        level: probability that the interval holds the field at a point.
        notes: why the interval may not hold it, a sentence each.
    """

    mean: np.ndarray
    std: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float
    notes: tuple[str, ...] = ()


def predictive(
    surrogate: Surrogate,
    found: CrossValidation | None,
    coordinates: tuple[object, ...],
    level: float,
    noise: bool,
) -> Predictive:
    """See `TransferResult.predictive`."""
    check_number("level", level, 1e-6, 1 - 1e-6, expected="a probability, as 0.9")
    if found is None or found.posterior is None:
        raise InvalidValueError(
            "this result has no posterior: only fits to values alone (physics=False) whose penalty "
            "was chosen by the labels have one."
        )
    problem, posterior = surrogate.ansatz.problem_or_none, found.posterior
    whose = str(problem) if problem else "a surrogate of a table"
    points, shape = as_points(coordinates, surrogate.ansatz.coordinates, whose, surrogate.runtime)
    mean = numbers(surrogate.at(points))
    scales = numbers(surrogate.ansatz.batch(points[:1]).scale)
    if found.source_returned:  # no label moved it: its misses there are all that is known
        std = np.broadcast_to(found.cv_error * scales, mean.shape)
        freedom = float(found.n_labels)
    else:
        freedom = posterior.degrees_of_freedom
        std = posterior.deviations(points)
        std = np.sqrt(std**2 + (found.noise * scales) ** 2) if noise else std
    half = float(student.ppf((1 + level) / 2, freedom)) * std

    def shaped(values: np.ndarray) -> np.ndarray:
        fields = values.T.reshape(values.shape[-1], *shape)
        return fields[0] if len(fields) == 1 else fields

    notes = _doubts_at(numbers(points), found, problem)
    ends = shaped(mean - half), shaped(mean + half)
    return Predictive(shaped(mean), shaped(std), *ends, level, notes)


def _doubts_at(
    points: np.ndarray, found: CrossValidation, problem: Problem | None
) -> tuple[str, ...]:
    """Of intervals at points [points, axes]."""
    notes = [FEW_NOTE] if found.few else []
    outside = np.zeros(len(points), dtype=bool)
    for number, _, lower, upper in _narrow_axes(found, problem):
        outside |= (points[:, number] < lower) | (points[:, number] > upper)
    if outside.any():
        notes.append(
            f"{outside.sum()} of {len(points)} points lie outside what the labels span, "
            f"{_narrow(found, problem)}: intervals there may be too narrow"
        )
    return tuple(notes)
