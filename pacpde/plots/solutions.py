"""Reference, prediction and error of every method: maps, or trajectories for an ODE."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure, FigureBase

from pacpde.errors import named_numbers
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.numbers import relative_l2
from pacpde.plots.numbers import scientific
from pacpde.plots.style import empty_figure, ink, logarithmic, looks, readable, styled
from pacpde.reference import Reference

DECADES = 3  # of the error's colours
THIN = 129  # points an axis at most


def maps(reference: Reference, surrogates: Mapping[str, Surrogate]) -> Figure:
    """Reference, prediction and |error| of every method on the reference's problem.

    Two axes: the whole plane. More: the plane of two space axes, at the final time. One: curves,
    their errors, and phase portraits where it is time and there are several fields.

    Args:
        surrogates: method → its surrogate of the target.
    """
    with styled():
        if len(reference.axes) == 1:
            return _curves(reference, surrogates)
        return _planes(reference, surrogates)


def _planes(reference: Reference, surrogates: Mapping[str, Surrogate]) -> Figure:
    axes, exact, fixed = _plane(reference)
    (first, horizontal), (second, vertical) = axes
    predictions = {
        name: _values(surrogate, reference, fixed, (horizontal, vertical))
        for name, surrogate in surrogates.items()
    }
    errors = {name: np.abs(values - exact) for name, values in predictions.items()}
    rows = [(k, name) for name in surrogates for k in range(len(exact))]
    fig = empty_figure(13.0, 1.2 + 2.7 * len(rows))
    grid = fig.subplots(len(rows), 3, squeeze=False, sharex=True, sharey=True)
    largest = max(float(np.nanmax(error)) for error in errors.values())
    decades = LogNorm(largest / 10**DECADES, largest) if largest > 0 else LogNorm(1e-16, 1)
    fields = reference.problem.fields
    for row, (k, name) in zip(grid, rows, strict=True):
        norm = _norm(exact[k])
        colours = "RdBu_r" if norm.vmin == -(norm.vmax or 0) else "viridis"
        pictures = [
            (exact[k], colours, norm),
            (predictions[name][k], colours, norm),
            (np.maximum(errors[name][k], decades.vmin or 0), "cividis", decades),
        ]
        images = [
            ax.pcolormesh(horizontal, vertical, values.T, cmap=cmap, norm=n, rasterized=True)
            for ax, (values, cmap, n) in zip(row, pictures, strict=True)
        ]
        error = relative_l2(predictions[name][k], exact[k])
        of = f" of {fields[k]}" if len(fields) > 1 else ""
        row[0].set_title(f"Reference{of}")
        row[1].set_title(f"{readable(name)}: prediction{of}")
        row[2].set_title(f"{readable(name)}: |error|{of}, relative L2 {scientific(error)}")
        row[0].set_ylabel(second)
        fig.colorbar(images[1], ax=list(row[:2]), pad=0.01).ax.set_title(fields[k])
        bar = fig.colorbar(images[2], ax=row[2], pad=0.02, extend="min")
        bar.ax.set_title(f"|Δ{fields[k]}|")
        logarithmic(bar.ax.yaxis, error=True)
    for ax in grid[-1]:
        ax.set_xlabel(first)
    fig.suptitle(_title(reference, fixed))
    return fig


def _plane(
    reference: Reference,
) -> tuple[list[tuple[str, np.ndarray]], np.ndarray, dict[str, float]]:
    """The two axes to draw, the fields over them, and the fixed coordinates."""
    names = list(reference.axes)
    thin = {n: _spread(len(axis)) for n, axis in reference.axes.items()}
    plane = names if len(names) == 2 else [name for name in names if name != "t"][:2]
    fixed: dict[str, float] = {}
    index: list[np.ndarray] = []
    for name, axis in reference.axes.items():
        if name in plane:
            index.append(thin[name])
            continue
        place = len(axis) - 1 if name == "t" else len(axis) // 2
        fixed[name] = float(axis[place])
        index.append(np.array([place]))
    fixed_axes = tuple(k for k, name in enumerate(names) if name in fixed)
    fields = np.stack([f[np.ix_(*index)].squeeze(fixed_axes) for f in reference.fields.values()])
    return [(name, reference.axes[name][thin[name]]) for name in plane], fields, fixed


def _spread(length: int) -> np.ndarray:
    """At most `THIN` indices with both ends."""
    return np.unique(np.linspace(0, length - 1, min(length, THIN)).round().astype(int))


def _values(
    surrogate: Surrogate,
    reference: Reference,
    fixed: Mapping[str, float],
    plane_axes: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The surrogate's fields over the plane, [fields, horizontal, vertical]."""
    plane = iter(np.meshgrid(*plane_axes, indexing="ij"))
    coordinates = [fixed[n] if n in fixed else next(plane) for n in reference.axes]
    values = np.asarray(surrogate(*coordinates))
    return values[None] if len(reference.fields) == 1 else values


