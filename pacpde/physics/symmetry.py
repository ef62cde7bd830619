"""Whether a problem has the symmetry that it declares.

Where fields are declared odd in x, the reference is solved for x ≥ 0 alone and the network is made
odd, so that neither would notice a start, an edge or an equation that is not.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pacpde.errors import InvalidValueError, named_numbers
from pacpde.physics.evaluation import equation_at, random_jet, start_at

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

POINTS = 1024  # at which start and equation are tried
ROUNDING = 1e-9  # of the largest value: what rounding may leave where terms cancel


def check_declared(family: "type[Problem]") -> None:
    """Refuse axes that are not there or not symmetric."""
    known = [axis.name for axis in family.axes if axis.name != "t"]
    for name in family.odd:
        if name not in known:
            raise InvalidValueError(
                f"family {family.name!r} is declared odd in {name!r}, expected one of its space "
                f"axes ({', '.join(known) or 'it has none'})."
            )
    for axis in family.axes:
        if axis.name in family.odd and axis.lower != -axis.upper:
            raise InvalidValueError(
                f"family {family.name!r} cannot be odd in {axis.name!r}: the axis and its edge "
                "values must be symmetric about 0."
            )


def check_symmetry(problem: "Problem") -> None:
    """Refuse a problem that is not odd in an axis in which it is declared so.

    Start and equation are tried with its own coefficients, at random points and for random values
    of the fields and their derivatives. What fails there fails again where it is used, and is said
    there.
    """
    if not problem.odd:
        return
    check_declared(type(problem))
    for axis in problem.odd:
        _check_conditions(problem, axis)
    try:
        with np.errstate(all="ignore"):
            sentence = next(_contradictions(problem), None)
    except Exception:  # of the user's functions
        return
    if sentence is not None:
        raise InvalidValueError(f"{problem} is declared odd in {sentence}")


def _check_conditions(problem: "Problem", odd: str) -> None:
    """Refuse conditions that are not odd in an axis."""
    box = problem.domain
    points = box.random(POINTS, np.random.default_rng(0)).T
    here = dict(zip(box.names, points, strict=True))
    for edge in problem.boundary.edges:
        value = np.broadcast_to(edge.value_at(here), POINTS)
        image = np.broadcast_to(edge.value_at(_mirrored(here, odd)), POINTS)
        if edge.axis == odd:
            others = problem.boundary.at(odd, not edge.upper, edge.field)
            pairs = [one for one in others if (one.a, one.b) == (edge.a, edge.b)]
            mirrored = _mirrored(here, odd)
            image = (
                np.broadcast_to(pairs[0].value_at(mirrored), POINTS)
                if pairs
                else np.full(POINTS, np.nan)
            )
        if np.allclose(value, -image, rtol=ROUNDING, atol=ROUNDING * np.abs(value).max()):
            continue
        if edge.axis == odd:
            raise InvalidValueError(
                f"family {problem.name!r} cannot be odd in {odd!r}: the axis and its edge "
                "values must be symmetric about 0."
            )
        ends = problem.boundary.constant_edges(edge.axis, edge.field)
        what = "conditions" if ends is None else f"the values {ends[0]:g} and {ends[1]:g}"
        raise InvalidValueError(
            f"family {problem.name!r} cannot be odd in {odd!r}: its edges in {edge.axis!r} have "
            f"{what}"
            + (" that are not odd" if ends is None else ", expected 0, since a constant is not odd")
            + "."
        )


def _contradictions(problem: "Problem") -> Iterator[str]:
    """What is not odd, in words."""
    rng = np.random.default_rng(0)
    box = problem.domain
    points = box.random(POINTS, rng)
    here = dict(zip(box.names, points.T, strict=True))
    space = {name: here[name] for name in box.names if name != "t"}
    start = start_at(problem, here)
    for axis in problem.odd:
        image = start_at(problem, _mirrored(here, axis))
        for what, values in start.items():
            yield from _contradiction(axis, what, space, values, image[what])
    start_sizes = np.array([np.sqrt(np.mean(part**2)) for part in start.values()])
    start_sizes = start_sizes[: len(problem.fields)]
    for sizes in (np.asarray(problem.scales), start_sizes[np.isfinite(start_sizes)]):
        if len(sizes) < len(problem.fields) or not sizes.any():
            continue
        jet = random_jet(problem, list(sizes), POINTS, rng)
        equation = equation_at(problem, jet, here)
        for axis in problem.odd:
            opposite = {
                name: [value if name.count(axis) % 2 else -value for value in values]
                for name, values in jet.items()
            }
            image = equation_at(problem, opposite, _mirrored(here, axis))
            for what, values in equation.items():
                if not (problem.rows_may_be_even and np.allclose(values, image[what])):
                    yield from _contradiction(axis, what, here, values, image[what])


def _contradiction(
    axis: str, what: str, at: Mapping[str, np.ndarray], value: np.ndarray, image: np.ndarray
) -> Iterator[str]:
    """Where a value and that of the mirror image are not opposite, if anywhere."""
    finite, other = np.isfinite(value), np.isfinite(image)
    gap = np.where(finite & other, np.abs(value + image), np.where(finite == other, 0.0, np.inf))
    size = float(np.abs(value[finite]).max(initial=0.0))
    worst = int(np.argmax(gap))
    if gap[worst] > ROUNDING * size:
        where = named_numbers({name: values[worst] for name, values in at.items()}, digits=3)
        yield (
            f"{axis!r}, and it is not: the {what} at {where} is {value[worst]:.6g}, and that of "
            f"the mirror image {image[worst]:.6g}, expected {-value[worst]:.6g}. Take {axis!r} out "
            f"of odd, or change {what.split()[0]}."
        )


def _mirrored(at: Mapping[str, np.ndarray], axis: str) -> dict[str, np.ndarray]:
    return {name: -values if name == axis else values for name, values in at.items()}
