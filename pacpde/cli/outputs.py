"""Check the place of an output: it has this command's result, something else, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pacpde.cli import inputs
from pacpde.cli.options import ResultOptions
from pacpde.cli.streams import print_note
from pacpde.datasets import load
from pacpde.errors import DataFileError
from pacpde.physics import Problem
from pacpde.reference import Reference, default_tolerance
from pacpde.studies import output_folder


@contextmanager
def one_surrogate(
    job: output_folder.Job, output: Path, result: ResultOptions, *taken: Path
) -> Iterator[tuple[output_folder.StoredResult | None, bool]]:
    """A surrogate's folder for one command alone, with what the same command left there.

    Gives also whether the file of `--json` may be replaced.

    Args:
        taken: what else the command reads or writes.
    """
    json, overwrite = result.json, result.overwrite
    inputs.json_target(json, output, *taken)
    with output_folder.reserved(job, output, overwrite=overwrite) as stored:
        replace = inputs.json_target(
            json, output, *taken, overwrite=overwrite, own=lambda: stored and stored.result
        )
        if stored is not None:
            # where the command was killed between the two
            output_folder.resume_state(output).clear()
            print_note(
                f"{output} holds the result of this command already; --overwrite makes it anew."
            )
        yield stored, replace


def solved_before(
    file: Path, problem: Problem, tolerance: float | None, labels: int, noise: float, seed: int
) -> Reference | None:
    """The reference of a file that has one of this tolerance, and these labels; else None."""
    try:
        stored = load(file, problem)
    except DataFileError:
        return None
    target = default_tolerance(problem) if tolerance is None else tolerance
    if stored.reference.certified_error > target:
        return None
    if stored.labels is None:
        return stored.reference if labels == 0 else None
    drawn = (len(stored.labels.points), stored.labels.noise, stored.labels.seed)
    return stored.reference if drawn == (labels, noise, seed) else None
