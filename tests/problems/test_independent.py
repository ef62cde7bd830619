"""Families without an exact solution, against solvers that stand in this file."""

from collections.abc import Callable
from itertools import pairwise
from math import pi

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array, diags_array, hstack, identity, vstack
from scipy.sparse.linalg import spsolve

from pacpde import fit
from pacpde.physics import Problem
from pacpde.physics.evaluation import rates_at
from pacpde.problems import (
    SIR,
    AllenCahn,
    CavityRegularised,
    FitzHughNagumo,
    GrayScott,
    KdV,
    KuramotoSivashinsky,
    Lorenz96,
    LotkaVolterra,
    Pendulum,
    Reaction,
    ReactionDiffusion,
    Robertson,
    Rossler,
    Schrodinger,
    VanDerPol,
)
from pacpde.reference import solve

# dᵏu/dtᵏ at (t, u), as textbooks write it
ODES: dict[str, tuple[Problem, Callable[..., list[float]], list[float]]] = {
    "lotka_volterra": (
        LotkaVolterra(alpha=1.2, beta=0.9, gamma=2.5, delta=0.7),
        lambda t, u: [1.2 * u[0] - 0.9 * u[0] * u[1], 0.7 * u[0] * u[1] - 2.5 * u[1]],
        [1.0, 1.0],
    ),
    "van_der_pol": (
        VanDerPol(mu=2.0),
        lambda t, u: [u[1], 2.0 * u[1] - 2.0 * u[0] ** 2 * u[1] - u[0]],
        [2.0, 0.0],
    ),
    "rossler": (
        Rossler(a=0.1, b=0.3, c=4.0),
        lambda t, u: [-(u[1] + u[2]), u[0] + 0.1 * u[1], 0.3 + u[0] * u[2] - 4.0 * u[2]],
        [1.0, 1.0, 1.0],
    ),
    "lorenz96": (
        Lorenz96(forcing=5.0),
        lambda t, u: (np.roll(u, -1) - np.roll(u, 2)) * np.roll(u, 1) - u + 5.0,
        [3.0, 6.0, 2.0, -1.0, 4.0, 1.0],
    ),
    "sir": (
        SIR(beta=0.5, gamma=0.2),
        lambda t, u: [-0.5 * u[0] * u[1], (0.5 * u[0] - 0.2) * u[1], 0.2 * u[1]],
        [0.99, 0.01, 0.0],
    ),
    "fitzhugh_nagumo": (
        FitzHughNagumo(current=0.4, a=0.6, b=0.7, tau=10.0),
        lambda t, u: [
            u[0] - u[0] ** 3 / 3 - u[1] + 0.4,
            0.1 * u[0] + 0.06 - 0.07 * u[1],
        ],
        [-1.0, -0.5],
    ),
}


@pytest.mark.parametrize("case", ODES)
def test_an_ode_agrees_with_a_solver_of_its_own(case: str) -> None:
    problem, rates, start = ODES[case]
    reference = solve(problem, tolerance=1e-8)
    end = problem.domain.axis("t").upper
    truth = solve_ivp(rates, (0, end), start, "DOP853", [end / 3, end], rtol=1e-11, atol=1e-12)
    for t, expected in zip(truth.t, truth.y.T, strict=True):
        # certified to 1e-8 in the mean; a chaotic orbit ends with some times that
        np.testing.assert_allclose(reference(t), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("omega", "theta0"), [(1.0, 1.0), (2.0, 2.9), (0.3, 0.2)])
def test_the_exact_pendulum_agrees_with_a_solver_of_its_own(omega: float, theta0: float) -> None:
    problem = Pendulum(omega=omega, theta0=theta0)
    t = np.linspace(0, 10, 21)
    truth = solve_ivp(
        lambda s, u: [u[1], -(omega**2) * np.sin(u[0])], (0, 10), [theta0, 0.0], "DOP853", t,
        rtol=1e-12, atol=1e-13,
    )  # fmt: skip
    exact = problem.exact(t)
    np.testing.assert_allclose(exact[0], truth.y[0], atol=1e-9)  # 10 turns of rtol
    assert problem.initial_parts() == ((theta0,), (0.0,))
    (rate,) = rates_at(problem, {"": [exact[0]]}, {"t": t})
    np.testing.assert_allclose(rate, -(omega**2) * np.sin(truth.y[0]), atol=1e-8)


def test_van_der_pol_has_the_published_period() -> None:
    """6.6632868593 for μ = 1: Andersen & Geer, SIAM J. Appl. Math. 42 (1982)."""
    reference = solve(VanDerPol(mu=1.0), tolerance=1e-8, loosest=1e-6)
    t = np.linspace(0, 10, 20001)
    x = reference(t)[0]
    falls = np.flatnonzero((x[:-1] > 0) & (x[1:] <= 0))
    zeros = t[falls] + (t[1] - t[0]) * x[falls] / (x[falls] - x[falls + 1])
    # the orbit begins within 1e-2 of the limit cycle, and comes nearer by e^-7 in a turn
    assert np.diff(zeros)[0] == pytest.approx(6.6632868593, abs=1e-3)


