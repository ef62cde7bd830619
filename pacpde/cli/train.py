"""`pacpde train`: sources."""

from pacpde.cli import inputs, outputs, tables
from pacpde.cli.options import (
    Coefficients,
    Debug,
    Depth,
    Device,
    Dtype,
    Family,
    Folder,
    Json,
    Memory,
    Optimiser,
    Overwrite,
    Plugin,
    Points,
    ReferenceChoice,
    ReferenceTolerance,
    Residual,
    Seed,
    Soft,
    Steps,
    Until,
    Width,
)
from pacpde.cli.output import emit, showing
from pacpde.cli.verdicts import exit_for
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder
from pacpde.studies.cells import Training


def train(
    family: Family,
    output: Folder,
    coefficients: Coefficients = None,
    steps: Steps = None,
    width: Width = None,
    depth: Depth = None,
    points: Points = None,
    tolerance: Residual = None,
    memory: Memory = None,
    optimiser: Optimiser = None,
    soft: Soft = False,
    reference: ReferenceChoice = "auto",
    reference_tolerance: ReferenceTolerance = None,
    until: Until = None,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float64",
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Train a source surrogate; after an interruption the same command resumes.

    Where the folder holds what the same command made before, it is shown again. Another surrogate
    stays, unless --overwrite is given.

    Example: pacpde train burgers nu=0.01/pi -o runs/source
    """

    problem = inputs.problem(family, coefficients or [], until)
    settings = inputs.settings(
        steps=steps,
        width=width,
        depth=depth,
        points=points,
        tolerance=tolerance,
        memory_gib=memory,
        optimiser=optimiser,
        hard=False if soft else None,
    )
    inputs.output_folder(output)
    grading = inputs.grading(reference, reference_tolerance)
    job = Training(problem, check_seed(seed), Runtime(device, dtype), settings, grading)
    with outputs.one_surrogate(job, output, json, overwrite=overwrite) as (finished, replace):
        if finished is None:
            certified = inputs.reference(problem, reference, reference_tolerance)
            with showing() as show:
                surrogate = job.run(show, output_folder.resume_state(output, job.key))
            result = tables.trained(surrogate, certified, output, seed)
            output_folder.save(job, surrogate, output, result)
        else:
            surrogate, result = finished.surrogate, finished.result
    emit(result, json, tables.training(result), overwrite=replace)
    exit_for({str(problem): surrogate}, settings, output)
