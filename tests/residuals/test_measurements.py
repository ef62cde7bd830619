"""Measurements: what they may be, what they weigh, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pacpde import DataFileError, InvalidValueError, Measurements
from pacpde.datasets import draw_labels, reference_for, write
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.problems import Burgers, Heat, LotkaVolterra
from pacpde.residuals.terms import LabelTerm
from pacpde.runtime import Runtime

AT = [[0.1, 0.5], [0.4, 0.2], [0.4, 0.2], [0.9, 0.7]]
PREY = LotkaVolterra.from_coefficients({}, None)
TWO = [[1.0, np.nan], [2.0, 3.0], [np.nan, 4.0]]


def test_arrays_of_any_kind_are_the_same() -> None:
    for points, values in (
        (AT, [1, 2, 3, 4]),
        (np.float32(AT)[:, ::-1][:, ::-1], np.array([1, 2, 3, 4], dtype=">i4")),
        (torch.tensor(AT), torch.tensor([[1.0], [2], [3], [4]])),
        (pd.DataFrame(AT), pd.Series([1, 2, 3, 4])),
    ):
        data = Measurements(points, values)
        assert data.points == pytest.approx(np.array(AT), rel=1e-7)  # the digits of float32
        assert data.values.tolist() == [[1], [2], [3], [4]] and data.values.dtype == np.float64
    given = np.ones((1, 2))
    data = Measurements(given, [1])
    given[:] = 2
    assert data.points.tolist() == [[1, 1]]  # a copy
    assert Measurements([0.1, 0.2], [1, 2]).points.shape == (2, 1)  # one axis


def test_noise_may_be_one_number_one_a_field_or_one_a_value() -> None:
    points = [[0.1], [0.2], [0.3]]
    for noise, wanted in (
        (0.5, np.full((3, 2), 0.5)),
        ([0.5, 2], [[0.5, 2]] * 3),
        (np.arange(1.0, 7).reshape(3, 2), [[1, 2], [3, 4], [5, 6]]),
    ):
        data = Measurements(points, np.ones((3, 2)), noise)
        assert data.noise is not None and data.noise.tolist() == np.asarray(wanted).tolist()
    assert Measurements(points, [1, 2, 3], [1, 2, 3]).noise.tolist() == [[1], [2], [3]]


def test_weights_are_those_of_the_noise_in_scales() -> None:
    data = Measurements([0.1, 0.2, 0.3], TWO, [0.1, 0.4])
    weights, noise = data.weights([2.0, 4.0])
    assert data.n_values == 4 and noise is not None
    # scales / noise is 20 and 10
    assert weights / noise == pytest.approx(np.array([[20, 0], [20, 10], [0, 10]]), rel=1e-12)
    assert (weights**2).sum() == pytest.approx(4, rel=1e-12)
    plain, unknown = Measurements([0.1, 0.2, 0.3], TWO).weights([2.0, 4.0])
    assert plain.tolist() == [[1, 0], [1, 1], [0, 1]] and unknown is None


def residuals(data: Measurements, problem: Any, physics: bool) -> torch.Tensor:
    """Of the fields 0, [points, fields]."""
    term = data.term(PhysicsAnsatz(problem), Runtime(), physics=physics)
    jet = torch.zeros(len(term.batch.names), term.batch.size, len(problem.fields)).double()
    assert torch.equal(
        term.residual(jet)[2:], term.subset(slice(2, None)).residual(jet[:, 2:])
    )  # as many points, one weight each
    return term.residual(jet) * len(data.points) ** 0.5


def test_values_that_are_missing_have_no_residual() -> None:
    scales = np.array(PREY.scales)
    found = residuals(Measurements([0.1, 0.2, 0.3], TWO), PREY, True)
    expected = -np.nan_to_num(TWO, nan=0.0) / scales
    assert found.numpy() == pytest.approx(expected, rel=1e-12)


def test_without_noise_the_term_is_that_of_labels() -> None:
    term = Measurements(AT, [1, 2, 3, 4]).term(PhysicsAnsatz(Heat()), Runtime(), physics=True)
    assert type(term) is LabelTerm


def test_copies_count_once_and_repeats_tell_the_noise() -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.random((40, 1)), 5, axis=0)
    values = np.hstack([points, 10 * points]) + rng.normal(0, (0.1, 3.0), (200, 2))
    order = rng.permutation(200)
    data = Measurements(points[order], values[order])
    told = data.with_noise_of_repeats()
    assert told.noise is not None and np.ptp(told.noise, axis=0).tolist() == [0, 0]
    # within three of its own standard deviations: 160 degrees of freedom
    assert told.noise[0] == pytest.approx([0.1, 3.0], rel=3 / np.sqrt(2 * 160))
    by_hand = pd.DataFrame({"x": points[:, 0], "u": values[:, 0]}).groupby("x").u.var().mean()
    assert told.noise[0, 0] == pytest.approx(np.sqrt(by_hand), rel=1e-12)
    few = Measurements(AT, [1, 2, 3, 4])
    assert few.with_noise_of_repeats() is few  # one repeat tells nothing
    again = Measurements(AT + AT, [1, 2, 3, 4] * 2).without_copies()
    assert again.points.tolist() == AT and again.values[:, 0].tolist() == [1, 2, 3, 4]
    holes = Measurements([[0.1], [0.1]], [[1, np.nan], [1, np.nan]]).without_copies()
    assert len(holes.points) == 1


def test_what_a_solution_misses_is_measured_by_the_noise() -> None:
    data = Measurements([0.1, 0.2, 0.3], TWO, [0.1, 0.4])
    given = np.array([[1.2, 9.0], [2.1, 3.4], [5.0, 2.4]])  # where TWO has nan, nothing is missed
    missed = data.missed_by(given)
    assert missed == pytest.approx([np.sqrt((2**2 + 1) / 2), np.sqrt((1 + 4**2) / 2)], rel=1e-12)
    assert data.misfit(given, PREY.fields) is None
    given[1, 1] = 5.4  # (6² + 4²) / 2 = 5.1²
    said = data.misfit(given, PREY.fields)
    assert said is not None and f"of {[*PREY.fields][1]} by 5.1 times their noise" in said
    one = Measurements([0.1, 0.2], [[1.0, np.nan], [2.0, np.nan]], 0.1)
    assert one.missed_by(np.full((2, 2), 1.5)) == pytest.approx([5.0, 0.0], rel=1e-12)
    assert Measurements([0.1], [1.0]).missed_by(np.array([[9.0]])) is None


def test_rounding_is_no_fault_and_outside_is() -> None:
    data = Measurements([[1 + 1e-9, 0.5]], [1]).checked(Heat())
    assert data.points[0, 0] == 1
    with pytest.raises(InvalidValueError, match=r"1 point lies outside .* t=1.5, .*\(point 2\)"):
        Measurements([[1, 0.5], [1.5, 0.5]], [1, 1]).checked(Heat())


REFUSED = {
    "lengths": ((AT, [1, 2, 3]), r"points \(4, 2\) and values \(3, 1\), expected \[n, axes\]"),
    "three dimensions": ((np.ones((1, 1, 1)), [1]), r"have the shape \(1, 1, 1\), expected one"),
    "inf": ((AT, [1, 2, np.inf, 4]), "hold inf, in the values of row 3: leave"),
    "nan alone": ((AT, [1, np.nan, 3, 4]), "1 of the 4 measurements .* the first in row 2: leave"),
    "nan places": (([[1, np.nan]], [1]), "1 of the 1 measurements hold nan in their point"),
    "words": ((AT, ["a"] * 4), "the measured values are no real numbers"),
    "noise of 0": ((AT, [1, 2, 3, 4], 0), "noise holds a number that is not positive"),
    "noise of nan": ((AT, [1, 2, 3, 4], [1, 2, 3, np.nan]), "not positive and finite"),
    "two levels": ((AT, [1, 2, 3, 4], [1, 2]), r"does not fit values of shape \(4, 1\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_in_a_sentence(name: str) -> None:
    arguments, words = REFUSED[name]
    with pytest.raises(InvalidValueError, match=words):
        Measurements(*arguments)


@pytest.mark.parametrize("points, values", [(AT, np.ones((4, 2))), ([1.0], [1.0]), ([], [])])
def test_another_number_of_axes_or_fields(points: Any, values: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"expected \[labels, 2\] \(t, x\) and \[labels, 1"):
        Measurements(points, values).checked(Heat())


CSV = "zeit;ort [m];wert\n0,5;0,25;1e-3\n2;0;7\n1;-0,5;\n0;0,5;3,5\n"
NAMES = {"t": "zeit", "x": "ort [m]", "u": "wert"}


def test_a_file_with_a_row_outside(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(CSV)
    with pytest.raises(
        DataFileError,
        match=r"measured.csv: 1 point lies outside .* at t=2, x=0 \(line 3\): remove .*--drop",
    ):
        Measurements.of(path, Burgers(), columns=NAMES)
    data = Measurements.of(path, Burgers(), columns=NAMES, noise=[1, 2, 3, 4], outside="drop")
    assert data.points.tolist() == [[0.5, 0.25], [0, 0.5]] and data.values.tolist() == [
        [1e-3],
        [3.5],
    ]
    assert data.noise.tolist() == [[1], [4]]  # of the rows that stay
    said = " ".join(data.notes)
    assert "1 rows have no value" in said and "(line 3), and left out" in said
    assert "t is zeit of" in said
    with pytest.raises(InvalidValueError, match="has no measurement inside the domain"):
        Measurements.of({"t": [5], "x": [0], "u": [1]}, Burgers(), outside="drop")
    with pytest.raises(InvalidValueError, match="has no value: every one is NaN, or left out"):
        Measurements.of({"t": [0.5], "x": [0], "u": [np.nan]}, Burgers())
    with pytest.raises(InvalidValueError, match="outside is 'keep', expected 'refuse' or 'drop'"):
        Measurements.of(path, Burgers(), outside="keep")


def test_file_frame_and_mapping_give_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"zeit": rng.random(25), "ort": rng.random(25), "wert": rng.random(25)})
    names = {"t": "zeit", "x": "ort", "u": "wert"}
    table.to_csv(tmp_path / "m.csv", sep=";", index=False)
    table.to_csv(tmp_path / "komma.csv", sep=";", decimal=",", index=False)
    np.savez(tmp_path / "m.npz", **{name: table[name].to_numpy() for name in table})
    kinds = [table, dict(table), *(tmp_path / name for name in ("m.csv", "komma.csv", "m.npz"))]
    found = [Measurements.of(each, Burgers(), columns=names) for each in kinds]
    assert len({data.hash for data in found}) == 1
    plain = Measurements(table[["zeit", "ort"]], table["wert"])
    assert plain.hash == found[0].hash != Measurements(plain.points, plain.values, 0.1).hash
    xarray = pytest.importorskip("xarray")
    rows = xarray.Dataset({name: ("row", table[name]) for name in table})
    assert Measurements.of(rows, Burgers(), columns=names).hash == plain.hash


def test_labels_of_a_reference_file(tmp_path: Path) -> None:
    reference = reference_for(Heat(alpha=0.3))
    labels = draw_labels(reference, 5)
    write(reference, tmp_path / "labels.h5", labels)
    data = Measurements.of(tmp_path / "labels.h5", Heat())
    assert np.array_equal(data.points, labels.points) and np.array_equal(data.values, labels.values)
