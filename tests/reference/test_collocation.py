"""References by collocation against exact solutions: the error, and that the certificate holds."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from pacpde.errors import SolverError
from pacpde.physics import Axis, Dirichlet, Problem, coefficient, families
from pacpde.physics.elementary import exp
from pacpde.problems import CavityRegularised
from pacpde.reference import Reference, field_errors, solve, steady
from pacpde.reference.collocation import Collocation
from pacpde.reference.newton import NewtonError, newton
from pacpde.reference.nodal import NodalAxis
from pacpde.reference.starts import starts
from pacpde.reference.steady_levels import Level

Families = dict[str, type[Problem]]


def error_of(reference: Reference) -> float:
    problem = reference.problem
    exact = problem.exact(*np.meshgrid(*reference.axes.values(), indexing="ij"))
    return max(field_errors(reference.values, exact, problem.scales))


@pytest.mark.parametrize(
    ("name", "coefficients"),
    [
        ("Poisson", {}),
        ("Bratu", {}),
        ("Bratu", {"lam": 3.5}),  # beside the fold of the branch
        ("Layer", {"eps": 1e-2}),
        ("Layer", {"eps": 1e-3}),
        ("Mixed", {}),
        ("Helmholtz", {"k": 10.0}),
        ("Helmholtz", {"k": 30.0}),
        ("Plate", {}),
        ("Kovasznay", {}),
        ("Channel", {}),
        ("Advection", {}),
        ("Flux", {}),
        ("BenjaminBonaMahony", {}),
    ],
)
def test_a_problem_without_evolution_meets_its_exact_solution(
    steady_families: Families, name: str, coefficients: dict[str, float]
) -> None:
    reference = solve(steady_families[name](**coefficients))
    # the default tolerances: the certificate may not promise more than is true
    assert error_of(reference) <= reference.certified_error <= 1e-9
    assert "collocation" in reference.solver


@pytest.mark.parametrize("name", ["Poisson", "Bratu", "Layer", "Mixed", "Plate", "Advection"])
def test_certificates_bound_the_error_at_random_coefficients(
    steady_families: Families, name: str
) -> None:
    rng = np.random.default_rng(5)
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-9):
        about = steady_families[name].declared()
        drawn = {key: float(rng.uniform(c.lower, c.upper)) for key, c in about.items()}
        reference = solve(steady_families[name](**drawn), tolerance=tolerance)
        assert error_of(reference) <= reference.certified_error <= tolerance


def test_corners_leave_a_certificate_that_holds(steady_families: Families) -> None:
    """Differences fall algebraically there: each level has about the error that it shows."""
    for tolerance in (1e-3, 1e-5):
        reference = solve(steady_families["Corners"](), tolerance=tolerance)
        # 1e-10: what 400 terms of the series leave, the last one being 4 / (799 π)³
        assert error_of(reference) <= reference.certified_error + 1e-10


def test_a_pressure_along_an_edge_is_taken_beside_what_gives_it_already() -> None:
    """The velocity at all edges leaves a constant of the pressure open, and no more."""
    problem = families.get("kovasznay")()
    reference = solve(problem, tolerance=1e-6)
    assert error_of(reference) <= reference.certified_error <= 1e-6


def test_equations_that_contradict_each_other_are_named(steady_families: Families) -> None:
    problem = steady_families["Kovasznay"](re=20.0)
    pinned = problem.boundary.points[0]
    other = replace(pinned, point=(1.0, 1.5), value=pinned.value + 1.0)
    boundary = replace(problem.boundary, points=(pinned, other))
    problem.__dict__["boundary"] = boundary  # where the cached property keeps it
    with pytest.raises(SolverError, match="contradict each other"):
        solve(problem, tolerance=1e-4)


def test_a_needle_between_the_nodes_is_seen(steady_families: Families) -> None:
    """∫∫ of the needle is known: u has a kink of √π at 0.37, rounded over the width."""
    reference = solve(steady_families["Needle"](width=1e-2), tolerance=1e-6)
    x = np.array([0.1, 0.2, 0.3, 0.6, 0.9])
    kinked = np.sqrt(np.pi) * np.where(x < 0.37, x * 0.63, 0.37 * (1 - x))
    assert np.abs(reference(x)[0] - kinked).max() < 1e-6 * np.abs(kinked).max()


def test_two_coarse_grids_that_miss_a_needle_do_not_certify(
    steady_families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both give u = 0, so that their difference is 0."""
    monkeypatch.setattr(steady, "LEVELS", 2)
    with pytest.raises(SolverError, match="something between the nodes is narrower"):
        solve(steady_families["Needle"](width=1e-4), tolerance=1e-4)


@dataclass(frozen=True)
class Hat(Problem):
    """u_xx = −1/w for |x − 0.3137| < w/2, u = 0 at both ends: u(0.3137) ≈ 0.215."""

    name = "test_hat"
    axes = (Axis("x", 0.0, 1.0),)
    w: float = coefficient(1e-5, lower=1e-6, upper=1.0, meaning="width")

    def residual(self, u, d):
        return d(u, "xx") + (abs(d.coordinates["x"] - 0.3137) < self.w / 2) / self.w

    def conditions(self):
        return [Dirichlet("x", 0.0)]


