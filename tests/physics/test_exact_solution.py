"""Exact solutions of families are tried in the equation and the conditions."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from pacpde.physics import Axis, Dirichlet, Evolution, Neumann, Periodic
from pacpde.physics.exact_solution import exact_solution
from pacpde.physics.findings import Verdict
from pacpde.problems import Burgers


@dataclass(frozen=True)
class Wave(Evolution):
    """u_tt = u_xx on t∈[0,1], x∈[0,1] from cos πx at rest, ∂u/∂n = 0 at x = 0, u = −cos πt at 1."""

    name = "test_exact_wave"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    order = 2
    speed: ClassVar[float] = 1.0
    shift: ClassVar[float] = 0.0
    slope: ClassVar[float] = 0.0

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "xx")

    def initial(self, x: Any) -> Any:
        return np.cos(np.pi * x), 0.0

    def conditions(self) -> Any:
        return [Neumann("x-", self.slope), Dirichlet("x+", lambda t: -np.cos(np.pi * t))]

    def exact(self, t: Any, x: Any) -> Any:
        return (np.cos(np.pi * x) * np.cos(np.pi * self.speed * t) + self.shift)[None]


def varied(**changes: float) -> Evolution:
    return type("Varied", (Wave,), changes)()


def test_an_exact_solution_leaves_no_residual() -> None:
    row, conditions = exact_solution(Wave())
    # π⁴ and 11 Chebyshev nodes leave some 1e-11
    assert row.verdict == Verdict.FOUND and residual(row.sentence) < 1e-9
    assert conditions.verdict == Verdict.FOUND and "meets the conditions" in conditions.sentence


def residual(sentence: str) -> float:
    return float(sentence.split("residual of ")[1].split()[0])


def test_the_residual_of_a_wrong_frequency_is_known() -> None:
    """u_tt − u_xx = (1 − ω²) π² cos πx cos πωt, relative to the rms of the larger term."""
    row, *_ = exact_solution(varied(speed=1.01))
    assert row.verdict == Verdict.WRONG
    # at the worst of the points; the rms of cos·cos is about ½ on the square
    assert residual(row.sentence) == pytest.approx((1.01**2 - 1) / 1.01**2 / 0.5, rel=0.2)


def test_missed_conditions_are_named_with_their_size() -> None:
    found = list(exact_solution(varied(shift=0.1)))
    assert [one.verdict for one in found] == [Verdict.FOUND, Verdict.WRONG, Verdict.WRONG]
    # 0.1 of the field's rms of ½, at the start and at x = 1; rates and slopes are met
    for one, where in zip(found[1:], ("u at the start", "u at x+"), strict=True):
        assert f"misses the condition of {where} by " in one.sentence
        missed = float(one.sentence.split("by ")[1].split()[0])
        assert missed == pytest.approx(0.1 / 0.51, rel=0.1)
    found = list(exact_solution(varied(slope=0.3)))
    assert [one.sentence.split("of u at ")[1][:2] for one in found[1:]] == ["x-"]


def test_a_seam_that_does_not_close_is_said() -> None:
    @dataclass(frozen=True)
    class Open(Wave):
        name = "test_exact_open"

        def conditions(self) -> Any:
            return [Periodic("x")]

    sentences = [one.sentence for one in exact_solution(Open())]
    assert any("misses the condition of u at the seam of x" in one for one in sentences)


def test_a_front_of_a_thousandth_is_followed() -> None:
    """Stencils are as narrow as the solution asks; every family is tried in its contract test."""
    row, _ = exact_solution(Burgers(nu=2e-3))
    assert row.verdict == Verdict.FOUND and residual(row.sentence) < 1e-6
