"""scikit-learn's own checks of estimators, and what a source makes of them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from pacpde import PAC, Surrogate, WarmStart, fit_classes, fit_table, save
from pacpde.errors import InvalidValueError, MissingPackageError, UnknownNameError
from pacpde.interop.sklearn import (
    NetworkClassifier,
    NetworkRegressor,
    TransferClassifier,
    TransferRegressor,
)

SMALL = {"width": 10, "depth": 1, "steps": 20}
FEW = {"steps": 10}
RNG = np.random.default_rng(0)
X_SOURCE, X = RNG.normal(size=(60, 4)), RNG.normal(size=(40, 4))
Y_SOURCE, Y = np.sin(X_SOURCE[:, 0]) * X_SOURCE[:, 1], np.sin(1.2 * X[:, 0]) * X[:, 1]


class WithSource(TransferRegressor):
    """With a source for whatever columns a check of scikit-learn brings."""

    def _arguments(self, X: Any, y: Any) -> Any:
        own = fit_table(X, y, settings=SMALL)
        return own, {"source_table": (X, y), "method": self.method, "settings": FEW}


class WithSourceOfClasses(TransferClassifier):
    """The same for classes."""

    def _arguments(self, X: Any, y: Any) -> Any:
        own = fit_classes(X, y, settings=SMALL)
        return own, {"source_table": (X, y), "method": self.method, "settings": FEW}


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return NetworkRegressor(settings=SMALL).fit(X_SOURCE, Y_SOURCE).surrogate_


@pytest.fixture(scope="module")
def model(source: Surrogate) -> TransferRegressor:
    return TransferRegressor(source, (X_SOURCE, Y_SOURCE), settings=FEW)


def failed(estimator: Any) -> dict[str, str]:
    """Name of a check of scikit-learn that it fails → why; at least 50 are run."""
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(found) > 50
    return {one["check_name"]: str(one["exception"]) for one in found if one["status"] == "failed"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator",
    [
        NetworkRegressor(settings=SMALL),
        NetworkClassifier(settings=SMALL),
        WithSource(method=WarmStart()),
        WithSourceOfClasses(method="warm_start"),
    ],
)
def test_no_check_of_scikit_learn_fails(estimator: Any) -> None:
    assert failed(estimator) == {}


@pytest.mark.filterwarnings("ignore")
def test_a_source_fails_no_check_but_for_tables_of_other_columns(model: TransferRegressor) -> None:
    # the checks bring tables of 1, 2, 3, 5 and 10 columns, and this source has 4
    for why in failed(model).values():
        assert "the source was fitted to 4" in why


def test_values_are_those_of_the_surrogate_and_the_source_is_recalled(
    model: TransferRegressor,
) -> None:
    fitted = clone(model).fit(X, Y)
    np.testing.assert_array_equal(fitted.predict(X), fitted.surrogate_(*X.T))
    assert fitted.score(X, Y) > 0.9
    recalled = fitted.result_.recall()
    assert np.array_equal(recalled(*X.T), fitted.result_.snapshots["allocated"](*X.T))
    both = clone(model).set_params(source=fit_table(X_SOURCE, X_SOURCE[:, :2], **SMALL))
    both.set_params(source_table=(X_SOURCE, X_SOURCE[:, :2]), method="warm_start")
    assert both.fit(X, X[:, :2]).predict(X).shape == (40, 2)


def test_options_of_the_method_are_parameters(model: TransferRegressor) -> None:
    assert model.get_params()["method__sparsity"] == PAC().sparsity
    assert "method__sparsity" not in model.get_params(deep=False)
    changed = clone(model).set_params(method__sparsity=0.4, settings={"steps": 3})
    assert changed.method == PAC(sparsity=0.4)
    assert changed.get_params()["method__sparsity"] == 0.4
    assert clone(changed).method == changed.method
    assert model.method == "pac"
    changed.set_params(method="l2sp", method__alpha=0.5)
    assert changed.get_params()["method__alpha"] == 0.5
    with pytest.raises(UnknownNameError, match="did you mean sparsity"):
        clone(model).set_params(method__sparsty=0.5)
    with pytest.raises(UnknownNameError, match="did you mean settings"):
        clone(model).set_params(setings={})


def test_a_grid_takes_options_and_methods_in_a_pipeline(source: Surrogate) -> None:
    scale = StandardScaler().fit(X_SOURCE)
    inner = TransferRegressor(
        NetworkRegressor(settings=SMALL).fit(scale.transform(X_SOURCE), Y_SOURCE).surrogate_,
        (scale.transform(X_SOURCE), Y_SOURCE), method=PAC(), settings=FEW,
    )  # fmt: skip
    name = "transferregressor__"
    grid = [
        {name + "method__sparsity": [0.3, 0.6]},
        {name + "method": ["warm_start", "last_layer"]},
    ]
    search = GridSearchCV(make_pipeline(StandardScaler(), inner), grid, cv=3).fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores.round(9))) == 4  # each is another fit
    assert scores[3] < scores.max()  # the last layer alone is the poorest
    assert search.best_score_ == scores.max()
    assert search.best_estimator_.predict(X).shape == (40,)


def test_classes_of_a_source_and_other_ones(tmp_path: Path) -> None:
    names = np.array(["low", "middle", "high"])[(X_SOURCE[:, 0] > -0.5).astype(int)
                                                + (X_SOURCE[:, 0] > 0.5)]  # fmt: skip
    known = NetworkClassifier(settings=SMALL).fit(X_SOURCE, names)
    assert known.classes_.tolist() == ["high", "low", "middle"]
    p = known.predict_proba(X_SOURCE)
    np.testing.assert_allclose(p, known.surrogate_.probabilities(*X_SOURCE.T).T)
    assert np.array_equal(known.predict(X_SOURCE), known.classes_[p.argmax(1)])
    assert known.score(X_SOURCE, names) > 0.9
    save(known.surrogate_, tmp_path / "source")
    model = TransferClassifier(str(tmp_path / "source"), (X_SOURCE, names), method="warm_start")
    positive = X[:, 0] > 0.2
    fitted = clone(model).fit(X, positive)
    assert fitted.classes_.tolist() == [False, True]
    assert fitted.score(X, positive) > 0.9
    some = clone(model).fit(X, np.where(positive, "high", "low"))
    assert some.classes_.tolist() == ["high", "low", "middle"]  # those of the source
    assert some.predict_proba(X).shape == (40, 3)
    assert cross_val_score(model, X, positive, cv=3).mean() > 0.8


def test_a_seed_is_a_number_a_state_or_none() -> None:
    def weights(state: Any) -> Any:
        model = NetworkRegressor(settings={"width": 3, "depth": 1, "steps": 1}, random_state=state)
        return model.fit(X, Y).surrogate_.weights

    assert np.array_equal(weights(3), fit_table(X, Y, seed=3, width=3, depth=1, steps=1).weights)
    state = np.random.RandomState
    assert np.array_equal(weights(state(1)), weights(state(1)))
    assert not np.array_equal(weights(None), weights(None))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": None}, "source is None, expected a surrogate"),
        ({"source": NetworkRegressor()}, "give its surrogate_ once it is fitted"),
        ({"source_table": None}, r"give source_table=\(X_source, y_source\)"),
        ({"source_table": (X_SOURCE[:, :2], Y_SOURCE)}, "fitted to 4"),
        ({"settings": {"width": 3}}, "the network is the source's"),
    ],
)
def test_what_cannot_be_moved_is_refused(
    model: TransferRegressor, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        clone(model).set_params(**changes).fit(X, Y)


def test_columns_that_do_not_fit_are_named(model: TransferRegressor) -> None:
    with pytest.raises(ValueError, match=r"has 2 inputs .* fitted to 4"):
        clone(model).fit(X[:, :2], Y)
    with pytest.raises(ValueError, match="X has 2 features, but TransferRegressor is expecting 4"):
        clone(model).fit(X, Y).predict(X[:, :2])


def test_without_scikit_learn_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "pacpde.interop.sklearn")
    with pytest.raises(MissingPackageError, match=r"pip install 'pacpde\[sklearn\]'"):
        import pacpde.interop.sklearn  # noqa: F401
