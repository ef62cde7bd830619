"""Regression on tables: `fit_table` and `transfer_table`, the same methods on labels alone."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.keywords import checked_call
from pacpde.methods.arguments import (
    OF_AN_EQUATION,
    OF_THE_SOURCE,
    Settings,
    check_arguments,
    config_of_fit,
    method_of,
)
from pacpde.methods.base import Method, TransferContext, train_from_scratch
from pacpde.methods.result import MOMENTS, TransferResult
from pacpde.methods.transfer import run_method
from pacpde.networks.batch import Ansatz
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.physics.numbers import as_floats
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.table_task import TableTask
from pacpde.runtime import Runtime, check_seed, gradients

# Tables are smaller than solutions, and no held-out error says that noisy labels are fitted.
TABLE = {"width": 24, "depth": 2, "tolerance": inf}


@checked_call
@gradients()
def fit_table(
    inputs: np.ndarray,
    outputs: np.ndarray,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    **shorthand: Any,
) -> Surrogate:
    """Fit a network to a table from random weights; columns are standardised.

    Args:
        inputs: [rows, columns].
        outputs: [rows] or [rows, targets].
        settings: of the fit, see `pacpde.TrainingConfig`; other keywords are settings too, as in
            fit_table(inputs, outputs, steps=20). By default the network is a dense one.
        seed: of the weights, and of the fifth of the rows that is held out to stop on.

    Returns:
        A surrogate of the columns: `surrogate(*inputs.T)`.
    """
    runtime = runtime or Runtime()
    config = config_of_fit(None, settings, shorthand, defaults=TABLE, unused=OF_AN_EQUATION)
    table = check_table(inputs, outputs)
    task = TableTask(
        table, TableAnsatz.of(table.points, table.values), check_seed(seed), runtime=runtime
    )
    network = config.build_network(task.standard)
    return train_from_scratch(task, network, config, seed)[0]


@checked_call
@gradients()
def transfer_table(
    source: Surrogate,
    inputs: np.ndarray,
    outputs: np.ndarray,
    *,
    source_table: tuple[np.ndarray, np.ndarray],
    method: str | Method = "pac",
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    **shorthand: Any,
) -> TransferResult:
    """Move a surrogate of one table to another, in the standardisation of the source.

    Args:
        inputs, outputs: the target's rows; a fifth of them, at least one, is held out to stop on.
        source_table: inputs and outputs of the source, which PAC allocates on.
        method, options, settings, shorthand: as of `transfer`.

    Returns:
        As of `transfer`; errors, noise and coefficients are None, `labels` are the target's rows.
    """
    check_arguments(settings=settings, options=options)
    method = method_of(method, options, shorthand)
    if source.ansatz.problem_or_none is not None:
        raise InvalidValueError(
            f"the source solves {source.problem.name!r}: use `transfer`; `transfer_table` goes "
            "from a surrogate that `fit_table` made."
        )
    method.check(source.network, physics=False)
    table = check_table(inputs, outputs, source.ansatz)
    task = TableTask(table, source.ansatz, check_seed(seed), runtime=source.runtime)
    before = replace(task, table=check_table(*source_table, source.ansatz))
    config = config_of_fit(
        None, settings, {}, defaults=TABLE, unused=OF_AN_EQUATION | OF_THE_SOURCE, method=method
    )
    result = run_method(method, source, task, TransferContext(before, config, seed))
    errors = dict.fromkeys(MOMENTS)
    rows = len(table.points)
    return TransferResult(method.name, source, result, seed, rows, None, False, None, None, errors)


def check_table(
    inputs: np.ndarray, outputs: np.ndarray, like: Ansatz | None = None
) -> Measurements:
    """Inputs [rows, columns] and outputs [rows, targets] as labels that can be fitted."""
    points, values = as_floats(inputs, "the inputs"), as_floats(outputs, "the outputs")
    values = values[:, None] if values.ndim == 1 else values
    if points.ndim != 2 or values.ndim != 2 or len(points) != len(values):
        raise InvalidValueError(
            f"the table has inputs {points.shape} and outputs {values.shape}, expected "
            "[rows, columns] and as many rows of outputs."
        )
    if len(points) < 2:
        raise InvalidValueError(
            f"the table has {len(points)} rows, expected at least 2: one is held out to stop on."
        )
    if not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise InvalidValueError("the table holds nan or inf: remove those rows.")
    if like is not None and (points.shape[1], values.shape[1]) != (like.inputs, like.outputs):
        raise InvalidValueError(
            f"the table has {points.shape[1]} inputs and {values.shape[1]} outputs, the source "
            f"was fitted to {like.inputs} and {like.outputs}."
        )
    return Measurements(points, values)


def check_inputs(inputs: np.ndarray, what: str, like: Ansatz | None = None) -> np.ndarray:
    """Finite inputs [rows, columns], as many columns as another surrogate has.

    Args:
        what: the table's name in a sentence.
    """
    points = as_floats(inputs, f"the inputs of the {what}")
    if points.ndim != 2 or not points.shape[1]:
        raise InvalidValueError(
            f"the inputs of the {what} have the shape {points.shape}, expected [rows, columns]."
        )
    if not np.isfinite(points).all():
        raise InvalidValueError(f"the {what} holds nan or inf: remove those rows.")
    if like is not None and points.shape[1] != like.inputs:
        raise InvalidValueError(
            f"the {what} has {points.shape[1]} columns, and the source was fitted to {like.inputs}."
        )
    return points
