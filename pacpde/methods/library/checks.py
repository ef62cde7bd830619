"""What can be the sources and the targets of a library."""

from collections.abc import Sequence
from dataclasses import fields
from math import inf

from pacpde.checks import check_number
from pacpde.errors import InvalidValueError, short
from pacpde.methods.checks import check_source
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.fingerprint import family_difference
from pacpde.physics.problem import Problem, check_problem
from pacpde.training.config import TINY


def checked_family(family: object) -> Problem:
    """The problem that stands for a family: itself, or that of a class with its own numbers."""
    if isinstance(family, type) and issubclass(family, Problem):
        return family()
    if not isinstance(family, Problem):
        raise InvalidValueError(
            f"the family is {short(family)}, expected a class of problems, as Heat from "
            "pacpde.problems, or a problem of it."
        )
    return family


def checked_tolerance(tolerance: float) -> float:
    """`tolerance` of a library as a float, if it is one."""
    return check_number("tolerance", tolerance, TINY, 1.0, expected="an error above 0, at most 1")


def checked_seconds(seconds: float) -> float:
    """`seconds` of a build as a float, if it is a time; infinite for no limit."""
    if isinstance(seconds, float) and seconds == inf:
        return seconds
    return check_number("seconds", seconds, TINY, expected="a time above 0, or inf")


def check_target(problem: Problem, box: CoefficientRange) -> None:
    """Refuse a problem that differs in more than the coefficients of a library."""
    check_problem(problem, "target")
    own = box.problem
    if problem.name != own.name:
        raise InvalidValueError(
            f"the library solves {own.name!r} and the target is {problem.name!r}: build one "
            "of that family."
        )
    change = family_difference(own, problem)
    if change is not None:
        raise InvalidValueError(
            f"the family {own.name!r} was defined anew since the library was made, and "
            f"{change}: build it anew."
        )
    changed = {
        one.name for one in fields(own) if getattr(problem, one.name) != getattr(own, one.name)
    }
    if not changed <= set(box.names):
        raise InvalidValueError(
            f"the target is {problem}{problem.span_text}, and the library goes from "
            f"{box.at([0.0] * len(box.names))} to {box.at([1.0] * len(box.names))}"
            f"{own.span_text}: only {', '.join(box.names)} may differ."
        )


def check_sources(sources: object) -> None:
    """Refuse what cannot be one backbone."""
    if isinstance(sources, Surrogate) or not isinstance(sources, Sequence) or not sources:
        raise InvalidValueError(
            f"the sources are {short(sources)}, expected a list of surrogates: write [source]."
        )
    for source in sources:
        check_source(source)
        if family_difference(sources[0].problem, source.problem) is not None or (
            source.problem.name != sources[0].problem.name
        ):
            raise InvalidValueError(
                f"the sources solve {sources[0].problem} and {source.problem}, expected one family."
            )
        if source.runtime != sources[0].runtime:
            raise InvalidValueError(
                f"the sources of {sources[0].problem} and {source.problem} are on "
                f"{sources[0].runtime} and {source.runtime}: bring them together by "
                "source.to(Runtime(...))."
            )
        if source.field_ansatz.settings != sources[0].field_ansatz.settings:
            raise InvalidValueError(
                f"the sources of {sources[0].problem} and {source.problem} meet their conditions "
                f"in different ways ({sources[0].field_ansatz.settings} and "
                f"{source.field_ansatz.settings}): fit them by the same settings, or by warm start "
                "from one of them."
            )


def spanned(sources: Sequence[Surrogate]) -> dict[str, tuple[float, float]]:
    """The coefficients in which sources differ, from the least to the largest."""
    ranges = {}
    for name in sources[0].problem.declared():
        values = [float(getattr(source.problem, name)) for source in sources]
        if min(values) < max(values):
            ranges[name] = (min(values), max(values))
    if not ranges:
        raise InvalidValueError(
            "all sources have the same coefficients: give sources that differ, or the ranges that "
            'targets lie in, as ranges={"nu": (0.003, 0.03)}.'
        )
    return ranges
