"""Check the place of an output: it has this command's result, something else, or nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pacpde.cli import inputs
from pacpde.cli.options import ResultOptions
from pacpde.cli.streams import print_note
from pacpde.datasets import load
from pacpde.errors import DataFileError
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.reference import Reference, default_tolerance
from pacpde.studies import output_folder


def one_surrogate(
    call: output_folder.Call,
    output: Path,
    result: ResultOptions,
    compute: Callable[[], output_folder.Fit],
    *taken: Path,
    key: str = "",
) -> tuple[Surrogate, dict[str, Any], bool]:
    """The surrogate and the result that the same command left in a folder, else what it computes.

    Gives also whether the file of `--json` may be replaced.

    Args:
        compute: the surrogate and the result, which are then stored in the folder.
        taken: what else the command reads or writes.
        key: of the states from which it resumes.
    """
    json, overwrite = result.json, result.overwrite
    inputs.json_target(json, output, *taken)
    with output_folder.reserved(call, output, key, overwrite=overwrite) as stored:
        replace = inputs.json_target(
            json, output, *taken, overwrite=overwrite, own=lambda: stored and stored[1]
        )
        if stored is None:
            with output_folder.begun(call, output, key):
                stored = compute()
            output_folder.save(call, stored[0], output, stored[1])
        else:
            # where the command was killed between the two
            output_folder.clear_own(call, output, key)
            print_note(
                f"{output} holds the result of this command already; --overwrite makes it anew."
            )
    return *stored, replace


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
