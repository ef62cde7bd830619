"""References against exact solutions: the error, and that the certificate bounds it."""

import dataclasses
from math import pi

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import iv

from pacpde.errors import InvalidValueError, SolverError
from pacpde.physics import Axis, Evolution, Problem
from pacpde.problems import (
    Burgers,
    BurgersPeriodic,
    Cavity,
    Heat,
    Heat2D,
    HeatModes,
    Lorenz,
    Schrodinger,
)
from pacpde.problems.burgers import cole_hopf
from pacpde.reference import Reference, certificate, solve, worst_field_error
from pacpde.reference.method_of_lines import MethodOfLines


def error_of(reference: Reference) -> float:
    grid = np.meshgrid(*reference.axes.values(), indexing="ij")
    return worst_field_error(reference.values, reference.problem.exact(*grid))


@pytest.mark.parametrize(
    "problem",
    [family() for family in (Burgers, BurgersPeriodic, Heat, HeatModes, Heat2D)],
    ids=str,
)
def test_a_family_meets_its_exact_solution(problem: Problem) -> None:
    reference = solve(problem)
    # 1e-9 is the loosest default tolerance; the certificate may not promise more than is true.
    assert error_of(reference) <= reference.certified_error <= 1e-9


@pytest.mark.parametrize("nu", [0.1, pytest.param(5e-4, marks=pytest.mark.slow)])
def test_burgers_meets_cole_hopf_from_smooth_to_steep(nu: float) -> None:
    reference = solve(Burgers(nu=nu))
    assert error_of(reference) <= reference.certified_error <= 1e-10  # the default tolerance


@pytest.mark.parametrize("family", [Heat, HeatModes])
@pytest.mark.parametrize("alpha", [1e-3, 10.0])
def test_heat_meets_its_modes_over_the_range_of_alpha(family: type[Heat], alpha: float) -> None:
    reference = solve(family(alpha=alpha))
    assert error_of(reference) <= reference.certified_error <= 1e-10


def test_heat2d_at_its_largest_diffusivity() -> None:
    reference = solve(Heat2D(alpha=10.0))
    assert error_of(reference) <= reference.certified_error <= 1e-9


@pytest.mark.parametrize("rho", [15.0, 28.0])
def test_lorenz_meets_another_method_at_the_tightest_tolerance(rho: float) -> None:
    problem = Lorenz(rho=rho)
    reference = solve(problem)
    t = reference.axes["t"]

    def rates(_: float, u: np.ndarray) -> list[float]:
        x, y, z = u
        return [10 * (y - x), x * (rho - z) - y, x * y - 8 / 3 * z]

    other = solve_ivp(rates, (0, 3), [-8, 7, 27], method="LSODA", rtol=1e-13, atol=1e-13, t_eval=t)
    # LSODA itself drifts by some 1e-10 here: an error of e^(0.9·3) ≈ 15 times its tolerance
    # and its thousands of steps.
    assert worst_field_error(reference.values, other.y) <= 1e-9
    assert reference.certified_error <= 1e-10


USER = ["Drift", "Ramp", "Wave", "Forced", "Sheared", "Tube"]


@pytest.mark.parametrize("name", USER)
def test_a_users_family_meets_its_exact_solution(
    user_families: dict[str, type[Problem]], name: str
) -> None:
    reference = solve(user_families[name]())
    assert error_of(reference) <= reference.certified_error <= 1e-9


def test_drift_goes_the_way_its_speed_says(user_families: dict[str, type[Problem]]) -> None:
    there, back = (user_families["Drift"](c=c) for c in (2.0, -2.0))
    reference = solve(there, tolerance=1e-6)
    t, x = np.meshgrid(*reference.axes.values(), indexing="ij")
    assert worst_field_error(reference.values, there.exact(t, x)) < 1e-6
    assert (
        worst_field_error(reference.values, back.exact(t, x)) > 0.5
    )  # a wrong sign would pass else