def _norm(values: np.ndarray) -> Normalize:
    """Symmetric about 0 where the field changes sign."""
    low, high = float(values.min()), float(values.max())
    if low < -1e-3 * abs(high) and high > 1e-3 * abs(low):
        high = max(-low, high)
        low = -high
    return Normalize(low, high if high > low else low + 1)


def _title(reference: Reference, fixed: Mapping[str, float]) -> str:
    at = named_numbers(fixed, " = ")
    return f"Target {reference.problem}{f' at {at}' if at else ''}"


def _curves(reference: Reference, surrogates: Mapping[str, Surrogate]) -> Figure:
    ((axis, x),) = reference.axes.items()
    exact = reference.values
    portraits = len(surrogates) if len(exact) > 1 and axis == "t" else 0
    rows = len(exact) + 1
    fig = empty_figure(13.0, 1.9 * rows + (4.0 if portraits else 0.6))
    upper: FigureBase = fig
    if portraits:
        upper, lower = fig.subfigures(2, 1, height_ratios=[1.9 * rows, 4.0], squeeze=False)[:, 0]
    panes = upper.subplots(rows, 1, sharex=True)
    style = looks(list(surrogates))
    predictions = {name: _along(surrogate, x, len(exact)) for name, surrogate in surrogates.items()}
    for ax, field, values in zip(panes, reference.fields, exact, strict=False):
        for name, predicted in predictions.items():
            k = list(reference.fields).index(field)
            ax.plot(x, predicted[k], color=style[name].colour, lw=1.8, label=readable(name))
        ax.plot(x, values, color=ink(), lw=1.4, ls=(0, (4, 3)), label="reference")
        ax.set_ylabel(field)
        ax.grid(alpha=0.3)
    for name, predicted in predictions.items():
        size = np.linalg.norm(predicted - exact, axis=0)
        panes[-1].semilogy(x[1:], np.maximum(size[1:], 1e-16), color=style[name].colour, lw=1.4)
    panes[-1].set_ylabel("distance from\nreference")
    panes[-1].set_xlabel(axis)
    panes[-1].grid(alpha=0.3)
    handles, labels = panes[0].get_legend_handles_labels()
    upper.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    if portraits:
        panels = lower.subplots(1, portraits, squeeze=False, sharex=True, sharey=True)[0]
        for ax, (name, predicted) in zip(panels, predictions.items(), strict=True):
            _portrait(ax, reference, predicted, name, style[name].colour)
    fig.suptitle(_title(reference, {}))
    return fig


def _along(surrogate: Surrogate, x: np.ndarray, fields: int) -> np.ndarray:
    return np.asarray(surrogate(x)).reshape(fields, -1)


def _portrait(
    ax: Axes, reference: Reference, predicted: np.ndarray, name: str, colour: str
) -> None:
    """First against last field."""
    names, exact = list(reference.fields), reference.values
    ax.plot(predicted[0], predicted[-1], color=colour, lw=1.8)
    ax.plot(exact[0], exact[-1], color=ink(), lw=1.2, ls=(0, (4, 3)))
    ax.plot(exact[0, 0], exact[-1, 0], "o", color=ink(), ms=5)
    ax.set_title(f"{readable(name)}: relative L2 {scientific(relative_l2(predicted, exact))}")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[-1])
    ax.grid(alpha=0.3)
