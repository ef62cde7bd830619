"""Points in the layers that conditions leave where they contradict each other."""

import numpy as np
from numpy.random import Generator

from pacpde.physics.domain import Domain
from pacpde.physics.problem import Problem

SHARE = 4  # one of so many candidates lies in a layer
DECADES = 4.0  # distances from an end run from 10⁻⁴ of an axis to all of it, equally in each decade


def with_layers(points: np.ndarray, problem: Problem, box: Domain, rng: Generator) -> np.ndarray:
    """The points [points, axes] of a box, some of them moved towards contradictions.

    Example:
        Of a start of 1 between walls of 0 they go to t = 0 and x = 0, and to t = 0 and x = 1.
    """
    layers = list(dict.fromkeys(own for one in problem.contradictions for own in one.corners))
    if not layers:
        return points
    points, count = points.copy(), len(points) // SHARE
    for number, ends in enumerate(layers):
        chosen = np.arange(number, count, len(layers))
        for name, upper in ends:
            axis, full = box.axis(name), problem.domain.axis(name)
            share = 10 ** (-DECADES * rng.random(len(chosen)))
            mirrored = not upper and axis.lower > full.lower  # half a box, of an odd ansatz
            share = 1 - share if upper or mirrored else share
            points[chosen, box.names.index(name)] = axis.lower + share * axis.length
    return points