@pytest.mark.slow
def test_robertson_ends_at_the_published_state() -> None:
    """At t = 40, as the examples of CVODE print it."""
    reference = solve(Robertson(), tolerance=1e-6)
    published = [7.158e-1, 9.185e-6, 2.842e-1]
    np.testing.assert_allclose(reference(40.0), published, rtol=2e-4)  # four digits


def fourier(
    start: Callable[[np.ndarray], np.ndarray],
    axis: tuple[float, float],
    linear: Callable[[np.ndarray], np.ndarray],
    nonlinear: Callable[[np.ndarray, Callable[[np.ndarray], np.ndarray]], np.ndarray],
    times: np.ndarray,
    size: int,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, and u_t = L u + N(u) there at the times, by Fourier modes and RK4 on e^{−Lt}u.

    Args:
        linear: symbol of L, of the wave numbers.
        nonlinear: N of u and of the function that differentiates it once in x.
        steps: between two times.
    """
    lower, upper = axis
    x = lower + (upper - lower) * np.arange(size) / size
    k = 2 * pi / (upper - lower) * np.fft.fftfreq(size, 1 / size)
    keep = np.abs(np.fft.fftfreq(size, 1 / size)) < size / 3
    symbol = linear(k)

    def slope(u: np.ndarray) -> np.ndarray:
        return np.fft.ifft(1j * k * np.fft.fft(u))

    def rates(modes: np.ndarray) -> np.ndarray:
        return keep * np.fft.fft(nonlinear(np.fft.ifft(modes), slope))

    modes, results = np.fft.fft(start(x)), []
    for before, after in pairwise(times):
        h = (after - before) / steps
        half = np.exp(symbol * h / 2)
        for _ in range(steps):
            a = h * rates(modes)
            b = h * rates(half * (modes + a / 2))
            c = h * rates(half * modes + b / 2)
            e = h * rates(half**2 * modes + half * c)
            modes = half**2 * modes + (half**2 * a + 2 * half * (b + c) + e) / 6
        results.append(np.fft.ifft(modes))
    return x, np.array(results)


def gap(problem: Problem, t: float, x: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    """Relative L2 distance of the reference from the fields [fields, points] at one time."""
    reference = solve(problem, tolerance=tolerance, loosest=1e-3)
    return float(np.linalg.norm(reference(t, x) - expected) / np.linalg.norm(expected))


def test_kdv_agrees_with_fourier_modes() -> None:
    problem = KdV(nu=0.01)
    x, u = fourier(
        lambda x: np.cos(pi * x), (-1, 1), lambda k: 0.01j * k**3,
        lambda u, slope: -u * slope(u), np.array([0.0, 1.0]), 128, 4000,
    )  # fmt: skip
    assert gap(problem, 1.0, x, u[0].real[None], 1e-6) < 1e-5


def test_kuramoto_sivashinsky_agrees_with_fourier_modes() -> None:
    alpha, beta, gamma = 6.25, 0.4, 0.01
    problem = KuramotoSivashinsky(alpha=alpha, beta=beta, gamma=gamma)
    x, u = fourier(
        lambda x: np.cos(x) + np.cos(x) * np.sin(x), (0, 2 * pi),
        lambda k: beta * k**2 - gamma * k**4,
        lambda u, slope: -alpha * u * slope(u), np.array([0.0, 1.0]), 192, 2000,
    )  # fmt: skip
    assert gap(problem, 1.0, x, u[0].real[None], 1e-6) < 1e-5


def test_reaction_diffusion_agrees_with_fourier_modes() -> None:
    problem = ReactionDiffusion(nu=0.5, rho=3.0)
    x, u = fourier(
        lambda x: np.exp(-(((x - pi) / (pi / 4)) ** 2) / 2), (0, 2 * pi),
        lambda k: 3.0 - 0.5 * k**2, lambda u, slope: -3.0 * u**2, np.array([0.0, 1.0]), 256, 400,
    )  # fmt: skip
    assert gap(problem, 1.0, x, u[0].real[None], 1e-4) < 1e-4


def test_allen_cahn_agrees_with_fourier_modes() -> None:
    problem = AllenCahn(epsilon=1e-2, kappa=4.0)
    x, u = fourier(
        lambda x: x * x * np.cos(pi * x), (-1, 1), lambda k: 4.0 - 1e-2 * k**2,
        lambda u, slope: -4.0 * u**3, np.array([0.0, 1.0]), 512, 400,
    )  # fmt: skip
    assert gap(problem, 1.0, x, u[0].real[None], 1e-4) < 1e-4


def test_schrodinger_is_the_breather_of_satsuma_and_yajima() -> None:
    """Fourier modes on [−5, 5] are far from the edges what the formula on the line says."""
    t = np.linspace(0, pi / 4, 3)
    x, h = fourier(
        lambda x: 2 / np.cosh(x), (-5, 5), lambda k: -0.5j * k**2,
        lambda h, slope: 1j * np.abs(h) ** 2 * h, t, 256, 2000,
    )  # fmt: skip
    line = 4 * np.exp(0.5j * t[-1]) * (np.cosh(3 * x) + 3 * np.exp(4j * t[-1]) * np.cosh(x))
    line /= np.cosh(4 * x) + 4 * np.cosh(2 * x) + 3 * np.cos(4 * t[-1])
    assert np.linalg.norm(h[-1] - line) < 2e-2 * np.linalg.norm(line)
    problem = Schrodinger()
    # the family's own right-hand side, on the modes of the solution
    k = 2 * pi / 10 * np.fft.fftfreq(256, 1 / 256)
    bend = np.fft.ifft(-(k**2) * np.fft.fft(h[-1]))
    rate = 1j * (0.5 * bend + np.abs(h[-1]) ** 2 * h[-1])
    channels = {"": [h[-1].real, h[-1].imag], "xx": [bend.real, bend.imag]}
    found = rates_at(problem, channels, {"t": 0 * x, "x": x})
    np.testing.assert_allclose(found, [rate.real, rate.imag], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(problem.initial_fields(x)[0], 2 / np.cosh(x), rtol=1e-14)


def cavity_by_differences(lid: Callable[[np.ndarray], np.ndarray], nu: float, cells: int) -> float:
    """u in the middle of a lid-driven cavity, by central differences of ψ and ω.

    ∇²ψ = −ω and ψ_y ω_x − ψ_x ω_y = ν∇²ω with ω by Thom's formula at the walls; Picard's iteration.
    """
    h, size = 1 / cells, cells + 1
    number = np.arange(size**2).reshape(size, size)  # x first
    inner, walls = number[1:-1, 1:-1].ravel(), np.ones((size, size), bool)
    walls[1:-1, 1:-1] = False
    x, wall = np.linspace(0, 1, size), number[walls]
    beside = number[np.clip(wall // size, 1, cells - 1), np.clip(wall % size, 1, cells - 1)]
    speed = np.where(wall % size == cells, lid(x[wall // size]), 0.0)
    unit = identity(size**2, format="csr")

    def shifted(step: int) -> csr_array:
        return csr_array(unit[inner + step])

    east, west, north, south = (shifted(step) for step in (size, -size, 1, -1))
    here = shifted(0)
    laplace = (east + west + north + south - 4 * here) / h**2
    along_x, along_y = (east - west) / (2 * h), (north - south) / (2 * h)
    psi = np.zeros(size**2)
    for _ in range(40):
        u, v = along_y @ psi, -(along_x @ psi)
        carried = diags_array(u) @ along_x + diags_array(v) @ along_y - nu * laplace
        nothing = csr_array((len(inner), size**2))
        matrix = vstack([
            hstack([laplace, here]),
            hstack([nothing, carried]),
            hstack([unit[wall], csr_array((len(wall), size**2))]),
            hstack([2 / h**2 * unit[beside], unit[wall]]),
        ]).tocsc()  # fmt: skip
        right = np.zeros(2 * size**2)
        right[-len(wall) :] = -2 * speed / h
        before, psi = psi, spsolve(matrix, right)[: size**2]
        if np.abs(psi - before).max() < 1e-10:
            break
    middle = cells // 2
    return float((psi[number[middle, middle + 1]] - psi[number[middle, middle - 1]]) / (2 * h))


def test_the_regularised_cavity_agrees_with_stream_function_and_vorticity() -> None:
    nu = 0.02
    reference = solve(CavityRegularised(a=1.0, nu=nu), tolerance=1e-3)
    coarse, fine = (
        cavity_by_differences(lambda x: 16 * (x * (1 - x)) ** 2, nu, cells) for cells in (24, 48)
    )
    # differences of second order: a third of what halving the cells changes is left
    assert abs(fine - coarse) < 0.01
    expected = fine + (fine - coarse) / 3
    assert float(reference(0.5, 0.5)[0]) == pytest.approx(expected, abs=1e-3)


def test_a_periodic_axis_without_derivatives_is_fitted() -> None:
    """The logistic equation at every place: its seam is one of values alone."""
    surrogate = fit(Reaction(rho=1.0), seed=0, width=8, depth=1, points=60, steps=5)
    assert surrogate.assessment is not None and np.isfinite(surrogate.held_out)


def test_gray_scott_without_diffusion_is_its_ode_at_every_place() -> None:
    """And its diffusion is that of a mode: D = F = 0 leave uv² alone."""
    problem = GrayScott(D=0.01, F=0.03, k=0.05)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 20))
    u, v = 0.7 + 0.1 * np.sin(pi * x) * np.cos(pi * y), 0.2 + 0.1 * np.cos(pi * x)
    channels = {
        "": [u, v],
        "xx": [-(pi**2) * (u - 0.7), -(pi**2) * (v - 0.2)],
        "yy": [-(pi**2) * (u - 0.7), 0 * v],
    }
    found = rates_at(problem, channels, {"t": 0 * x, "x": x, "y": y})
    expected = [
        0.01 * -2 * pi**2 * (u - 0.7) - u * v**2 + 0.03 * (1 - u),
        0.005 * -(pi**2) * (v - 0.2) + u * v**2 - 0.08 * v,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
