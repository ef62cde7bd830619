"""A page with sliders that evaluates a library in the browser, without a network."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.files import atomic_write
from pacpde.methods.library import Library, LibrarySolutions
from pacpde.methods.library.backbone import steep_points
from pacpde.physics.domain import mesh
from pacpde.report.template import rendered, script

ONE, SEVERAL = 97, 160  # anchors of the page, of one coefficient and of more
COUNTS = {1: (801,), 2: (81, 129)}  # points of the map, by number of axes
ACTIVATIONS = ("tanh", "sin")
CHECKED, POINTS = 12, 2000  # random coefficients and points at which it is compared


def write(
    library: Library, output: str | Path, *, title: str | None = None, overwrite: bool = True
) -> dict[str, Any]:
    """Write the page of a library; returns what it holds and how far it is from the library.

    The page has the networks' weights, the multipliers and offsets of the ansatz on a grid, and the
    heads of many coefficients, between which it interpolates by radial basis functions.

    Raises:
        InvalidValueError: problems of more than two axes, or whose start or conditions depend on
            the coefficients, and activations other than tanh and sin.
    """
    problem = library.box.problem
    _check(library)
    several = len(library.box.names) > 1
    found = library.solve_many(library.box.candidates(SEVERAL if several else ONE))
    grid = [
        axis.grid(count)
        for axis, count in zip(problem.domain.axes, COUNTS[len(problem.domain.axes)], strict=True)
    ]
    units = np.stack([library.box.unit(one) for one in found.problems])
    table = _table(units, _columns(library, found))
    data = {
        **_functions(library, grid),
        "centres": _coded(units),
        "table": _coded(table),
        "axes": [
            {"name": axis.name, "lower": axis.lower, "upper": axis.upper, "count": len(own)}
            for axis, own in zip(problem.domain.axes, grid, strict=True)
        ],
        "fields": [
            {"name": name, "scale": float(scale)}
            for name, scale in zip(problem.fields, problem.scales, strict=True)
        ],
        "coefficients": [_coefficient(library, name) for name in library.box.names],
        "tolerance": library.tolerance,
    }
    page = rendered(
        "library_page.html",
        title=title or f"{problem.name}: any coefficient",
        about=(type(problem).__doc__ or "").strip().partition("\n")[0],
        sources=len(library.sources),
        data=script(data),
    )
    with atomic_write(output, overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return {
        "page": str(output),
        "bytes": len(page.encode()),
        "anchors": len(found),
        "largest_difference": _difference(library, table, units),
    }


def _check(library: Library) -> None:
    problem = library.box.problem
    if len(problem.domain.axes) not in COUNTS:
        raise InvalidValueError(
            f"{problem.name} has {len(problem.domain.axes)} axes, and the page shows at most "
            f"{max(COUNTS)}."
        )
    if not library.equations.alike:
        raise InvalidValueError(
            f"start or conditions of {problem.name} depend on its coefficients, and the page has "
            "them for one alone."
        )
    for _, activation in library.backbone.network.members:
        if activation not in ACTIVATIONS:
            raise InvalidValueError(
                f"a source has the activation {activation!r}, and the page knows "
                f"{' and '.join(ACTIVATIONS)}."
            )


def _functions(library: Library, grid: list[np.ndarray]) -> dict[str, Any]:
    """Hidden layers, and what stands around them on the grid."""
    backbone = library.backbone
    points = torch.from_numpy(mesh(tuple(grid)).reshape(-1, len(grid))).to(backbone.trunks)
    batch = backbone.ansatz.batch(points)
    inputs = batch.inputs[0]
    product = batch.product[0, 0] if batch.by_field else batch.product[0, 0][None, :, None]
    members = []
    for part, place in zip(backbone.network.parts, backbone.network.part_slices, strict=True):
        layers = part.matrices(backbone.trunks[place])[:-1]
        members.append(
            {
                "activation": part.activation,
                "layers": [{"weights": _coded(w), "biases": _coded(b)} for w, b in layers],
            }
        )
    neurons = sum(part.widths[-1] for part in backbone.network.parts) + 1
    return {
        "points": len(points),
        "images": batch.images,
        "places": batch.places,
        "neurons": neurons,
        "inputs": [_coded(column) for column in inputs.unbind(-1)],
        "members": members,
        "products": [[_coded(place) for place in own] for own in product.permute(2, 0, 1)],
        "offsets": [_coded(own) for own in batch.offset[0].unbind(-1)],
    }


def _columns(library: Library, found: LibrarySolutions) -> np.ndarray:
    """What is interpolated: weights of the neurons, and the logarithm of the estimated error."""
    rows = library.backbone.rows(found.heads).flatten(1).double().cpu().numpy()
    told = np.log10(np.clip(np.nan_to_num(found.error_estimates, nan=1.0), 1e-16, 1e16))
    return np.concatenate([rows, told[:, None]], 1)


def _table(units: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve for the coefficients [anchors + axes + 1, columns] of Σ λ |d|³ + a + b·θ."""
    count, axes = units.shape
    cubes = np.linalg.norm(units[:, None] - units, axis=-1) ** 3
    polynomial = np.concatenate([np.ones((count, 1)), units], 1)
    matrix = np.block([[cubes, polynomial], [polynomial.T, np.zeros((axes + 1, axes + 1))]])
    right = np.concatenate([values, np.zeros((axes + 1, values.shape[1]))])
    return np.linalg.solve(matrix, right)


def _difference(library: Library, table: np.ndarray, units: np.ndarray) -> float:
    """The largest difference of the page from the library, in scales, at random coefficients."""
    problems = library.box.random(CHECKED, 0)
    found = library.solve_many(problems)
    at = np.stack([library.box.unit(problem) for problem in problems])
    cubes = np.linalg.norm(at[:, None] - units, axis=-1) ** 3
    rows = np.concatenate([cubes, np.ones((len(at), 1)), at], 1) @ table[:, :-1]
    backbone, ansatz = library.backbone, library.backbone.ansatz
    points = steep_points([found[0]], POINTS)
    batch = ansatz.batch(points)
    functions = batch.multiplied(backbone.at_neurons(batch.inputs, batch.names))[0]
    change = torch.from_numpy(rows).to(functions) - backbone.rows(found.heads).flatten(1)
    each = change.unflatten(1, (len(found.problems[0].fields), -1))
    own = functions.expand(-1, each.shape[1], -1)
    return float(torch.einsum("nkf,bkf->bnk", own, each).abs().max())


def _coefficient(library: Library, name: str) -> dict[str, Any]:
    lower, upper = library.box.ranges[name]
    return {
        "name": name, "lower": lower, "upper": upper, "log": library.box.by_log(name),
        "start": 0.5, "meaning": library.box.problem.declared()[name].meaning,
    }  # fmt: skip


def _coded(values: torch.Tensor | np.ndarray) -> str:
    """float64 numbers, little-endian, in base64."""
    array = values.double().cpu().numpy() if isinstance(values, torch.Tensor) else values
    return base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode()
