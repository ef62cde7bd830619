"""`pacpde transfer`: one source network to one target problem."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.cli import inputs, options, outputs
from pacpde.cli import output as printing
from pacpde.cli.output import emit, progress_display
from pacpde.cli.streams import print_note
from pacpde.cli.verdicts import exit_for
from pacpde.errors import InvalidValueError
from pacpde.methods import nearest
from pacpde.networks import checkpoint
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder
from pacpde.studies.cells import Cell, Training


def transfer(
    source: Annotated[Path, typer.Argument(help="Folder of a trained surrogate.")],
    output: options.Folder,
    coefficients: options.Changes = None,
    method: Annotated[str, typer.Option(help="See `pacpde methods`.")] = "pac",
    sparsity: options.Sparsity = None,
    strength: options.Strength = None,
    labels: options.Labels = 0,
    noise: options.Noise = 0.0,
    physics: options.Physics = True,
    option: options.Set = None,
    steps: options.Steps = None,
    points: options.Points = None,
    tolerance: options.Residual = None,
    memory: options.Memory = None,
    optimiser: options.Optimiser = None,
    reference: options.ReferenceChoice = "auto",
    reference_tolerance: options.ReferenceTolerance = None,
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
    json: options.Json = None,
    overwrite: options.Overwrite = False,
    plugin: options.Plugin = [],  # noqa: B006
    debug: options.Debug = False,
) -> None:
    """Move a trained surrogate to other coefficients.

    After an interruption the same command resumes.

    If the output folder has the result of the same command, the result is shown again. Any other
    surrogate there is an error, unless --overwrite is given.

    Example: pacpde transfer runs/source nu=0.02/pi --method pac --sparsity 0.8 -o runs/target
    """
    trained = checkpoint.load(source)
    if family is not None and family != trained.problem.name:
        raise InvalidValueError(
            f"{source} solves {trained.problem.name!r}, not {family!r}: give a source of the same "
            "family."
        )
    target = inputs.target(trained.problem, coefficients or [], until)
    inputs.check_reference(reference, reference_tolerance, trained.problem, target)
    if among:
        folders = {source: trained, **{folder: checkpoint.load(folder) for folder in among}}
        trained = nearest(list(folders.values()), target, seed=check_seed(seed))
        source = next(folder for folder, one in folders.items() if one is trained)
        print_note(f"starting from {source}, {trained.problem}.")
    (chosen,) = inputs.methods_of([method], option or [], sparsity=sparsity, strength=strength)
    runtime = Runtime(device, dtype or trained.runtime.dtype)
    settings = inputs.settings(
        steps=steps, points=points, tolerance=tolerance, memory=memory, optimiser=optimiser
    )
    training = Training.of_surrogate(trained.to(runtime), check_seed(seed), settings)
    job = Cell(
        training, target, chosen, {}, labels, noise, physics, reference, reference_tolerance,
    )  # fmt: skip
    inputs.output_folder(output, source)
    with outputs.one_surrogate(job, output, json, source, overwrite=overwrite) as (
        finished,
        replace,
    ):
        if finished is None:
            references = inputs.references(
                trained.problem, target, reference, reference_tolerance, labels
            )
            with progress_display() as display:
                result = job.transfer(
                    training.surrogate, references=references, progress=display,
                    resume_state=output_folder.resume_state(output, job.key),
                )  # fmt: skip
            surrogate, record = result.surrogate, result.record()
            output_folder.save(job, surrogate, output, record)
        else:
            surrogate, record = finished.surrogate, finished.result
    table = printing.record_table(str(target), [record])
    emit(record, json, table, f"written to {output}", overwrite=replace)
    exit_for({method: surrogate}, settings, output)
