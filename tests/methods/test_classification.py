"""Classes take the same stages as tables: fitted, moved to other classes, recalled bitwise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from pacpde import (
    TorchModule,
    fit_classes,
    fit_table,
    load,
    measure_classes,
    save,
    transfer_classes,
)
from pacpde.errors import InvalidValueError
from pacpde.methods import methods
from pacpde.methods.class_measures import ClassMeasures
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.class_labels import ClassLabels, as_labels
from pacpde.residuals.temperature import temperature_of

Table = tuple[np.ndarray, np.ndarray]


def digits(low: int, count: int, first: int = 0) -> Table:
    """Some images of five digits in a row, from `low` on."""
    images, numbers = load_digits(return_X_y=True)
    own = np.flatnonzero((numbers >= low) & (numbers < low + 5))
    own = np.random.default_rng(0).permutation(own)[first : first + count]
    return images[own], numbers[own]


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit_classes(*digits(0, 150), width=12, depth=1, steps=20)


def test_digits_are_told_apart_with_probabilities_that_mean_something(source: Surrogate) -> None:
    found = measure_classes(source, *digits(0, 600, first=150))
    # 120 images are fitted; a linear classifier gets 96 % of the others
    assert found.accuracy > 0.92
    assert found.calibration_error < 0.08
    assert found.log_loss < 0.3
    images, _ = digits(0, 30)
    p = source.probabilities(*images.T)
    z = source(*images.T)
    temperature = source.ansatz.settings["temperature"]
    expected = np.exp(z / temperature) / np.exp(z / temperature).sum(0)
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    assert source.class_labels == (0, 1, 2, 3, 4)
    assert source.assessment is not None
    assert "held-out rows" in source.assessment.notes[0]


@pytest.mark.parametrize(
    "method", ["pac", "pac_net", "warm_start", "last_layer", "bias_only", "lora"]
)
def test_other_digits_get_a_last_layer_of_their_own(source: Surrogate, method: str) -> None:
    result = transfer_classes(source, *digits(5, 40), source_table=digits(0, 150), method=method)
    assert result.surrogate.class_labels == (5, 6, 7, 8, 9)
    found = measure_classes(result.surrogate, *digits(5, 600, first=40))
    # 40 images are fitted; without any 20 % are right, and with the new layer at 0 as well
    few = method in ("last_layer", "bias_only", "lora")
    assert found.accuracy > (0.45 if few else 0.65)
    about = json.loads(json.dumps(result.record()))["classes"]
    assert about["target"] == [5, 6, 7, 8, 9]
    assert about["zero_shot"] is None
    assert about["held_out"]["rows"] == 40  # each left out with its fold
    assert result.n_trainable >= 5 * 13  # the new layer, whole


@pytest.mark.parametrize("options", [{}, {"scope": "global", "sparsity": 0.5}])
def test_pac_recalls_the_source_with_its_own_last_layer(
    source: Surrogate, options: dict[str, Any], tmp_path: Path
) -> None:
    result = transfer_classes(
        source, *digits(5, 40), source_table=digits(0, 150), options={"steps": 5, **options}
    )
    images, numbers = digits(0, 600, first=150)
    save(result.surrogate, tmp_path / "target")
    stored = load(tmp_path / "target")
    recalled, allocated = stored.recall(), result.snapshots["allocated"]
    assert np.array_equal(recalled(*images.T), allocated(*images.T))
    assert np.array_equal(
        stored.probabilities(*images.T), result.surrogate.probabilities(*images.T)
    )
    assert recalled.class_labels == (0, 1, 2, 3, 4)
    assert measure_classes(recalled, images, numbers).accuracy > 0.9
    if options:  # no weight of the source's own last layer is freed
        head = source.network.layers[-1].parameters
        kept = result.surrogate.retained["source"].mask
        own = source.network.enlarged(extra_outputs=5)[1]
        assert bool(kept[own][head].all())


def test_the_source_is_returned_where_no_fit_to_the_labels_beats_it(source: Surrogate) -> None:
    """The target is the source's own: half of its weights cannot do better than all of them."""
    images, numbers = digits(0, 25, first=150)
    result = transfer_classes(source, images, numbers, source_table=digits(0, 150))
    found, others = result.cross_validation, digits(0, 400, first=175)
    assert found is not None and found.classes is not None
    record = result.record()
    assert record["source_returned"] and record["strength"] is None and result.n_trainable == 0
    assert any("the source is returned" in note for note in result.surrogate.assessment.notes)
    assert any("chose the sparsity" in note for note in result.surrogate.assessment.notes)
    before, after = measure_classes(source, *others), measure_classes(result.surrogate, *others)
    assert after.accuracy == before.accuracy  # only the temperature is another one
    assert after.log_loss < 1.1 * before.log_loss
    z = source(*images.T).T
    assert found.classes.temperature == temperature_of(z, numbers)
    assert result.zero_shot.accuracy == result.held_out.accuracy
    assert np.array_equal(result.recall()(*images.T), source(*images.T))


