"""Error against seconds: what a method's time on the target buys."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pacpde.methods.grading import target_part
from pacpde.plots.style import (
    ink,
    legend_below,
    logarithmic,
    looks,
    new_figure,
    readable,
)

THRESHOLDS = (1e-2, 1e-3)
FEW = 6  # methods whose seconds are written beside their lines
Histories = Mapping[str, Sequence[Mapping[str, Any]]]


def error_against_seconds(
    histories: Histories,
    *,
    zero_shot: float | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    title: str = "Error on the target against seconds of fitting it",
) -> Figure:
    """Target error over the time spent on the target, both logarithmic.

    A method's stages on the source (PAC's prune and allocate) serve every later target. They
    are left out of the time axis, and the legend says how long they took.

    Args:
        histories: method → entries with "seconds" and, while the target is fitted, "error".
        zero_shot: error of the untouched source surrogate on the target.
        thresholds: errors whose first crossing is marked, unless methods are many.
    """
    with new_figure(9.0, 5.6) as fig:
        ax = fig.subplots()
        for name, (colour, marker, dash) in looks(list(histories)).items():
            seconds, error, before = target_part(histories[name])
            if not len(seconds):
                continue
            after = f" (after {before:.1f} s on the source)" if before else ""
            label = f"{readable(name)}{after}"
            ax.plot(
                seconds, error, color=colour, marker=marker, ls=dash, ms=4, lw=1.6, label=label
            )  # fmt: skip
            if len(histories) <= FEW:
                _mark(ax, seconds, error, thresholds, colour)
        for threshold in thresholds:
            ax.axhline(threshold, color="0.45", lw=0.9, ls=":")
            ax.annotate(
                f"{threshold:g}", (0, threshold), xycoords=("axes fraction", "data"),
                xytext=(4, 3), textcoords="offset points", ha="left", color="0.5", fontsize=9,
            )  # fmt: skip
        if zero_shot is not None:
            ax.axhline(zero_shot, color=ink(), lw=1.1, ls="--", label="source, untouched")
        ax.margins(x=0.09)
        logarithmic(ax.xaxis, fine=True)
        logarithmic(ax.yaxis)
        ax.set_xlabel("seconds of fitting the target (stages on the source left out)")
        ax.set_ylabel("relative L2 error on the target")
        ax.set_title(title)
        ax.grid(alpha=0.3, which="major")
        legend_below(fig)
        return fig


def _mark(
    ax: Axes, seconds: np.ndarray, error: np.ndarray, thresholds: Sequence[float], colour: str
) -> None:
    """A ring and the seconds where the error first falls below each threshold."""
    for threshold in thresholds:
        reached = np.flatnonzero(error <= threshold)
        if len(reached):
            at = seconds[reached[0]], error[reached[0]]
            ax.plot(*at, marker="o", ms=11, mfc="none", mec=colour, mew=1.6, ls="none")
            ax.annotate(
                f"{float(f'{at[0]:.2g}'):g} s", at, xytext=(9, 6), textcoords="offset points",
                color=colour, fontsize=9,
            )  # fmt: skip
