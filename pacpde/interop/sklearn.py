"""Estimators of scikit-learn: networks on tables, and their transfer from a source.

    from pacpde.interop.sklearn import NetworkRegressor, TransferRegressor

`NetworkRegressor` and `NetworkClassifier` fit a network from random weights, `TransferRegressor`
and `TransferClassifier` move one from a source by any method of pacpde that needs no equation. They
are cloned, searched (`method__sparsity`) and put into pipelines like all estimators.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from pacpde.errors import InvalidValueError, MissingPackageError, short, unknown
from pacpde.methods.arguments import Settings, method_of
from pacpde.methods.base import Method
from pacpde.methods.classification import fit_classes, transfer_classes
from pacpde.methods.regression import fit_table, transfer_table
from pacpde.networks.checkpoint import load
from pacpde.networks.surrogate import Surrogate

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackageError(
        "the estimators need the package scikit-learn: pip install 'pacpde[sklearn]'."
    ) from error

__all__ = ["NetworkClassifier", "NetworkRegressor", "TransferClassifier", "TransferRegressor"]

Table = tuple[Any, Any]  # inputs [rows, columns], and outputs or classes of the rows
METHOD = "method__"  # begins the name of an option of the method, as in method__sparsity


class NetworkEstimator(BaseEstimator):
    """Base class: fits a surrogate to a table, and predicts by it.

    Attributes:
        surrogate_: once it is fitted.
        n_features_in_: number of columns.
    """

    surrogate_: Surrogate
    n_features_in_: int
    random_state: Any

    def _seed(self) -> int:
        """A seed of pacpde: a whole number as it is."""
        given = self.random_state
        if isinstance(given, int | np.integer) and not isinstance(given, bool):
            return int(given)
        return int(check_random_state(given).randint(2**31))

    def _rows(self, X: Any, y: Any, **checks: Any) -> tuple[np.ndarray, np.ndarray]:
        """The table of a fit, checked."""
        found = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, **checks)
        return found[0], found[1]

    def _fields(self, X: Any) -> np.ndarray:
        """What the surrogate gives at new rows, [rows, outputs]."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        values = self.surrogate_.at(self.surrogate_.runtime.tensor(X))
        return np.asarray(values.detach().cpu().numpy())


