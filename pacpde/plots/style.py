"""Style of all figures: fonts, colours for colour-blind readers too, and saving."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pacpde.files import atomic_write
from pacpde.plots.numbers import tick

# Okabe & Ito (2008), without black and the pale yellow, and two more; on white and on dark paper.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BD8", "#9A7434",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))
LONGEST = 36  # letters of a line beside an axis
TICK = 0.5  # inches of the label of a tick on a horizontal axis
HANDLE = 3.5  # font sizes of line in a legend: a dash has to repeat in it
FONTS: Any = {  # rcParams, whose names matplotlib types one by one
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 11.0,
    "legend.fontsize": 10.0,
    "figure.titlesize": 14.0,
    "axes.axisbelow": True,
}
DARK: Any = {  # paper, ink and lines of the report's page in dark mode
    "figure.facecolor": "#171b22",
    "axes.facecolor": "#171b22",
    "legend.edgecolor": "#3a4250",
    "grid.color": "#8791a1",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), "#e6e9ef"
    ),
}
NAMES = {
    "pac": "PAC",
    "pac_net": "PAC-Net",
    "packnet": "PackNet",
    "ipinn": "iPINN",
    "l2sp": "L2-SP",
    "ewc": "EWC",
    "bss": "BSS",
    "delta": "DELTA",
    "lwf": "LwF",
    "lora": "LoRA",
    "piggyback": "Piggyback",
    "transtailor": "TransTailor",
}


def readable(method: str) -> str:
    """`warm_start` as a person writes it; options in parentheses stay."""
    name, *options = method.split(" (", 1)
    return " (".join([NAMES.get(name, name.replace("_", " ")), *options])


class Look(NamedTuple):
    """Colour, marker and dashes of a method's line."""

    colour: str
    marker: str
    dash: Any


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """The look of each method; up to 32 methods differ in colour, marker or dashes."""
    unique = list(dict.fromkeys(methods))
    return {
        name: Look(
            COLOURS[i % len(COLOURS)],
            MARKERS[i % len(MARKERS)],
            DASHES[i // len(COLOURS) % len(DASHES)],
        )
        for i, name in enumerate(unique)
    }


def ink() -> str:
    """The colour of text: what is neither a method nor a grid is drawn in it."""
    return str(matplotlib.rcParams["text.color"])


def halo() -> list[AbstractPathEffect]:
    """A rim in the colour of the paper, for text that may lie on a line."""
    return [withStroke(linewidth=2.5, foreground=matplotlib.rcParams["axes.facecolor"])]


def legend_below(fig: Figure, title: str | None = None) -> None:
    """A legend of as many columns as fit below a figure, which grows by its lines.

    Its names are in the order in which they were drawn.
    """
    labels = [label for ax in fig.axes for label in ax.get_legend_handles_labels()[1]]
    columns = _most_columns([len(label) for label in labels], fig.get_figwidth() - 0.3)
    lines = -(-len(labels) // columns) + (title is not None)
    fig.set_figheight(fig.get_figheight() + 0.22 * lines)
    fig.legend(loc="outside lower center", ncols=columns, title=title, handlelength=HANDLE)


def _most_columns(lengths: Sequence[int], width: float) -> int:
    """How many columns of names of so many letters are narrower than a width in inches."""
    for columns in range(len(lengths), 1, -1):
        rows, longer = divmod(len(lengths), columns)  # the first columns have one name more
        ends = [k * rows + min(k, longer) for k in range(columns + 1)]
        longest = [max(lengths[a:b]) for a, b in pairwise(ends)]
        if sum(0.95 + 0.085 * length for length in longest) < width:  # a mark, 10-point text
            return columns
    return 1


def break_lines(fig: Figure) -> None:
    """Titles and labels longer than their figure break into lines, for which it grows.

    To be called once all is drawn.
    """
    across = [*fig.texts, *(ax.title for ax in fig.axes), *(ax.xaxis.label for ax in fig.axes)]
    width, more = fig.get_figwidth(), 0.0
    for text in across:
        size = float(text.get_fontsize()) / 72  # inches; a letter is half of it wide on average
        before = text.get_text().split("\n")
        after = [fill(line, max(20, int(0.95 * width / (0.5 * size)))) for line in before]
        text.set_text("\n".join(after))
        more += 1.3 * size * sum(line.count("\n") for line in after)
    fig.set_figheight(fig.get_figheight() + more)
    for text in (*across, *(ax.yaxis.label for ax in fig.axes)):
        text.set_wrap(True)  # where it begins far from the middle


def beside(name: str) -> str:
    """A method's name beside an axis, in lines."""
    return fill(readable(name), LONGEST)


@contextmanager
def styled(dark: bool = False) -> Iterator[None]:
    """The house's fonts, on dark paper if asked, for what is drawn inside.

    Nobody else's settings change.
    """
    with matplotlib.rc_context({**FONTS, **(DARK if dark else {})}):
        yield


def empty_figure(width: float, height: float) -> Figure:
    """A figure in inches, that no window or global state knows."""
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    return fig


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """An empty figure to draw in, in the house's fonts; its long titles break at the end."""
    with styled():
        fig = empty_figure(width, height)
        yield fig
        break_lines(fig)


def logarithmic(axis: Axis, fine: bool = False, error: bool = False) -> None:
    """A logarithmic axis with few, plain ticks: 1, 2, 5 where it is `fine` or short.

    They cost a fraction of matplotlib's own, and read as the tables do: 0.1 and 1e-03, and those of
    an `error` 1e-01 and 1e-03. To be called once all is drawn.
    """
    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale  # type: ignore[attr-defined]
    scale("log")
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if fine or high < 30 * low else (1.0,)
    most = None
    if axis.axis_name == "x":  # type: ignore[attr-defined]
        most = int(axis.axes.bbox.width / axis.axes.figure.dpi / TICK)
    axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, place: tick(value, error)))


def save(figure: Figure, path: str | Path, dpi: int = 130, kind: str | None = None) -> None:
    """A PNG, PDF or SVG by the suffix, or of that kind, whole or not at all."""
    content = as_bytes(figure, kind or Path(path).suffix[1:] or "png", dpi)
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(content)


def as_bytes(figure: Figure, kind: str, dpi: int = 130) -> bytes:
    """A figure as PNG, PDF or SVG, without a date: the same figure has the same bytes."""
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    image = io.BytesIO()
    with styled():
        figure.savefig(image, format=kind, dpi=dpi, metadata=undated.get(kind))
    return image.getvalue()
