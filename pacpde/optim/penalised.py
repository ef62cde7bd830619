"""Few labels and many weights: fits with a quadratic penalty, in the space of the labels' rows.

    min over x of ‖r(x)‖² + λ (x − c)ᵀ D⁻¹ (x − c)

It is the most probable x of the model r(x) ~ N(0, σ²), x ~ N(c, (σ²/λ) D). With J = dr/dx and
K = J D Jᵀ every step, error and probability below costs the cube of the number of rows at most.
Around its minimum the model is taken as linear (Laplace's approximation).

Of classes −2 log p(labels | x) stands in the place of ‖r‖², and σ = 1: see `ClassRows`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_softmax

HALVINGS, SHRINK = 6, 3.0  # tries of a step, each shorter by this factor
TINY = 1e-300

Linearised = tuple[np.ndarray, np.ndarray]  # r [rows], J [rows, weights]


@dataclass(frozen=True)
class Rows:
    """The rows r(x) of a fit, the labels first.

    Attributes:
        linearise: x [weights] → r [rows] and J [rows, weights].
        n_labels: number of rows that are labels; the others are always fitted.
        points: number of the point of each label, [n_labels]: what is left out together.
        noise: standard deviation of a label's row, if it is known.
    """

    linearise: Callable[[np.ndarray], Linearised]
    n_labels: int
    points: np.ndarray
    noise: float | None = None

    def variance(self, estimate: float) -> float:
        """σ², which is never below that of the known noise."""
        return max(estimate, (self.noise or 0.0) ** 2, TINY)

    def misfit(self, x: np.ndarray, r: np.ndarray) -> float:
        """−2σ² log p of all rows, without its constant: ‖r‖², r the rows at x."""
        return float(r @ r)

    def least_misfit(self, x: np.ndarray) -> float:
        """What the misfit at x is at least, where that is known without the rows."""
        return 0.0


@dataclass(frozen=True)
class ClassRows(Rows):
    """Rows of classes: those of the generalised Gauss–Newton matrix, see `CrossEntropyTerm`.

    With logits z, p = softmax(z), g = p − y + βz and H = diag p − p pᵀ + βI = L Lᵀ of a label they
    are L⁻¹ g, and their Jacobian is Lᵀ dz/dx. So K = H^½ (dz/dx) D (dz/dx)ᵀ H^½, and Newton's steps
    and Laplace's approximation of the evidence are those of least squares (MacKay 1992; Immer et
    al. 2021, arXiv 2104.04975; Rasmussen & Williams 2006, section 3.5).

    Attributes:
        logits: x [weights] → z [labels, classes]; row k · labels + i is that of class k at label i.
        values: y, one-hot, [labels, classes].
        logit_penalty: β.
    """

    logits: Callable[[np.ndarray], np.ndarray] = field(kw_only=True)
    values: np.ndarray = field(kw_only=True)
    logit_penalty: float = field(default=0.0, kw_only=True)

    def variance(self, estimate: float) -> float:
        """1: the cross-entropy is a log-probability as it is."""
        return 1.0

    def misfit(self, x: np.ndarray, r: np.ndarray) -> float:
        """−2 log p of the labels, plus β |z|² and ‖r‖² of the other rows."""
        others = r[self.n_labels :]
        return float(self.least_misfit(x) + others @ others)

    def least_misfit(self, x: np.ndarray) -> float:
        z = self.logits(x)
        log_p = (self.values * log_softmax(z, axis=1)).sum()
        return float(self.logit_penalty * (z**2).sum() - 2 * log_p)

    def without(self, left_out: np.ndarray) -> "ClassRows":
        """The rows without some labels, bool [labels]."""
        kept, n_classes = ~left_out, self.values.shape[1]
        rows = np.tile(kept, n_classes)

        def linearise(x: np.ndarray) -> Linearised:
            r, J = self.linearise(x)
            every = np.append(rows, np.ones(len(r) - len(rows), dtype=bool))
            return r[every], J[every]

        return replace(
            self, linearise=linearise, n_labels=int(rows.sum()), points=self.points[rows],
            logits=lambda x: self.logits(x)[kept], values=self.values[kept],
        )  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """x ~ N(centre, s² variance), s free.

    Attributes:
        name: of its form.
        variance: D, [weights].
        centre: c, [weights].
    """

    name: str
    variance: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class PenalisedFit:
    """A minimum, or a point on the way to it.

    Attributes:
        penalty: λ.
        x: [weights].
        r, J: rows and their Jacobian at x.
        steps, evaluations: that led here.
    """

    rows: Rows
    prior: Prior
    penalty: float
    x: np.ndarray
    r: np.ndarray
    J: np.ndarray
    steps: int = 0
    evaluations: int = field(default=1, compare=False)

    @classmethod
    def start(cls, rows: Rows, prior: Prior, penalty: float, x: np.ndarray) -> Self:
        """At some x."""
        return cls(rows, prior, penalty, x, *rows.linearise(x))

    @cached_property
    def objective(self) -> float:
        """‖r‖² + λ (x − c)ᵀ D⁻¹ (x − c); of classes −2 log p in the place of ‖r‖²."""
        return self._objective(self.rows.misfit(self.x, self.r), self.x)

    def _objective(self, misfit: float, x: np.ndarray) -> float:
        used = self.prior.variance > 0
        moved = (x - self.prior.centre)[used]
        value = misfit + self.penalty * np.sum(moved**2 / self.prior.variance[used])
        return float(value) if np.isfinite(value) else np.inf

    @property
    def _at_centre(self) -> np.ndarray:
        """The rows of the linear model at c."""
        return np.asarray(self.r - self.J @ (self.x - self.prior.centre))

    @cached_property
    def _kernel(self) -> np.ndarray:
        """K + λI, [rows, rows]."""
        kernel = (self.J * self.prior.variance) @ self.J.T
        kernel[np.diag_indices_from(kernel)] += self.penalty
        return np.asarray(kernel)

    @cached_property
    def _factor(self) -> tuple[np.ndarray, bool]:
        """The Cholesky factor of K + λI, as scipy has it."""
        return cho_factor(self._kernel, lower=True)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """(K + λI)⁻¹."""
        return np.asarray(cho_solve(self._factor, np.eye(len(self.r))))

    def _linearised(self) -> Self:
        """The same with the rows at x."""
        r, J = self.rows.linearise(self.x)
        return replace(self, r=r, J=J)

    def minimised(self, steps: int, tolerance: float) -> Self:
        """The fit after Gauss–Newton steps, until one lowers the objective by less than a share.

        Each goes to the minimum of the linear model, or a part of the way where that is no descent.
        """
        here = self
        evaluations = self.evaluations
        for _ in range(steps):
            solved = cho_solve(here._factor, here._at_centre)
            goal = self.prior.centre - self.prior.variance * (here.J.T @ solved)
            ahead, share = None, 1.0
            for _ in range(HALVINGS):
                x = here.x + share * (goal - here.x)
                share /= SHRINK
                evaluations += 1
                if self._objective(self.rows.least_misfit(x), x) >= here.objective:
                    continue
                tried = replace(here, x=x, steps=here.steps + 1, evaluations=evaluations)
                tried = tried._linearised()
                if tried.objective < here.objective:
                    ahead = tried
                    break
            if ahead is None:
                break
            gained = here.objective - ahead.objective
            small = gained < tolerance * here.objective
            here = ahead
            if small:
                break
        return here

    @cached_property
    def left_out(self) -> np.ndarray:
        """Rows of each label, [n_labels], by the fit without all labels of its point.

        Closed form of the linear model: with A = (K + λI)⁻¹ and the block b of a point it is
        (A_bb)⁻¹ (A r_c)_b, r_c the rows at c.
        """
        weighted = self._inverse @ self._at_centre
        found = np.empty(self.rows.n_labels)
        for point in np.unique(self.rows.points):
            block = np.flatnonzero(self.rows.points == point)
            found[block] = np.linalg.solve(self._inverse[np.ix_(block, block)], weighted[block])
        return found

    @cached_property
    def noise_variance(self) -> float:
        """σ², by which the labels are most probable."""
        return self.rows.variance(self._misfit / self.rows.n_labels)

    @property
    def free_rows(self) -> float:
        """n − γ: labels less the parameters that they tell, tr λ(K + λI)⁻¹ over the labels.

        With γ of MacKay (1992), eq. 4.9; 0 for an interpolation, n for the centre.
        """
        told = np.diag(self._inverse)[: self.rows.n_labels]
        return float(self.penalty * told.sum())

    @property
    def _misfit(self) -> float:
        """The part of the minimum that the labels cause."""
        others = self._others
        return self.objective - (0.0 if others is None else others[1])

    @cached_property
    def _others(self) -> tuple[float, float] | None:
        """log det(K + λI) and the minimum of the rows that are no labels, alone; None without."""
        n = self.rows.n_labels
        if len(self.r) == n:
            return None
        factor, at_centre = cho_factor(self._kernel[n:, n:], lower=True), self._at_centre[n:]
        minimum = self.penalty * at_centre @ cho_solve(factor, at_centre)
        return _log_determinant(factor), float(minimum)

    @cached_property
    def evidence(self) -> float:
        """log p(labels | λ, D) up to a constant: the marginal likelihood.

        Of a Gaussian process with the kernel K (Rasmussen & Williams 2006, eq. 5.8), after
        Laplace's approximation (MacKay 1992).
        """
        n, others = self.rows.n_labels, self._others
        log_determinant = _log_determinant(self._factor) - (0.0 if others is None else others[0])
        variance = self.noise_variance
        twice = n * np.log(variance / self.penalty) + log_determinant + self._misfit / variance
        return float(-twice / 2)

    def covariance_at(self, J: np.ndarray) -> np.ndarray:
        """Variances of rows with the Jacobian J [others, weights], without noise, [others]."""
        across = (J * self.prior.variance) @ self.J.T
        own = np.einsum("ij,j,ij->i", J, self.prior.variance, J)
        left = own - np.einsum("ij,ij->i", across @ self._inverse, across)
        return np.asarray(self.noise_variance / self.penalty * np.maximum(left, 0.0))


def untouched_evidence(rows: Rows, labels: np.ndarray) -> float:
    """The evidence of the model that nothing moves, with these rows of the labels."""
    misfit = float(labels @ labels)
    variance = rows.variance(misfit / len(labels))
    return float(-(len(labels) * np.log(variance) + misfit / variance) / 2)


def penalty_path(
    rows: Rows,
    prior: Prior,
    x: np.ndarray,
    penalties: Sequence[float],
    steps: int,
    tolerance: float,
) -> Iterator[PenalisedFit]:
    """Fits with ever smaller λ, each from the one before.

    Args:
        x: where the first begins.
        steps, tolerance: of each, see `PenalisedFit.minimised`.
    """
    here = PenalisedFit.start(rows, prior, penalties[0], x)
    for penalty in penalties:
        here = replace(here, penalty=penalty, steps=0, evaluations=0).minimised(steps, tolerance)
        yield here


def _log_determinant(factor: tuple[np.ndarray, bool]) -> float:
    """Of the matrix with a Cholesky factor."""
    return 2 * float(np.log(np.diag(factor[0])).sum())