class _Regressor(RegressorMixin, NetworkEstimator):
    """Values: `fit` is a subclass's `_fitted`, `predict` has the shape of y."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs [rows, columns] and outputs [rows] or [rows, targets].

        Raises:
            ValueError: rows that cannot be fitted.
        """
        X, y = self._rows(X, y, multi_output=True, y_numeric=True)
        self._one_output = y.ndim == 1
        self.surrogate_ = self._fitted(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Outputs [rows] or [rows, targets], as y was."""
        values = self._fields(X)
        return values[:, 0] if self._one_output else values

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class _Classifier(ClassifierMixin, NetworkEstimator):
    """Classes: `fit` is a subclass's `_fitted`.

    Attributes:
        classes_: labels, in the order of the columns of `predict_proba`.
    """

    classes_: np.ndarray

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs [rows, columns] and classes [rows]: whole numbers, bools or texts.

        Raises:
            ValueError: rows or classes that cannot be fitted.
        """
        X, y = self._rows(X, y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.surrogate_ = self._fitted(X, y)
        own, labels = np.unique(y), self.surrogate_.class_labels
        self.classes_ = own if len(own) == len(labels) else np.array(labels)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [rows, classes], in the order of `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.surrogate_.probabilities(*X.T).T)

    def predict(self, X: Any) -> np.ndarray:
        """The class of the largest probability, [rows]."""
        logits = self._fields(X)
        return np.asarray(self.classes_[logits.argmax(1)])

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        raise NotImplementedError


class NetworkRegressor(_Regressor):
    """A network fitted to a table from random weights, by `pacpde.fit_table`.

    Args:
        settings: of the fit, as {"width": 24, "steps": 40}; see `pacpde.TrainingConfig`.
        random_state: seed of the weights and of the held-out rows: a number, None for another one
            each time, or a `numpy.random.RandomState`.

    Example:
        >>> model = NetworkRegressor(settings={"steps": 40}).fit(X, y)
        >>> model.score(X_new, y_new)  # R², at most 1
    """

    def __init__(self, *, settings: Settings | None = None, random_state: Any = 0) -> None:
        self.settings = settings
        self.random_state = random_state

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        return fit_table(X, y, settings=self.settings, seed=self._seed())


class NetworkClassifier(_Classifier):
    """A network fitted to the classes of a table's rows, by `pacpde.fit_classes`.

    Args:
        settings, random_state: as of `NetworkRegressor`.

    Example:
        >>> model = NetworkClassifier(settings={"steps": 40}).fit(X, y)
        >>> model.predict_proba(X_new)
    """

    def __init__(self, *, settings: Settings | None = None, random_state: Any = 0) -> None:
        self.settings = settings
        self.random_state = random_state

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        return fit_classes(X, y, settings=self.settings, seed=self._seed())


class _Transfer(NetworkEstimator):
    """Base class: moves a source to the table of the fit.

    Options of the method are parameters too: `method__sparsity` in a grid, or
    `set_params(method__sparsity=0.5)`.

    Attributes:
        result_: of the transfer, as of `transfer_table` or `transfer_classes`.
    """

    result_: Any

    def __init__(
        self,
        source: Surrogate | str | Path | None = None,
        source_table: Table | None = None,
        *,
        method: str | Method = "pac",
        settings: Settings | None = None,
        random_state: Any = 0,
    ) -> None:
        self.source = source
        self.source_table = source_table
        self.method = method
        self.settings = settings
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters; `deep`, with every option of the method."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            options = method_of(self.method).options
            params |= {METHOD + name: value for name, value in options.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; an option of the method, as method__sparsity=0.5, makes it an object.

        Raises:
            UnknownNameError: there is no such parameter or option.
        """
        options = {k.removeprefix(METHOD): v for k, v in params.items() if k.startswith(METHOD)}
        own = {name: value for name, value in params.items() if not name.startswith(METHOD)}
        known = self._get_param_names()
        for name in own:
            if name not in known:
                raise unknown(f"parameter of {type(self).__name__}", name, known)
            setattr(self, name, own[name])
        if options:
            method = method_of(self.method)
            names = [option.name for option in fields(method)]
            for name in options:
                if name not in names:
                    raise unknown(f"option of {method.name}", name, names)
            self.method = replace(method, **options)
        return self

    def _arguments(self, X: np.ndarray, y: np.ndarray) -> tuple[Surrogate, Mapping[str, Any]]:
        """The source, and the keywords of a transfer from it.

        Args:
            X, y: the target's rows.
        """
        source = self.source
        if isinstance(source, str | Path):
            source = load(source)
        if not isinstance(source, Surrogate):
            fitted = hasattr(source, "fit")
            raise InvalidValueError(
                f"source is {f'a {type(source).__name__}' if fitted else short(source)}, expected "
                "a surrogate or its folder: give "
                f"{'its surrogate_ once it is fitted' if fitted else 'model.surrogate_'}, or what "
                "fit_table or fit_classes returns."
            )
        if not isinstance(self.source_table, tuple | list) or len(self.source_table) != 2:
            raise InvalidValueError(
                f"source_table is {short(self.source_table)}, expected the source's own rows, on "
                "which methods such as PAC fit it again: give source_table=(X_source, y_source)."
            )
        before = tuple(np.asarray(part) for part in self.source_table)
        return source, {
            "source_table": before,
            "method": method_of(self.method),
            "settings": self.settings,
            "seed": self._seed(),
        }


class TransferRegressor(_Regressor, _Transfer):
    """A source moved to a table of few rows, by `pacpde.transfer_table`.

    Args:
        source: a surrogate that `fit_table` made, as `NetworkRegressor().fit(X, y).surrogate_`, or
            the folder of one.
        source_table: (X, y) of the source, which PAC allocates on.
        method: an object such as PAC(sparsity=0.8), or a name; see `pacpde methods`.
        settings: of the fits, as {"steps": 40}; the network is the source's.
        random_state: as of `NetworkRegressor`.

    Example:
        >>> source = NetworkRegressor().fit(X_source, y_source).surrogate_
        >>> model = TransferRegressor(source, (X_source, y_source), method=PAC(sparsity=0.5))
        >>> search = GridSearchCV(model, {"method__sparsity": [0.3, 0.65]}).fit(X, y)
        >>> model.fit(X, y).result_.recall()
    """

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        source, others = self._arguments(X, y)
        self.result_ = transfer_table(source, X, y, **others)
        return self.result_.surrogate


class TransferClassifier(_Classifier, _Transfer):
    """A source moved to other rows, other classes, or both, by `pacpde.transfer_classes`.

    `classes_` are the target's, or the source's where it knows all of the target's.

    Args:
        source: a surrogate that `fit_classes` made, as `NetworkClassifier().fit(X, y).surrogate_`,
            or the folder of one.
        source_table: (X, y) of the source, which PAC allocates on.
        method, settings, random_state: as of `TransferRegressor`.

    Example:
        >>> source = NetworkClassifier().fit(X_source, y_source).surrogate_
        >>> model = TransferClassifier(source, (X_source, y_source), method="warm_start")
        >>> cross_val_score(model, X, y)
    """

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        source, others = self._arguments(X, y)
        self.result_ = transfer_classes(source, X, y, **others)
        return self.result_.surrogate
