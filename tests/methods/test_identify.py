"""Unknown coefficients: against scipy's least squares through the reference solver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit
from pacpde.datasets import draw_labels, reference_for
from pacpde.errors import InvalidValueError, SolverError, UnknownNameError
from pacpde.methods.coefficient_errors import collinear, standard_errors
from pacpde.methods.identification import identify, identify_by_scipy
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.physics import Axis, Dirichlet, Evolution, coefficient
from pacpde.physics.elementary import sin
from pacpde.problems import Heat, Lorenz

SETTINGS = {"points": 300, "steps": 20}


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=12, depth=2, **SETTINGS)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_what_scipy_finds(source: Surrogate, seed: int) -> None:
    """One coefficient and its standard error, from the same noisy labels."""
    drawn = draw_labels(reference_for(Heat(alpha=0.3)), 25, seed=seed, noise=0.01)
    ours = identify(source, drawn.points, drawn.values, seed=seed, **SETTINGS)
    theirs = identify_by_scipy(Heat(alpha=0.4), drawn.points, drawn.values)
    (value, error), (expected, spread) = ours.estimates["alpha"], theirs.estimates["alpha"]
    assert abs(value - expected) < 0.05 * spread
    assert error == pytest.approx(spread, rel=0.02)
    assert abs(value - 0.3) < 4 * error and error < 0.01
    assert ours.noise == pytest.approx(theirs.noise, rel=0.01)
    assert ours.surrogate is not None and ours.surrogate.problem == ours.problem
    exact = ours.problem.exact(*drawn.points.T)[0]
    np.testing.assert_allclose(ours.surrogate(*drawn.points.T), exact, atol=1e-3)


@pytest.mark.parametrize(
    ("truth", "noise"),
    [
        (0.05, 0.01), (2.0, 0.0),
        pytest.param(0.05, 0.0, marks=pytest.mark.slow),
        pytest.param(2.0, 0.01, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_far_from_the_source_it_finds_what_scipy_finds(
    source: Surrogate, truth: float, noise: float
) -> None:
    """An eighth and five times the source's coefficient."""
    drawn = draw_labels(reference_for(Heat(alpha=truth)), 30, seed=1, noise=noise)
    ours = identify(source, drawn.points, drawn.values, points=300)
    theirs = identify_by_scipy(Heat(alpha=0.4), drawn.points, drawn.values)
    (value, error), (expected, spread) = ours.estimates["alpha"], theirs.estimates["alpha"]
    assert (ours.outcome, ours.doubts()) == ("converged", [])
    assert value == pytest.approx(expected, rel=1e-3)  # a percent is asked for
    assert abs(value - truth) <= max(3 * error, 1e-3 * truth)
    if noise:
        assert error == pytest.approx(spread, rel=0.05)


def test_measurements_count_by_their_noise(source: Surrogate) -> None:
    """Half of the values are a hundred times better than the others, and say so."""
    rng = np.random.default_rng(5)
    at = rng.uniform(0.1, 0.9, (40, 2))
    noise = np.where(np.arange(40) % 2, 2e-1, 2e-3)
    measured = Heat(alpha=0.3).exact(*at.T)[0] + noise * rng.standard_normal(40)
    found = identify(source, at, measured, noise=noise[:, None], **SETTINGS)
    theirs = identify_by_scipy(Heat(alpha=0.4), at, measured, noise=noise[:, None])
    value, error = found.estimates["alpha"]
    slopes = 0.3 * np.pi**2 * at[:, 0] * Heat(alpha=0.3).exact(*at.T)[0]
    best = 0.3 / np.linalg.norm(slopes / noise)
    assert (found.outcome, found.doubts()) == ("converged", [])
    assert error == pytest.approx(best, rel=0.02)  # that of Gauss and Markov
    assert abs(value - 0.3) < 3 * best
    assert value == pytest.approx(theirs.estimates["alpha"][0], abs=0.05 * best)
    assert found.noise == pytest.approx(1 / np.sqrt(np.mean(1 / noise**2)), rel=1e-3)
    careless, _ = identify(source, at, measured, **SETTINGS).estimates["alpha"]
    assert abs(careless - 0.3) > 3 * abs(value - 0.3)