def test_few_labels_choose_the_penalty_and_the_sparsity(source: Surrogate) -> None:
    """Of mirrored images the source knows little; PAC ends well below its log-loss."""
    images, numbers = digits(0, 425, first=150)
    mirrored = images.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    table = digits(0, 150)
    result = transfer_classes(source, mirrored[:25], numbers[:25], source_table=table)
    record, others = result.record(), (mirrored[25:], numbers[25:])
    assert record["strength"] > 0 and record["source_returned"] is False
    assert record["cv_error"] < record["zero_shot_cv"]
    assert result.held_out.log_loss == pytest.approx(record["cv_error"] ** 2 / 2)
    found, before = measure_classes(result.surrogate, *others), measure_classes(source, *others)
    assert found.log_loss < before.log_loss / 1.5
    # what labels left out say, and 400 others: 25 labels tell it to about a third
    assert result.held_out.log_loss == pytest.approx(found.log_loss, rel=0.6)
    freed = result.n_trainable / source.parameters
    assert min(abs(freed - 0.5), abs(freed - 0.8)) < 0.01
    assert np.array_equal(result.recall()(*images.T), result.snapshots["allocated"](*images.T))


@pytest.mark.parametrize(
    ("method", "options"),
    [("pac", {"strength": 1e-6}), ("l2sp", {"alpha": 1e-3}), ("warm_start", {"steps": 3})],
)
def test_what_is_set_by_hand_is_not_chosen(
    source: Surrogate, method: str, options: dict[str, Any]
) -> None:
    result = transfer_classes(
        source, *digits(0, 40, first=150), source_table=digits(0, 150), method=method,
        options=options, settings=None if "steps" in options else {"steps": 2},
    )  # fmt: skip
    assert result.cross_validation is None
    assert result.record()["strength"] is None
    assert result.held_out is not None and result.held_out.rows < 12


def test_the_same_classes_keep_their_last_layer(source: Surrogate) -> None:
    images, numbers = digits(0, 60, first=150)
    result = transfer_classes(
        source, 16 - images, numbers, source_table=digits(0, 150), method="warm_start"
    )
    assert result.surrogate.network == source.network
    assert result.zero_shot is not None
    assert result.held_out is not None
    assert result.held_out.accuracy > result.zero_shot.accuracy
    assert result.surrogate.assessment is not None
    assert not any("source untouched" in note for note in result.surrogate.assessment.notes)


def test_a_source_that_does_better_untouched_is_said(source: Surrogate) -> None:
    table = digits(0, 150)
    # a new network and 40 rows cannot do what 150 rows of the same digits have done
    result = transfer_classes(
        source, *digits(0, 40, first=150), source_table=table, method="scratch", steps=5
    )
    assert result.held_out is not None and result.zero_shot is not None
    assert result.zero_shot.log_loss < result.held_out.log_loss
    assert result.surrogate.assessment is not None
    said = [note for note in result.surrogate.assessment.notes if "source untouched" in note]
    assert len(said) == 1 and f"log-loss {result.zero_shot.log_loss:.3g}" in said[0]


def test_a_third_set_of_classes_goes_on_from_the_second(source: Surrogate) -> None:
    second = transfer_classes(
        source, *digits(5, 40), source_table=digits(0, 150), method="warm_start"
    ).surrogate
    images, numbers = digits(0, 60)
    names = np.array(["even", "odd"])[numbers % 2]
    for method in ("lwf", "pac"):
        third = transfer_classes(second, images, names, source_table=digits(5, 40), method=method)
        assert third.surrogate.class_labels == ("even", "odd")
        others, numbers_of = digits(0, 300, first=150)
        found = measure_classes(third.surrogate, others, np.array(["even", "odd"])[numbers_of % 2])
        assert found.accuracy > 0.8
        recalled = measure_classes(third.recall(), *digits(5, 300, first=40))
        assert recalled.accuracy > 0.6


