"""Exponential collocation against exact solutions, quadrature, and the solvers it replaces."""

from dataclasses import dataclass
from math import pi

import numpy as np
import pytest
from scipy.integrate import quad

from pacpde.errors import SolverError
from pacpde.physics import Axis, Evolution, Periodic, Problem, coefficient
from pacpde.physics.elementary import cos, exp, sin
from pacpde.problems import (
    AllenCahn,
    Convection,
    GrayScott,
    KdV,
    KuramotoSivashinsky,
    Reaction,
    ReactionDiffusion,
    Schrodinger,
)  # fmt: skip
from pacpde.reference import Reference, default_tolerance, solve, worst_field_error
from pacpde.reference.dense import UNIT
from pacpde.reference.exponential import collocation_weights
from pacpde.reference.grid import space_axes
from pacpde.reference.method_of_lines import MethodOfLines
from pacpde.reference.ode import integrate

RING = Axis("x", 0.0, 2 * pi)


class Around(Evolution):
    """Periodic on [0, 2π] for t∈[0, 1]."""

    axes = (Axis("t", 0.0, 1.0), RING)

    def conditions(self):
        return [Periodic("x")]


@dataclass(frozen=True)
class Telegraph(Around):
    """u_tt = c² u_xx − 2a u_t − b u: decaying waves of k = 0, 1 and 2, the last one overdamped."""

    order = 2
    a: float = coefficient(1.5, lower=0.0, upper=5.0, meaning="damping")
    c: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="speed")

    def rhs(self, u, d):
        return self.c**2 * d(u, "xx") - 2 * self.a * d(u, "t")

    def initial(self, x):
        return 1.0 + cos(x) + sin(2 * x), 0.5 + 0 * x

    def exact(self, t, x):
        rest = 0.5 * (1 - np.exp(-2 * self.a * t)) / (2 * self.a)
        result = 1.0 + rest
        for wave, k in ((np.cos(x), 1.0), (np.sin(2 * x), 2.0)):
            root = np.emath.sqrt(self.a**2 - (self.c * k) ** 2) + 0j
            cosh, sinh = np.cosh(root * t), np.sinh(root * t) / root if root else t
            result = result + wave * (np.exp(-self.a * t) * (cosh + self.a * sinh)).real
        return result[None]


@dataclass(frozen=True)
class Beam(Around):
    """u_tt = −u_xxxx: cos 3x cos 9t."""

    order = 2

    def rhs(self, u, d):
        return -d(u, "xxxx")

    def initial(self, x):
        return cos(3 * x), 0 * x

    def exact(self, t, x):
        return (np.cos(3 * x) * np.cos(9 * t))[None]


@dataclass(frozen=True)
class Tilted(Evolution):
    """u_t = −a·∇u + κ(u_xx + u_xy + u_yy) + ½u(1 − w) on a torus, w_t = 0 from w = 1."""

    axes = (Axis("t", 0.0, 1.0), RING, Axis("y", 0.0, pi))
    fields = ("u", "w")
    scales = (1.0, 1.0)

    def conditions(self):
        return [Periodic("x"), Periodic("y")]

    def rhs(self, fields, d):
        u, w = fields
        mixed = d(u, "xx") + d(u, "xy") + d(u, "yy")
        return -2 * d(u, "x") + d(u, "y") + 0.1 * mixed + 0.5 * u * (1 - w), 0 * w

    def initial(self, x, y):
        return sin(2 * x - 4 * y), 1.0 + 0 * x

    def exact(self, t, x, y):
        u = np.exp(-0.1 * (4 - 8 + 16) * t) * np.sin(2 * (x - 2 * t) - 4 * (y + t))
        return np.stack([u, np.ones_like(u)])


@dataclass(frozen=True)
class Pulsed(Around):
    """u_t = ν u_xx + g(t) sin x, g a pulse of width w."""

    w: float = coefficient(0.01, lower=1e-3, upper=1.0, meaning="width of the pulse")

    def rhs(self, u, d):
        t, x = d.coordinates["t"], d.coordinates["x"]
        return 0.1 * d(u, "xx") + exp(-(((t - 0.4) / self.w) ** 2)) * sin(x)

    def initial(self, x):
        return cos(x)


@dataclass(frozen=True)
class Swift(Around):
    """u_t = D(t, x, u) u_xx − u u_x: no constant coefficient of the highest derivative."""

    which: float = coefficient(0.0, lower=0.0, upper=2.0, meaning="what D depends on")

    def rhs(self, u, d):
        D = (1 + u * u, 2 + sin(d.coordinates["x"]), 1 + d.coordinates["t"])[int(self.which)]
        return D * d(u, "xx") - u * d(u, "x")

    def initial(self, x):
        return sin(x)


