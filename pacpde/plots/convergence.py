"""Error against seconds: what a method's time on the target buys."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pacpde.methods.grading import target_part
from pacpde.plots.numbers import tick, two_digits
from pacpde.plots.style import (
    halo,
    ink,
    legend_below,
    logarithmic,
    looks,
    new_figure,
    readable,
)

THRESHOLDS = (1e-2, 1e-3)
FEW = 6  # methods whose seconds are written beside their lines
MARKS = 20  # of a line, at most
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
    many = len(histories) > FEW
    with new_figure(*((11.0, 7.0) if many else (9.0, 5.6))) as fig:
        ax = fig.subplots()
        late = False
        for name, (colour, marker, dash) in looks(list(histories)).items():
            seconds, error, before = target_part(histories[name])
            if not len(seconds):
                continue
            after = (
                f" + {two_digits(before)} s"
                if many
                else f" (after {two_digits(before)} s on the source)"
            )
            late = late or bool(before)
            label = f"{readable(name)}{after if before else ''}"
            ax.plot(
                seconds, error, color=colour, marker=marker, ls=dash, ms=5 if many else 4, lw=1.6,
                label=label, markevery=-(-len(seconds) // MARKS),
            )  # fmt: skip
            if not many:
                _mark(ax, seconds, error, thresholds, colour)
        for threshold in thresholds:
            ax.axhline(threshold, color="0.45", lw=0.9, ls=":")
            ax.annotate(
                tick(threshold, error=True), (0, threshold), xycoords=("axes fraction", "data"),
                xytext=(4, 3), textcoords="offset points", ha="left", color=ink(), fontsize=9,
                path_effects=halo(),
            )  # fmt: skip
        if zero_shot is not None:
            ax.axhline(zero_shot, color=ink(), lw=1.1, ls="--", label="source, untouched")
        ax.margins(x=0.09)
        logarithmic(ax.xaxis, fine=True)
        logarithmic(ax.yaxis, error=True)
        ax.set_xlabel("seconds of fitting the target (stages on the source left out)")
        ax.set_ylabel("relative L2 error on the target")
        ax.set_title(title)
        ax.grid(alpha=0.3, which="major")
        legend_below(fig, "+ seconds: stages on the source before" if late and many else None)
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
                f"{two_digits(at[0])} s", at, xytext=(9, 6), textcoords="offset points",
                color=colour, fontsize=9, path_effects=halo(),
            )  # fmt: skip
