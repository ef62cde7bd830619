"""Standard errors of coefficients, and coefficients that only a combination is known of.

The latter by the singular values of the slopes, each column divided by its length (Belsley, Kuh and
Welsch, Regression Diagnostics, 1980, section 3.2).
"""

import numpy as np

MIN_SLOPE = 1e-6  # of the measured values, in scales of the fields: below it they tell nothing
COLLINEAR = 1e-3  # angle between slopes below which they are the same: no solver gives them better
MIN_SHARE = 1e-2  # share in a combination from which a coefficient belongs to it


def standard_errors(
    r: np.ndarray, slopes: np.ndarray, known: float | None = None
) -> tuple[float, np.ndarray]:
    """Noise and standard errors of least squares, of residuals [rows], slopes [rows, unknowns].

    Errors are infinite where the residuals do not depend on an unknown, and where neither is the
    noise known nor any row left to estimate it from.
    """
    rows, count = slopes.shape
    noise = float(np.sqrt((r**2).sum() / max(1, rows - count))) if known is None else known
    if not np.isfinite(slopes).all() or (known is None and rows <= count):
        return noise, np.full(count, np.inf)
    sizes, directions = np.linalg.eigh(slopes.T @ slopes)
    silent = sizes <= rows * MIN_SLOPE**2
    errors = noise * np.sqrt((directions[:, ~silent] ** 2 / sizes[~silent]).sum(1))
    errors[(np.abs(directions[:, silent]) > MIN_SLOPE).any(1)] = np.inf
    return noise, errors


def collinear(slopes: np.ndarray, accuracy: float = 0.0) -> np.ndarray:
    """Collinear unknowns: their effect on the measurements is that of others, bool [unknowns].

    Args:
        accuracy: relative error of the slopes, where it may be larger than `COLLINEAR`.

    """
    result = np.zeros(slopes.shape[1], dtype=bool)
    if not np.isfinite(slopes).all():
        return result
    places = np.flatnonzero(influential(slopes))
    if len(places) < 2:
        return result
    columns = slopes[:, places]
    _, sizes, directions = np.linalg.svd(columns / np.linalg.norm(columns, axis=0))
    sizes = np.pad(sizes, (0, len(places) - len(sizes)))  # where rows are fewer
    weak = directions[sizes <= max(COLLINEAR, accuracy)]
    result[places] = (np.abs(weak) > MIN_SHARE).any(0)
    return result


def influential(slopes: np.ndarray) -> np.ndarray:
    """The unknowns on which the measured values depend, bool [unknowns]."""
    return np.asarray(np.linalg.norm(slopes, axis=0) > MIN_SLOPE * len(slopes) ** 0.5)


def collinearity_message(names: list[str]) -> str:
    """A sentence on collinear coefficients, with advice."""
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"the measurements tell only a combination of {listed}, not each of them: other values "
        "fit as well. Name only one of them as unknown and give the source the true values of the "
        "others, or measure where they act differently, such as a solution of another shape."
    )
