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

from pacpde.methods.coefficient_errors import influential
from pacpde.methods.measurements import WeightedMeasurements

SIGNIFICANCE = 5e-3  # probability below which what is left is not taken for independent noise
MAX_SHARE = 0.3  # noise of this share of the values' spread, if it is not known: too much
MIN_GAIN = 0.5  # share of what is left that another scale of the values must explain to be named
DRAWS = 1999  # of noise, with which what is left is compared
LENGTHS = (0.05, 0.15, 0.5, np.inf)  # over which noise may be correlated, in sides of the box
MIN_FREE = 4  # measured numbers at least that are left to test with
MAX_PAIRED = 400  # measurements that are looked at in pairs
SOLVER_ERRORS = 3  # residuals of so many errors of the solver prove nothing
MIN_SIZE = 5e-4  # nor from this share of the values' spread, which no solver here promises to meet
ZERO = 1e-9  # size of a solution, in scales of the fields, that no factor changes
ZERO_RESIDUAL = (
    1e-6  # of a scale, within which a value that is always the same is that of the solution
)
TINY = 1e-300


@dataclass(frozen=True)
class MisfitTest:
    """Tests of the residuals that the best coefficients leave.

    Attributes:
        residuals: weighted, [rows], field after field.
        slopes: of them in the unknowns, [rows, unknowns].
        accuracy: error of the solver's values, as a weighted residual.
        at_rest: whether the unknowns have come to rest; residuals are smooth where they have not.
    """

    measured: WeightedMeasurements
    residuals: np.ndarray
    slopes: np.ndarray
    accuracy: float = 0.0
    at_rest: bool = True

    def message(self) -> str | None:
        """Why the measurements do not fit the equation; None where nothing says so."""
        tests = [self._constant, self._too_large]
        tests += [self._rescaled, self._correlated] if self.at_rest else []
        return next((sentence for test in tests if (sentence := test())), None)

    @property
    def n_free(self) -> int:
        """Degrees of freedom: measured numbers minus unknowns."""
        rows, unknowns = self.slopes.shape
        return rows - unknowns

    def _constant(self) -> str | None:
        for name, column, residuals in zip(
            self.measured.problem.fields,
            self.measured.labels.values.T,
            self.measured.by_label(self.residuals).T,
            strict=True,
        ):
            met = np.abs(residuals).max() <= ZERO_RESIDUAL  # as at a start of 0
            if len(column) > 1 and np.ptp(column) == 0 and not met:
                return (
                    f"every measured value of {name} is {column[0]:g}: check that the measurements "
                    "were read, and in which units."
                )
        return None

    def _too_large(self) -> str | None:
        """χ² where the noise is known; else the share of the values that is not explained."""
        if self.n_free < 1:
            return None
        noise = self.measured.noise
        if noise is not None:
            size = float((self.residuals**2).sum() / (noise**2 + self.accuracy**2))
            if chi2.sf(size, self.n_free) >= SIGNIFICANCE:
                return None
            times = np.sqrt(size / self.n_free)
            return (
                f"what the fit leaves is {times:.2g} times the noise that was given (χ² is "
                f"{size:.3g} with {self.n_free} degrees of freedom): the measurements do not fit "
                "the equation, or their units or noise are others."
            )
        values = self.measured.labels.values / np.asarray(self.measured.problem.scales)
        spread = float(((values - values.mean(0)) ** 2).sum())
        share = float(np.sqrt((self.residuals**2).sum() / max(spread, TINY)))
        if not influential(self.slopes).any() or share <= MAX_SHARE:
            return None
        return (
            f"what the fit leaves is {share:.2g} times the spread of the values: the measurements "
            "do not fit the equation, or their units are others. If they are that noisy, give "
            "their noise."
        )

    def _rescaled(self) -> str | None:
        """Whether the values fit far better in other units."""
        if self.n_free < MIN_FREE or not len(self._testable):
            return None
        found = self.measured.labels.values / np.asarray(self.measured.problem.scales)
        predicted = self.residuals + self.measured.weighted(found.T.ravel())
        if np.abs(predicted).max() <= ZERO or not self._explains(
            self._by_field([predicted]), MIN_GAIN
        ):
            return None
        return (
            "the measurements fit the equation far better with their values in another scale: "
            "check their units."
        )

    def _correlated(self) -> str | None:
        """Whether a smooth function explains what is left, or neighbours miss alike."""
        if self.n_free < MIN_FREE or not len(self._testable):
            return None
        if not self._explains(self._by_field(self._smooth)) and self._p_value() > SIGNIFICANCE:
            return None
        return (
            "what the fit leaves is not independent noise: measurements near each other miss in "
            "the same direction. The equation lacks something, or the noise is correlated; the "
            "standard errors are too small."
        )

    @property
    def _testable(self) -> np.ndarray:
        """Fields of which more is left than the error of the solver."""
        sizes = np.sqrt((self.measured.by_label(self.residuals) ** 2).mean(0))
        spread = self.measured.labels.values.std(0) / np.asarray(self.measured.problem.scales)
        least = np.sqrt((self.measured.weights**2).mean(0)) * MIN_SIZE * spread
        return np.flatnonzero(sizes > np.maximum(SOLVER_ERRORS * self.accuracy, least))

    @property
    def _smooth(self) -> list[np.ndarray]:
        """Polynomials of second degree in the coordinates, at every row; fewer for few rows."""
        axes = self.measured.problem.domain.axes
        unit = [(axis.lower, axis.length) for axis in axes]
        lower, length = np.array(unit).T
        at = np.tile((self.measured.labels.points - lower) / length, (self._fields, 1))
        columns = [np.ones(len(at)), *at.T]
        quadratic = [a * b for a, b in combinations_with_replacement(at.T, 2)]
        many = self.n_free - MIN_FREE >= 2 * len(self._testable) * (len(columns) + len(quadratic))
        return [*columns, *quadratic] if many else columns

    @property
    def _fields(self) -> int:
        return len(self.measured.problem.fields)

    def _by_field(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """The columns for each field by itself, zero at the rows of the others."""
        own = np.repeat(np.arange(self._fields), len(self.measured.labels.points))
        return np.stack([np.where(own == k, c, 0) for k in self._testable for c in columns], -1)

    def _explains(self, columns: np.ndarray, share: float = 0.0) -> bool:
        """Whether these columns explain more of what is left than they would of noise (F test).

        Args:
            share: of what is left, that they must explain besides.
        """
        before, after = self.slopes, np.hstack([self.slopes, columns])
        ranks = [int(np.linalg.matrix_rank(matrix)) for matrix in (before, after)]
        more, freedom = ranks[1] - ranks[0], len(self.residuals) - ranks[1]
        if more < 1 or freedom < MIN_FREE - 1:
            return False
        without, rest = (_unexplained(self.residuals, matrix) for matrix in (before, after))
        ratio = (without - rest) / more / max(rest / freedom, TINY)
        return bool(
            fisher.sf(ratio, more, freedom) < SIGNIFICANCE and without - rest > share * without
        )

    def _p_value(self) -> float:
        """Probability that independent noise would look as correlated, by simulation.

        Statistics Σ r_i r_j K_ij / Σ r² of Gaussian kernels K of several lengths without their
        diagonal, most powerful against weak noise of that correlation; the largest counts, each in
        its own mean and deviation. The simulated noise loses what the unknowns would explain.
        """
        count, rng = len(self.measured.labels.points), np.random.default_rng(0)
        noise = rng.standard_normal((len(self.residuals), DRAWS))
        directions, sizes, _ = np.linalg.svd(self.slopes, full_matrices=False)
        directions = directions[:, sizes > 1e-10 * max(sizes.max(), TINY)]
        noise -= directions @ (directions.T @ noise)
        chosen = np.sort(rng.permutation(count)[:MAX_PAIRED])
        together = np.column_stack([self.residuals, noise]).reshape(-1, count, DRAWS + 1)
        together = together[self._testable][:, chosen]
        together /= np.sqrt((together**2).mean(1, keepdims=True)) + TINY
        lengths = [axis.length for axis in self.measured.problem.domain.axes]
        at = self.measured.labels.points[chosen] / lengths
        distances = cdist(at, at)
        extreme = np.full(DRAWS + 1, -np.inf)
        for length in LENGTHS:
            kernel = np.exp(-((distances / length) ** 2) / 2)
            np.fill_diagonal(kernel, 0)
            found = (together * (kernel @ together)).sum((0, 1))
            extreme = np.maximum(extreme, (found - found[1:].mean()) / (found[1:].std() + TINY))
        return float((1 + (extreme[1:] >= extreme[0]).sum()) / (DRAWS + 1))


def _unexplained(rows: np.ndarray, columns: np.ndarray) -> float:
    """‖rows‖² after least squares on some columns."""
    found, *_ = np.linalg.lstsq(columns, rows)
    return float(((rows - columns @ found) ** 2).sum())
