"""PAC's four grounds: a small unit of each runs, and its summary says who wins where."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = {"steps": 2}


@pytest.fixture
def grounds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import grounds as module  # type: ignore[import-not-found]

    return module


@pytest.fixture
def summary(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import grounds_summary as module  # type: ignore[import-not-found]

    return module


@pytest.mark.parametrize(
    ("ground", "place"),
    [("friedman", 0), ("generated", 0), ("diabetes", 0), ("digits", 0), ("digits", 4), ("ode", 0),
     ("pde", 3)],
)  # fmt: skip
def test_a_unit_of_each_ground_runs(grounds: ModuleType, ground: str, place: int) -> None:
    case = grounds.GROUNDS[ground][place]
    run = grounds.measure(case.pair(0, TINY), case.units[0], ("pac", "warm_start"))
    assert not run.get("failures")
    assert {"gaussian_process", "pac", "warm_start"} <= run["results"].keys()
    assert all(error > 0 for error, _ in run["results"].values())


def test_friedman_has_the_published_function(grounds: ModuleType) -> None:
    """As scikit-learn makes it; at d = 0 the source is the target, with noise of deviation 1."""
    tables = grounds.grounds_tables.friedman(0.0, np.random.default_rng(0))

    def expected(x: np.ndarray) -> np.ndarray:
        wave = 10 * np.sin(np.pi * x[:, 0] * x[:, 1])
        return np.asarray(wave + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4])

    np.testing.assert_allclose(expected(make_friedman1(9, random_state=0)[0]),
                               make_friedman1(9, random_state=0)[1])  # fmt: skip
    np.testing.assert_allclose(tables.expected, expected(tables.test))
    inputs, noisy = tables.before
    assert np.std(noisy - expected(inputs)) == pytest.approx(1, abs=0.06)  # 3.8 of its deviations


def test_labels_and_test_rows_are_apart(grounds: ModuleType) -> None:
    """No test image is a label or one of the source, and labels hold every class equally often."""
    case = grounds.GROUNDS["digits"][1]
    pair = case.pair(3, TINY)
    assert np.bincount(pair.labels[1][:25]).tolist() == [5] * 5
    own = [image.tobytes() for image in np.concatenate([pair.labels[0], pair.before[0]])]
    assert not {image.tobytes() for image in pair.test[0]} & set(own)
    tables = grounds.grounds_tables.diabetes(np.random.default_rng(0))
    assert tables.before[0][:, 2].max() < min(tables.test[:, 2].min(), tables.labels[0][:, 2].min())
    assert len(tables.before[0]) + len(tables.labels[0]) + len(tables.test) == 442


def test_ridge_on_features_finds_a_changed_last_layer(grounds: ModuleType) -> None:
    """Labels of the source plus a combination of its features are met to the digits of ridge."""
    import grounds_rivals  # type: ignore[import-not-found]

    pair = grounds.GROUNDS["generated"][0].pair(0, TINY)
    inputs, test = pair.tables.labels[0], pair.tables.test
    features = grounds_rivals.features_of
    shift = features(pair.source, inputs)[:, :2] @ [300.0, -100.0]
    outputs = pair.source(*inputs.T) + shift
    found = grounds_rivals.Values(pair.source, inputs, outputs[:, None], test).ridge()[0]
    expected = pair.source(*test.T) + features(pair.source, test)[:, :2] @ [300.0, -100.0]
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.std(shift))


def made_up(errors: dict[str, float], seeds: int = 8, **about: Any) -> list[dict[str, Any]]:
    """Runs whose errors vary from seed to seed alike, so that ratios are exact."""
    at = {"ground": "ode", "case": "it", "labels": 25, "noise": 0.01, "error": "relative error"}
    return [
        {**at, **about, "seed": seed,
         "results": {name: [size * 1.1**seed, 1.0] for name, size in errors.items()}}
        for seed in range(seeds)
    ]  # fmt: skip


def test_the_summary_says_who_wins_and_loses(summary: ModuleType) -> None:
    runs = made_up({"pac": 1.0, "warm_start": 2.0, "gaussian_process": 0.5, "l2sp": 1.0})
    runs += made_up({"pac": 1.0, "warm_start": 0.25}, labels=100)
    runs[0]["failures"] = {"lwf": "ValueError: no"}
    text = summary.summary({"runs": runs})
    assert "| it: relative error; over PAC's [95 %] | 25 labels | 100 labels |" in text
    assert "| warm start | 2.8; 2 [2, 2] | 0.349; 0.25 [0.25, 0.25] |" in text
    assert "| LwF | 1 failed | – |" in text and "| seeds | 8 | 8 |" in text
    assert "Of 4 comparisons PAC wins 1 and loses 2; 1 are not told apart" in text
    assert "PAC wins against warm start (25); loses to warm start (100), Gaussian process; " in text
    assert "zero-shot" not in text
    runs = made_up({"pac": 1.0, "zero_shot": 2.0}) + made_up({"pac": 3.0, "zero_shot": 2.0}, 2)
    text_of = summary.paragraph({"it": runs})
    assert "PAC is at 0.5 times the error of zero-shot in the median of 10 runs" in text_of
    assert "at most at 1.1 times in 80.0%." in text_of
    assert "is not told apart from L2-SP. Smallest median error: Gaussian process (25)" in text


def test_too_few_seeds_have_no_intervals(summary: ModuleType) -> None:
    text = summary.summary({"runs": made_up({"pac": 1.0, "warm_start": 2.0}, seeds=4)})
    assert "[" not in text.replace("[95 %]", "") and "no intervals" in text


def test_an_ended_run_counts_for_no_method(summary: ModuleType) -> None:
    runs = made_up({"pac": 1.0, "warm_start": 2.0})
    runs[0] = {key: runs[0][key] for key in ("ground", "case", "labels", "noise", "seed")}
    runs[0]["ended"] = "time_limit"
    assert "| seeds | 7 |" in summary.summary({"runs": runs})


def test_joined_records_take_the_later_of_two_runs(grounds: ModuleType, tmp_path: Path) -> None:
    import common  # type: ignore[import-not-found]

    here, there = ({"machine": {"cpu": cpu}, "versions": {"pacpde": "1"}} for cpu in ("a", "b"))
    old = {**here, "second_machine": there, "runs": made_up({"pac": 2.0}, seeds=3)}
    old["runs"][1]["on"] = "second_machine"
    new = {**there, "runs": made_up({"pac": 1.0}, seeds=1) + made_up({"pac": 1.0}, 1, labels=50)}
    for name, record in (("old", old), ("new", new)):
        common.write_record(record, tmp_path / f"{name}.json")
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    found = common.joined(files, identity=grounds.identity)
    assert [(run["labels"], run["seed"], run.get("on")) for run in found["runs"]] == [
        (25, 0, "second_machine"), (25, 1, "second_machine"), (25, 2, None),
        (50, 0, "second_machine"),
    ]  # fmt: skip
    assert [run["results"]["pac"][0] for run in found["runs"]] == [1.0, 2.2, 2.42, 1.0]
    assert found["machine"] == here["machine"]
