"""The sizes and rates of a start are compared with what the family declares."""

from dataclasses import dataclass
from math import pi
from typing import Any

import pytest

from pacpde.physics import Axis, Dirichlet, Evolution
from pacpde.physics.elementary import sin
from pacpde.physics.findings import Verdict
from pacpde.physics.start_sizes import start_sizes
from pacpde.problems import Lorenz


@dataclass(frozen=True)
class Cooling(Evolution):
    """u_t = 1e-3 u_xx, in seconds, from 100 sin πx."""

    name = "test_cooling"
    axes = (Axis("t", 0.0, 86400.0), Axis("x", 0.0, 1.0))

    def rhs(self, u: Any, d: Any) -> Any:
        return 1e-3 * d(u, "xx")

    def initial(self, x: Any) -> Any:
        return 100 * sin(pi * x)

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]


def test_a_size_and_a_time_of_their_own_are_said() -> None:
    size, rate = start_sizes(Cooling())
    assert size.verdict == Verdict.DOUBTFUL
    assert size.numbers["size"] == pytest.approx(100 / 2**0.5, rel=0.02)  # 4,096 random points
    assert rate.numbers["time"] == pytest.approx(1e3 / pi**2)  # u_t = −1e-3 π² u
    assert rate.verdict == Verdict.DOUBTFUL and "declare time_scale = 1e+02" in rate.sentence


def test_a_size_within_its_scale_is_not_said() -> None:
    class Scaled(Cooling):
        name = "test_cooling_scaled"
        scales = (100.0,)

    (rate,) = start_sizes(Scaled())
    assert rate.numbers["time"] == pytest.approx(2**0.5 * 1e3 / pi**2, rel=0.02)


def test_an_ode_starts_at_numbers() -> None:
    x, y, z = -8.0, 7.0, 27.0
    rates = [10 * (y - x), x * (15 - z) - y, x * y - 8 / 3 * z]
    (rate,) = start_sizes(Lorenz())
    sizes = [max(20.0, abs(own)) for own in (x, y, z)]
    worst = max(abs(own) / size for own, size in zip(rates, sizes, strict=True))
    assert rate.verdict == Verdict.FOUND
    assert rate.numbers["time"] == pytest.approx(1 / worst)
