"""Explicit integration in space: waves that nothing damps, and grids too large for a Jacobian."""

from dataclasses import dataclass

import numpy as np
import pytest

from pacpde.errors import SolverError
from pacpde.physics import Axis, Evolution, Periodic, Problem, coefficient
from pacpde.physics.elementary import cos, exp, sin
from pacpde.reference import Reference, ode, solve, windows, worst_field_error
from pacpde.reference.grid import space_axes
from pacpde.reference.method_of_lines import MethodOfLines
from pacpde.reference.stiffness import explicit_evaluations

LONG = Axis("x", -30.0, 30.0)  # a soliton is exp(−30) at its ends


@pytest.fixture(autouse=True)
def no_exponential_collocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Periodic problems of constant coefficients are solved by it otherwise."""
    monkeypatch.setattr(MethodOfLines, "modes", None)


def sech(x):
    return 2 / (exp(x) + exp(-x))


@dataclass(frozen=True)
class Schroedinger(Evolution):
    """i z_t = −½ z_xx − |z|² z: the soliton sech(x − ct) exp(i(cx + (1 − c²)t/2)).

    Zakharov & Shabat, Sov. Phys. JETP 34 (1972).
    """

    name = "test_explicit_schroedinger"
    axes = (Axis("t", 0.0, 1.0), LONG)
    fields = ("u", "v")
    c: float = coefficient(1.0, lower=-2.0, upper=2.0, meaning="speed")

    def rhs(self, fields, d):
        u, v = fields
        size = u * u + v * v
        return -0.5 * d(v, "xx") - size * v, 0.5 * d(u, "xx") + size * u

    def initial(self, x):
        return sech(x) * cos(self.c * x), sech(x) * sin(self.c * x)

    def conditions(self):
        return [Periodic("x")]

    def exact(self, t, x):
        phase = self.c * x + (1 - self.c**2) * t / 2
        return np.stack([np.cos(phase), np.sin(phase)]) / np.cosh(x - self.c * t)


@dataclass(frozen=True)
class Spin(Evolution):
    """i z_t = −½ z_xx: the plane wave exp(i(kx − k²t/2))."""

    name = "test_explicit_plane_wave"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * np.pi))
    fields = ("u", "v")

    def rhs(self, fields, d):
        u, v = fields
        return -0.5 * d(v, "xx"), 0.5 * d(u, "xx")

    def initial(self, x):
        return cos(3 * x), sin(3 * x)

    def conditions(self):
        return [Periodic("x")]

    def exact(self, t, x):
        return np.stack([np.cos(3 * x - 4.5 * t), np.sin(3 * x - 4.5 * t)])


@dataclass(frozen=True)
class KdV(Evolution):
    """u_t = −6 u u_x − u_xxx: the soliton 2κ² sech² κ(x + 2 − 4κ²t)."""

    name = "test_explicit_kdv"
    axes = (Axis("t", 0.0, 0.5), Axis("x", -20.0, 20.0))

    def rhs(self, u, d):
        return -6 * u * d(u, "x") - d(u, "xxx")

    def initial(self, x):
        return 2 * sech(x + 2) ** 2

    def conditions(self):
        return [Periodic("x")]

    def exact(self, t, x):
        return (2 / np.cosh(x + 2 - 4 * t) ** 2)[None]


def error_of(reference: Reference) -> float:
    grid = np.meshgrid(*reference.axes.values(), indexing="ij")
    return worst_field_error(reference.values, reference.problem.exact(*grid))


@pytest.mark.parametrize(
    ("family", "tolerance"),
    [
        (Spin, 1e-9),
        (Schroedinger, 1e-6),
        pytest.param(KdV, 1e-5, marks=pytest.mark.slow),  # 1e5 evaluations of a stiff u_xxx
    ],
)
def test_waves_that_nothing_damps_are_certified(family: type[Problem], tolerance: float) -> None:
    reference = solve(family(), tolerance=tolerance)
    assert "DOP853" in reference.solver
    assert error_of(reference) <= reference.certified_error <= tolerance


@pytest.mark.parametrize("name", ["Sheared", "Tube"])
def test_a_plane_without_a_jacobian_meets_its_exact_solution(
    user_families: dict[str, type[Problem]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ode, "DENSE", 50)
    reference = solve(user_families[name](), tolerance=1e-7)
    assert "DOP853" in reference.solver
    assert error_of(reference) <= reference.certified_error <= 1e-7


def test_the_memory_of_a_grid_that_is_too_large_and_too_stiff_is_told(
    user_families: dict[str, type[Problem]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ode, "DENSE", 300)
    monkeypatch.setattr(ode, "EVALUATIONS", 200)
    with pytest.raises(SolverError, match=r"unknowns that explicit steps .* a matrix of .* GiB"):
        solve(user_families["Tube"](kappa=1.0), tolerance=1e-9)


def test_pieces_of_several_windows_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Spin()
    system = MethodOfLines(problem, space_axes(problem, {"x": 24}))
    t = np.linspace(0, 1, 301)
    whole = ode.integrate(system, 1e-9)(t)
    monkeypatch.setattr(windows, "BYTES", 20_000)  # five steps of 48 unknowns
    parts = ode.integrate(system, 1e-9)(t)
    x = system.space[0].nodes
    exact = np.moveaxis(problem.exact(t[:, None], x), 0, 1)
    assert np.abs(parts - whole).max() < 1e-9
    assert np.abs(parts - exact).max() < 1e-7  # a hundred steps of the tolerance


def test_the_evaluations_that_stability_asks_for_are_those_of_the_largest_eigenvalue() -> None:
    problem = Spin()
    system = MethodOfLines(problem, space_axes(problem, {"x": 32}))
    # frequency k²/2 = 128 of the highest mode, 12 evaluations for steps of 6 over it
    assert explicit_evaluations(system) == pytest.approx(128 * 12 / 6, rel=0.1)
