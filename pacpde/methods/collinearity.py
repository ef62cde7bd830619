"""Coefficients that measurements tell only in a combination.

By the singular values of the slopes, each column divided by its length (Belsley, Kuh and Welsch,
Regression Diagnostics, 1980, section 3.2).
"""

import numpy as np

from pacpde.methods.coefficient_search import MUTE

COLLINEAR = 1e-3  # angle between slopes below which they are the same: no solver gives them better
PART = 1e-2  # share in such a combination from which a coefficient belongs to it


def collinear(slopes: np.ndarray, accuracy: float = 0.0) -> np.ndarray:
    """Which unknowns change the measured values only as others do, bool [unknowns].

    Args:
        accuracy: relative error of the slopes, where it may be larger than `COLLINEAR`.

    """
    count = slopes.shape[1]
    found = np.zeros(count, dtype=bool)
    if not np.isfinite(slopes).all():
        return found
    heard = np.flatnonzero(influential(slopes))
    if len(heard) < 2:
        return found
    columns = slopes[:, heard]
    _, sizes, directions = np.linalg.svd(columns / np.linalg.norm(columns, axis=0))
    sizes = np.pad(sizes, (0, len(heard) - len(sizes)))  # where rows are fewer
    weak = directions[sizes <= max(COLLINEAR, accuracy)]
    found[heard] = (np.abs(weak) > PART).any(0)
    return found


def influential(slopes: np.ndarray) -> np.ndarray:
    """Which unknowns the measured values depend on at all, bool [unknowns]."""
    return np.asarray(np.linalg.norm(slopes, axis=0) > MUTE * len(slopes) ** 0.5)


def sentence(names: list[str]) -> str:
    """What is to be said of such unknowns."""
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"the measurements tell only a combination of {listed}, not each of them: other values "
        "fit as well. Name only one of them as unknown and give the source the true values of the "
        "others, or measure where they act differently, such as a solution of another shape."
    )