@pytest.mark.parametrize(
    "spoil, said",
    [
        pytest.param(lambda at, u: (at, -u), "times the spread", marks=pytest.mark.slow),
        pytest.param(lambda at, u: (at, u / 1000), "times the spread", marks=pytest.mark.slow),
        (lambda at, u: (at, 0 * u), "every measured value of u is 0"),
        (lambda at, u: (at, 1.1 * u), "units"),
        (lambda at, u: (at, u + 0.1 * at[:, 0] * at[:, 1] * (1 - at[:, 1])), "lacks something"),
        (lambda at, u: (at, u + 0.02 * np.cos(3 * at[:, 0] + 2 * at[:, 1])), "noise is correlated"),
        (lambda at, u: (0 * at + at[0], 0 * u + u[0]), "24 of the 25 measurements repeat"),
    ],
)
def test_measurements_that_do_not_fit_are_doubted(
    source: Surrogate, spoil: Callable[..., Any], said: str
) -> None:
    """Flipped, in other units, empty, with a missing term, correlated, repeated."""
    at = Heat.from_coefficients({}).domain.sample(25, np.random.default_rng(2))
    at, measured = spoil(at, Heat(alpha=0.3).exact(*at.T)[0])
    for found in (
        identify(source, at, measured, points=60, steps=5),
        identify_by_scipy(Heat(alpha=0.4), at, measured, tolerance=1e-4),
    ):
        assert any(said in doubt for doubt in found.doubts())
        repeated = "repeat" in said
        assert found.outcome == "misfit" or repeated
        assert np.isinf(found.estimates["alpha"][1]) == repeated


def test_a_noise_that_is_given_is_tested(source: Surrogate) -> None:
    """χ² of values that are ten times noisier than was said, and of values that are not."""
    at = np.random.default_rng(2).uniform(0.1, 0.9, (30, 2))
    error = np.random.default_rng(3).standard_normal(30)
    exact = Heat(alpha=0.3).exact(*at.T)[0]
    wrong = identify(source, at, exact + 0.05 * error, noise=0.005, **SETTINGS)
    right = identify(source, at, exact + 0.05 * error, noise=0.05, **SETTINGS)
    assert wrong.outcome == "misfit" and "29 degrees of freedom" in wrong.doubts()[0]
    assert (right.outcome, right.doubts()) == ("converged", [])
    for bad in (0.0, -1.0, np.nan, [0.1, 0.2]):
        with pytest.raises(InvalidValueError, match="noise"):
            identify(source, at, exact, noise=bad)


@dataclass(frozen=True)
class Decay(Evolution):
    """u' = −k u from a; both are coefficients, and the right-hand side branches on k."""

    axes = (Axis("t", 0.0, 1.0),)

    k: float = coefficient(1.0, lower=0.1, upper=9.0, meaning="rate")
    a: float = coefficient(1.0, lower=-5.0, upper=5.0, meaning="start")

    def rhs(self, u: Any, d: Any) -> Any:
        return -self.k * u if self.k < 5 else -self.k * u + 0.0

    def initial(self, *space: Any) -> Any:
        return self.a


Decay.name = "decay"  # too late to be registered: other tests list the families


def test_a_coefficient_of_the_start_is_found() -> None:
    """It changes the values, but no residual; and no family is too special for the slopes."""
    source = fit(Decay(), width=8, depth=2, points=40, steps=15)
    t = np.linspace(0.05, 1, 12)
    noisy = 1.4 * np.exp(-2 * t) + 1e-3 * np.random.default_rng(0).standard_normal(12)
    found = identify(source, t[:, None], noisy, points=40)
    theirs = identify_by_scipy(Decay(), t[:, None], noisy)
    for name, truth in (("k", 2.0), ("a", 1.4)):
        value, error = found.estimates[name]
        assert abs(value - truth) < 4 * error < 0.05
        assert value == pytest.approx(theirs.estimates[name][0], abs=0.05 * error)
        assert error == pytest.approx(theirs.estimates[name][1], rel=0.02)


