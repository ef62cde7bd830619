"""`pacpde transfer`: one source network to one target problem."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.cli import inputs, options, outputs
from pacpde.cli import output as printing
from pacpde.cli.data import DataOptions, labelled
from pacpde.cli.output import progress_display
from pacpde.cli.streams import print_note
from pacpde.cli.verdicts import exit_for
from pacpde.datasets import transfer_references
from pacpde.datasets.grading import check_label_source
from pacpde.errors import InvalidValueError
from pacpde.methods import nearest
from pacpde.networks import checkpoint
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder
from pacpde.studies.cells import Cell, Training


def transfer(
    *,
    source: Annotated[Path, typer.Argument(help="Folder of a trained surrogate.")],
    output: options.Folder,
    coefficients: options.Changes = None,
    method: Annotated[str, typer.Option(help="How to transfer, see `pacpde methods`.")] = "pac",
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="auto|VALUE,...",
            help="Reach the target over rungs, each a fit of its own with an outcome and an error "
            "estimate: auto, at equal steps of the coefficient; or values between source and "
            "target of the one coefficient that changes, or of the end of the time span, as "
            "1/400,1/1000. warm_start keeps the last rung alone, pac every one.",
        ),
    ] = None,
    measured: DataOptions,
    chosen: options.TransferOptions,
    fit: options.RefitOptions,
    grading: options.GradingOptions,
    among: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Another source folder; repeatable. The transfer starts from the source whose "
            "residual on the target is smallest.",
        ),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Refuse a source folder of another family.")
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(parser=options.number, help="End of the time span. Default: the source's."),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    dtype: Annotated[
        str | None, typer.Option(help="float64 or float32. Default: the source's.")
    ] = None,
    result: options.ResultOptions,
) -> None:
    """Move a trained surrogate to other coefficients.

    After an interruption the same command resumes.

    If the output folder has the result of the same command, the result is shown again. Any other
    surrogate there, or unfinished fit, is an error, unless --overwrite is given.

    Example: pacpde transfer runs/source nu=0.02/pi --method pac --sparsity 0.8 -o runs/target

    Over a ladder: pacpde transfer runs/cavity nu=1/3200 --ladder 1/400,1/1000 -o runs/fast
    """
    trained = checkpoint.load(source)
    if family is not None and family != trained.problem.name:
        raise InvalidValueError(
            f"{source} solves {trained.problem.name!r}, not {family!r}: give a source of the same "
            "family."
        )
    target = inputs.target(trained.problem, coefficients or [], until)
    grading.check(trained.problem, target)
    if among:
        folders = {source: trained, **{folder: checkpoint.load(folder) for folder in among}}
        trained = nearest(list(folders.values()), target, seed=check_seed(seed))
        source = next(folder for folder, one in folders.items() if one is trained)
        print_note(f"starting from {source}, {trained.problem}.")
    (way,) = chosen.methods([method], ladder=ladder)
    runtime = Runtime(device, dtype or trained.runtime.dtype)
    fit.check(way.unused_settings)
    training = Training.of_surrogate(trained.to(runtime), check_seed(seed), fit.settings)
    reference = measured.reference(grading.reference, target)
    job = Cell(
        training, target, way, {}, physics=chosen.physics, reference=reference,
        reference_tolerance=grading.reference_tolerance, **labelled(measured, chosen, target,
                                                                   grading),
    )  # fmt: skip
    inputs.output_folder(output, source)

    def compute() -> output_folder.Fit:
        references = transfer_references(
            training.problem, target, reference, grading.reference_tolerance, print_note
        )
        check_label_source(chosen.labels, references.target, grading.reference)
        state = output_folder.resume_state(output, job.key)
        with progress_display() as display:
            transferred = job.transfer(training.surrogate, references, display, state)
        return transferred.surrogate, transferred.record()

    surrogate, record, replace = outputs.one_surrogate(
        job.provenance(), output, result, compute, source, key=job.key
    )
    table = printing.record_table(str(target), [record])
    shown = [printing.rung_table(record["rungs"])] if record.get("rungs") else []
    result.emit(record, table, *shown, f"written to {output}", replace=replace)
    exit_for({method: surrogate}, fit.settings, output, {method: record["worst_field_error"]})