@dataclass(frozen=True)
class Trap(Problem):
    """u_t = 1 − u, and a narrow range of u where it is below 0: u stays at its lower end, 0.5."""

    name = "test_trap"
    axes = (Axis("t", 0.0, 3.0),)
    w: float = coefficient(1e-3, lower=1e-6, upper=1.0, meaning="width")

    def residual(self, u, d):
        return d(u, "t") - 1 + u + 0.505 * exp(-(((u - 0.5) / self.w) ** 2))

    def conditions(self):
        return [Dirichlet("t-", 0.0)]


@pytest.mark.parametrize("problem", [Hat(w=1e-5), Hat(w=1e-6), Trap(w=1e-3), Trap(w=1e-4)], ids=str)
def test_what_every_grid_misses_is_not_certified(problem: Problem) -> None:
    """Grids that miss the hat give u = 0, those that miss the trap u(3) = 0.95."""
    with pytest.raises(SolverError, match=r"nothing up to 0\.1 can be certified"):
        solve(problem, loosest=0.1)


def test_a_pressure_without_a_value_is_named(steady_families: Families) -> None:
    with pytest.raises(SolverError, match=r"may be added to p, .*PointValue\(.*field='p'\)"):
        solve(steady_families["Unpinned"]())
    with pytest.raises(SolverError, match=r"a function of t may be added to p"):
        solve(steady_families["Vortices"]())


def test_a_grid_that_is_too_large_is_named(
    steady_families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "MEMORY", 1e7)
    with pytest.raises(SolverError, match=r"would have \d+ unknowns, whose Jacobian takes .* GB"):
        solve(steady_families["Kovasznay"](), loosest=1e-9)
    reference = solve(steady_families["Kovasznay"](), loosest=0.1)
    assert error_of(reference) <= reference.certified_error
    assert "GB are the most" in reference.tolerances["limit"]


def test_newtons_failure_is_named(steady_families: Families) -> None:
    """λ above 3.5138 has no solution."""
    problem = steady_families["Bratu"](lam=3.51)
    object.__setattr__(problem, "lam", 4.0)
    with pytest.raises(SolverError, match="no reference: Newton's method finds no solution"):
        solve(problem)


def test_the_cavity_agrees_with_its_finer_levels(steady_families: Families) -> None:
    problem = steady_families["Cavity"]()
    coarse, fine = solve(problem, tolerance=1e-2), solve(problem, tolerance=2e-4)
    difference = max(field_errors(coarse.values, fine.values, problem.scales))
    assert difference <= coarse.certified_error + fine.certified_error
    x = np.linspace(0, 1, 65)
    assert np.abs(fine(x, 1.0)[0] - 16 * x**2 * (1 - x) ** 2).max() < 1e-6


def test_the_jacobian_is_the_slope_of_the_equations(steady_families: Families) -> None:
    system = Collocation(steady_families["Channel"](), {"x": 5, "y": 4})
    rng = np.random.default_rng(0)
    state, along = rng.standard_normal((2, system.size))
    step = 1e-6
    ahead, behind = (system.equations(state + s * along) for s in (step, -step))
    slope = (ahead - behind) / (2 * step)  # exact for quadratic equations, but for rounding
    assert np.abs(system.jacobian(state) @ along - slope).max() < 1e-7 * np.abs(slope).max()


@pytest.mark.parametrize("periodic", [False, True])
def test_nodal_axes_differentiate_and_interpolate(periodic: bool) -> None:
    axis = NodalAxis(Axis("x", 0.5, 2.5), 20, periodic)
    function, slope = (lambda x: np.sin(np.pi * x)), (lambda x: np.pi * np.cos(np.pi * x))
    x = np.linspace(0.5, 2.5, 41)
    derivative = axis.matrices(1)[1] @ function(axis.nodes)
    assert np.abs(axis.interpolation(x) @ derivative - slope(x)).max() < 1e-10
    assert axis.tail(function(axis.nodes), 0) < 1e-10 < axis.tail(np.sign(axis.nodes - 1.1), 0)


@pytest.mark.slow
def test_a_fast_cavity_is_reached_from_the_slow_one() -> None:
    problem = CavityRegularised(nu=1 / 3200)  # Newton's method finds nothing from any start
    sizes = {"x": 24, "y": 24}
    system = Collocation(problem, sizes)
    with pytest.raises(NewtonError):
        newton(system, next(starts(system)), lambda state: 1.0)
    level = Level.of(system, sizes, None)
    finer = Level.of(Collocation(problem, {"x": 28, "y": 28}), {"x": 28, "y": 28}, level)
    # both are the same flow, which 24 points do not resolve yet
    assert np.linalg.norm(level.values[0] - finer.values[0]) < 0.5 * np.linalg.norm(finer.values[0])
    assert np.linalg.norm(finer.values[0]) > 1
    assert level.step < 1e-6


@pytest.mark.slow
@pytest.mark.slow
def test_a_fast_cavity_is_certified() -> None:
    coarse = solve(CavityRegularised(nu=1 / 3200), tolerance=3e-3)
    fine = solve(CavityRegularised(nu=1 / 3200), tolerance=1e-4)  # on the largest grid that fits
    difference = max(field_errors(coarse.values, fine.values, fine.problem.scales))
    assert difference <= coarse.certified_error + fine.certified_error
    assert fine.certified_error <= 1e-4
