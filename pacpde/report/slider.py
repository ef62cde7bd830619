"""Numbers behind the slider: reference and error of every stored surrogate, small for a page."""

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

POINTS = 49  # an axis
LINE = 401  # for an ODE


def frames(
    cells: Mapping[str, Cell],
    surrogates: Mapping[str, Surrogate],
    rows: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """One a family and source, with a step a target and a prediction a variant.

    Arrays are float32 in base64. Families with more than one space axis are left out, and targets
    without a reference.

    Args:
        cells: name → cell.
        surrogates: name → surrogate of its target.
        rows: name → row, which has the variant and the error to show.
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
        steps[target]["errors"][variant] = _packed(predicted - expected)
        steps[target]["sizes"][variant] = rows[name]["target_error"]
    for frame in by_source.values():
        for step in frame["steps"].values():
            del step["_grid"]
        steps = sorted(frame["steps"].items(), key=lambda item: item[1].pop("order"))
        frame["steps"] = [{"target": name, **step} for name, step in steps]
    return list(by_source.values())


def _changes(cell: Cell) -> str:
    """Where the target differs from its source."""
    source = cell.source.coefficients
    changed = {k: v for k, v in cell.target.coefficients.items() if v != source[k]} or source
    return coefficient_text(changed)


def _frame(cell: Cell) -> dict[str, Any]:
    data = data_text(cell.labels, cell.noise, cell.physics)
    return {
        "name": ", ".join([f"from {cell.source}", *data]),
        "axes": [axis.name for axis in cell.target.axes],
        "fields": list(cell.target.fields),
        "steps": {},
    }


def _step(reference: Reference) -> dict[str, Any]:
    count = POINTS if len(reference.axes) > 1 else LINE
    axes = [np.linspace(values[0], values[-1], count) for values in reference.axes.values()]
    points = np.moveaxis(mesh(axes), -1, 0)
    expected = np.asarray(reference(*points))
    return {
        "axes": [_packed(axis) for axis in axes],
        "shape": list(expected.shape),
        "reference": _packed(expected),
        "errors": {},
        "sizes": {},
        "_grid": (points, expected),
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """What was packed, flat."""
    return np.frombuffer(base64.b64decode(text), "<f4")
