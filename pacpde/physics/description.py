"""A problem in words: its equation, the derivatives it reads, its conditions and symmetry."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pacpde.errors import named_numbers
from pacpde.physics.boundary import Boundary, EdgeCondition
from pacpde.physics.findings import Finding, Verdict, sentence_case

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

STEP = 0.1  # relative change of a coefficient to a problem nearby
KINDS = {
    1: "an evolution of order 1 (∂u/∂t = rhs)",
    2: "an evolution of order 2 (∂²u/∂t² = rhs)",
}


def description(problem: "Problem") -> Iterator[Finding]:
    """The equation, what it reads, declared symmetries, contradictions and narrow features."""
    yield Finding("equation", _equation(problem))
    yield Finding("derivatives", _reads(problem))
    if problem.odd:
        axes = " and ".join(problem.odd)
        yield Finding("symmetry", f"Start, conditions and equation are odd in {axes}, as declared.")
    for contradiction in problem.contradictions:
        yield Finding(
            "contradiction",
            f"Start and conditions contradict each other: {contradiction}. Conditions of which "
            "another asks for something else are met by residuals then, not exactly.",
            Verdict.DOUBTFUL,
            {"field": contradiction.field, "jump": contradiction.jump},
        )
    if not problem.contradictions:
        yield from _contradictions_nearby(problem)
    for feature in problem.narrow_features:
        yield Finding(
            "narrow", f"{sentence_case(str(feature))}: points may miss it.", Verdict.DOUBTFUL
        )


def nearby(problem: "Problem", name: str) -> Iterator["Problem"]:
    """The problem with one coefficient a tenth larger, and smaller, where its bounds let it."""
    about, value = problem.declared()[name], getattr(problem, name)
    step = STEP * (abs(value) or about.upper - about.lower)
    for other in (value + step, value - step):
        if about.lower <= other <= about.upper and other != value:
            yield problem.with_coefficients(**{name: other})


def _contradictions_nearby(problem: "Problem") -> Iterator[Finding]:
    """The first contradiction of each coefficient that has one nearby."""
    for name in problem.declared():
        moved = next((one for one in nearby(problem, name) if one.contradictions), None)
        if moved is not None:
            first = moved.contradictions[0]
            yield Finding(
                "contradiction",
                f"Start and conditions agree here, and contradict each other at "
                f"{name} = {getattr(moved, name):g}: {first}. For a transfer there, fit the source "
                "with hard=False (--soft), or let the start depend on the coefficient.",
                Verdict.DOUBTFUL,
                {"field": first.field, "jump": first.jump, name: getattr(moved, name)},
            )


def condition_words(problem: "Problem", boundary: Boundary) -> list[str]:
    """Some conditions of a problem, each in a few words.

    Example:
        >>> condition_words(Heat(), Heat().boundary)
        ['u = 0 at x- and x+']
    """
    ends: dict[tuple[str, str], list[str]] = {}
    for edge in boundary.edges:
        ends.setdefault((_left_side(problem, edge), edge.axis), []).append(edge.where)
    words = [
        f"{left} at the start" if places == ["t-"] and problem.order else _at(left, places)
        for (left, _), places in ends.items()
    ]
    words += [f"periodic in {axis}" for axis in boundary.periodic]
    for point in boundary.points:
        place = dict(zip(problem.domain.names, point.point, strict=True))
        words.append(
            f"{problem.fields[point.field]} = {point.value:g} at {named_numbers(place, ' = ')}"
        )
    return words


def _equation(problem: "Problem") -> str:
    steady = "a problem in space and time" if problem.domain.time else "a steady problem"
    kind = KINDS.get(problem.order, f"{steady} (residual = 0)")
    rows = f"{problem.n_rows} equation{'s' if problem.n_rows > 1 else ''}"
    fields = f"field{'s' if len(problem.fields) > 1 else ''} {_and(problem.fields)}"
    box = ", ".join(f"{a.name} from {a.lower:g} to {a.upper:g}" for a in problem.domain.axes)
    return f"{problem} is {kind}: {rows} for the {fields}, {box}."


def _reads(problem: "Problem") -> str:
    parts = [f"{field}_{name}" for field, name in _derivatives(problem)]
    sentence = f"It reads {_and(parts)}" if parts else "It reads no derivatives in space"
    alone = [name for name in problem.domain.names if name in problem.coordinates_read]
    return f"{sentence}{f', and {_and(alone)} by itself' if alone else ''}."


def _derivatives(problem: "Problem") -> list[tuple[str, str]]:
    return [
        (field, name)
        for field, names in problem.recorded.by_field.items()
        for name in sorted(names, key=lambda name: (len(name), name))
    ]


def _left_side(problem: "Problem", edge: EdgeCondition) -> str:
    """As in "u = 0"; a start has no right-hand side, since it is a function of space."""
    field = problem.fields[edge.field]
    if edge.axis == "t" and problem.order:
        return f"∂{field}/∂t" if edge.b else field
    value = "a function" if edge.constant is None else f"{edge.constant:g}"
    terms = [_term(edge.a, field), _term(edge.b, f"∂{field}/∂n")]
    return f"{' + '.join(term for term in terms if term)} = {value}"


def _term(factor: float, what: str) -> str:
    if not factor:
        return ""
    return what if factor == 1 else f"{factor:g} {what}"


def _at(left: str, places: Sequence[str]) -> str:
    return f"{left} at {_and(places)}"


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