@dataclass(frozen=True)
class Unsolvable(Evolution):
    """u' = −k u from 1, which for scipy's integrator grows without bound."""

    axes = (Axis("t", 0.0, 1.0),)

    k: float = coefficient(1.0, lower=0.1, upper=9.0, meaning="rate")

    def rhs(self, u: Any, d: Any) -> Any:
        return -self.k * u if isinstance(u, torch.Tensor) else 1e3 * u * u

    def initial(self, *space: Any) -> Any:
        return 1.0


Unsolvable.name = "unsolvable"


def test_no_reference_is_needed() -> None:
    """No reference can be solved, and the measurements tell the rate nevertheless."""
    source = fit(Unsolvable(), width=8, depth=2, points=40, steps=15)
    t = np.linspace(0.05, 1, 12)
    found = identify(source, t[:, None], np.exp(-2 * t), points=40)
    assert found.estimates["k"][0] == pytest.approx(2, rel=1e-3)
    with pytest.raises(SolverError):
        identify_by_scipy(Unsolvable(), t[:, None], np.exp(-2 * t))


def test_scipy_takes_steps_where_a_logarithm_is_near_zero() -> None:
    """A step relative to log α = 0 would be none."""
    at = np.random.default_rng(2).uniform(0.05, 0.4, (30, 2))
    exact = Heat(alpha=1.0).exact(*at.T)[0]
    noisy = exact + 1e-3 * np.random.default_rng(3).standard_normal(30)
    value, error = identify_by_scipy(Heat(alpha=1.0), at, noisy, noise=1e-3).estimates["alpha"]
    slopes = np.pi**2 * at[:, 0] * exact
    assert error == pytest.approx(1e-3 / np.linalg.norm(slopes), rel=1e-2)
    assert abs(value - 1) < 3 * error


def test_coefficients_that_have_not_come_to_rest_say_so(source: Surrogate) -> None:
    drawn = draw_labels(reference_for(Heat(alpha=0.9)), 25, noise=0.001)
    found = identify(source, drawn.points, drawn.values, points=40, steps=2)
    assert found.outcome == "not_converged"
    assert any("may still move" in doubt or "still moved" in doubt for doubt in found.doubts())


def test_two_coefficients_of_a_system() -> None:
    """Without noise, so that the truth is the answer."""
    truth = Lorenz.from_coefficients({"sigma": 10.3, "rho": 15.5}, 0.4)
    start = Lorenz.from_coefficients({}, 0.4)
    drawn = draw_labels(reference_for(truth), 20, seed=0)
    made = fit(start, seed=0, width=12, depth=2, points=100, steps=20)
    found = identify(made, drawn.points, drawn.values, unknown=["sigma", "rho"], points=100)
    assert found.problem.coefficients["rho"] == pytest.approx(15.5, rel=1e-3)
    assert found.problem.coefficients["sigma"] == pytest.approx(10.3, rel=1e-3)
    assert found.problem.coefficients["beta"] == start.coefficients["beta"]


def test_standard_errors_are_those_of_linear_regression() -> None:
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(200, 2))
    spread = []
    for _ in range(500):
        r = 0.3 * rng.normal(size=200)
        spread.append(np.linalg.lstsq(slopes, r, rcond=None)[0])
    noise, errors = standard_errors(r - slopes @ spread[-1], slopes)
    assert noise == pytest.approx(0.3, rel=0.15)
    np.testing.assert_allclose(errors, np.std(spread, axis=0), rtol=0.2)


