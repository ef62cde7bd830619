"""Kinks where a periodic axis closes: where there are any, and their local form."""

from dataclasses import dataclass
from math import pi

import numpy as np
import pytest
import torch

from pacpde.physics import Axis, Evolution, Periodic, Problem
from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.seams import SeamKink
from pacpde.problems import AllenCahn, Convection, HeatModes, KdV, Reaction


def test_kinks_are_found_with_the_diffusivity_at_the_seam() -> None:
    (of_walls,) = AllenCahn(epsilon=2e-3).seam_kinks
    assert of_walls.diffusivity == pytest.approx(2e-3, rel=1e-12)
    (of_growth,) = Reaction(rho=5.0).seam_kinks
    assert of_growth.diffusivity == 0


@dataclass(frozen=True)
class Carried(Evolution):
    """u_t = u_x on x∈[0,1], periodic; u(0,x) = x(1 − x), whose kink moves away from the seam."""

    name = "test_seams_carried"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def conditions(self):  # type: ignore[no-untyped-def]
        return [Periodic("x")]

    def rhs(self, u, d):  # type: ignore[no-untyped-def]
        return d(u, "x")

    def initial(self, x):  # type: ignore[no-untyped-def]
        return x * (1 - x)


@pytest.mark.parametrize("problem", [Convection(), KdV(), HeatModes(), Carried()], ids=str)
def test_smooth_starts_and_kinks_that_move_have_none(problem: Problem) -> None:
    assert problem.seam_kinks == ()


def test_the_local_form_solves_the_heat_equation_near_the_seam_and_starts_as_a_kink() -> None:
    axis, time = Axis("x", -1.0, 1.0), Axis("t", 0.0, 1.0)
    kink = SeamKink(axis, time, diffusivity=1e-4)

    def form(**at: torch.Tensor) -> torch.Tensor:
        return kink.smoothed(at)[:, None]

    rng = np.random.default_rng(0)
    at = {
        "t": torch.from_numpy(rng.uniform(0.1, 1.0, 200)),
        "x": torch.from_numpy(-1 + rng.uniform(0, 0.02, 200)),
    }
    _, u_t, u_xx = taylor_channels(form, at, ("", "t", "xx"))
    # cos²(θ/2) in place of 1: up to (πx/2)² of it, x = 0.02 from the seam
    torch.testing.assert_close(u_t, 1e-4 * u_xx, rtol=2e-3, atol=1e-3 * float(u_t.abs().max()))
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)
    start = kink.smoothed({"t": 0 * x, "x": x})
    torch.testing.assert_close(start, torch.cos(pi * x / 2).abs(), atol=1e-8, rtol=0)
