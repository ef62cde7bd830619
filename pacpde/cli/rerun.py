"""`pacpde rerun`: transfers made again from their records alone."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, options
from pacpde.cli.output import Number, error, progress_display, table
from pacpde.cli.streams import print_note
from pacpde.errors import DataFileError
from pacpde.runtime import code_hash, versions


def rerun(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RECORD",
            help="What --json of `transfer`, `compare` or `study run` wrote, the records.json of a "
            "comparison, or the folder of a transferred surrogate.",
        ),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Of `pacpde solve`, where the record was graded by one of yours."
        ),
    ] = None,
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
) -> None:
    """Make transfers again, sources included, from records alone, and compare the numbers.

    Seeds, settings, options, device, precision and the number of threads are those of the record.
    Status 0 if all numbers but seconds are the same to the last digit, 1 if not.

    Example: pacpde rerun record.json
    """
    from pacpde.datasets import load
    from pacpde.studies.records import stored
    from pacpde.studies.rerun import rerun as make_again

    stored_records = stored(file)
    inputs.json_target(result.json, file, overwrite=result.overwrite)
    records = [record for record in stored_records if record["provenance"]]
    if stored_records and not records:
        raise DataFileError(
            f"the records of {file} do not say what they depend on: an older pacpde wrote them, or "
            "no transfer has a result."
        )
    left_out = len(stored_records) - len(records)
    if left_out:
        print_note(f"{left_out} records without provenance are left out.")
    own = None if reference is None else load(reference).reference
    with progress_display() as display:
        reruns = make_again(records, progress=display, reference=own)
    rows = [
        [one.before["method"], Number(one.before["seed"]), error(one.before["target_error"]),
         error(one.after["target_error"]), ", ".join(one.differing) or "nothing"]
        for one in reruns
    ]  # fmt: skip
    headings = ["method", "seed", "target error", "made again", "differs in"]
    content = {
        "records": [one.after for one in reruns],
        "differing": [one.differing for one in reruns],
    }
    result.emit(content, table(f"Made again from {file}", headings, rows))
    other = [one.before["provenance"] for one in reruns if one.differing]
    if other:
        print_note(f"{len(other)} of {len(reruns)} records came out otherwise{_why(other)}.")
        raise typer.Exit(1)


def _why(provenances: list[dict[str, Any]]) -> str:
    """The reason why a second run may differ."""
    causes = []
    for name, version in versions().items():
        before = {str(one["versions"].get(name)) for one in provenances}
        if before != {version}:
            causes.append(f"{name} was {', '.join(sorted(before))} and is {version}")
    if any(one["code"] != code_hash() for one in provenances):
        causes.append("pacpde's code is another")
    if any(one["stacked"] for one in provenances):
        causes.append("they were computed in stacks with other fits, whose sums have another order")
    return f": {'; '.join(causes)}" if causes else ""
