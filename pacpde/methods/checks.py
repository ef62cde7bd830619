"""Whether a problem, a source and a target suit each other, checked before anything runs."""

import warnings

from pacpde.datasets import check_labels
from pacpde.errors import ContradictionWarning, InvalidValueError
from pacpde.methods.result import TransferResult
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.fingerprint import family_difference
from pacpde.physics.problem import Problem, check_problem
from pacpde.residuals.measurements import Measurements


def warn_of_contradictions(problem: Problem) -> None:
    """Say where start and edges contradict each other, or edges, before time goes into a fit.

    Warns:
        ContradictionWarning: with the place and the size of every jump.
    """
    if problem.contradictions:
        warnings.warn(
            f"{problem}: {'; '.join(map(str, problem.contradictions))}. These conditions are "
            "met by residuals, not exactly.",
            ContradictionWarning,
            stacklevel=7,
        )


def check_source(source: Surrogate) -> None:
    """Refuse what is no network of a problem."""
    if isinstance(source, TransferResult):
        raise InvalidValueError(
            "the source is the result of a transfer, expected a surrogate: give result.surrogate, "
            "or result.recall() for the solver it came from."
        )
    if not isinstance(source, Surrogate):
        raise InvalidValueError(
            f"the source is {source!r}, expected a surrogate: make one with fit, or load one."
        )
    if not source.ansatz.uses_network:
        raise InvalidValueError(
            f"the source is scipy's solution of {source.problem}, which has no weights to start "
            "from: give a network, made by `fit` or `pacpde train`."
        )


def check_transfer(
    source: Surrogate,
    target: Problem,
    labels: int,
    noise: float,
    physics: bool,
    data: Measurements | None = None,
) -> None:
    """Refuse what cannot be transferred, before anything runs."""
    check_source(source)
    check_problem(target, "target")
    if source.problem.name != target.name:
        raise InvalidValueError(
            f"the source solves {source.problem.name!r} and the target is {target.name!r}: "
            "transfer goes between coefficients of one family."
        )
    change = family_difference(source.problem, target)
    if change is not None:
        raise InvalidValueError(
            f"the family {target.name!r} was defined anew since the source was made, and {change}: "
            "train the source anew."
        )
    if physics and source.field_ansatz.hard and target.contradictions:
        raise InvalidValueError(
            f"the source meets its start and edges exactly, and {target} cannot: "
            f"{'; '.join(map(str, target.contradictions))}. Train the source with hard=False "
            "(--soft)."
        )
    check_labels(labels, noise)
    labels = labels if data is None else len(data.points)
    if not physics and labels < 2:
        raise InvalidValueError(
            f"without physics there must be at least 2 labels, got {labels}: give more labels or "
            "leave physics on."
        )