@dataclass(frozen=True)
class Explosion(Around):
    """u_t = u_xx + u²: infinite before t = 1."""

    def rhs(self, u, d):
        return d(u, "xx") + u * u

    def initial(self, x):
        return 3.0 + sin(x)


for family in (Telegraph, Beam, Tilted, Pulsed, Swift, Explosion):
    family.name = f"test_exponential_{family.__name__.lower()}"  # too late to be registered


def error_of(reference: Reference) -> float:
    grid = np.meshgrid(*reference.axes.values(), indexing="ij")
    return worst_field_error(reference.values, reference.problem.exact(*grid))


def difference(one: Reference, other: Reference) -> float:
    """At random places."""
    points = one.problem.domain.sample(2000, np.random.default_rng(0)).T
    return worst_field_error(one(*points), other(*points))


@pytest.mark.parametrize("z", [0.0, -1e-3, 2.0, -50.0, 1j, 3 - 40j, -200 + 7j])
def test_weights_are_integrals_of_exponentials_times_polynomials(z: complex) -> None:
    weights = collocation_weights(np.array([z]))[..., 0]
    for m, j in ((0, 0), (4, 5), (9, 3), (9, 10)):
        tau = UNIT[m + 1]
        others = np.delete(UNIT, j)
        polynomial = np.poly1d(others, r=True) / np.prod(UNIT[j] - others)

        def integrand(s, tau=tau, polynomial=polynomial):
            return np.exp((tau - s) * z) * polynomial(s)

        real = quad(lambda s: np.real(integrand(s)), 0, tau, epsabs=1e-13, limit=200)[0]
        imaginary = quad(lambda s: np.imag(integrand(s)), 0, tau, epsabs=1e-13, limit=200)[0]
        # the values of the polynomial itself, by powers of s, lose seven of sixteen digits
        assert abs(weights[m, j] - (real + 1j * imaginary)) < 1e-9


@pytest.mark.parametrize("z", [-1e6, 1e5j, -1e4 + 1e5j])
def test_weights_lose_no_digits_where_exponentials_are_stiff(z: complex) -> None:
    weights = collocation_weights(np.array([z]))[..., 0]
    # of a constant: (e^{τz} − 1)/z, and of the polynomial s: (e^{τz} − 1 − τz)/z²
    exponential = np.expm1(UNIT[1:] * z)
    assert np.abs(weights.sum(1) * z - exponential).max() < 1e-11
    linear = (exponential / z - UNIT[1:]) / z
    assert np.abs(weights @ UNIT - linear).max() < 1e-11 * np.abs(linear).max()


@pytest.mark.parametrize(
    "problem",
    [Telegraph(), Telegraph(a=1.0), Beam(), Convection(), Convection(beta=80.0), Tilted()],
    ids=str,
)
def test_linear_waves_meet_their_exact_solutions(problem: Problem) -> None:
    reference = solve(problem)
    assert "exponential" in reference.solver
    assert error_of(reference) <= reference.certified_error <= default_tolerance(problem)


@pytest.mark.parametrize("name", ["Drift", "Wave"])
def test_a_users_family_meets_its_exact_solution(
    user_families: dict[str, type[Problem]], name: str
) -> None:
    reference = solve(user_families[name]())
    assert "exponential" in reference.solver
    assert error_of(reference) <= reference.certified_error <= 1e-10


def test_steps_have_a_high_order() -> None:
    """Steps of KdV that are chosen by a tolerance, against those of a much smaller one."""
    problem = KdV(until=0.2)
    system = MethodOfLines(problem, space_axes(problem, {"x": 96}))
    t = np.linspace(0, 0.2, 7)
    exact = integrate(system, 1e-13)(t)
    errors, counts = [], []
    for rtol in (1e-4, 1e-7, 1e-10):
        result = integrate(system, rtol)
        errors.append(float(np.abs(result(t) - exact).max()))
        counts.append(len(result.steps))
        assert errors[-1] < 10 * rtol
    assert errors[0] > errors[-1]
    assert counts[-1] < 8 * counts[0]  # for an error of a millionth: order above six


def test_a_level_has_shorter_steps_than_the_one_before() -> None:
    problem = Convection()
    system = MethodOfLines(problem, space_axes(problem, {"x": 24}))
    coarse = integrate(system, 1e-6)
    fine = integrate(system, 1e-6, coarse=coarse.steps)
    assert np.diff(fine.steps).max() < np.diff(coarse.steps).max()


