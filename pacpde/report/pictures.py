"""Which pictures a study has: for the page, and more of them as files for print."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from pacpde.datasets import reference_for
from pacpde.networks.surrogate import Surrogate
from pacpde.plots import error_against_seconds, maps, source_error
from pacpde.plots import studies as plots
from pacpde.plots.style import as_bytes, readable, styled
from pacpde.report.summary_text import baseline_of
from pacpde.studies.cells import Cell
from pacpde.studies.groups import Group, variant_names
from pacpde.studies.statistics import ranks

PRINT = 300  # dots an inch


@dataclass(frozen=True)
class Picture:
    """One figure, drawn when it is asked for.

    Attributes:
        name: of its file, without a suffix.
        caption: what it shows.
        on_page: whether the page shows it; the others are behind its slider.
        wide: it needs the whole width of the page.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    on_page: bool = True
    wide: bool = False

    def png(self, dpi: int = 100, dark: bool = False) -> bytes:
        with styled(dark):
            return as_bytes(self.draw(), "png", dpi)

    def files(self) -> dict[str, bytes]:
        """Name → content: the figure as PDF and PNG, in print quality."""
        figure = self.draw()
        pdf = as_bytes(figure, "pdf")
        figure.set_layout_engine("none")  # once is enough
        return {f"{self.name}.pdf": pdf, f"{self.name}.png": as_bytes(figure, "png", PRINT)}


def pictures(
    groups: Sequence[Group], cells: Mapping[str, Cell], kept: Mapping[str, Surrogate]
) -> list[Picture]:
    """Every picture that the rows and the kept surrogates of a study's folder allow.

    Args:
        cells: name → cell.
        kept: name → surrogate of its target.
    """
    shown: list[Picture] = []
    for family in dict.fromkeys(group.family for group in groups):
        shown += _of_family(groups, family, kept)
    several = len({group.family for group in groups}) > 1
    base = baseline_of(groups)
    if base is not None and len(variant_names(groups)) > 1:
        caption = f"Error of {readable(base)} over that of each method, pair by pair."
        shown.append(Picture("gain", caption, partial(plots.gain_over_scratch, groups, base),
                            wide=several or len(variant_names(groups)) > plots.FEW))  # fmt: skip
    if len(ranks(groups)) > 1:
        caption = "Mean rank of every method over the sources, with the critical difference."
        shown.append(Picture("ranks", caption, partial(plots.critical_difference, groups),
                             wide=len(ranks(groups)) > plots.FEW))  # fmt: skip
    return [*shown, *_masks(cells, kept)]


def _of_family(
    groups: Sequence[Group], family: str, kept: Mapping[str, Surrogate]
) -> Iterator[Picture]:
    of_family = [group for group in groups if group.family == family]
    graded = [group for group in of_family if group.distance is not None]
    if not graded:  # no reference
        return
    distances = {group.distance for group in graded}
    over = " over the distance between the solutions of source and target"
    yield Picture(
        f"error-distance-{family}",
        f"{family}: median target error of every method{over if len(distances) > 1 else ''}.",
        partial(plots.error_against_distance, groups, family),
        wide=len(variant_names(groups)) > plots.FEW,
    )
    if len({str(group.source) for group in of_family}) > 1:
        for name in variant_names(of_family):
            yield Picture(
                f"matrix-{family}-{name}".replace(" ", "-"),
                f"{family}: median target error of {readable(name)}, source by target.",
                partial(plots.transfer_matrix, groups, name, family),
            )
    farthest = max(graded, key=lambda group: group.distance or 0)
    surrogates = _surrogates_of(farthest, kept)
    if not surrogates:
        return
    seed = min(seed for seeds in farthest.rows.values() for seed in seeds)
    rows = [{**r[seed], "method": n} for n, r in farthest.rows.items() if seed in r]
    histories = {
        name: surrogates[name].history if name in surrogates else ()
        for name in variant_names(groups)
    }
    target = next(iter(surrogates.values())).problem
    yield Picture(
        f"error-seconds-{family}",
        f"{farthest.name}, seed {seed}: target error over seconds of fitting the target.",
        partial(
            error_against_seconds,
            histories,
            zero_shot=next((row["zero_shot_error"] for row in rows), None),
            title=f"{farthest.name}, seed {seed}",
        ),
        wide=len(histories) > plots.FEW,
    )
    yield Picture(
        f"source-error-{family}",
        f"{farthest.name}, seed {seed}: error on the source through the stages.",
        partial(source_error, rows, title=f"Error on the source\n{farthest.name}, seed {seed}"),
        on_page=family == groups[0].family,  # one example is enough
        wide=len(rows) > plots.FEW,
    )
    yield Picture(
        f"solutions-{family}",
        f"{farthest.name}, seed {seed}: reference, predictions and errors.",
        lambda: maps(reference_for(target), surrogates),
        on_page=False,
    )


def _masks(cells: Mapping[str, Cell], kept: Mapping[str, Surrogate]) -> Iterator[Picture]:
    """Of the first surrogate of PAC, which remembers its source by a mask."""
    for name, surrogate in kept.items():
        if cells[name].method_name == "pac":
            caption = f"Weights kept for the source, layer by layer: {cells[name]}."
            yield Picture("masks", caption, partial(plots.masks, surrogate))
            return


def _surrogates_of(group: Group, kept: Mapping[str, Surrogate]) -> dict[str, Surrogate]:
    """The surrogates of a group, by variant."""
    names = {row["cell"]: name for name, seeds in group.rows.items() for row in seeds.values()}
    return {names[cell]: surrogate for cell, surrogate in kept.items() if cell in names}
