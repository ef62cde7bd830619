"""Regression on tables: `fit_table` and `transfer_table`, the same methods on labels alone."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.methods.base import MethodResult, TransferContext, methods, train_from_scratch
from pacpde.networks.ansatz import PlainAnsatz, network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.numbers import as_floats
from pacpde.residuals.task import Labels, TableTask
from pacpde.runtime import Runtime, check_seed, gradients
from pacpde.training.config import TrainingConfig

# Tables are smaller than solutions, and no held-out error says that noisy labels are fitted.
TABLE = {"width": 24, "depth": 2, "tolerance": inf}


@gradients()
def fit_table(
    inputs: np.ndarray,
    outputs: np.ndarray,
    *,
    seed: int = 0,
    runtime: Runtime | None = None,
    **settings: Any,
) -> Surrogate:
    """Fit a dense network to a table from random weights; columns are standardised.

    Args:
        inputs: [rows, columns].
        outputs: [rows] or [rows, targets].
        seed: of the weights, and of the fifth of the rows that is held out to stop on.
        settings: see `pacpde.training.config.TrainingConfig`.

    Returns:
        A surrogate of the columns: `surrogate(*inputs.T)`.
    """
    runtime = runtime or Runtime()
    config = TrainingConfig.of(None, **{**TABLE, **settings})
    table = check_table(inputs, outputs)
    task = TableTask(
        table, PlainAnsatz.of(table.points, table.values), check_seed(seed), runtime=runtime
    )
    network = network_for(task.standard, config.width, config.depth, config.activation)
    return train_from_scratch(task, network, config, seed)[0]


@gradients()
def transfer_table(
    source: Surrogate,
    inputs: np.ndarray,
    outputs: np.ndarray,
    *,
    source_table: tuple[np.ndarray, np.ndarray],
    method: str = "pac",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> MethodResult:
    """Move a surrogate of one table to another, in the standardisation of the source.

    Args:
        inputs, outputs: the target's rows; a fifth of them, at least one, is held out to stop on.
        source_table: inputs and outputs of the source, which PAC allocates on.
        method: its name; see `pacpde methods`.
        settings: of the fits, see `pacpde.training.config.TrainingConfig`; the network is the
            source's.
        options: of the method.
    """
    way = methods.get(method).make(options)
    if not isinstance(source.ansatz, PlainAnsatz):
        raise InvalidValueError(
            f"the source solves {source.problem.name!r}: use `transfer`; `transfer_table` goes "
            "from a surrogate that `fit_table` made."
        )
    way.check(source.network)
    table = check_table(inputs, outputs, source.ansatz)
    task = TableTask(table, source.ansatz, check_seed(seed), runtime=source.runtime)
    before = replace(task, table=check_table(*source_table, source.ansatz))
    config = TrainingConfig.of(None, **{**TABLE, **(settings or {})})
    return way.run(source, task, TransferContext(before, config, seed))


def check_table(inputs: np.ndarray, outputs: np.ndarray, like: PlainAnsatz | None = None) -> Labels:
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
    return Labels(points, values)