def test_bad_measurements_are_refused(source: Surrogate) -> None:
    at, found = np.full((3, 2), 0.5), np.zeros(3)
    with pytest.raises(InvalidValueError, match=r"expected \[labels, 2\]"):
        identify(source, at[:, :1], found)
    with pytest.raises(InvalidValueError, match="nan"):
        identify(source, at * np.nan, found)
    with pytest.raises(InvalidValueError, match="outside the domain"):
        identify(source, at + 1, found)
    masked = np.ma.masked_array(found, [False, True, False])
    with pytest.raises(InvalidValueError, match="the measured values have 1 masked entries"):
        identify(source, at, masked)
    with pytest.raises(InvalidValueError, match="no real numbers"):
        identify(source, at, found + 1j)
    with pytest.raises(UnknownNameError, match="alpha"):
        identify(source, at, found, unknown=["nu"])
    with pytest.raises(InvalidValueError, match="measure more"):
        identify(source, at[:1], found[:1])
    with pytest.raises(InvalidValueError, match="each once"):
        identify(source, at, found, unknown=[])
    with pytest.raises(UnknownNameError, match="nu"):
        identify(source, at, found, unknown="nu")
    with pytest.raises(InvalidValueError, match="expected a problem"):
        identify_by_scipy(source, at, found)  # type: ignore[arg-type]


def test_measurements_a_rounding_error_outside_are_taken(source: Surrogate) -> None:
    """Coordinates in single precision, and t = 1 as a sum of tenths."""
    at = np.array([[sum([0.1] * 10) + 4e-16, 0.5], [0.1, np.float32(0.7)], [0.2, 1 + 1e-7]])
    found = identify(source, at, Heat(alpha=0.4).exact(*at.T)[0], points=60, steps=3)
    assert found.estimates["alpha"][0] == pytest.approx(0.4, rel=0.02)


def test_measurements_that_tell_nothing_say_so(source: Surrogate) -> None:
    """At t = 0 and on the edges no solution depends on the coefficient."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.1, 0.9, 12)
    for at in (np.stack([0 * x, x], 1), np.stack([x, 0 * x], 1)):
        exact = Heat(alpha=0.3).exact(*at.T)[0] + 0.01 * rng.normal(size=len(x))
        for found in (
            identify(source, at, exact, points=60, steps=3),
            identify_by_scipy(Heat(alpha=0.4), at, exact),
        ):
            assert found.estimates["alpha"][1] == np.inf
            assert found.outcome == "not_converged"
            assert found.doubts() == [
                "the measurements do not tell alpha: measure elsewhere, or more."
            ]


@dataclass(frozen=True)
class Mode(Evolution):
    """u_t = D u_xx + k u from one mode: its rate k − π²D is all that can be told."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    D: float = coefficient(0.1, lower=0.01, upper=2.0, meaning="diffusivity")
    k: float = coefficient(0.5, lower=0.01, upper=5.0, meaning="growth")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Any) -> Any:
        return self.D * d(u, "xx") + self.k * u

    def initial(self, *space: Any) -> Any:
        return sin(np.pi * space[0])


Mode.name = "mode"  # too late to be registered: other tests list the families


def test_coefficients_that_are_told_only_together_say_so() -> None:
    """Scipy's standard errors were 1e-6, and ours ended as a misfit."""
    source = fit(Mode(), width=12, depth=2, points=200, steps=25)
    rng = np.random.default_rng(3)
    at = rng.uniform(size=(25, 2))
    measured = np.exp((2.5 - 0.2 * np.pi**2) * at[:, 0]) * np.sin(np.pi * at[:, 1])
    for found in (
        identify(source, at, measured, points=100, steps=10),
        identify_by_scipy(Mode(), at, measured, tolerance=1e-4),
    ):
        assert found.outcome == "not_converged" and found.together == ("D", "k")
        assert all(error == np.inf for _, error in found.estimates.values())
        (doubt,) = found.doubts()
        assert "only a combination of D and k" in doubt
    one = identify(source, at, measured, unknown=["k"], points=100, steps=10)
    rate = one.estimates["k"][0] - 0.1 * np.pi**2
    assert one.together == () and rate == pytest.approx(2.5 - 0.2 * np.pi**2, abs=0.03)


