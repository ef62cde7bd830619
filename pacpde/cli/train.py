"""`pacpde train`: sources."""

from pacpde.cli import inputs, options, outputs, tables
from pacpde.cli.output import emit, progress_display
from pacpde.cli.verdicts import exit_for
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder
from pacpde.studies.cells import Training


def train(
    family: options.Family,
    output: options.Folder,
    coefficients: options.Coefficients = None,
    steps: options.Steps = None,
    width: options.Width = None,
    depth: options.Depth = None,
    points: options.Points = None,
    tolerance: options.Residual = None,
    memory: options.Memory = None,
    optimiser: options.Optimiser = None,
    soft: options.Soft = False,
    reference: options.ReferenceChoice = "auto",
    reference_tolerance: options.ReferenceTolerance = None,
    until: options.Until = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    dtype: options.Dtype = "float64",
    json: options.Json = None,
    overwrite: options.Overwrite = False,
    plugin: options.Plugin = [],  # noqa: B006
    debug: options.Debug = False,
) -> None:
    """Train a source surrogate; after an interruption the same command resumes.

    If the folder has the result of the same command, the result is shown again. Any other surrogate
    there is an error, unless --overwrite is given.

    Example: pacpde train burgers nu=0.01/pi -o runs/source
    """
    problem = inputs.problem(family, coefficients or [], until)
    settings = inputs.settings(
        steps=steps,
        width=width,
        depth=depth,
        points=points,
        tolerance=tolerance,
        memory=memory,
        optimiser=optimiser,
        soft=soft,
    )
    inputs.output_folder(output)
    grading = inputs.grading(reference, reference_tolerance)
    job = Training(problem, check_seed(seed), Runtime(device, dtype), settings, grading)
    with outputs.one_surrogate(job, output, json, overwrite=overwrite) as (finished, replace):
        if finished is None:
            certified = inputs.reference(problem, reference, reference_tolerance)
            with progress_display() as display:
                surrogate = job.run(display, output_folder.resume_state(output, job.key))
            result = tables.trained(surrogate, certified, output, seed)
            output_folder.save(job, surrogate, output, result)
        else:
            surrogate, result = finished.surrogate, finished.result
    emit(result, json, tables.training(result), overwrite=replace)
    exit_for({str(problem): surrogate}, settings, output)