def test_a_start_that_coarse_grids_miss_is_found(user_families: dict[str, type[Problem]]) -> None:
    reference = solve(user_families["Spike"](), tolerance=1e-8)
    assert error_of(reference) <= reference.certified_error <= 1e-8


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8])
def test_a_stiff_ode_is_not_certified_by_two_equal_runs(
    user_families: dict[str, type[Problem]], tolerance: float
) -> None:
    reference = solve(user_families["Stiff"](), tolerance=tolerance)
    assert "Radau" in reference.solver
    assert error_of(reference) <= reference.certified_error <= tolerance


@dataclasses.dataclass(frozen=True)
class VanDerPol(Evolution):
    """u' = 8v, v' = 8(k(1 − u²)v − u)."""

    axes = (Axis("t", 0.0, 1.0),)
    fields = ("u", "v")
    scales = (1.0, 1.0)

    k = 13.991476202607243

    def rhs(self, fields, d):
        u, v = fields
        return 8 * v, 8 * (self.k * (1 - u**2) * v - u)

    def initial(self):
        return 0.5260887869695239, 0.7444967274837008


VanDerPol.name = "van_der_pol"  # too late to be registered: other tests list the families


def test_solutions_do_not_share_a_step_that_the_estimate_is_blind_to() -> None:
    """The first steps of DOP853 are the same at three tolerances, and wrong by 1.6e-5."""
    problem = VanDerPol()
    reference = solve(problem, tolerance=1e-6)
    exact = solve_ivp(
        lambda t, u: problem.rhs(u, None), (0, 1), problem.initial(), "Radau",
        reference.axes["t"], rtol=1e-12, atol=1e-15,
    )  # fmt: skip
    assert worst_field_error(reference.values, exact.y) <= reference.certified_error <= 1e-6


def test_certified_errors_bound_the_true_ones_at_every_tolerance() -> None:
    for tolerance in (1e-2, 1e-5, 1e-8):
        reference = solve(Burgers(nu=0.05), tolerance=tolerance)
        assert 0 < error_of(reference) <= reference.certified_error <= tolerance


ALIKE = Schrodinger(kappa=0.303748), 8.7e-4  # a kink where the ring closes; 64 and 74 modes
ERROR = 1.43e-4  # of its solution, where these modes differ by 1.31e-4


@pytest.mark.parametrize(
    ("problem", "tolerance", "finer", "difference"),
    [
        pytest.param(*ALIKE, 1.2e-4, 1.31e-4, marks=pytest.mark.slow),
        (Cavity(a=1.76839, nu=0.0187684), 0.1, 0.045, 2.62e-2),  # a lid that jumps; 12, 17 points
    ],
)
def test_two_grids_alike_do_not_certify_each_other(
    problem: Problem, tolerance: float, finer: float, difference: float
) -> None:
    """The finer one has more error than their difference."""
    reference, judge = solve(problem, tolerance=tolerance), solve(problem, tolerance=finer)
    error = worst_field_error(reference.values, judge.values)
    assert difference < error <= reference.certified_error <= tolerance
    assert problem != ALIKE[0] or error == pytest.approx(ERROR, rel=0.05)


def test_a_grid_that_is_little_finer_is_certified_for_what_it_leaves() -> None:
    problem, tolerance = ALIKE
    assert ERROR < solve(problem, tolerance=tolerance).certified_error <= tolerance


