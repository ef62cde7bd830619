"""Fits and transfers by measurements of the user."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pacpde import InvalidValueError, Measurements, Surrogate, compare, fit, identify, transfer
from pacpde.physics import Axis, Dirichlet, Problem, coefficient
from pacpde.problems import Burgers, Heat, LotkaVolterra
from pacpde.residuals.measurements import MISFIT

SMALL = {"width": 10, "depth": 2, "points": 150, "steps": 25}
SETTINGS = {"points": 150, "steps": 25}
TARGET, NOISE = Heat(alpha=0.3), 1e-2
RNG = np.random.default_rng(0)
AT = RNG.random((25, 2))
VALUES = TARGET.exact(*AT.T)[0] + NOISE * RNG.standard_normal(25)
GRID = RNG.random((500, 2))


@dataclass(frozen=True)
class Late(Problem):
    """u_t = α u_xx with u = 0 at both ends; nobody knows the start."""

    name = "test_measured_late"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    alpha: float = coefficient(0.3, lower=0.01, upper=10.0, meaning="diffusivity")

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "t") - self.alpha * d(u, "xx")

    def conditions(self) -> list[Any]:
        return [Dirichlet("x", 0.0)]


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), settings=SMALL)


def error(surrogate: Surrogate) -> float:
    true = TARGET.exact(*GRID.T)[0]
    return float(np.linalg.norm(surrogate(*GRID.T) - true) / np.linalg.norm(true))


def moved(source: Surrogate, data: Any, **others: Any) -> Any:
    return transfer(
        source, TARGET, method="warm_start", data=data, settings=SETTINGS, reference=None, **others
    )


def test_every_form_of_the_same_data_gives_the_same_bits(source: Surrogate, tmp_path: Path) -> None:
    table = pd.DataFrame({"Zeit": AT[:, 0], "x [m]": AT[:, 1], "T": VALUES})
    names = {"t": "Zeit", "u": "T"}
    table.to_csv(tmp_path / "measured.csv", sep=";", index=False)
    forms = [table, tmp_path / "measured.csv"]
    plain = moved(source, Measurements(AT, VALUES, NOISE), physics=False)
    for form in forms:
        data = Measurements.of(form, TARGET, columns=names, noise=NOISE)
        again = moved(source, data, physics=False)
        assert again.surrogate.weights.equal(plain.surrogate.weights)
    own = {"t": AT[:, 0], "x": AT[:, 1], "u": VALUES}
    unweighed = moved(source, Measurements(AT, VALUES), physics=False)
    assert moved(source, own, physics=False).surrogate.weights.equal(unweighed.surrogate.weights)


def test_labels_alone_move_a_source(source: Surrogate) -> None:
    """25 values with 1 % noise bring the miss of 0.18 to a few times the noise."""
    result = moved(source, Measurements(AT, VALUES, NOISE), physics=False)
    assert error(source.with_problem(TARGET)) > 0.15
    assert error(result.surrogate) < 0.08
    record = result.record()
    assert (record["labels"], record["physics"]) == (25, False)
    assert record["noise"] == pytest.approx(NOISE / TARGET.scales[0], rel=1e-12)
    assert record["provenance"]["data"] == Measurements(AT, VALUES, NOISE).hash
    assert record["target_error"] is None


def test_noise_says_how_much_values_count_beside_the_equation(source: Surrogate) -> None:
    """The equation knows the solution; values with noise must not bend it."""
    without = error(moved(source, None).surrogate)
    known = error(moved(source, Measurements(AT, VALUES, NOISE)).surrogate)
    exact = error(moved(source, Measurements(AT, TARGET.exact(*AT.T)[0], 1e-6)).surrogate)
    unknown = error(moved(source, Measurements(AT, VALUES)).surrogate)
    # far below the noise, of which 25 values leave 2e-3
    assert max(without, known, exact) < 1e-4 < unknown < 5e-3
    assert "data" not in moved(source, None).record()["provenance"]


@pytest.mark.parametrize("method", ["warm_start", "l2sp", "delta"])
def test_values_alone_leave_an_odd_source_what_it_is(method: str) -> None:
    """Its own values have nothing to move."""
    odd = fit(Burgers(nu=0.1), settings=SMALL)
    assert odd.ansatz.odd
    at = RNG.uniform((0, -1), (1, 1), (40, 2))
    result = transfer(
        odd, odd.problem, method=method, data=Measurements(at, odd(*at.T)), physics=False,
        settings=SETTINGS, reference=None,
    )  # fmt: skip
    assert result.surrogate.ansatz.odd
    assert (
        np.abs(result.surrogate(*at.T) - odd(*at.T)).max() < 1e-6
    )  # the penalty of l2sp moves it a little


@pytest.mark.filterwarnings("ignore::pacpde.MissingConditionWarning")
def test_measurements_tell_what_the_equation_does_not() -> None:
    """Without a start, u = Σ a_k e^(−α (kπ)² t) sin kπx, and the values tell a_k."""
    noisy = TARGET.exact(*AT.T)[0] + NOISE * np.random.default_rng(1).standard_normal(25)
    found, unweighed = (
        fit(Late(), data=Measurements(AT, noisy, noise), settings=SMALL) for noise in (NOISE, None)
    )
    modes = np.exp(-0.3 * np.pi**2 * AT[:, 0]) * np.sin(np.pi * AT[:, 1])
    deviation = NOISE / np.linalg.norm(modes)  # of the first mode by least squares, 9e-3
    assert error(found) < deviation < 2 * deviation < error(unweighed)
    assert found.provenance["labels"] == 25 and found.provenance["noise"] == pytest.approx(NOISE)


def test_some_values_of_one_field_are_missing() -> None:
    """Where the prey was not counted, the predators still count."""
    problem = LotkaVolterra.from_coefficients({}, 2.0)
    source = fit(problem, settings=SMALL)
    t = np.linspace(0, 2, 21)
    values = np.stack(source(t), -1) * [1.2, 0.8]
    holes = values.copy()
    holes[::2, 0] = np.nan
    result = transfer(
        source, problem, method="warm_start", data=Measurements(t, holes), physics=False,
        settings=SETTINGS, reference=None,
    )  # fmt: skip
    assert result.labels == 42 - 11
    found = np.stack(result.surrogate(t), -1)
    miss = np.abs(found - holes)[1:] / problem.scales  # the start is met exactly
    assert np.nanmax(miss[3:]) < 0.1 < np.abs(values / [1.2, 0.8] - values)[4:].max(0).min()


@pytest.mark.parametrize("way", ["noise given", "noise of repeats"])
def test_a_fit_says_where_it_misses_the_measurements(way: str) -> None:
    """The equation has α = 0.3 and the values 0.6; the loss hardly counts them."""
    rng = np.random.default_rng(0)
    at = rng.random((40, 2))
    if way == "noise of repeats":
        at[20:] = at[:20]
    noise = NOISE * rng.standard_normal(40)
    given = NOISE if way == "noise given" else None
    wrong, right = (
        Measurements(at, Heat(alpha=alpha).exact(*at.T)[0] + noise, given) for alpha in (0.6, 0.3)
    )
    fitted = fit(TARGET, data=wrong, settings=SMALL)
    (said,) = missed(fitted)
    known = wrong.with_noise_of_repeats()
    (size,) = known.missed_by(fitted(*at.T)[:, None])
    (exact,) = known.missed_by(TARGET.exact(*at.T)[0][:, None])
    assert fitted.outcome == "converged" and f"by {size:.2g} times their noise" in said
    assert size == pytest.approx(exact, rel=0.05) and size > 2 * MISFIT
    assert not missed(fit(TARGET, data=right, settings=SMALL))


def missed(surrogate: Surrogate) -> list[str]:
    assert surrogate.assessment is not None
    return [note for note in surrogate.assessment.notes if "misses the measurements" in note]


REFUSED = {
    "labels": ({"labels": 5}, "labels given beside data"),
    "labels and noise": ({"labels": 5, "noise": 0.1}, "labels and noise given beside data"),
    "noise": ({"noise": 0.1}, r"noise of data is that of Measurements\(points, values, noise"),
    "far": ({"data": Measurements([[3, 0]], [1])}, r"1 point lies outside .*\(point 1\): remove"),
    "an ODE's": ({"data": Measurements([1.0], [1])}, r"expected \[labels, 2\] \(t, x\)"),
    "one without physics": (
        {"data": Measurements([[0.5, 0.5]], [1]), "physics": False}, "at least 2 labels, got 1"
    ),
    "nothing": ({"data": 3}, "the table is int, expected a file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_data_is_refused_before_anything_runs(name: str, source: Surrogate) -> None:
    others, words = REFUSED[name]
    with pytest.raises(InvalidValueError, match=words):
        moved(source, **{"data": Measurements(AT, VALUES), **others})


def test_identify_takes_the_same_data(source: Surrogate) -> None:
    data, short = Measurements(AT, VALUES, NOISE), {"points": 60, "steps": 5}
    one, two = (
        identify(source, data=data, **short),
        identify(source, AT, VALUES, noise=NOISE, **short),
    )
    assert one.estimates == two.estimates and one.noise == two.noise
    table = {"t": AT[:, 0], "x": AT[:, 1], "u": VALUES}
    assert identify(source, data=table, noise=NOISE, **short).estimates == two.estimates
    for words, arguments in {
        r"or identify\(source, data=Measurements": {},
        "noise is given beside that of data": {"data": data, "noise": 0.1},
    }.items():
        with pytest.raises(InvalidValueError, match=words):
            identify(source, **arguments)
    with pytest.raises(InvalidValueError, match="points and values are given beside data"):
        identify(source, AT, VALUES, data=data)


def test_compare_takes_the_same_data() -> None:
    result = compare(
        Heat(alpha=0.4), TARGET, ["warm_start"], data=Measurements(AT, VALUES), physics=False,
        settings=SMALL, reference=None,
    )  # fmt: skip
    (record,) = result.records
    assert (record["labels"], record["noise"], record["physics"]) == (25, None, False)
    known = moved(result.sources[0], Measurements(AT, VALUES), physics=False)
    assert known.surrogate.weights.equal(result.surrogates()["warm_start"].weights)
