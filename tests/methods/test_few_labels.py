"""Labels alone choose how far a source is moved; where no choice beats it, it is the result."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from pacpde import PAC, InvalidValueError, Measurements, Surrogate, fit, fit_table, transfer
from pacpde import transfer_table as moved_table
from pacpde.methods import methods
from pacpde.problems import Heat, LotkaVolterra
from pacpde.studies import records

SMALL = {"width": 10, "depth": 2, "points": 150, "steps": 25}
TARGET, NOISE = Heat(alpha=0.3), 1e-2
RNG = np.random.default_rng(0)
AT, GRID = RNG.random((25, 2)), RNG.random((500, 2))
CHOOSING = ["pac", "warm_start", "l2sp", "ewc", "last_layer", "lora", "bss"]
DRAWN = RNG.standard_normal(25)


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), settings=SMALL)


def moved(
    source: Surrogate, method: str | PAC = "warm_start", data: Any = None, **others: Any
) -> Any:
    data = data or Measurements(AT, TARGET.exact(*AT.T)[0] + NOISE * DRAWN)
    return transfer(
        source, TARGET, method=method, data=data, physics=False, settings={"points": 150},
        reference=None, **others,
    )  # fmt: skip


def error(surrogate: Surrogate) -> float:
    true = TARGET.exact(*GRID.T)[0]
    return float(np.linalg.norm(surrogate(*GRID.T) - true) / np.linalg.norm(true))


@pytest.mark.parametrize("method", CHOOSING)
def test_few_labels_move_the_source_towards_the_target(method: str, source: Surrogate) -> None:
    result = moved(source, method)
    zero_shot, found = error(source), result.cross_validation
    # a miss of 0.18 and noise of 0.05: half of it goes, or the part of the weights cannot do it
    assert error(result.surrogate) < zero_shot * (0.5 if not methods.get(method).partial else 1)
    assert found.cv_error < found.zero_shot_cv
    misses = TARGET.exact(*AT.T)[0] + NOISE * DRAWN - source(*AT.T)
    assert found.zero_shot_cv == pytest.approx(np.sqrt(np.mean(misses**2)), rel=1e-9)
    record = records.check(result.record())
    assert record["strength"] > 0 and record["prior"] and record["source_returned"] is False
    (note,) = [n for n in result.surrogate.assessment.notes if "chose the penalty" in n]
    assert f"{found.zero_shot_cv:.2g}" in note


def test_labels_choose_the_more_probable_sparsity(source: Surrogate) -> None:
    by_default = moved(source, "pac")
    alone = [moved(source, PAC(sparsity=share)) for share in (0.65 + 1e-12, 0.8)]
    more, less = sorted(alone, key=lambda one: -one.cross_validation.evidence)
    assert more.cross_validation.evidence > less.cross_validation.evidence + 1e-3
    assert by_default.surrogate.weights.equal(more.surrogate.weights)
    (note,) = [n for n in by_default.surrogate.assessment.notes if "chose the sparsity" in n]
    assert all(f"{one.cross_validation.evidence:.3g}" in note for one in alone)


@pytest.mark.parametrize("method", ["pac", "warm_start"])
def test_the_source_is_returned_where_labels_are_its_own(method: str, source: Surrogate) -> None:
    """Nothing but noise to learn."""
    result = moved(source, method, Measurements(AT, source(*AT.T) + NOISE * DRAWN))
    record = result.record()
    assert record["source_returned"] and record["cv_error"] == record["zero_shot_cv"]
    assert record["strength"] is None and record["free_parameters"] == 0
    assert result.surrogate.weights.equal(source.weights)
    assert result.surrogate.problem == TARGET
    assert any("the source is returned" in note for note in result.surrogate.assessment.notes)
    if method == "pac":
        assert result.recall()(*GRID.T).tobytes() == source(*GRID.T).tobytes()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("pac", {"strength": 1e-3}),
        ("warm_start", {"steps": 3}),
        ("l2sp", {"alpha": 1e-2}),
        ("warm_start", {"continuation": "direct"}),
    ],
)
def test_what_is_set_by_hand_is_not_chosen(
    method: str, options: dict[str, Any], source: Surrogate
) -> None:
    result = moved(source, method, **options)
    assert result.cross_validation is None
    record = result.record()
    assert record["cv_error"] is record["prior"] is record["source_returned"] is None
    with pytest.raises(InvalidValueError, match="no posterior"):
        result.predictive(0.5, 0.5)


def test_the_choice_is_the_same_every_time(source: Surrogate) -> None:
    one, two = moved(source), moved(source)
    assert one.surrogate.weights.equal(two.surrogate.weights)
    assert one.cross_validation.strength == two.cross_validation.strength


def test_cross_validated_errors_are_those_of_refits(source: Surrogate) -> None:
    """With λ as it is: a last layer is linear, and the closed form exact."""
    data = Measurements(AT[:12], TARGET.exact(*AT[:12].T)[0] + NOISE * DRAWN[:12])
    found = moved(source, "last_layer", data).cross_validation
    fitted = found.posterior.fit
    missed = []
    for left in range(12):
        others = np.arange(12) != left
        J, y = fitted.J[others], (fitted.J @ fitted.x - fitted.r)[others]
        scaled = np.diag(fitted.penalty / fitted.prior.variance[fitted.prior.variance > 0])
        used = fitted.prior.variance > 0
        assert used.all()
        normal = J.T @ J + scaled
        x = np.linalg.solve(normal, J.T @ y + scaled @ fitted.prior.centre)
        missed.append(float(fitted.J[left] @ x - (fitted.J @ fitted.x - fitted.r)[left]))
    assert found.cv_error == pytest.approx(np.sqrt(np.mean(np.square(missed))), rel=1e-6)


def test_intervals_hold_new_measurements(source: Surrogate) -> None:
    result = moved(source)
    found = result.predictive(*GRID.T, level=0.9)
    np.testing.assert_array_equal(found.mean, result.surrogate(*GRID.T))
    new = TARGET.exact(*GRID.T)[0] + NOISE * np.random.default_rng(3).standard_normal(500)
    assert 0.8 <= np.mean((found.lower <= new) & (new <= found.upper)) <= 0.99
    field = result.predictive(*GRID.T, noise=False)
    assert (field.std < found.std).all()
    wide, narrow = (result.predictive(0.5, 0.5, level=level) for level in (0.99, 0.9))
    expected = student.ppf(0.995, 25) / student.ppf(0.95, 25)
    assert (wide.upper - wide.lower) / (narrow.upper - narrow.lower) == pytest.approx(expected)
    assert wide.upper - wide.lower > found.std.min()
    at_start = result.predictive(0.0, GRID[:, 1], noise=False)
    assert np.abs(at_start.std).max() < 1e-12  # where the ansatz knows the field
    with pytest.raises(InvalidValueError, match="level"):
        result.predictive(0.5, 0.5, level=1.5)


def test_noise_that_is_known_is_a_lower_bound(source: Surrogate) -> None:
    exact = TARGET.exact(*AT.T)[0]
    known = moved(source, data=Measurements(AT, exact, noise=NOISE)).cross_validation
    unknown = moved(source, data=Measurements(AT, exact)).cross_validation
    assert known.noise >= NOISE > unknown.noise
    assert known.strength > unknown.strength


@pytest.mark.parametrize("n", [2, 3])
def test_few_values_are_not_taken_for_an_interpolation(n: int, source: Surrogate) -> None:
    """Noise taken from two labels covered 0.76 of new measurements, 0.12 at worst."""
    covered = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        at, new = rng.random((n, 2)), TARGET.exact(*GRID.T)[0] + NOISE * rng.standard_normal(500)
        values = TARGET.exact(*at.T)[0] + NOISE * rng.standard_normal(n)
        result = moved(source, data=Measurements(at, values))
        found, band = result.cross_validation, result.predictive(*GRID.T)
        assert found.few and found.noise >= found.zero_shot_cv / 4 * (1 - 1e-9)
        free = found.posterior.fit.free_rows
        assert found.posterior.degrees_of_freedom == max(1, free) < n
        assert any("fewer than 8 values" in note for note in band.notes)
        covered.append(np.mean((band.lower <= new) & (new <= band.upper)))
    assert np.mean(covered) > 0.85 and min(covered) > 0.4


def test_known_noise_of_few_values_is_believed(source: Surrogate) -> None:
    exact = Measurements(AT[:5], TARGET.exact(*AT[:5].T)[0], noise=1e-4)
    result = moved(source, data=exact)
    assert not result.cross_validation.few
    assert result.cross_validation.noise < result.cross_validation.zero_shot_cv / 4
    assert not any("fewer than" in note for note in result.surrogate.assessment.notes)


def test_labels_in_a_small_part_of_the_domain_are_named(source: Surrogate) -> None:
    at = AT * [0.1, 1.0]  # of t; x is spanned
    result = moved(source, data=Measurements(at, TARGET.exact(*at.T)[0] + NOISE * DRAWN))
    (note,) = [n for n in result.surrogate.assessment.notes if "small part" in n]
    share = np.ptp(at[:, 0]) / TARGET.domain.axes[0].length
    assert f"{share:.0%} of t" in note and "of x" not in note and "worse than the source" in note
    (inside, outside) = (result.predictive(t, at[:, 1]).notes for t in (at[:, 0].mean(), 0.5))
    assert not inside and "25 of 25 points lie outside" in outside[0]
    spread = moved(source)
    assert not any("small part" in note for note in spread.surrogate.assessment.notes)
    assert not spread.predictive(*GRID.T).notes


def test_a_gross_outlier_is_named(source: Surrogate) -> None:
    values = TARGET.exact(*AT.T)[0] + NOISE * DRAWN
    values[6] += 5
    result = moved(source, data=Measurements(AT, values))
    (note,) = [n for n in result.surrogate.assessment.notes if "outlier" in n]
    assert f"row 7, u = {values[6]:.4g} at t = {AT[6, 0]:.4g}, x = {AT[6, 1]:.4g}" in note
    worst = result.cross_validation.largest_miss
    assert worst.share > 0.9 and f"{worst.share:.0%}" in note
    assert not any("outlier" in note for note in moved(source).surrogate.assessment.notes)


def test_a_field_that_was_not_measured_leaves_no_row() -> None:
    problem = LotkaVolterra.from_coefficients({}, 2.0)
    source = fit(problem, settings=SMALL)
    t = np.linspace(0, 2, 21)
    values = np.stack(source(t), -1) * [1.2, 0.8]
    values[::2, 0] = np.nan
    result = transfer(
        source, problem, method="warm_start", data=Measurements(t, values), physics=False,
        reference=None,
    )  # fmt: skip
    assert result.cross_validation.n_labels == 42 - 11


def test_tables_choose_as_well() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.uniform(size=(300, 3))
    outputs = np.sin(2 * inputs[:, 0]) * inputs[:, 1]
    source = fit_table(inputs, outputs, width=8, steps=30)
    at = rng.uniform(size=(60, 3))
    shifted = np.sin(2 * at[:, 0] + 0.3) * at[:, 1] + 0.02 * rng.normal(size=60)
    result = moved_table(source, at, shifted, source_table=(inputs, outputs))
    record = result.record()
    assert record["cv_error"] < record["zero_shot_cv"] and not record["source_returned"]
    true = np.sin(2 * inputs[:, 0] + 0.3) * inputs[:, 1]
    before, after = (np.std(one(*inputs.T) - true) for one in (source, result.surrogate))
    assert after < before / 2