def test_a_search_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it may cost is counted, not timed; the best that it found until then is taken."""
    asked, problem = [], Burgers(nu=5e-4)
    rates = MethodOfLines.rates
    monkeypatch.setattr(MethodOfLines, "rates", lambda *a: asked.append(len(a[2])) or rates(*a))
    monkeypatch.setattr(certificate, "EFFORT", 2e8)
    with pytest.raises(SolverError, match=r"a finer grid \(442\) needs would take too long"):
        solve(problem, loosest=1e-10)
    assert 1.9e8 < sum(size**2 for size in asked) < 3e8  # and one level to see the error in time
    assert 1e-10 < solve(problem).certified_error < 1e-2


def test_blow_up_is_named(user_families: dict[str, type[Problem]]) -> None:
    with pytest.raises(SolverError, match="stopped at t = 1"):
        solve(user_families["Explosion"]())
    reference = solve(user_families["Explosion"](until=0.9))
    assert error_of(reference) <= reference.certified_error
    with pytest.raises(SolverError, match=r"test_ignition\(a=100\) has no reference up to t = 1"):
        solve(user_families["Ignition"]())


def test_a_start_that_contradicts_the_edges_is_named(
    user_families: dict[str, type[Problem]],
) -> None:
    with pytest.raises(SolverError, match="contradicts the edges"):
        solve(user_families["Jump"](), tolerance=1e-2)


def test_the_time_span_is_the_problems_own() -> None:
    reference = solve(Heat(until=0.25), tolerance=1e-8)
    assert reference.axes["t"][-1] == 0.25
    assert error_of(reference) <= 1e-8


@pytest.mark.parametrize("tolerance", [0, -1e-3, 1.0, 1e-15, float("nan"), True, "small"])
def test_bad_tolerances_are_refused(tolerance: object) -> None:
    with pytest.raises(InvalidValueError, match="tolerance is"):
        solve(Heat(), tolerance=tolerance)


def test_progress_tells_the_differences() -> None:
    told: list[str] = []
    solve(Heat(), tolerance=1e-6, progress=told.append)
    assert told and all("differs by" in line for line in told)


def test_solving_twice_gives_the_same_bits() -> None:
    one, two = solve(Burgers(nu=0.05)), solve(Burgers(nu=0.05))
    assert np.array_equal(one.values, two.values)
    assert dataclasses.replace(one, seconds=0).tolerances == two.tolerances


@pytest.mark.parametrize("end", [1.0, 4.0, 30.0])
@pytest.mark.parametrize("nu", [5e-4, 0.01 / pi, 0.02, 0.1, 1.0])
def test_cole_hopf_meets_a_trapezoidal_rule(nu: float, end: float) -> None:
    t, x = np.meshgrid(np.linspace(0.01, end, 9), np.linspace(-1, 1, 41), indexing="ij")
    z = np.linspace(-45, 45, 8001)  # converges exponentially; ends where e^(−z²) is nothing
    y = x[..., None] - z * np.sqrt(4 * nu * t[..., None])
    exponent = -np.cos(pi * y) / (2 * pi * nu) - z**2
    density = np.exp(exponent - exponent.max(-1, keepdims=True))
    expected = -(np.sin(pi * y) * density).sum(-1) / density.sum(-1)
    assert np.abs(cole_hopf(nu, t, x) - expected).max() < 2e-14


@pytest.mark.parametrize("t", [0.0, 0.5, 5.0, 50.0])
def test_cole_hopf_takes_numbers(t: float) -> None:
    at = cole_hopf(0.01, t, 0.3)  # type: ignore[arg-type]
    assert np.shape(at) == ()
    assert at == cole_hopf(0.01, np.array([t]), np.array([0.3]))[0]


def test_cole_hopf_holds_what_is_left_late() -> None:
    """One wave, 16 digits below the start: u = 4πν a sin πx e^(−νπ²t), a = I₁/I₀ of 1/(2πν)."""
    nu, t, x = 1.0, 4.0, np.linspace(-1, 1, 21)
    a = -iv(1, 1 / (2 * pi * nu)) / iv(0, 1 / (2 * pi * nu))
    expected = 4 * pi * nu * a * np.sin(pi * x) * np.exp(-nu * pi**2 * t)
    np.testing.assert_allclose(cole_hopf(nu, np.full(21, t), x), expected, rtol=1e-12, atol=1e-30)