@pytest.mark.parametrize("method", [m.name for m in methods if m.labels_suffice])
def test_every_method_takes_other_classes(method: str) -> None:
    rng = np.random.default_rng(0)
    numbers = np.arange(60) % 3
    rows = rng.normal(size=(60, 2)) / 3 + np.array([[0, 0], [2, 0], [0, 2]])[numbers]
    before = fit_classes(rows, numbers, width=8, depth=2, steps=10)
    names = np.array(["near", "far", "far"])[numbers]
    options = {"piggyback": {"steps": 60}, "transtailor": {"rounds": 1}}.get(method)
    result = transfer_classes(
        before, rows, names, source_table=(rows, numbers), method=method, options=options
    )
    # blobs of a width of 1/3 at distances of 2 overlap in less than one row of 100
    assert measure_classes(result.surrogate, rows, names).accuracy > 0.9


@pytest.mark.parametrize("method", ["pac_net", "lwf"])
def test_a_convolutional_network_gets_a_last_layer_too(method: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    left, middle = np.arange(60) % 2, np.arange(60) // 2 % 3
    images = rng.normal(size=(60, 1, 4, 4))
    images[:, 0, :2, :2] += 2 * left[:, None, None]
    images[:, 0, 2:, 2:] += 2 * (middle - 1)[:, None, None]
    rows, names = images.reshape(60, 16), np.array(["dark", "grey", "bright"])[middle]
    module = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(18, 6), nn.Tanh(), nn.Linear(6, 2)
    )  # fmt: skip
    source = fit_classes(rows, left, network=TorchModule(module, (1, 4, 4)), steps=10)
    assert measure_classes(source, rows, left).accuracy > 0.9
    result = transfer_classes(
        source, rows, names, source_table=(rows, left), method=method, settings={"steps": 10}
    )
    assert measure_classes(result.surrogate, rows, names).accuracy > 0.8
    save(result.surrogate, tmp_path / "target")
    stored = load(tmp_path / "target")
    assert stored.class_labels == ("bright", "dark", "grey")
    recalled, allocated = stored.recall(), result.snapshots["allocated"]
    assert np.array_equal(recalled(*rows.T), allocated(*rows.T))
    assert measure_classes(recalled, rows, left).accuracy > 0.8


@pytest.mark.parametrize("labels", [[False, True], ["no", "yes"], [-1, 7]])
def test_separable_classes_leave_the_weights_finite(labels: list[Any]) -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    surrogate = fit_classes(x, np.array(labels)[(x[:, 0] > 0).astype(int)], steps=200, width=4)
    assert surrogate.class_labels == tuple(labels)
    # ½ β z² against log(1 + exp(−2z)) at z and −z: the optimum is below z = 5
    assert np.abs(surrogate(x[:, 0])).max() < 6
    assert measure_classes(surrogate, x, np.array(labels)[(x[:, 0] > 0).astype(int)]).accuracy == 1
    assert surrogate.assessment is not None
    assert "logit penalty" in surrogate.assessment.notes[-1]


def test_a_class_of_one_row_is_fitted_and_said_to_be_untested() -> None:
    x = np.vstack([np.linspace(-1, 1, 20)[:, None], [[3.0]]])
    names = [*["low"] * 10, *["high"] * 10, "far"]
    surrogate = fit_classes(x, names, steps=40, width=4)
    assert measure_classes(surrogate, [[3.0]], ["far"]).accuracy == 1
    assert surrogate.assessment is not None
    assert any("'far'" in note for note in surrogate.assessment.notes)


def test_a_target_of_one_class_is_said_to_lack_the_others(source: Surrogate) -> None:
    images, numbers = digits(0, 150)
    own = images[numbers == 3][:20]
    moved = transfer_classes(
        source, own, [3] * 20, source_table=(images, numbers), method="warm_start", steps=3
    ).surrogate
    assert moved.class_labels == (0, 1, 2, 3, 4)
    assert moved.assessment is not None
    found = [note for note in moved.assessment.notes if "of the class" in note]
    assert len(found) == 1
    assert "no row, fitted or held out, is of the class 0 or 1 or 2" in found[0]
    with pytest.raises(InvalidValueError, match="every row has the class 7"):
        transfer_classes(source, own, [7] * 20, source_table=(images, numbers))


def test_one_row_a_class_is_said_to_leave_none_to_test() -> None:
    surrogate = fit_classes([[0.0], [1.0], [2.0]], ["a", "b", "c"], steps=20, width=4)
    assert measure_classes(surrogate, [[0.0], [1.0], [2.0]], ["a", "b", "c"]).accuracy == 1
    assert surrogate.ansatz.settings["temperature"] == 1
    assert surrogate.assessment is not None
    assert "no class has a row to spare" in surrogate.assessment.notes[0]


