"""Points go into the layers of contradictions, and nowhere else."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest

from pacpde import fit
from pacpde.problems import Burgers, Heat
from pacpde.residuals.layers import SHARE, with_layers


@dataclass(frozen=True)
class FromOne(Heat):
    """u_t = α u_xx from 1, between walls of 0."""

    def initial(self, *space: Any) -> Any:
        return 1.0 + 0 * space[0]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        odd = np.arange(1, 800, 2)[:, None]
        modes = np.sin(odd * pi * x) * np.exp(-self.alpha * (odd * pi) ** 2 * t)
        return (4 / (pi * odd) * modes).sum(0)[None]


def test_a_quarter_of_the_points_is_drawn_at_all_distances_from_both_corners() -> None:
    problem = FromOne()
    box, rng = problem.domain, np.random.default_rng(0)
    points = box.random(4000, rng)
    moved = with_layers(points, problem, box, rng)
    assert (moved[len(points) // SHARE :] == points[len(points) // SHARE :]).all()
    assert box.contains(moved).all()
    layer = moved[: len(points) // SHARE]
    for distance in (layer[:, 0] / box.axis("t").length, np.minimum(layer[:, 1], 1 - layer[:, 1])):
        decades = np.histogram(distance, [1e-4, 1e-3, 1e-2, 1e-1])[0] / len(layer)
        np.testing.assert_allclose(decades, 0.25, atol=0.05)
    assert (layer[:, 1] < 0.01).mean() == pytest.approx(0.25, abs=0.05)  # half the layer's


def test_without_a_contradiction_the_points_stay() -> None:
    problem = Burgers()
    points = problem.domain.random(100, np.random.default_rng(0))
    assert with_layers(points, problem, problem.domain, np.random.default_rng(1)) is points


@pytest.mark.filterwarnings("ignore::pacpde.errors.ContradictionWarning")
def test_a_start_that_misses_its_walls_is_solved() -> None:
    """With uniform points and all conditions by residuals it ended at 2e-2."""
    problem = FromOne(alpha=0.1)
    made = fit(problem, width=20, depth=3, points=600, steps=40)
    points = problem.domain.random(4000, np.random.default_rng(1)).T
    exact = problem.exact(*points)[0]
    assert np.linalg.norm(made(*points) - exact) <= 6e-3 * np.linalg.norm(exact)
    assert [str(one) for one in made.conditions] == [
        "value of u at x-, exact", "value of u at x+, exact", "value of u at t-, by residual",
    ]  # fmt: skip
    assert made.assessment is not None
    assert "met by residuals, not exactly: value of u at t-" in made.assessment.notes
