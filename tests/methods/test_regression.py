"""Tables take the same stages as solutions: fitted, moved, recalled to the last bit."""

from collections.abc import Callable

import numpy as np
import pytest

from pacpde import fit
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.methods import fit_table, methods, transfer_table
from pacpde.networks.surrogate import Surrogate
from pacpde.problems import Heat

Function = Callable[[np.ndarray], np.ndarray]
Table = tuple[np.ndarray, np.ndarray]
SPREAD = 0.2  # standard deviation of the outputs below, to one digit


def before(inputs: np.ndarray) -> np.ndarray:
    return np.sin(inputs[:, 0]) * inputs[:, 1]


def after(inputs: np.ndarray) -> np.ndarray:
    return np.sin(1.2 * inputs[:, 0] + 0.2) * inputs[:, 1]


def table(function: Function, rows: int, seed: int) -> Table:
    inputs = np.random.default_rng(seed).uniform(size=(rows, 3))
    return inputs, function(inputs)


def rmse(surrogate: Surrogate, function: Function) -> float:
    inputs, expected = table(function, 2000, seed=99)
    return float(np.sqrt(np.mean((surrogate(*inputs.T) - expected) ** 2)))


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit_table(*table(before, 400, seed=0), width=12, steps=40)


def test_a_smooth_function_without_noise_is_fitted(source: Surrogate) -> None:
    # 400 rows and 217 weights: the fit generalises to better than a hundredth of the spread
    assert rmse(source, before) < SPREAD / 100


@pytest.mark.parametrize("method", [m.name for m in methods if m.labels_suffice])
def test_every_method_improves_on_the_source_untouched(source: Surrogate, method: str) -> None:
    made = transfer_table(
        source, *table(after, 100, seed=1), source_table=table(before, 400, seed=0), method=method
    )
    # 100 labels without noise: well below the source's own error, whatever the method
    gain = 1 if methods.get(method).partial else 3
    assert rmse(made.surrogate, after) <= rmse(source, after) / gain


def test_the_source_is_recalled_to_the_last_bit(source: Surrogate) -> None:
    made = transfer_table(
        source, *table(after, 50, seed=1), source_table=table(before, 400, seed=0), sparsity=0.5
    )
    points = table(before, 500, seed=2)[0].T
    allocated = made.snapshots["allocated"]
    assert np.array_equal(made.surrogate.recall("source")(*points), allocated(*points))
    assert not np.array_equal(made.surrogate(*points), allocated(*points))
    assert made.n_trainable == source.parameters - round(0.5 * source.parameters)


def test_the_same_seed_gives_the_same_bits() -> None:
    rows = table(before, 60, seed=0)
    one, same, other = (fit_table(*rows, seed=seed, width=4, steps=6) for seed in (3, 3, 4))
    assert np.array_equal(one.weights, same.weights)
    assert not np.array_equal(one.weights, other.weights)


def test_a_strong_pull_keeps_the_target_at_the_source(source: Surrogate) -> None:
    made = transfer_table(
        source, *table(after, 50, seed=1), source_table=table(before, 400, seed=0), strength=1e9
    )
    points = table(after, 500, seed=2)[0].T
    allocated = made.snapshots["allocated"]
    # residuals of order 1 against a stiffness of 2e9: the freed weights stay below 1e-8
    np.testing.assert_allclose(made.surrogate(*points), allocated(*points), atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        (np.zeros(5), np.zeros(5), "expected"),
        (np.zeros((5, 2)), np.zeros(4), "as many rows"),
        (np.zeros((1, 2)), np.zeros(1), "at least 2"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), np.zeros(2), "nan or inf"),
        (np.ma.masked_array(np.zeros((5, 2)), np.eye(5, 2)), np.zeros(5), "2 masked entries"),
        (np.full((5, 2), "a"), np.zeros(5), "no real numbers"),
    ],
)
def test_a_table_that_cannot_be_fitted_is_refused(
    inputs: np.ndarray, outputs: np.ndarray, said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        fit_table(inputs, outputs)


def test_a_transfer_that_makes_no_sense_is_refused(source: Surrogate) -> None:
    rows = table(before, 20, seed=0)
    with pytest.raises(InvalidValueError, match="was fitted to 3 and 1"):
        transfer_table(source, rows[0][:, :2], rows[1], source_table=rows)
    with pytest.raises(UnknownNameError, match="sparsity"):
        transfer_table(source, *rows, source_table=rows, sparsty=0.5)
    solver = fit(Heat(), width=4, depth=1, points=20, steps=1)
    with pytest.raises(InvalidValueError, match="use `transfer`"):
        transfer_table(solver, *rows, source_table=rows)
