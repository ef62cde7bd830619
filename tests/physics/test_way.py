"""Problems between two: geometric where coefficients are positive, straight where they are not."""

from dataclasses import dataclass
from typing import Any

import pytest

from pacpde.physics import Axis, Evolution, coefficient
from pacpde.physics.way import interpolate


@dataclass(frozen=True)
class Drift(Evolution):
    """u' = k + v."""

    name = "test_drift"

    axes = (Axis("t", 0.0, 1.0),)
    k: float = coefficient(1.0, lower=0.01, upper=100.0, meaning="a rate")
    v: float = coefficient(0.0, lower=-2.0, upper=2.0, meaning="another")

    def rhs(self, u: Any, d: Any) -> Any:
        return self.k + self.v

    def initial(self) -> Any:
        return 0.0


def test_a_share_of_the_way() -> None:
    half = interpolate(Drift(k=0.2, v=-1.0), Drift(k=5.0, v=2.0), 0.5)
    assert half.coefficients == pytest.approx({"k": 1.0, "v": 0.5}, rel=1e-15)
    third = interpolate(Drift(k=8.0, v=0.5), Drift(k=1.0, v=-1.0), 1 / 3)
    assert third.coefficients == pytest.approx({"k": 4.0, "v": 0.0}, rel=1e-14, abs=1e-15)
    upwards = interpolate(Drift(v=0.0), Drift(v=2.0), 0.25)  # from 0 there is no ratio
    assert upwards.coefficients["v"] == 0.5
    down = interpolate(Drift(v=2.0), Drift(v=0.0), 0.25)
    assert down.coefficients["v"] == 1.5


def test_both_ends_are_met_to_the_bit() -> None:
    source, target = Drift(k=0.3, v=-0.1), Drift(k=0.7, v=0.3)
    assert 0.3 * (0.7 / 0.3) != 0.7 or -0.1 + (0.3 + 0.1) != 0.3  # as the formulas round
    assert interpolate(source, target, 0.0).coefficients == source.coefficients
    assert interpolate(source, target, 1.0).coefficients == target.coefficients
