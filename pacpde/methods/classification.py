"""Classes of the rows of a table: `fit_classes`, `transfer_classes`, `measure_classes`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from pacpde.checks import check_nonnegative
from pacpde.errors import InvalidValueError, short
from pacpde.keywords import checked_call
from pacpde.methods.arguments import (
    OF_AN_EQUATION,
    OF_THE_SOURCE,
    Settings,
    check_arguments,
    config_of_fit,
    method_of,
)
from pacpde.methods.base import Method, MethodResult, TransferContext, train_from_scratch
from pacpde.methods.class_measures import ClassMeasures
from pacpde.methods.regression import TABLE, check_inputs
from pacpde.methods.result import MOMENTS, TransferResult
from pacpde.methods.transfer import run_method
from pacpde.networks.batch import Label
from pacpde.networks.class_ansatz import ClassAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.class_labels import ClassLabels, as_labels, numbered
from pacpde.residuals.table_task import TableTask
from pacpde.residuals.temperature import MIN_ROWS, temperature_of
from pacpde.runtime import Runtime, check_seed, gradients
from pacpde.training.posterior import ClassChoice

# half of it times the mean square of the logits is added to the log-loss: separable classes would
# take the weights to infinity
LOGIT_PENALTY = 1e-4
SHOWN = 8  # classes in a sentence


@dataclass(frozen=True)
class ClassTransferResult(TransferResult):
    """A transfer to other classes, rows or both.

    Attributes:
        held_out: measures of the target's rows by fits without them, at the temperature that they
            chose. They also chose the fit, so new rows may do worse: see `measure_classes`. Where
            labels chose the penalty (`cross_validation`) these are all rows, each left out with its
            fold; else about a fifth of them. None where no class has a row to spare then.
        held_out_uncalibrated: the same at temperature 1.
        zero_shot: measures of the source untouched on these rows, where it knows their classes.
    """

    held_out: ClassMeasures | None = None
    held_out_uncalibrated: ClassMeasures | None = None
    zero_shot: ClassMeasures | None = None

    def record(self) -> dict[str, Any]:
        measures = {
            name: own and own.as_json()
            for name in ("held_out", "held_out_uncalibrated", "zero_shot")
            for own in [getattr(self, name)]
        }
        about = {
            "source": list(self.source.class_labels),
            "target": list(self.surrogate.class_labels),
            "temperature": _ansatz_of(self.surrogate).temperature,
        }
        return {**super().record(), "classes": {**about, **measures}}


@checked_call
@gradients()
def fit_classes(
    inputs: np.ndarray,
    classes: Sequence[Label] | np.ndarray,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    logit_penalty: float = LOGIT_PENALTY,
    **shorthand: Any,
) -> Surrogate:
    """Fit a network to the classes of a table's rows, by their cross-entropy.

    The loss is mean(−log p) + ½ β mean|z|², p = softmax(z) of the network's outputs z on
    standardised columns; see `pacpde.residuals.class_terms`.

    Args:
        inputs: [rows, columns].
        classes: the class of each row, [rows]: whole numbers, true and false, or texts.
        settings: of the fit, as of `fit_table`; other keywords are settings too.
        seed: of the weights, and of the held-out rows: about a fifth of each class. They tell when
            to stop, and choose the temperature T of p = softmax(z / T).
        logit_penalty: β. Without it, classes that can be separated take the weights to infinity.

    Returns:
        A surrogate of the columns: `surrogate(*inputs.T)` gives the logits, [classes, rows],
        `surrogate.probabilities(*inputs.T)` the probabilities, in the order of
        `surrogate.class_labels`. Its `assessment.notes` say how the held-out rows were met.

    Raises:
        InvalidValueError: rows or classes that cannot be fitted.

    Example:
        >>> surrogate = fit_classes(inputs, classes)  # [rows, columns], a label a row
        >>> surrogate.probabilities(*inputs.T).sum(0)
        array([1., 1., 1., ...])
    """
    runtime = runtime or Runtime()
    config = config_of_fit(None, settings, shorthand, defaults=TABLE, unused=OF_AN_EQUATION)
    points, labels = _checked(inputs, classes)
    known = sorted(set(labels))
    if len(known) < 2:
        raise InvalidValueError(
            f"every row has the class {short(known[0])}, expected two classes at least."
        )
    ansatz = ClassAnsatz.of_classes(points, known)
    rows = _rows(points, labels, known, logit_penalty)
    task = TableTask(rows, ansatz, check_seed(seed), runtime=runtime)
    network = config.build_network(ansatz)
    return calibrated(train_from_scratch(task, network, config, seed)[0], task)


@checked_call
@gradients()
def transfer_classes(
    source: Surrogate,
    inputs: np.ndarray,
    classes: Sequence[Label] | np.ndarray,
    *,
    source_table: tuple[np.ndarray, Sequence[Label] | np.ndarray],
    method: str | Method = "pac",
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    logit_penalty: float = LOGIT_PENALTY,
    **shorthand: Any,
) -> ClassTransferResult:
    """Move a surrogate of classes to other rows, other classes, or both.

    Where the target has a class that the source does not know, the network gets a new last layer
    beside the source's, for all of the target's classes. It begins at 0, and every method trains
    all of it; PAC keeps the source with its own last layer.

    Args:
        inputs, classes: the target's rows. Where they are few, they choose how far the source is
            moved, see `pacpde.training.class_validation`, and PAC how many weights it frees; where
            nothing beats the source it is returned. Where an option, an optimiser or a schedule
            fixes that, and of more rows, about a fifth of each class is held out, as of
            `fit_classes`.
        source_table: inputs and classes of the source, which PAC allocates on.
        method, options, settings, shorthand: as of `transfer`.
        logit_penalty: as of `fit_classes`; of the source's loss too.

    Returns:
        As of `transfer_table`, and measures of the held-out rows.

    Raises:
        InvalidValueError: rows or classes that do not fit the source, or a network that cannot get
            a last layer.

    Example:
        >>> source = fit_classes(before, labels)
        >>> result = transfer_classes(source, inputs, classes, source_table=(before, labels))
        >>> result.held_out.accuracy, result.recall().class_labels
    """
    check_arguments(settings=settings, options=options)
    method = method_of(method, options, shorthand).for_classes()
    own = _ansatz_of(source)
    points, labels = _checked(inputs, classes, source)
    before_points, before_labels = _checked(*source_table, source, what="source table")
    before = _rows(before_points, before_labels, own.classes, logit_penalty)
    ansatz, started, new = own, source, None
    if numbered(labels, own.classes) is None:
        ansatz, started, new = _with_new_head(source, sorted(set(labels)))
    method.check(started.network, physics=False)
    rows = _rows(points, labels, ansatz.classes, logit_penalty)
    task = TableTask(rows, ansatz, check_seed(seed), runtime=source.runtime)
    source_task = replace(task, table=before, standard=own)
    config = config_of_fit(
        None, settings, {}, defaults=TABLE, unused=OF_AN_EQUATION | OF_THE_SOURCE, method=method
    )
    context = TransferContext(source_task, config, seed, new_weights=new)
    result = run_method(method, started, task, context)
    found = result.cross_validation
    if found is not None and found.classes is not None:
        return _chosen(source, method, result, found.classes, rows, task, known=new is None)
    surrogate = calibrated(result.surrogate, task)
    held_out = _held_out(surrogate, task)
    zero_shot = None if new is not None else _held_out(source, task)
    if held_out and zero_shot and zero_shot.log_loss < held_out.log_loss:
        note = (
            "the source untouched does better on these held-out rows (log-loss "
            f"{zero_shot.log_loss:.3g}, accuracy {zero_shot.accuracy:.1%}): take it, or more rows"
        )
        surrogate = surrogate.with_notes([note])
    return _result(
        source, method, replace(result, surrogate=surrogate), task,
        held_out=held_out,
        held_out_uncalibrated=_held_out(surrogate, task, temperature=1.0),
        zero_shot=zero_shot,
    )  # fmt: skip


def _result(
    source: Surrogate,
    method: Method,
    result: MethodResult,
    task: TableTask,
    **measures: Any,
) -> ClassTransferResult:
    return ClassTransferResult(
        method.name, source, result, task.seed, len(task.table.points), None, False, None, None,
        dict.fromkeys(MOMENTS), **measures,
    )  # fmt: skip


def _chosen(
    source: Surrogate,
    method: Method,
    result: MethodResult,
    chosen: ClassChoice,
    rows: ClassLabels,
    task: TableTask,
    known: bool,
) -> ClassTransferResult:
    """The result of a fit whose penalty the labels chose.

    Args:
        known: whether the source knows the target's classes.
    """
    surrogate = result.surrogate
    ansatz = replace(_ansatz_of(surrogate), temperature=chosen.temperature)
    surrogate = replace(surrogate, ansatz=ansatz)
    of = partial(ClassMeasures.of, numbers=rows.numbers)
    held_out = of(chosen.logits, temperature=chosen.temperature)
    notes = [_note_of(held_out, chosen.temperature, "rows, each left out with its fold,")]
    surrogate = surrogate.with_notes([*notes, *_doubts(surrogate, rows, rows.counts)])
    zero_shot = None
    if known:
        zero_shot = of(_logits(source, rows), temperature=_ansatz_of(source).temperature)
    return _result(
        source, method, replace(result, surrogate=surrogate), task,
        held_out=held_out,
        held_out_uncalibrated=of(chosen.logits, temperature=1.0),
        zero_shot=zero_shot,
    )  # fmt: skip


def measure_classes(
    surrogate: Surrogate, inputs: np.ndarray, classes: Sequence[Label] | np.ndarray
) -> ClassMeasures:
    """Accuracy, log-loss and calibration on rows that no fit has seen.

    Args:
        inputs, classes: as of `fit_classes`.

    Example:
        >>> measures = measure_classes(fit_classes(inputs, classes), inputs, classes)
        >>> measures.accuracy, measures.log_loss
    """
    points, labels = _checked(inputs, classes, surrogate, least=1)
    rows = _rows(points, labels, _ansatz_of(surrogate).classes, 0.0)
    temperature = _ansatz_of(surrogate).temperature
    return ClassMeasures.of(_logits(surrogate, rows), rows.numbers, temperature)


def calibrated(surrogate: Surrogate, task: TableTask) -> Surrogate:
    """The same with the temperature of its held-out rows, and notes on how they were met."""
    fitted, held = _split(task)
    chosen = 1.0 if held is None else temperature_of(_logits(surrogate, held), held.numbers)
    ansatz = replace(_ansatz_of(surrogate), temperature=chosen)
    surrogate = replace(surrogate, ansatz=ansatz)
    if surrogate.assessment is None:
        return surrogate
    found, tested = _held_out(surrogate, task), 0 if held is None else held.counts
    if found is None:
        notes = [
            "no class has a row to spare: the rows that were fitted told when to stop, and how "
            "sure the probabilities may be is not known"
        ]
    else:
        notes = [_note_of(found, chosen, "held-out rows")]
        untested = _labels_without(surrogate, tested + (fitted.counts == 0))
        if untested:
            notes.append(f"no held-out row is of the class {_either(untested)}")
    return surrogate.with_notes([*notes, *_doubts(surrogate, fitted, fitted.counts + tested)])


def _note_of(found: ClassMeasures, temperature: float, which: str) -> str:
    return (
        f"of {found.rows} {which} {found.accuracy:.1%} are right (the most common class: "
        f"{found.most_common:.1%}); log-loss {found.log_loss:.3g}, expected calibration error "
        f"{found.calibration_error:.2g}, temperature {temperature:.3g}"
        f"{' (too few rows to choose one)' if found.rows < MIN_ROWS else ''}"
    )


def _doubts(surrogate: Surrogate, fitted: ClassLabels, counts: np.ndarray) -> list[str]:
    """What the rows cannot tell, a sentence each without its end.

    Args:
        fitted: rows that were fitted.
        counts: number of all rows of each class.
    """
    notes = []
    absent = _labels_without(surrogate, counts)
    if absent:
        notes.append(
            f"no row, fitted or held out, is of the class {_either(absent)}: the fit can only "
            "lower its probability"
        )
    own = _logits(surrogate, fitted)
    if (own.argmax(1) == fitted.numbers).all():
        notes.append(
            f"all {len(own)} fitted rows are right: how sure the probabilities are comes from the "
            "logit penalty, the stop and the temperature, not from these rows"
        )
    return notes


def _labels_without(surrogate: Surrogate, counts: np.ndarray) -> list[str]:
    """The classes of a count of 0."""
    pairs = zip(surrogate.class_labels, counts, strict=True)
    return [short(label) for label, count in pairs if not count]


def _either(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN} more" * (len(labels) > SHOWN)
    return f"{' or '.join(labels[:SHOWN])}{more}"


def _split(task: TableTask) -> tuple[ClassLabels, ClassLabels | None]:
    """(the rows that are fitted, others that are held out, if there are any)."""
    fitted, held = task.split
    assert isinstance(fitted, ClassLabels)
    assert isinstance(held, ClassLabels)
    return fitted, None if len(fitted.points) == len(task.table.points) else held


def _held_out(
    surrogate: Surrogate, task: TableTask, temperature: float | None = None
) -> ClassMeasures | None:
    """Measures of the held-out rows; None where there are none."""
    held = _split(task)[1]
    if held is None:
        return None
    chosen = _ansatz_of(surrogate).temperature if temperature is None else temperature
    return ClassMeasures.of(_logits(surrogate, held), held.numbers, chosen)


def _ansatz_of(surrogate: Surrogate) -> ClassAnsatz:
    """Its ansatz, if it is one of classes."""
    if not isinstance(surrogate.ansatz, ClassAnsatz):
        raise InvalidValueError(
            "the surrogate gives values, and no classes: make one with fit_classes."
        )
    return surrogate.ansatz


def _logits(surrogate: Surrogate, rows: ClassLabels) -> np.ndarray:
    """[rows, classes]."""
    points = surrogate.runtime.tensor(rows.points)
    return np.asarray(surrogate.at(points).detach().double().cpu().numpy())


def _with_new_head(
    source: Surrogate, known: Sequence[Label]
) -> tuple[ClassAnsatz, Surrogate, torch.Tensor]:
    """The source with a second last layer for these classes, at 0.

    Returns:
        The ansatz that reads it, the source in the larger network, and the new weights, bool
        [size].
    """
    if len(known) < 2:
        raise InvalidValueError(
            f"every row has the class {short(known[0])}, which the source does not know: expected "
            "two classes at least."
        )
    own, count = _ansatz_of(source), len(known)
    network, places = source.network.enlarged(extra_outputs=count)
    weights = source.weights.new_zeros(network.size)
    weights[places.to(weights.device)] = source.weights
    ansatz = replace(
        own,
        shift=(0.0,) * count,
        scale=(1.0,) * count,
        classes=tuple(known),
        temperature=1.0,
        first_output=source.network.outputs,
    )
    new = torch.ones_like(weights, dtype=torch.bool)
    new[places.to(weights.device)] = False
    return ansatz, replace(source, network=network, weights=weights, retained={}), new


def _rows(
    points: np.ndarray, labels: Sequence[Label], known: Sequence[Label], penalty: float
) -> ClassLabels:
    numbers = numbered(labels, known)
    if numbers is None:
        foreign = next(label for label in labels if label not in known)
        raise InvalidValueError(
            f"the class {short(foreign)} is none of the surrogate's: "
            f"{', '.join(map(short, known[:SHOWN]))}{', ...' * (len(known) > SHOWN)}."
        )
    return ClassLabels(points, numbers, len(known), check_nonnegative("logit_penalty", penalty))


def _checked(
    inputs: Any,
    classes: Any,
    source: Surrogate | None = None,
    *,
    what: str = "table",
    least: int = 2,
) -> tuple[np.ndarray, list[Label]]:
    """Inputs [rows, columns] and the label of each row."""
    points = check_inputs(inputs, what, None if source is None else source.ansatz)
    labels = as_labels(classes)
    if len(points) != len(labels):
        raise InvalidValueError(
            f"the {what} has {len(points)} rows of inputs and {len(labels)} classes, expected one "
            "class a row."
        )
    if len(points) < least:
        raise InvalidValueError(f"the {what} has {len(points)} rows, expected at least {least}.")
    return points, labels
