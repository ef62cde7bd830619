"""The three figures of `pacpde compare`."""

from pathlib import Path

from pacpde.ownership import OwnFiles
from pacpde.plots.convergence import error_against_seconds
from pacpde.plots.solutions import maps
from pacpde.plots.source_error_by_stage import source_error
from pacpde.plots.style import save
from pacpde.studies.comparison import Comparison


def draw_all(comparison: Comparison, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write the figures of a comparison, for its first seed.

    - maps.png: reference, prediction and error on the target.
    - error_vs_seconds.png: error on the target against the seconds of its fits.
    - source_error.png: error on the source, stage by stage.

    The first two need a reference of the target, the last one a reference of the source. A figure
    whose reference is missing is not written.

    Args:
        folder: where the files are written.
        overwrite: whether files of these names that pacpde did not write are replaced.

    Returns:
        Paths of the files.
    """
    seed = next(iter(comparison.sources))
    surrogates = comparison.surrogates(seed)
    records = [record for record in comparison.records if record["seed"] == seed]
    ends = f"{comparison.source} to {comparison.target}"
    figures = {}
    if comparison.references.target is not None:
        figures["maps.png"] = maps(comparison.references.target, surrogates)
        figures["error_vs_seconds.png"] = error_against_seconds(
            {name: surrogate.history for name, surrogate in surrogates.items()},
            zero_shot=records[0]["zero_shot_error"],
            title=f"Error on the target against seconds of fitting it\n{ends}",
        )
    if comparison.references.source is not None:
        figures["source_error.png"] = source_error(
            comparison.records, title=f"Error on the source, stage by stage\n{ends}"
        )
    own = OwnFiles(Path(folder))
    for name, figure in figures.items():
        with own.writing(name, overwrite=overwrite) as temporary:
            save(figure, temporary, kind="png")
    return [Path(folder) / name for name in figures]
