"""The shortest wave that an equation lets pass: an error of that kind needs a grid that sees it.

Where the coefficients of the linearised equation Σ_c A_c ∂_c e = 0 are constant, a wave exp(i k·x)
solves it where the matrix Σ_c A_c (i k)^c is singular. Its wave number, as that of u'' + k² u = 0,
may be far above that of the solution, which shows nothing of it. Through a hyperbolic equation
waves of any length pass, along its characteristics.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.linearised import linearise_rows

POINTS = 64  # random ones, at which coefficients are taken
HALF_WAVES = np.geomspace(1, 400, 300)  # along an axis, of the waves that are tried
DIRECTIONS = 128  # of the shortest ones
SINGULAR = 0.1  # smallest singular value, of a matrix whose terms are 1 in sum


@dataclass(frozen=True)
class LinearWaves:
    """The waves that the linearised equation of a solution lets pass.

    Coefficients are those at some points, as if they were constant around each of them.

    Attributes:
        problem: the problem.
        shares: coefficients for fields as shares of their size, [channels, points, rows, fields].
    """

    problem: Problem
    shares: np.ndarray

    @classmethod
    def of(cls, solver: Surrogate) -> "LinearWaves":
        points = solver.problem.domain.random(POINTS, np.random.default_rng(0))
        jet, slopes, _ = linearise_rows(solver, torch.from_numpy(points).to(solver.weights))
        sizes = (jet[0] ** 2).mean(0).sqrt()
        shares = slopes * torch.where(sizes > 0, sizes, 1.0)
        return cls(solver.problem, shares.double().cpu().numpy())

    def half_waves(self, axis: str) -> float:
        """Half-waves along an axis of the shortest wave that passes in its direction.

        Returns:
            The number; 0 where none passes, or even the shortest of `HALF_WAVES` does, as of a
            field that nothing is said of in this direction.
        """
        waves = np.zeros((len(HALF_WAVES), len(self.problem.axes)))
        waves[:, self.problem.domain.names.index(axis)] = HALF_WAVES
        passing = self._passing(waves)
        return 0.0 if passing[-1] else float(HALF_WAVES[passing].max(initial=0.0))

    def of_any_length(self) -> bool:
        """Whether waves pass that are as short as one likes, in a direction between two axes."""
        if len(self.problem.axes) != 2:
            return False
        angles = np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
        waves = HALF_WAVES[-1] * np.stack([np.cos(angles), np.sin(angles)], -1)
        return bool(self._passing(waves).any())

    def _passing(self, waves: np.ndarray) -> np.ndarray:
        """Which waves pass at some point, by their half-waves along each axis [waves, axes]."""
        numbers = 1j * np.pi * waves / np.array([axis.length for axis in self.problem.axes])
        names, channels = self.problem.domain.names, self.problem.channels
        orders = np.array([[channel.count(name) for name in names] for channel in channels])
        powers = (numbers[:, None] ** orders).prod(-1)  # [waves, channels]
        # [waves, points, rows, fields]
        matrices = np.einsum("wc,cprf->wprf", powers, self.shares)
        terms = np.einsum("wc,cprf->wprf", np.abs(powers), np.abs(self.shares))
        for axis_of in (-1, -2):  # each row, and then each column, has terms of 1
            size = terms.sum(axis_of, keepdims=True)
            size = np.where(size > 0, size, 1.0)
            matrices, terms = matrices / size, terms / size
        if not np.isfinite(matrices).all():
            return np.zeros(len(waves), bool)
        least: np.ndarray = np.linalg.svd(matrices, compute_uv=False)[..., -1].min(1)
        return least < SINGULAR
