"""Draws the picture of README.md: one weight vector, whose weights belong to two solvers.

make demo && python benchmarks/two_solvers.py runs/demo/pac

The folder is that of a transfer by PAC. Errors are those of this surrogate, graded anew.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from pacpde import Surrogate, load
from pacpde.datasets import reference_for
from pacpde.methods.grading import error_of
from pacpde.plots.style import COLOURS, empty_figure, save, styled

SOURCE, TARGET = COLOURS[0], COLOURS[1]
TIMES = {0.3: 0.45, 1.0: 1.0}  # t → how dark its line is
DRAWN = 0.35  # of the weights of a layer, those of the largest size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of a target surrogate")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "two_solvers.png")
    arguments = parser.parse_args()
    with styled():
        save(picture(load(arguments.folder)), arguments.output, dpi=110)


def picture(target: Surrogate) -> Any:
    """The network in the middle, the source on its left, the target on its right."""
    figure = empty_figure(12, 4.4)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.6, 1))
    solution(left, target.recall(), "blue weights alone: the source", SOURCE)
    solution(right, target, "all weights: the target", TARGET)
    network(middle, target)
    return figure


def solution(ax: Any, solver: Surrogate, words: str, colour: str) -> None:
    """u over x near the front, as lines, with the exact solution as dots."""
    x, dots = np.linspace(-0.15, 0.15, 301), np.linspace(-0.15, 0.15, 31)
    for t, alpha in TIMES.items():
        ax.plot(x, solver(t, x), color=colour, alpha=alpha, lw=2, label=f"t = {t:g}")
        (exact,) = solver.problem.exact(np.full_like(dots, t), dots)
        ax.plot(dots, exact, ".", color="black", ms=4, zorder=3, label="exact" if t == 1 else None)
    ax.legend(loc="lower left", fontsize=9, frameon=False)
    error = error_of(solver, reference_for(solver.problem))
    coefficient = solver.problem.coefficients["nu"] * np.pi
    ax.set_title(f"{words}\nν = {coefficient:g}/π, relative error {error:.0e}", color=colour)
    ax.set(xlabel="x", ylabel="u", xlim=(-0.15, 0.15), xticks=(-0.1, 0, 0.1), yticks=(-1, 0, 1))
    ax.grid(alpha=0.25)


def network(ax: Any, target: Surrogate) -> None:
    """Neurons in columns, the largest weights between them, coloured by their owner."""
    mask = target.retained["source"].mask
    layers = target.network.matrices(target.weights)
    owners = [m for m, _ in target.network.matrices(mask)]
    order = [np.arange(target.network.inputs)]  # of every column: the source's neurons on top
    for owner in owners:
        order.append(np.argsort(~owner.numpy().any(1), kind="stable"))
    height = max(map(len, order))
    places = []
    for column, neurons in enumerate(order):
        y = np.empty(len(neurons))
        gap = height / max(len(neurons), 5)
        y[neurons] = gap * (np.arange(len(neurons))[::-1] - (len(neurons) - 1) / 2)
        places.append(np.stack([np.full(len(y), float(column)), y], 1))
    for number, ((weights, _), owner) in enumerate(zip(layers, owners, strict=True)):
        size = weights.abs().numpy()
        least = np.quantile(size, 1 - DRAWN) if size.size > 100 else 0.0
        for mine, colour in ((False, TARGET), (True, SOURCE)):
            rows, columns = np.nonzero((size >= least) & (owner.numpy() == mine))
            lines = np.stack([places[number][columns], places[number + 1][rows]], 1)
            width = 1.4 * (size[rows, columns] / size.max()) ** 0.5
            ax.add_collection(LineCollection(lines, colors=colour, linewidths=width, alpha=0.45))
    for column, place in enumerate(places):
        colours = ["black"] * len(place)
        if 0 < column < len(places) - 1:
            mine = owners[column - 1].numpy().any(1)
            colours = [SOURCE if own else TARGET for own in mine]
        ax.scatter(*place.T, c=colours, s=16, zorder=3, edgecolors="white", linewidths=0.4)
    ax.text(-0.15, 0, "t, x", ha="right", va="center")
    ax.text(len(places) - 0.85, 0, "u", va="center")
    own = int(mask.sum())
    ax.legend(
        [Line2D([], [], color=SOURCE, lw=2), Line2D([], [], color=TARGET, lw=2)],
        [f"{own:,} weights of the source, frozen", f"{len(mask) - own:,} weights of the target"],
        loc="upper center", bbox_to_anchor=(0.5, -0.01), frameon=False, ncols=1,
    )  # fmt: skip
    ax.set_title("one network")
    ax.axis("off")


if __name__ == "__main__":
    main()