def test_coefficients_that_act_alike_belong_together() -> None:
    """Weak ones do not, nor those that nothing tells."""
    slopes = np.random.default_rng(0).normal(size=(30, 5))
    slopes[:, 1] = -3 * slopes[:, 0] + 1e-4 * slopes[:, 1]
    slopes[:, 2] *= 1e-4
    slopes[:, 3] = 0
    assert collinear(slopes).tolist() == [True, True, False, False, False]
    assert collinear(slopes[:, 1:]).tolist() == [False] * 4
    assert collinear(slopes[:2, 2:]).tolist() == [False] * 3
    assert collinear(slopes[:1, [0, 4]]).tolist() == [True, True]  # one number for two


def test_what_is_missing_is_named_and_may_be_weighed_down() -> None:
    start, truth = (Lorenz.from_coefficients({"rho": rho}, 0.4) for rho in (15, 15.5))
    drawn = draw_labels(reference_for(truth), 20, seed=0)
    holes, noise = drawn.values.copy(), np.full((20, 3), 1e-2)
    holes[[3, 7], 1] = np.nan
    with pytest.raises(
        InvalidValueError, match=r"inf, of y in 2 of the 20 .* index 3\): each need"
    ):
        identify_by_scipy(start, drawn.points, holes)
    holes[[3, 7], 1], noise[[3, 7], 1] = 20.0, 2e4
    found = identify_by_scipy(start, drawn.points, holes, unknown=["rho"], noise=noise)
    assert found.estimates["rho"][0] == pytest.approx(15.5, rel=1e-5)
    with pytest.raises(
        InvalidValueError, match=r"20 of the 20 .* hold nan .*: leave those measurements out"
    ):
        identify_by_scipy(start, np.nan * drawn.points, drawn.values)


def test_a_coefficient_beyond_its_bounds_ends_there(source: Surrogate) -> None:
    at = np.random.default_rng(0).uniform(0.2, 0.8, size=(20, 2))
    still = np.sin(np.pi * at[:, 1])  # what no positive α leaves
    for found in (
        identify(source, at, 1.2 * still, points=60, steps=5),
        identify_by_scipy(Heat(alpha=0.4), at, 1.2 * still),
    ):
        assert found.estimates["alpha"][0] == pytest.approx(
            Heat.declared()["alpha"].lower, rel=1e-3
        )
        assert "alpha ended at its bound" in found.doubts()[-1]
        assert found.outcome == "misfit"  # which no bound mends


@dataclass(frozen=True)
class Drifting(Evolution):
    """u_t = 0.1 u_xx + b u², odd for b = 0 alone."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    odd = ("x",)

    b: float = coefficient(0.0, lower=-1.0, upper=1.0, meaning="reaction b")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Any) -> Any:
        return 0.1 * d(u, "xx") + self.b * u * u

    def initial(self, *space: Any) -> Any:
        return sin(np.pi * space[0])


Drifting.name = "drifting_without_a_name"


def test_an_unknown_that_breaks_a_symmetry_is_refused_before_any_fit() -> None:
    ansatz = PhysicsAnsatz(Drifting())
    network = network_for(ansatz, 4, 1, "tanh")
    blank = Surrogate(network, ansatz, torch.zeros(network.size, dtype=torch.float64))

    def fitted(update: object) -> None:
        raise AssertionError("a fit has begun")

    at = np.random.default_rng(0).uniform(0.1, 0.9, (5, 2))
    with pytest.raises(InvalidValueError, match="declared odd in 'x', and it is not"):
        identify(blank, at, at[:, 0], progress=fitted)