def test_a_pulse_in_time_is_resolved() -> None:
    problem = Pulsed()
    reference = solve(problem)
    t = reference.axes["t"]
    decay = np.exp(-0.1 * t)

    def forced(end: float) -> float:
        pulse = lambda s: np.exp(-(((s - 0.4) / 0.01) ** 2) - 0.1 * (end - s))  # noqa: E731
        return quad(pulse, 0, end, points=[0.36, 0.4, 0.44], epsabs=1e-14, limit=500)[0]

    amplitudes = np.array([forced(end) for end in t])
    x = reference.axes["x"]
    expected = decay[:, None] * np.cos(x) + amplitudes[:, None] * np.sin(x)
    assert "exponential" in reference.solver
    assert worst_field_error(reference.values, expected[None]) <= reference.certified_error <= 1e-10


@pytest.mark.parametrize("which", [0.0, 1.0, 2.0])
def test_variable_coefficients_of_the_highest_derivative_are_left_to_others(which: float) -> None:
    problem = Swift(which=which)
    assert MethodOfLines(problem, space_axes(problem, {"x": 16})).modes is None


def test_the_linear_part_is_that_of_the_equation() -> None:
    """−βu_xx − γu_xxxx of Kuramoto–Sivashinsky, and nothing of αuu_x."""
    problem = KuramotoSivashinsky()
    modes = MethodOfLines(problem, space_axes(problem, {"x": 16})).modes
    k = np.arange(9.0)
    assert modes is not None
    expected = problem.beta * k**2 - problem.gamma * k**4
    assert np.abs(modes.eigenvalues[0] - expected).max() < 1e-12 * np.abs(expected).max()


def test_coarse_grids_whose_waves_grow_are_passed_over() -> None:
    assert solve(KdV(nu=1e-4), tolerance=1e-6).certified_error <= 1e-6


def test_blow_up_is_named() -> None:
    with pytest.raises(SolverError, match=r"stopped at t = 0\.\d+, where the solution reached"):
        solve(Explosion())


@pytest.mark.parametrize(
    ("problem", "tolerance"),
    [
        (KuramotoSivashinsky(alpha=1.0, gamma=0.1), 1e-8),
        pytest.param(AllenCahn(epsilon=0.05), 1e-3, marks=pytest.mark.slow),  # a kink at the seam
        pytest.param(AllenCahn(), 1e-4, marks=pytest.mark.slow),  # a kink at the seam
        pytest.param(KdV(nu=0.02), 1e-8, marks=pytest.mark.slow),
        pytest.param(KdV(), 1e-6, marks=pytest.mark.slow),
        (ReactionDiffusion(), 1e-4),
        pytest.param(Schrodinger(), 1e-3, marks=pytest.mark.slow),
        pytest.param(KuramotoSivashinsky(), 1e-6, marks=pytest.mark.slow),
        pytest.param(GrayScott(), 1e-7, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_certificates_hold_against_implicit_and_explicit_steps(
    problem: Problem, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = solve(problem, tolerance=tolerance)
    assert "exponential" in reference.solver
    monkeypatch.setattr(MethodOfLines, "modes", None)
    other = solve(problem, tolerance=tolerance)
    assert "solve_ivp" in other.solver
    bound = reference.certified_error + other.certified_error
    assert difference(reference, other) <= bound <= 2 * tolerance


@pytest.mark.slow
def test_a_kink_at_the_seam_is_met_on_fine_grids() -> None:
    """The slope of the start jumps where the ends of x meet: u_t = εu_xx + κu from x², in modes."""

    @dataclass(frozen=True)
    class Kinked(Around):
        name = "test_exponential_kinked"
        axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

        def rhs(self, u, d):
            return 0.01 * d(u, "xx") + u

        def initial(self, x):
            return x**2

    reference = solve(Kinked(), tolerance=3e-6)
    t, x = np.meshgrid(*reference.axes.values(), indexing="ij")
    expected = np.full(t.shape, 1 / 3)
    for k in range(1, 400):
        coefficient = 4 * (-1) ** k / (pi * k) ** 2
        expected = expected + coefficient * np.exp(-0.01 * (pi * k) ** 2 * t) * np.cos(pi * k * x)
    expected[0] = x[0] ** 2  # where 400 modes are too few
    error = worst_field_error(reference.values, (expected * np.exp(t))[None])
    assert error <= reference.certified_error <= 3e-6


def test_a_kink_at_the_seam_does_not_matter_without_derivatives() -> None:
    reference = solve(Reaction())
    assert "Chebyshev" in reference.solver
    assert error_of(reference) <= reference.certified_error <= 1e-10


def test_invariants_of_kdv_stay() -> None:
    """∫u and ∫u² over x, for which the equation has no source."""
    reference = solve(KdV())
    x = np.linspace(-1, 1, 400, endpoint=False)
    u = reference(np.linspace(0, 1, 9)[:, None], x)[0]
    assert np.abs(u.mean(1)).max() < 1e-10
    assert np.abs((u**2).mean(1) - 0.5).max() < 1e-10
    assert reference.certified_error <= 1e-9
