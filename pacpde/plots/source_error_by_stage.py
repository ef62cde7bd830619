"""Source error through the stages: what a transfer forgets."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from pacpde.plots.style import (
    legend_below,
    logarithmic,
    looks,
    new_figure,
    readable,
)

STAGES = {
    "trained": "trained\non the source",
    "pruned": "pruned",
    "allocated": "allocated\non the source",
    "recalled": "recalled\nafter the transfer",
    "unmasked": "unmasked\nafter the transfer",
}
SIDESTEP, WIDEST = 0.05, 0.5  # between methods that would lie on each other; of all of them


def source_error(
    records: Sequence[Mapping[str, Any]], *, title: str = "Error on the source, stage by stage"
) -> Figure:
    """Relative L2 error on the source at every moment that a record has, logarithmic.

    "recalled" is the source solver read back from the weights of the target by its mask;
    "unmasked" is all of these weights used on the source. Dotted lines pass over moments that a
    method does not have.
    """
    with new_figure(9.5, 5.6) as fig:
        ax = fig.subplots()
        style = looks([record["method"] for record in records])
        order = list(style)
        sidestep = min(SIDESTEP, WIDEST / len(order))
        named: set[str] = set()
        for record in records:
            method = record["method"]
            colour, marker, _ = style[method]
            shift = sidestep * (order.index(method) - (len(order) - 1) / 2)
            errors = [record["source_error"].get(stage) for stage in STAGES]
            points = [(i, e) for i, e in enumerate(errors) if e is not None]
            if not points:
                continue  # scipy has no source
            label = None if method in named else readable(method)
            named.add(method)
            places = [i + shift for i, _ in points]
            values = [error for _, error in points]
            ax.plot(places, values, color=colour, marker=marker, ms=8, ls="none", label=label)
            for k, (here, after) in enumerate(pairwise(points)):
                skips = after[0] > here[0] + 1  # moments that the method does not have
                line = ":" if skips else "-"
                ax.plot(places[k : k + 2], values[k : k + 2], color=colour, lw=1.5, ls=line)
        logarithmic(ax.yaxis, error=True)
        ax.set_xlim(-0.4, len(STAGES) - 0.6)
        ax.set_xticks(range(len(STAGES)), list(STAGES.values()))
        ax.set_ylabel("relative L2 error on the source")
        ax.set_title(title)
        ax.grid(alpha=0.3, which="major")
        legend_below(fig, "dotted: no such stage between")
        return fig
