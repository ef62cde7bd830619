"""Whether measurements fit the equation, judged by what the best coefficients leave of them.

Standard errors take it for granted that the equation holds, that units agree, and that noise is
independent. A small one says nothing of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import chi2
from scipy.stats import f as fisher

from pacpde.methods.measurements import WeightedMeasurements

RARE = 5e-3  # probability below which what is left is not taken for independent noise
EXPLAINED = 0.3  # noise of this share of the values' spread, if it is not known: too much
HALF = 0.5  # share of what is left that another scale of the values must explain to be named
DRAWS = 1999  # of noise, with which what is left is compared
LENGTHS = (0.05, 0.15, 0.5, np.inf)  # over which noise may be correlated, in sides of the box
FREEDOM = 4  # measured numbers at least that are left to test with
MOST = 400  # measurements that are looked at in pairs
ACCURACY = 3  # what is left cannot be told from so many errors of the solver
SMALL = 5e-4  # nor from this share of the values' spread, which no solver here promises to meet
NOTHING = 1e-9  # size of a solution, in scales of the fields, that no factor changes
MET = 1e-6  # of a scale, within which a value that is always the same is that of the solution
TINY = 1e-300


@dataclass(frozen=True)
class Fitted:
    """What the best coefficients leave.

    Attributes:
        left: weighted misses, [rows], field after field.
        slopes: of them in the unknowns, [rows, unknowns].
        accuracy: error of the solver's values, as a weighted miss.
        told: whether the measurements depend on any of the unknowns.
        rests: whether the unknowns have come to rest; what is left is smooth where they have not.
    """

    measured: WeightedMeasurements
    left: np.ndarray
    slopes: np.ndarray
    accuracy: float = 0.0
    told: bool = True
    rests: bool = True

    def misfit(self) -> str | None:
        """Why the measurements do not fit the equation; None where nothing says so."""
        tests = [self._constant, self._too_large]
        tests += [self._rescaled, self._correlated] if self.rests else []
        return next((sentence for test in tests if (sentence := test())), None)

    @property
    def freedom(self) -> int:
        """Measured numbers that are left to test the fit with."""
        rows, unknowns = self.slopes.shape
        return rows - unknowns

    def _constant(self) -> str | None:
        for name, column, left in zip(
            self.measured.problem.fields,
            self.measured.labels.values.T,
            self.measured.by_label(self.left).T,
            strict=True,
        ):
            met = np.abs(left).max() <= MET  # as at a start of 0
            if len(column) > 1 and np.ptp(column) == 0 and not met:
                return (
                    f"every measured value of {name} is {column[0]:g}: check that the measurements "
                    "were read, and in which units."
                )
        return None

    def _too_large(self) -> str | None:
        """χ² where the noise is known; else the share of the values that is not explained."""
        if self.freedom < 1:
            return None
        noise = self.measured.noise
        if noise is not None:
            size = float((self.left**2).sum() / (noise**2 + self.accuracy**2))
            if chi2.sf(size, self.freedom) >= RARE:
                return None
            times = np.sqrt(size / self.freedom)
            return (
                f"what the fit leaves is {times:.2g} times the noise that was given (χ² is "
                f"{size:.3g} with {self.freedom} degrees of freedom): the measurements do not fit "
                "the equation, or their units or noise are others."
            )
        values = self.measured.labels.values / np.asarray(self.measured.problem.scales)
        spread = float(((values - values.mean(0)) ** 2).sum())
        share = float(np.sqrt((self.left**2).sum() / max(spread, TINY)))
        if not self.told or share <= EXPLAINED:
            return None
        return (
            f"what the fit leaves is {share:.2g} times the spread of the values: the measurements "
            "do not fit the equation, or their units are others. If they are that noisy, give "
            "their noise."
        )

    def _rescaled(self) -> str | None:
        """Whether the values fit far better in other units."""
        if self.freedom < FREEDOM or not len(self._testable):
            return None
        found = self.measured.labels.values / np.asarray(self.measured.problem.scales)
        predicted = self.left + self.measured.weighted(found.T.ravel())
        if np.abs(predicted).max() <= NOTHING or not self._gained(
            self._by_field([predicted]), HALF
        ):
            return None
        return (
            "the measurements fit the equation far better with their values in another scale: "
            "check their units."
        )

    def _correlated(self) -> str | None:
        """Whether a smooth function explains what is left, or neighbours miss alike."""
        if self.freedom < FREEDOM or not len(self._testable):
            return None
        if not self._gained(self._by_field(self._smooth)) and self._by_chance() > RARE:
            return None
        return (
            "what the fit leaves is not independent noise: measurements near each other miss in "
            "the same direction. The equation lacks something, or the noise is correlated; the "
            "standard errors are too small."
        )

    @property
    def _testable(self) -> np.ndarray:
        """Fields of which more is left than the error of the solver."""
        sizes = np.sqrt((self.measured.by_label(self.left) ** 2).mean(0))
        spread = self.measured.labels.values.std(0) / np.asarray(self.measured.problem.scales)
        least = np.sqrt((self.measured.weights**2).mean(0)) * SMALL * spread
        return np.flatnonzero(sizes > np.maximum(ACCURACY * self.accuracy, least))

    @property
    def _smooth(self) -> list[np.ndarray]:
        """Polynomials of second degree in the coordinates, at every row; fewer for few rows."""
        axes = self.measured.problem.domain.axes
        unit = [(axis.lower, axis.length) for axis in axes]
        lower, length = np.array(unit).T
        at = np.tile((self.measured.labels.points - lower) / length, (self._fields, 1))
        columns = [np.ones(len(at)), *at.T]
        quadratic = [a * b for a, b in combinations_with_replacement(at.T, 2)]
        many = self.freedom - FREEDOM >= 2 * len(self._testable) * (len(columns) + len(quadratic))
        return [*columns, *quadratic] if many else columns

    @property
    def _fields(self) -> int:
        return len(self.measured.problem.fields)

    def _by_field(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """The columns for each field by itself, zero at the rows of the others."""
        own = np.repeat(np.arange(self._fields), len(self.measured.labels.points))
        return np.stack([np.where(own == k, c, 0) for k in self._testable for c in columns], -1)

    def _gained(self, columns: np.ndarray, share: float = 0.0) -> bool:
        """Whether these columns explain more of what is left than they would of noise (F test).

        Args:
            share: of what is left, that they must explain besides.
        """
        before, after = self.slopes, np.hstack([self.slopes, columns])
        ranks = [int(np.linalg.matrix_rank(matrix)) for matrix in (before, after)]
        more, freedom = ranks[1] - ranks[0], len(self.left) - ranks[1]
        if more < 1 or freedom < FREEDOM - 1:
            return False
        without, rest = (_unexplained(self.left, matrix) for matrix in (before, after))
        ratio = (without - rest) / more / max(rest / freedom, TINY)
        return bool(fisher.sf(ratio, more, freedom) < RARE and without - rest > share * without)

    def _by_chance(self) -> float:
        """Probability that independent noise would look as correlated, by simulation.

        Statistics Σ r_i r_j K_ij / Σ r² of Gaussian kernels K of several lengths without their
        diagonal, most powerful against weak noise of that correlation; the largest counts, each in
        its own mean and deviation. The simulated noise loses what the unknowns would explain.
        """
        count, rng = len(self.measured.labels.points), np.random.default_rng(0)
        noise = rng.standard_normal((len(self.left), DRAWS))
        directions, sizes, _ = np.linalg.svd(self.slopes, full_matrices=False)
        directions = directions[:, sizes > 1e-10 * max(sizes.max(), TINY)]
        noise -= directions @ (directions.T @ noise)
        chosen = np.sort(rng.permutation(count)[:MOST])
        together = np.column_stack([self.left, noise]).reshape(-1, count, DRAWS + 1)
        together = together[self._testable][:, chosen]
        together /= np.sqrt((together**2).mean(1, keepdims=True)) + TINY
        lengths = [axis.length for axis in self.measured.problem.domain.axes]
        at = self.measured.labels.points[chosen] / lengths
        apart = cdist(at, at)
        extreme = np.full(DRAWS + 1, -np.inf)
        for length in LENGTHS:
            kernel = np.exp(-((apart / length) ** 2) / 2)
            np.fill_diagonal(kernel, 0)
            found = (together * (kernel @ together)).sum((0, 1))
            extreme = np.maximum(extreme, (found - found[1:].mean()) / (found[1:].std() + TINY))
        return float((1 + (extreme[1:] >= extreme[0]).sum()) / (DRAWS + 1))


def _unexplained(rows: np.ndarray, columns: np.ndarray) -> float:
    """‖rows‖² after least squares on some columns."""
    found, *_ = np.linalg.lstsq(columns, rows)
    return float(((rows - columns @ found) ** 2).sum())
