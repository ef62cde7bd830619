"""Whether a problem has the symmetry that it declares.

Where fields are declared odd in x, the reference is solved for x ≥ 0 alone and the network is made
odd, so that neither would notice a start, an edge or an equation that is not.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pacpde.errors import InvalidValueError, named_numbers
from pacpde.physics.conditions import Dirichlet
from pacpde.physics.evaluation import initial_at, rates_at

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

POINTS = 1024  # at which start and equation are tried
ROUNDING = 1e-9  # of the largest value: what rounding may leave where terms cancel


def check_declared(family: "type[Problem]") -> None:
    """Refuse axes that are not there or not symmetric, and edge values that are not odd."""
    known = [axis.name for axis in family.axes if axis.name != "t"]
    for name in family.odd:
        if name not in known:
            raise InvalidValueError(
                f"family {family.name!r} is declared odd in {name!r}, expected one of its space "
                f"axes ({', '.join(known) or 'it has none'})."
            )
    for axis in family.axes:
        edge = family.edges.get(axis.name)
        if axis.name in family.odd and (
            axis.lower != -axis.upper or (isinstance(edge, Dirichlet) and edge.lower != -edge.upper)
        ):
            raise InvalidValueError(
                f"family {family.name!r} cannot be odd in {axis.name!r}: the axis and its edge "
                "values must be symmetric about 0."
            )
        others = ", ".join(repr(name) for name in family.odd if name != axis.name)
        if others and isinstance(edge, Dirichlet) and (edge.lower or edge.upper):
            raise InvalidValueError(
                f"family {family.name!r} cannot be odd in {others}: its edges in {axis.name!r} "
                f"have the values {edge.lower:g} and {edge.upper:g}, expected 0, since a constant "
                "is not odd."
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
    try:
        with np.errstate(all="ignore"):
            sentence = next(_contradictions(problem), None)
    except Exception:  # of the user's functions
        return
    if sentence is not None:
        raise InvalidValueError(f"{problem} is declared odd in {sentence}")


def _contradictions(problem: "Problem") -> Iterator[str]:
    """What is not odd, in words."""
    rng = np.random.default_rng(0)
    box = problem.domain
    points = box.random(POINTS, rng)
    here = dict(zip(box.names, points.T, strict=True))
    space = {name: here[name] for name in box.names[1:]}
    start = initial_at(problem, list(space.values()), (POINTS,))
    for axis in problem.odd:
        image = initial_at(problem, list(_mirrored(space, axis).values()), (POINTS,))
        for k, field in enumerate(problem.fields):
            yield from _contradiction(axis, f"initial {field}", space, start[k], image[k])
    start_sizes = np.array([np.sqrt(np.mean(part**2)) for part in start])
    for sizes in (np.asarray(problem.scales), start_sizes[np.isfinite(start_sizes)]):
        if len(sizes) < len(problem.fields) or not sizes.any():
            continue
        jet = _jet(problem, sizes, rng)
        rates = rates_at(problem, jet, here)
        for axis in problem.odd:
            opposite = {
                name: [value if name.count(axis) % 2 else -value for value in values]
                for name, values in jet.items()
            }
            image = rates_at(problem, opposite, _mirrored(here, axis))
            for k, field in enumerate(problem.fields):
                yield from _contradiction(axis, f"rhs of {field}", here, rates[k], image[k])


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


def _jet(
    problem: "Problem", sizes: np.ndarray, rng: np.random.Generator
) -> dict[str, list[np.ndarray]]:
    """Random fields of these sizes and derivatives over the lengths of the axes."""
    lengths = {axis.name: axis.length for axis in problem.domain.axes}
    return {
        name: [
            size / np.prod([lengths[axis] for axis in name]) * rng.normal(size=POINTS)
            for size in sizes
        ]
        for name in problem.channels
    }
