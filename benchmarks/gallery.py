"""Draws a small picture of each family's reference solution, into docs/assets/families.

python benchmarks/gallery.py                       # all of them, some minutes
python benchmarks/gallery.py --families burgers kdv
"""

import argparse
import re
from html import escape
from io import BytesIO
from pathlib import Path

from common import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pacpde.datasets import grading_reference
from pacpde.physics import Problem
from pacpde.physics import families as pacpde_families
from pacpde.plots.style import COLOURS
from pacpde.reference import Reference

PICTURES = ROOT / "docs" / "assets" / "families"
TOLERANCE = 1e-4  # nobody sees more
SIZE = 3.4, 2.3  # inches, of 100 pixels
INK = "#7d8590"  # legible on white and on dark pages, since the paper is transparent
MOST_FIELDS = 2  # of planes side by side


def shipped() -> list[type[Problem]]:
    """The families of pacpde itself, by name."""
    return [f for f in pacpde_families if f.__module__.startswith("pacpde.problems")]


def draw(reference: Reference) -> Figure:
    """Fields over one axis as curves, over two as planes; over time and a plane at the end."""
    figure = Figure(figsize=SIZE, dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = dict(reference.axes)
    values = dict(reference.fields)
    title = ""
    if len(axes) == 3:
        end = axes.pop("t")[-1]
        values = {name: field[-1] for name, field in values.items()}
        title = f", t = {end:.3g}"
    names = list(axes)
    if len(axes) == 1:
        axis = figure.add_subplot()
        for (name, field), colour in zip(values.items(), COLOURS * 2, strict=False):
            axis.plot(axes[names[0]], field, lw=1.5, color=colour, label=name)
        axis.set_xlabel(names[0])
        if len(values) > 1:
            axis.legend(fontsize=8, labelcolor=INK, framealpha=0, ncols=3, handlelength=1)
        else:
            axis.set_ylabel(next(iter(values)), rotation=0, labelpad=8)
    else:
        shown = list(values.items())[:MOST_FIELDS]
        for axis, (name, field) in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
        ):
            plane = axis.pcolormesh(*axes.values(), field.T, cmap="viridis", shading="gouraud")
            where = "right" if len(shown) == 1 else "bottom"
            bar = figure.colorbar(plane, ax=axis, location=where, aspect=25, pad=0.02)
            bar.outline.set_edgecolor(INK)
            bar.ax.tick_params(colors=INK, labelsize=7)
            bar.ax.locator_params(nbins=4 if len(shown) == 1 else 2)
            axis.set_title(f"{name}{title}", fontsize=8, color=INK)
            axis.set(xlabel=names[0], ylabel=names[1])
            axis.locator_params(nbins=4 if len(shown) == 1 else 3)
            if "t" not in names:
                axis.set_aspect("equal")
    for axis in figure.axes:
        axis.tick_params(colors=INK, labelsize=7, length=2)
        axis.xaxis.label.set(color=INK, fontsize=8)
        axis.yaxis.label.set(color=INK, fontsize=8)
        for spine in axis.spines.values():
            spine.set_edgecolor(INK)
    return figure


def store(figure: Figure, file: Path) -> None:
    """A WebP with transparent paper."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", transparent=True)
    Image.open(drawn).save(file, quality=60, alpha_quality=60, method=6)


def page() -> str:
    """The figures of the gallery, as HTML."""
    figures = []
    for family in shipped():
        equation = (family.__doc__ or "").splitlines()[0].rstrip(".")
        figures.append(
            f'<figure id="{family.name}">\n'
            f'<img src="assets/families/{family.name}.webp" width="340" height="230" '
            f'loading="lazy" alt="The solution of {family.name}">\n'
            f"<figcaption><code>{family.name}</code> {_html(equation)}</figcaption>\n</figure>\n"
        )
    return '<div class="gallery">\n' + "".join(figures) + "</div>\n"


def _html(text: str) -> str:
    """A line of a docstring, whose `names` are code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", default=[f.name for f in shipped()])
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().families:
        reference = grading_reference(pacpde_families.get(name)(), "auto", TOLERANCE)
        if reference is None:
            raise SystemExit(f"{name}: no reference is certified")
        file = PICTURES / f"{name}.webp"
        store(draw(reference), file)
        print(f"{name}: certified to {reference.certified_error:.0e}, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
