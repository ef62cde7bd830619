"""Which reference grades a problem: the best one that can be certified, that of a file, or none."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pacpde.datasets.cache import reference_for
from pacpde.datasets.load import is_dataset, load
from pacpde.datasets.tables import read_table
from pacpde.errors import DataFileError, InvalidValueError, SolverError
from pacpde.physics import Problem
from pacpde.physics.fingerprint import same_problem
from pacpde.reading import read_bytes
from pacpde.reference import Reference, default_tolerance
from pacpde.reference.certificate import LOOSEST, check_tolerance
from pacpde.reference.exact import exact_reference
from pacpde.renamed import renamed_keywords

AUTO, NONE = "auto", "none"  # choices: the best reference that is certified; none at all
EXACT = "exact"  # and the exact solution that the family gives
# how a user writes the choice "auto", and the tolerance: in Python and in a command
PYTHON = "reference='auto'", "reference_tolerance"
COMMAND = "--reference auto", "--reference-tolerance"
PATIENCE = 5.0  # seconds after which it is said how far a reference is

Log = Callable[[str], None]


@dataclass(frozen=True)
class References:
    """The references of source and target; None for an ungraded one."""

    source: Reference | None
    target: Reference | None


# what a user may give: a reference, one for each end, "auto", "none", a file, None
ReferenceChoice = Reference | References | str | Path | None


@renamed_keywords(say="log")
def grading_reference(
    problem: Problem,
    reference: Reference | str | Path | None = AUTO,
    tolerance: float | None = None,
    log: Log | None = None,
) -> Reference | None:
    """The reference that grades a problem, or None: a fit and a transfer go on without one.

    Args:
        reference: "auto" for the best certificate that a solver reaches; None or "none"; "exact"
            for the exact solution that the family gives; a `Reference`, a file of `pacpde solve`,
            or a table on a grid (see `read_table`), of this very problem.
        tolerance: relative error that "auto" tries to certify first; 1e-10 by default, 1e-9 in two
            dimensions of space or more. Where it is not met, the best that is met is taken.
        log: called with a sentence if that is so, or if there is no reference or no certificate.
    """
    check_choice(reference, tolerance)
    log = log or (lambda sentence: None)
    if _is_none(reference):
        return None
    if isinstance(reference, Reference):
        if not same_problem(reference.problem, problem):
            raise InvalidValueError(
                f"the reference solves {reference.problem}{reference.problem.span_text}, expected "
                f"{problem}{problem.span_text}: solve that, or give none."
            )
        return reference
    if reference == EXACT:
        return exact_reference(problem)
    if reference != AUTO:
        if not isinstance(reference, str | Path):
            raise InvalidValueError(
                f"reference is {reference!r}, expected 'auto', None, a Reference or a file, or "
                "'exact'."
            )
        return _of_file(reference, problem, log)
    target = default_tolerance(problem) if tolerance is None else tolerance
    try:
        best = reference_for(problem, tolerance=target, loosest=LOOSEST, progress=patiently(log))
    except SolverError as error:
        log(f"{error} Nothing is graded on {problem}: its errors will not be known.")
        return None
    if best.certified_error > target:
        log(f"{certified_to_less(best, target)} Errors near it are not told apart.")
    return best


def _of_file(file: str | Path, problem: Problem, log: Log) -> Reference:
    """The reference in a file: an HDF5 one, or a table."""
    if is_dataset(Path(file)):
        return load(file, problem).reference
    log(f"nothing is known of the error of {file}: errors below it are not seen.")
    return read_table(file, problem)


def certified_to_less(reference: Reference, target: float) -> str:
    """A sentence: what a reference is certified to, instead of to `target`, and why."""
    return (
        f"the reference of {reference.problem} is certified to {reference.certified_error:.1e}, "
        f"not to {target:.0e}: {reference.tolerances.get('limit')}."
    )


@renamed_keywords(say="log")
def transfer_references(
    source: Problem,
    target: Problem,
    reference: ReferenceChoice = AUTO,
    tolerance: float | None = None,
    log: Log | None = None,
) -> References:
    """Find the references of source and target.

    A `Reference` or a file is of the target; the source is then graded by "auto", which the
    tolerance is for.
    """
    check_choice(reference, tolerance, of_source=source != target)
    if isinstance(reference, References):
        return reference
    there = grading_reference(target, reference, tolerance if reference == AUTO else None, log)
    if source == target:
        return References(there, there)
    choice = reference if _is_none(reference) or reference == EXACT else AUTO
    return References(grading_reference(source, choice, tolerance, log), there)


def check_label_source(labels: int, reference: Reference | None, choice: object = AUTO) -> None:
    """Refuse labels where there is no reference to draw them from; `choice` is what was asked."""
    if not labels or reference is not None:
        return
    fault = InvalidValueError if choice in (None, NONE) else SolverError
    raise fault(
        f"there is no reference to draw {labels} labels from: leave labels at 0, or give the "
        "file of a reference."
    )


def choice_inputs(reference: ReferenceChoice, tolerance: float | None) -> dict[str, object]:
    """The choices that change a result, as a JSON object for its key; empty for the defaults.

    A missing file is refused.
    """
    inputs: dict[str, object] = {}
    if _is_none(reference):
        inputs["reference"] = NONE
    elif isinstance(reference, Reference):
        inputs["reference"] = hashlib.sha256(reference.values.tobytes()).hexdigest()
    elif reference == EXACT:
        inputs["reference"] = EXACT
    elif isinstance(reference, str | Path) and reference != AUTO:
        inputs["reference"] = _file_hash(Path(reference))
    if tolerance is not None:
        inputs["reference_tolerance"] = float(tolerance)
    return inputs


def _is_none(reference: ReferenceChoice) -> bool:
    """Whether there is to be no reference."""
    return reference is None or reference == NONE


def check_choice(
    reference: ReferenceChoice,
    tolerance: float | None,
    *,
    of_source: bool = False,
    written: tuple[str, str] = PYTHON,
) -> None:
    """Refuse a tolerance that cannot be certified, or that nothing is to be certified to.

    Args:
        of_source: there is a source to grade, too: by "auto", where the target has its reference.
        written: how the user writes "auto" and the tolerance.
    """
    if tolerance is None:
        return
    auto, name = written
    check_tolerance(tolerance, name)
    given = isinstance(reference, References) or (reference != AUTO and not of_source)
    if _is_none(reference) or given:
        why = "there is to be no reference" if _is_none(reference) else "the reference is there"
        raise InvalidValueError(
            f"{name} is {tolerance}, without effect, as {why}: leave it out, or give {auto}."
        )


def _file_hash(file: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(file)).hexdigest()
    except OSError as error:
        raise DataFileError(
            f"the reference {str(file)!r} cannot be read ({error.strerror}): give auto, none, "
            "exact or a file."
        ) from error


def patiently(log: Log) -> Log:
    """Passes on what is said after `PATIENCE`."""
    began = time.monotonic()

    def later(sentence: str) -> None:
        if time.monotonic() - began > PATIENCE:
            log(sentence)

    return later