@pytest.mark.parametrize(
    "labels",
    [
        [np.int64(3), np.int64(1), np.int64(3)],
        np.array([3.0, 1.0, 3.0]),
        torch.tensor([3, 1, 3]),
        pd.Series([3, 1, 3]),
    ],
)
def test_labels_of_any_kind_are_plain_ones(labels: Any) -> None:
    assert as_labels(labels) == [3, 1, 3]
    assert {type(label) for label in as_labels(labels)} == {int}
    assert as_labels(np.array(["b", "a"])) == ["b", "a"]
    assert as_labels(pd.Series(["b", "a"], dtype="category")) == ["b", "a"]


def test_held_out_rows_are_a_share_of_every_class() -> None:
    numbers = np.repeat([0, 1, 2, 3], [50, 10, 3, 1])
    rows = ClassLabels(np.arange(64.0)[:, None], numbers, 4, 1e-2)
    fitted, held = rows.split(0.2, seed=1)
    assert held.counts.tolist() == [10, 2, 1, 0]
    assert fitted.counts.tolist() == [40, 8, 2, 1]
    both = np.concatenate([fitted.points, held.points])
    assert sorted(both.ravel()) == list(range(64))
    assert np.array_equal(numbers[held.points.ravel().astype(int)], held.numbers)
    assert (fitted.logit_penalty, held.logit_penalty) == (1e-2, 0.0)


def test_the_temperature_of_known_probabilities_is_found() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20_000, 3)) * 2
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    numbers = (rng.random(len(p))[:, None] > p.cumsum(1)).sum(1)
    # 20,000 draws tell a temperature to about 1 %
    assert temperature_of(3 * z, numbers) == pytest.approx(3, rel=0.03)
    assert temperature_of(3 * z[:10], numbers[:10]) == 1
    found = ClassMeasures.of(3 * z, numbers, 3.0)
    assert found.calibration_error < 0.02
    assert found.log_loss == pytest.approx(-np.log(p[np.arange(len(p)), numbers]).mean())
    assert ClassMeasures.of(3 * z, numbers, 1.0).calibration_error > 0.1


def test_rows_that_are_all_right_do_not_make_the_probabilities_certain() -> None:
    numbers = np.arange(38) % 2
    z = np.where(np.eye(2)[numbers] > 0, 1.0, -1.0)
    # of 38 rows none is wrong: the next one with a probability of 1/40, at a gap 2/T = log 39
    assert temperature_of(z, numbers) == pytest.approx(2 / np.log(39), rel=1e-4)
    assert temperature_of(10 * z, numbers) == pytest.approx(20 / np.log(39), rel=1e-4)


def test_measures_of_four_rows_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    found = ClassMeasures.of(np.log(p), np.array([0, 1, 1, 0]), 1.0)
    assert found.accuracy == 0.75
    # bins of 0.9 (one of two right), 0.7 and 0.6 (both right)
    assert found.calibration_error == pytest.approx((2 * 0.4 + 0.3 + 0.4) / 4)
    assert found.most_common == 0.5


@pytest.mark.parametrize(
    ("inputs", "classes", "said"),
    [
        (np.zeros((3, 1)), [0.5, 1, 2], "use fit_table"),
        (np.zeros((3, 1)), [0, 0, 0], "two classes"),
        (np.zeros((3, 1)), [0, 1], "one class a row"),
        (np.zeros((3, 1)), [0, "a", 1], "write all of them as texts"),
        (np.zeros((3, 1)), [None, "a", "b"], "row 1"),
        (np.zeros((3, 1)), [[0], [1], [0]], "row 1"),
        (np.zeros((3, 1)), "aba", "a label for each row"),
        (np.zeros((3, 1)), 3, "a label for each row"),
        (np.zeros((3, 1)), np.ma.masked_equal([0, 1, 0], 1), "1 masked"),
        (np.zeros(3), [0, 1, 0], "rows, columns"),
        (np.array([[np.nan], [0.0]]), [0, 1], "nan or inf"),
    ],
)
def test_classes_that_cannot_be_fitted_are_refused(inputs: Any, classes: Any, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        fit_classes(inputs, classes)


def test_transfers_that_make_no_sense_are_refused(source: Surrogate) -> None:
    rows = digits(0, 20)
    with pytest.raises(InvalidValueError, match="fitted to 64"):
        transfer_classes(source, rows[0][:, :9], rows[1], source_table=rows)
    with pytest.raises(InvalidValueError, match="none of the surrogate's"):
        transfer_classes(source, *rows, source_table=digits(5, 20))
    values = fit_table(rows[0], rows[1], steps=1)
    with pytest.raises(InvalidValueError, match="make one with fit_classes"):
        transfer_classes(values, *rows, source_table=rows)
    with pytest.raises(InvalidValueError, match="and no classes"):
        values.probabilities(*rows[0].T)
