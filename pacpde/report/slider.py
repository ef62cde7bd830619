"""Data of the slider of a report: reference and error of each stored surrogate, on a grid."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from pacpde.datasets import grading_reference
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import mesh
from pacpde.reference import Reference
from pacpde.studies.cells import Cell
from pacpde.studies.groups import coefficient_text, data_text

POINTS_PER_AXIS = 49  # of a PDE
ODE_POINTS = 401


def frames(
    cells: Mapping[str, Cell],
    surrogates: Mapping[str, Surrogate],
    rows: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The JSON data of the slider.

    A frame is one source problem with one choice of labels, noise and physics. Its steps are the
    targets. Families with more than one space axis, and targets without a reference, are left out.

    Args:
        cells: name of a cell → cell.
        surrogates: name of a cell → surrogate of its target.
        rows: name of a cell → its row, with the variant and the target error.

    Returns:
        A list of frames. Arrays are float32 in base64. A frame has these keys:

        - "name": text.
        - "axes", "fields": names.
        - "steps": list in the order of the target's coefficients, each with "target" (text),
          "axes" (coordinates of the grid), "shape" and "reference" (values on the grid),
          "errors" (variant → prediction minus reference) and "relative_errors" (variant →
          relative L2 error).
    """
    by_source: dict[Any, dict[str, Any]] = {}
    for name, surrogate in surrogates.items():
        cell = cells[name]
        if name not in rows or len(cell.target.axes) > 2 or rows[name]["target_error"] is None:
            continue
        what = str(cell.source), cell.target.until, cell.labels, cell.noise, cell.physics
        frame = by_source.setdefault(what, _frame(cell))
        target = _changes(cell)
        steps = frame["steps"]
        if target not in steps:
            reference = grading_reference(cell.target, cell.reference, cell.reference_tolerance)
            if reference is None:
                continue
            order = list(cell.target.coefficients.values())
            steps[target] = {**_step(reference), "order": order}
        points, expected = steps[target]["_grid"]
        predicted = np.asarray(surrogate(*points)).reshape(expected.shape)
        variant = rows[name]["variant"]
        steps[target]["errors"][variant] = _base64(predicted - expected)
        steps[target]["relative_errors"][variant] = rows[name]["target_error"]
    for frame in by_source.values():
        for step in frame["steps"].values():
            del step["_grid"]
        steps = sorted(frame["steps"].items(), key=lambda item: item[1].pop("order"))
        frame["steps"] = [{"target": name, **step} for name, step in steps]
    return list(by_source.values())


def _changes(cell: Cell) -> str:
    """The coefficients in which the target differs from its source, as text."""
    source = cell.source.coefficients
    changed = {k: v for k, v in cell.target.coefficients.items() if v != source[k]} or source
    return coefficient_text(changed)


def _frame(cell: Cell) -> dict[str, Any]:
    data = data_text(cell.labels, cell.noise, cell.physics)
    return {
        "name": ", ".join(
            [f"from {cell.source.name}", coefficient_text(cell.source.coefficients), *data]
        ),
        "axes": [axis.name for axis in cell.target.axes],
        "fields": list(cell.target.fields),
        "steps": {},
    }


def _step(reference: Reference) -> dict[str, Any]:
    count = POINTS_PER_AXIS if len(reference.axes) > 1 else ODE_POINTS
    axes = [np.linspace(values[0], values[-1], count) for values in reference.axes.values()]
    points = np.moveaxis(mesh(axes), -1, 0)
    expected = np.asarray(reference(*points))
    return {
        "axes": [_base64(axis) for axis in axes],
        "shape": list(expected.shape),
        "reference": _base64(expected),
        "errors": {},
        "relative_errors": {},
        "_grid": (points, expected),
    }


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()
